//! `ClickHouse`: the engine itself, as a library, behind a small HTTP front.
//!
//! No package has the server in a version that its clients of today speak to. The engine is the
//! real one; what `python/clickhouse_front.py` says of itself are the limits: four requests at once,
//! no users, no compression. So little is learnt here of a server's concurrency.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::{Kept, log_tail};
use crate::disk::Disk;
use crate::{Python, ports};

/// Ports can be taken between the look and the start.
const ATTEMPTS: usize = 3;
const FRONT: &str = include_str!("../python/clickhouse_front.py");
const LOG: &str = "log";
/// A statement of the tests takes seconds; a busy machine is not a failed test.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// A running engine with its data in a folder of its own; gone when dropped.
#[derive(Debug)]
pub struct ClickHouse {
    server: Mutex<Option<Kept>>,
    /// Where its data is, where it is not in the folder.
    disk: Option<Disk>,
    folder: TempDir,
    python: Python,
    port: u16,
}

impl ClickHouse {
    /// Starts an engine, and waits until its front answers.
    ///
    /// # Errors
    /// Where the engine's Python is missing, or the front does not answer within five minutes.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Starts an engine whose data is on a disk of so many bytes.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Disk::new`].
    pub fn start_on_disk(bytes: u64) -> Result<Self> {
        Self::start_with(Some(bytes))
    }

    fn start_with(disk: Option<u64>) -> Result<Self> {
        let python = Python::find_clickhouse()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&python, disk) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?.context("start ClickHouse"))
    }

    fn attempt(python: &Python, disk: Option<u64>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-clickhouse-").tempdir()?;
        let [port] = ports::with_twins()?;
        let disk = disk.map(Disk::new).transpose()?;
        let server = Self { server: Mutex::new(None), disk, folder, python: python.clone(), port };
        *server.lock() = Some(server.serve()?);
        Ok(server)
    }

    /// Returns the disk that its data is on, where it is on one of its own.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Returns the URL that clients are told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs one statement, and returns what it prints: rows as lines, columns parted by tabs.
    ///
    /// # Errors
    /// Where the engine refuses; the error holds its words.
    pub fn sql(&self, statement: &str) -> Result<String> {
        ask(self.port, "POST", statement).context("ask the front")
    }

    /// Kills the engine with SIGKILL, and starts it again.
    ///
    /// # Errors
    /// Where it does not come back.
    pub fn kill_and_restart(&self) -> Result<()> {
        let mut server = self.lock();
        drop(server.take());
        *server = Some(self.serve()?);
        Ok(())
    }

    fn serve(&self) -> Result<Kept> {
        let mut command = self.python.command();
        let folder = self.disk.as_ref().map(Disk::place);
        let folder = folder.unwrap_or_else(|| self.folder.path().to_owned());
        command.args(["-c", FRONT, &self.port.to_string()]).arg(self.folder.path());
        command.arg(folder.join("data")).current_dir(self.folder.path());
        if let Some(disk) = &self.disk {
            command = disk.enter(&command);
        }
        let log = self.folder.path().join(LOG);
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let server = Kept::start(&command, Stdio::from(file))?;
        let ready = server.wait_until(|| ask(self.port, "GET", "").is_ok());
        ready.with_context(|| log_tail(&log))?;
        Ok(server)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask(port: u16, method: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let length = body.len();
    write!(
        stream,
        "{method} / HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("{body}");
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests;
