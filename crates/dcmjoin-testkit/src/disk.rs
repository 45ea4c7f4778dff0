//! A file system of its own, so small that a test can fill it.
//!
//! It is in memory, and mounted where nobody else sees it: in a namespace that a process of the
//! test's keeps. So it ends with the test, also where that is killed, and nothing stays mounted.
//! Root may do so, and others where the kernel lets them have namespaces of their own.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::child::{Kept, log_tail};

/// What takes the space, and what tells that the file system is there.
const BALLAST: &str = "ballast";
const READY: &str = "ready";
/// Taken at once.
const BLOCK: usize = 1 << 20;
const MOUNT: &str = "
mount -t tmpfs -o \"size=$2\" dcmjoin-test \"$1\" && : > \"$1/ready\" && exec sleep infinity";
const HINT: &str =
    "a file system of the test's own: run as root, or let users have namespaces of their own";

/// A small file system; gone when dropped.
///
/// Processes that [`Disk::enter`] starts see it below [`Disk::place`]; all others find the same files
/// below [`Disk::path`].
#[derive(Debug)]
pub struct Disk {
    /// Ends it when dropped; asked by nobody.
    _keeper: Mutex<Kept>,
    /// The number of the keeper's process.
    process: u32,
    folder: TempDir,
    is_root: bool,
}

impl Disk {
    /// Makes an empty file system of so many bytes.
    ///
    /// # Errors
    /// Where this process may neither mount nor have namespaces of its own.
    pub fn new(bytes: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-disk-").tempdir()?;
        let is_root = fs::metadata("/proc/self").context("look who runs the tests")?.uid() == 0;
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !is_root {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        // Who enters a namespace forgets what is to happen when the parent ends.
        command.args(["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", MOUNT, "sh"]);
        let place = folder.path().join("disk");
        fs::create_dir(&place)?;
        // A server may run as somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        command.arg(&place).arg(bytes.to_string());
        let log = folder.path().join("log");
        let keeper = Kept::start(&command, Stdio::from(File::create(&log)?))?;
        let ready = keeper.wait_until(|| seen_by(keeper.id(), &place).join(READY).exists());
        ready.with_context(|| log_tail(&log)).context(HINT)?;
        let process = keeper.id();
        Ok(Self { _keeper: Mutex::new(keeper), process, folder, is_root })
    }

    /// Returns where it is for those who see it.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Returns where it is for all others.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        seen_by(self.process, &self.place())
    }

    /// Returns a command whose process sees it.
    #[must_use]
    pub fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.process.to_string(), "--mount"]);
        if !self.is_root {
            inside.args(["--user", "--preserve-credentials"]);
        }
        if let Some(folder) = command.get_current_dir() {
            inside.arg(format!("--wdns={}", folder.display()));
        }
        inside.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Returns what fills it.
    #[must_use]
    pub fn ballast(&self) -> Ballast {
        Ballast::at(&self.path())
    }
}

/// A file that takes all space of the file system that it is on.
#[derive(Debug)]
pub struct Ballast(PathBuf);

impl Ballast {
    /// Returns the one of a folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.join(BALLAST))
    }

    /// Takes all space that is left. Where others give some back, it can be taken too.
    ///
    /// # Errors
    /// Where it fails otherwise than for want of space.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        let block = vec![0; BLOCK];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("fill the file system"),
            }
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// Where nothing was taken.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(&self.0).context("free the file system")
    }
}

/// Returns the path by which all find what a process has at a place.
fn seen_by(process: u32, place: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{process}/root"));
    root.join(place.strip_prefix("/").unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_until_it_is_freed() {
        let disk = Disk::new(4 << 20).unwrap();
        let write = || {
            let mut command = Command::new("sh");
            command.args(["-c", "head -c 100000 /dev/zero > file"]).current_dir(disk.place());
            disk.enter(&command).output().unwrap()
        };
        assert!(write().status.success());
        let ballast = disk.ballast();
        ballast.fill().unwrap();
        fs::remove_file(disk.path().join("file")).unwrap();
        ballast.fill().unwrap();
        let refused = write();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("No space left"), "{said}");
        ballast.free().unwrap();
        assert!(write().status.success());
        assert_eq!(fs::metadata(disk.path().join("file")).unwrap().len(), 100_000);
        assert!(!disk.place().join("file").exists(), "others do not see it");
    }
}
