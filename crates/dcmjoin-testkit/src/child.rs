//! A server process that dies with its owner.
//!
//! Linux sends the death signal when the *thread* that started a process ends, and tests run in
//! short-lived threads. So a thread of its own starts the server, keeps it, and ends it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often the keeper looks whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Servers answer within seconds; a busy machine is not a failed test.
const READY_WITHIN: Duration = Duration::from_secs(300);
const POLL_EVERY: Duration = Duration::from_millis(30);

/// A running server; dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Kept {
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    ended: Receiver<ExitStatus>,
    id: u32,
}

impl Kept {
    /// Starts a server; the command goes through `setpriv`, which has it killed with its parent.
    pub(crate) fn start(command: &Command, log: Stdio) -> Result<Self> {
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
        guarded.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let keeper = thread::Builder::new().name("server".into()).spawn(move || {
            let child = guarded.spawn();
            match child {
                Ok(child) => {
                    let _ = started.send(Ok(child.id()));
                    keep(child, &stopped, &end);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        let id = start.recv().context("the keeper's thread has ended")?.context("start setpriv")?;
        Ok(Self { stop: Some(stop), keeper: Some(keeper), ended, id })
    }

    /// Returns the number of the server's process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Returns how the server ended, or `None` while it runs.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.ended.try_recv().ok()
    }

    /// Asks the server to end, and waits until it has; one that takes too long is killed.
    pub(crate) fn stop(self) -> Result<()> {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.id.to_string()]).status().context("start kill")?;
        match self.ended.recv_timeout(READY_WITHIN) {
            Ok(_) => Ok(()),
            Err(_) => bail!("the server did not end within {} s", READY_WITHIN.as_secs()),
        }
    }

    /// Waits until a server is ready; an error where it ends before, or takes too long.
    pub(crate) fn wait_until(&self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !ready() {
            if let Some(status) = self.ended() {
                bail!("the server ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("the server gave no answer within {} s", READY_WITHIN.as_secs());
            }
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }
}

/// Returns the end of a server's log, for an error's text.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n");
    format!("the server's log ends with:\n{tail}\n")
}

fn keep(mut child: Child, stopped: &Receiver<()>, end: &Sender<ExitStatus>) {
    while matches!(stopped.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
        if let Ok(Some(status)) = child.try_wait() {
            // Nobody needs to be there to hear it.
            let _ = end.send(status);
            return;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}
