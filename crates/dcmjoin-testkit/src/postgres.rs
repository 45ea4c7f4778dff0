//! `PostgreSQL` as a cluster of a test's own, from the Debian package's programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::{Kept, log_tail};
use crate::disk::Disk;
use crate::{ports, tools};

/// Ports can be taken between the look and the start.
const ATTEMPTS: usize = 3;
/// A server does not start while processes of one that was killed are still there.
const RESTARTS: usize = 60;
const RESTART_AFTER: Duration = Duration::from_millis(200);
/// The role that owns everything; nobody is asked for a password on the loopback.
const USER: &str = "postgres";
/// How many clients a cluster serves at once.
const CONNECTIONS: &str = "max_connections=200";
/// Of a log in files of a megabyte: a small disk holds some.
const SMALL: &[&str] = &["max_wal_size=8MB", "min_wal_size=2MB"];

/// A running cluster with its data in a folder of its own; gone when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Mutex<Option<Kept>>,
    /// Where its data is, where it is not in the folder.
    disk: Option<Disk>,
    folder: TempDir,
    programs: PathBuf,
    account: Option<Account>,
    port: u16,
    settings: &'static [&'static str],
    databases: AtomicU32,
}

/// Whom the server runs as where the tests run as root, which it refuses.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts a cluster of its own, with the settings that the package ships, and waits until it
    /// answers.
    ///
    /// # Errors
    /// Where the server's programs are missing, or it does not answer within five minutes; the
    /// error holds the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(None, &[])
    }

    /// Starts a cluster whose data is on a disk of so many bytes: of an empty one, 40 MB are taken.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Disk::new`].
    pub fn start_on_disk(bytes: u64) -> Result<Self> {
        Self::start_with(Some(bytes), SMALL)
    }

    fn start_with(disk: Option<u64>, settings: &'static [&'static str]) -> Result<Self> {
        let programs = tools::find_postgres()?;
        let account = account()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&programs, account, disk, settings) {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?.context("start PostgreSQL"))
    }

    fn attempt(
        programs: &Path,
        account: Option<Account>,
        disk: Option<u64>,
        settings: &'static [&'static str],
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-postgres-").tempdir()?;
        if let Some(Account { uid, gid }) = account {
            chown(folder.path(), Some(uid), Some(gid)).context("give the folder to the server")?;
        }
        let [port] = ports::with_twins()?;
        let cluster = Self {
            server: Mutex::new(None),
            disk: disk.map(Disk::new).transpose()?,
            folder,
            programs: programs.to_owned(),
            account,
            port,
            settings,
            databases: AtomicU32::new(0),
        };
        let mut init = cluster.as_server("initdb");
        init.arg("-D").arg(cluster.data()).args(["-A", "trust", "-U", USER, "--no-sync"]);
        if cluster.disk.is_some() {
            init.arg("--wal-segsize=1");
        }
        run(init.args(["-E", "UTF8", "--locale=C.UTF-8"]))?;
        *cluster.lock() = Some(cluster.serve()?);
        Ok(cluster)
    }

    /// Returns the disk that its data is on, where it is on one of its own.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Makes an empty database, and returns its URL.
    ///
    /// # Errors
    /// Where the server refuses.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Returns the URL of a database, as `postgres://postgres@127.0.0.1:PORT/NAME`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns a command for one of the server's programs, such as `psql` or `pgbench`.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs one statement as the owner of everything, in the database `postgres`.
    ///
    /// # Errors
    /// Where the server refuses; the error holds its words.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        run(psql.arg(self.url("postgres")))
    }

    /// Stops the server as an upgrade does, with its clients cut off, and starts it again.
    ///
    /// # Errors
    /// Where it does not come back.
    pub fn restart(&self) -> Result<()> {
        let mut server = self.lock();
        self.stop("fast")?;
        drop(server.take());
        *server = Some(self.serve()?);
        Ok(())
    }

    /// Kills the server with SIGKILL, and starts it again: it recovers from its log.
    ///
    /// # Errors
    /// Where it does not come back.
    pub fn kill_and_restart(&self) -> Result<()> {
        let mut server = self.lock();
        drop(server.take());
        *server = Some(self.serve()?);
        Ok(())
    }

    /// Returns what the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn serve(&self) -> Result<Kept> {
        let mut command = self.as_server("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        // No socket: the path of a temporary folder can be too long for one.
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", CONNECTIONS] {
            command.args(["-c", setting]);
        }
        for setting in self.settings {
            command.args(["-c", setting]);
        }
        let mut last = None;
        // What a killed server leaves behind ends by itself, but not at once.
        for _ in 0..RESTARTS {
            let log = fs::File::options().create(true).append(true).open(self.log_path())?;
            let server = Kept::start(&command, Stdio::from(log))?;
            match server.wait_until(|| self.answers()) {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
            thread::sleep(RESTART_AFTER);
        }
        Err(last.context("no attempt was made")?.context(log_tail(&self.log_path())))
    }

    fn answers(&self) -> bool {
        let mut look = self.program("pg_isready");
        look.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        look.status().is_ok_and(|status| status.success())
    }

    fn stop(&self, mode: &str) -> Result<()> {
        let mut stop = self.as_server("pg_ctl");
        run(stop.args(["stop", "-s", "-m", mode, "-D"]).arg(self.data()))?;
        Ok(())
    }

    /// Returns a command for a program that must not run as root.
    fn as_server(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match self.account {
            None => Command::new(path),
            Some(Account { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
                // A change of user forgets what is to happen when the parent ends.
                command.args(["--clear-groups", "--pdeathsig", "KILL", "--"]).arg(path);
                command
            }
        };
        command.current_dir(self.folder.path()).env("LC_ALL", "C.UTF-8");
        match &self.disk {
            Some(disk) => disk.enter(&command),
            None => command,
        }
    }

    fn data(&self) -> PathBuf {
        let folder = self.disk.as_ref().map(Disk::place);
        folder.unwrap_or_else(|| self.folder.path().to_owned()).join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A killed server would leave its piece of shared memory behind.
        if self.lock().is_some() {
            let _ = self.stop("immediate");
        }
    }
}

/// A database of its own in a cluster that the tests of one program share.
///
/// The cluster does not wait for the disk, so what it promises outlives its own end, but not the
/// machine's; it goes with the last database.
#[derive(Debug, Clone)]
pub struct Database {
    cluster: Arc<Postgres>,
    url: String,
}

impl Database {
    /// Makes an empty database; starts the cluster where none runs.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn create() -> Result<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = match shared.upgrade() {
            Some(cluster) => cluster,
            None => Arc::new(Postgres::start_with(None, &["fsync=off"])?),
        };
        *shared = Arc::downgrade(&cluster);
        drop(shared);
        let url = cluster.create_database()?;
        Ok(Self { cluster, url })
    }

    /// Returns the database's URL, as `postgres://postgres@127.0.0.1:PORT/NAME`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements with `psql`, and returns what they print: rows as lines, columns parted by
    /// `|`.
    ///
    /// # Errors
    /// Where the server refuses; the error holds its words.
    pub fn sql(&self, statements: &str) -> Result<String> {
        let mut psql = self.cluster.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        run(psql.arg(&self.url))
    }
}

/// Returns whom the server runs as: nobody else, or where the tests are root's the package's own
/// account.
fn account() -> Result<Option<Account>> {
    if fs::metadata("/proc/self").context("look who runs the tests")?.uid() != 0 {
        return Ok(None);
    }
    let id = |what| -> Result<u32> {
        let text = run(Command::new("id").args([what, USER]))?;
        text.trim().parse().context("read an account's number")
    };
    Ok(Some(Account { uid: id("-u")?, gid: id("-g")? }))
}

fn run(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).file_name().map(OsStr::to_owned);
    let name = program.unwrap_or_default().to_string_lossy().into_owned();
    // A server that inherits the output keeps its reader waiting: none is started here.
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}:\n{words}", output.status);
    }
    String::from_utf8(output.stdout).context("read a program's output")
}

#[cfg(test)]
mod tests;
