//! One run an output: a lock object that its run renews, and that others take over when it is dead.
//!
//! A lock is alive while it changes: whoever finds one watches it for 40 seconds, by its own
//! clock, so that clocks need not agree. The lock of a process of this machine that is gone is
//! taken at once.
//!
//! The lock keeps two runs from doing the same work. It does not guard the output's bytes: those
//! are guarded by conditional writes and by being the same whoever writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use dcmjoin_objects::{ErrorKind, PutMode, Root};
use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// The key below the output of the lock of a run that accounts for all archives.
pub const LOCK_KEY: &str = "_dcmjoin/lock.json";
/// How often a run renews its lock.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// A lock that does not change for so long is dead: three renewals may be late.
const DEAD_AFTER: Duration = Duration::from_secs(40);
/// How often a found lock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The largest lock that is read, in bytes.
const LOCK_BYTES_MAX: u64 = 64 << 10;

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    run: String,
    host: String,
    process: u32,
    renewed: String,
}

/// A lock that this run holds; it is let go with [`Lock::release`].
#[derive(Debug)]
pub struct Lock {
    root: Root,
    key: String,
    lost: Arc<AtomicBool>,
    renewal: tokio::task::JoinHandle<()>,
}

impl Lock {
    /// Takes a lock of the output for a run; waits where one stands that may be dead.
    ///
    /// # Errors
    /// [`RunError::Locked`] where another run is alive; [`RunError::Store`] where the output cannot
    /// be written.
    pub async fn take(root: &Root, key: &str, run: &str) -> Result<Self, RunError> {
        let mut mode = PutMode::Create;
        loop {
            match root.put(key, vec![holder(run)], mode).await {
                Ok(()) => break,
                Err(error) if matches!(error.kind, ErrorKind::Exists | ErrorKind::Changed) => {
                    mode = Self::dead(root, key).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let lost = Arc::new(AtomicBool::new(false));
        let (ours, key) = (root.clone(), key.to_owned());
        let renewal = tokio::spawn(renew(ours, key.clone(), run.to_owned(), Arc::clone(&lost)));
        Ok(Self { root: root.clone(), key, lost, renewal })
    }

    /// Watches the lock that stands; returns how it may be taken once it is dead.
    async fn dead(root: &Root, key: &str) -> Result<PutMode, RunError> {
        let Some((first, version)) = standing(root, key).await? else { return Ok(PutMode::Create) };
        if let Some(holder) = &first
            && holder.host == host()
            && !is_alive(holder.process)
        {
            tracing::warn!("a dead run of this machine left its lock; it is taken over");
            return Ok(PutMode::Over(version));
        }
        tracing::warn!("the output is locked; watching whether the other run is alive");
        let since = Instant::now();
        while since.elapsed() < DEAD_AFTER {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some((now, version_now)) = standing(root, key).await? else {
                return Ok(PutMode::Create);
            };
            if version_now != version || now != first {
                let holder = now.or(first).unwrap_or_else(unknown);
                return Err(RunError::Locked {
                    run: holder.run,
                    host: holder.host,
                    process: holder.process,
                });
            }
        }
        Ok(PutMode::Over(version))
    }

    /// Returns an error once another run has taken the lock.
    ///
    /// # Errors
    /// [`RunError::LockLost`].
    pub fn check(&self) -> Result<(), RunError> {
        if self.lost.load(Relaxed) { Err(RunError::LockLost) } else { Ok(()) }
    }

    /// Lets the lock go.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written; the lock then dies by itself.
    pub async fn release(self) -> Result<(), RunError> {
        self.renewal.abort();
        if !self.lost.load(Relaxed) {
            self.root.delete(&self.key).await?;
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(root: Root, key: String, run: String, lost: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let ours = match standing(&root, &key).await {
            Ok(Some((Some(holder), version))) if holder.run == run => version,
            // A store that does not answer now may do so at the next renewal.
            Ok(Some((None, _))) | Err(_) => continue,
            Ok(_) => {
                lost.store(true, Relaxed);
                return;
            }
        };
        if let Err(error) = root.put(&key, vec![holder(&run)], PutMode::Over(ours)).await
            && error.kind == ErrorKind::Changed
        {
            lost.store(true, Relaxed);
            return;
        }
    }
}

type Standing = (Option<Holder>, Option<String>);

async fn standing(root: &Root, key: &str) -> Result<Option<Standing>, RunError> {
    let Some(object) = root.object(key).await? else { return Ok(None) };
    let version = object.version().map(str::to_owned);
    match object.read(0..LOCK_BYTES_MAX).await {
        Ok(bytes) => Ok(Some((serde_json::from_slice(&bytes).ok(), version))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        // Renewed between the two requests, or being written: its version tells it apart.
        Err(_) => Ok(Some((None, version))),
    }
}

fn holder(run: &str) -> Bytes {
    let renewed = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let holder = Holder { run: run.to_owned(), host: host(), process: std::process::id(), renewed };
    serde_json::to_vec(&holder).unwrap_or_default().into()
}

fn unknown() -> Holder {
    Holder {
        run: "unknown".to_owned(),
        host: "unknown".to_owned(),
        process: 0,
        renewed: String::new(),
    }
}

pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn is_alive(process: u32) -> bool {
    if is_zombie(process) {
        return false;
    }
    let known = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    known.is_some_and(|pid| {
        // A process of another user answers with a refusal, which is an answer.
        !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
    })
}

/// Returns true where a process has ended, and only its parent has not asked how: in containers
/// there may be nobody who ever does.
fn is_zombie(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state comes after the name, which stands in parentheses and may hold any others.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use dcmjoin_objects::Stores;

    use super::*;

    fn root(dir: &tempfile::TempDir) -> Root {
        Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_lock_of_a_live_run_is_respected_and_then_free_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let first = Lock::take(&root, LOCK_KEY, "first").await.unwrap();
        first.check().unwrap();
        // A live holder renews: here its renewal is played, since the real one takes ten seconds.
        let (second, ()) = tokio::join!(Lock::take(&root, LOCK_KEY, "second"), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            root.put(LOCK_KEY, vec![holder("first")], PutMode::Replace).await.unwrap();
        });
        assert!(matches!(second, Err(RunError::Locked { run, .. }) if run == "first"));
        first.release().await.unwrap();
        Lock::take(&root, LOCK_KEY, "third").await.unwrap().release().await.unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_nobody_asked_after_is_dead() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(is_alive(child.id()));
        child.kill().unwrap();
        while is_alive(child.id()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn the_lock_of_a_dead_process_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = Holder {
            run: "dead".into(),
            host: host(),
            process: child.id(),
            renewed: String::new(),
        };
        root.put(LOCK_KEY, vec![serde_json::to_vec(&dead).unwrap().into()], PutMode::Create)
            .await
            .unwrap();
        Lock::take(&root, LOCK_KEY, "heir").await.unwrap().release().await.unwrap();
    }
}
