//! `SeaweedFS` as an S3 server of a test's own: `weed mini` with credentials on.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::Kept;
use crate::s3::Access;
use crate::{ports, tools};

/// It answers after less than a second; a busy machine is not a failed test.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(30);
/// Ports can be taken between the look and the start.
const ATTEMPTS: usize = 3;
/// Without a limit it grows to gigabytes under load, and is no faster.
const MEMORY_LIMIT: &str = "768MiB";

const LOG: &str = "log";

/// Who may do what. `limited` writes only to buckets whose names start with `open`.
const IDENTITIES: &str = r#"{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "admin-key", "secretKey": "admin-secret-7d1f"}],
   "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
  {"name": "reader", "credentials": [{"accessKey": "reader-key", "secretKey": "reader-secret-5a2c"}],
   "actions": ["Read", "List"]},
  {"name": "limited", "credentials": [{"accessKey": "limited-key", "secretKey": "limited-secret-9e4b"}],
   "actions": ["Read", "List", "Write:open*"]}
]}"#;

/// A running server with its data in a folder of its own; gone when dropped.
#[derive(Debug)]
pub struct SeaweedFs {
    // Fields are dropped in this order: the server ends before its folder goes.
    _server: Kept,
    data: TempDir,
    host: String,
}

impl SeaweedFs {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// Where the `weed` program is missing, or the server does not answer within a minute; the
    /// error holds the end of the server's log.
    pub fn start() -> Result<Self> {
        let weed = tools::find("DCMJOIN_WEED", "weed")?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&weed) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?.context("start SeaweedFS"))
    }

    fn attempt(weed: &Path) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("dcmjoin-seaweedfs-").tempdir()?;
        let config = data.path().join("identities.json");
        fs::write(&config, IDENTITIES).context("write the identities")?;
        let log = data.path().join(LOG);
        let [s3, master, volume, filer, admin] = ports::with_twins()?;
        let mut command = Command::new(weed);
        command.arg("-logtostderr=true").arg("mini");
        command.arg(format!("-dir={}", data.path().display()));
        command.arg(format!("-s3.config={}", config.display()));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]);
        for (name, port) in
            [("s3", s3), ("master", master), ("volume", volume), ("filer", filer), ("admin", admin)]
        {
            command.arg(format!("-{name}.port={port}"));
        }
        command.env("GOMEMLIMIT", MEMORY_LIMIT);
        let log_file = fs::File::create(&log).context("make the server's log")?;
        let server = Kept::start(&command, Stdio::from(log_file))?;
        wait_until_ready(&server, s3).with_context(|| log_tail(&log))?;
        Ok(Self { _server: server, data, host: format!("127.0.0.1:{s3}") })
    }

    /// Returns the identity that may do everything, and makes buckets.
    #[must_use]
    pub fn admin(&self) -> Access {
        self.access("admin-key", "admin-secret-7d1f")
    }

    /// Returns the identity that may list and read, and nothing else.
    #[must_use]
    pub fn reader(&self) -> Access {
        self.access("reader-key", "reader-secret-5a2c")
    }

    /// Returns the identity that may list and read, and write to buckets named `open...`.
    #[must_use]
    pub fn limited(&self) -> Access {
        self.access("limited-key", "limited-secret-9e4b")
    }

    /// Returns what the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.path().join(LOG)).unwrap_or_default()
    }

    fn access(&self, key: &str, secret: &str) -> Access {
        Access { host: self.host.clone(), key: key.into(), secret: secret.into() }
    }
}

fn wait_until_ready(server: &Kept, port: u16) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while !answers(port) {
        if let Some(status) = server.ended() {
            bail!("the server ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("the server gave no answer within {} s", READY_WITHIN.as_secs());
        }
        thread::sleep(POLL_EVERY);
    }
    Ok(())
}

/// Returns true where the S3 port refuses a request without a signature, as it should.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/1.1 403")
    };
    ask().unwrap_or(false)
}

fn log_tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n");
    format!("the server's log ends with:\n{tail}\n")
}

#[cfg(test)]
mod tests;
