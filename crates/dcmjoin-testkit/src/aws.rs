//! Servers that others wrote to stand in for AWS: `MiniStack` and moto, from the tests' Python.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::Kept;
use crate::{Python, ports};

/// They answer within seconds; a busy machine is not a failed test.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// Ports can be taken between the look and the start.
const ATTEMPTS: usize = 3;

/// Two seconds, as it has it, are too few where the machine is busy: what is asked for twice while
/// it runs would be there by then.
const MINISTACK: &str = "\
import ministack.services.s3
ministack.services.s3._RESTORE_DELAY_SECONDS = 5.0
from hypercorn.__main__ import main
main()
";

/// A running stand-in with all its services on one port; gone when dropped.
#[derive(Debug)]
pub struct StandIn {
    // Fields are dropped in this order: the server ends before its folder goes.
    _server: Kept,
    _folder: TempDir,
    port: u16,
}

impl StandIn {
    /// Starts `MiniStack`, whose restores take five seconds.
    ///
    /// # Errors
    /// Where the tests' Python is missing, or the server does not answer within a minute.
    pub fn ministack() -> Result<Self> {
        // Its own command would listen on all interfaces.
        Self::start("start MiniStack", |port| {
            let bind = format!("127.0.0.1:{port}");
            // No workers: it serves in this process, which is the one that is killed.
            ["-c", MINISTACK, "--workers", "0", "--bind", &bind, "ministack.app:app"]
                .map(str::to_owned)
                .to_vec()
        })
    }

    /// Starts moto's server, whose restores are done at once.
    ///
    /// # Errors
    /// Where the tests' Python is missing, or the server does not answer within a minute.
    pub fn moto() -> Result<Self> {
        Self::start("start moto", |port| {
            let start = "from moto.server import main; main()";
            ["-c", start, "-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec()
        })
    }

    /// Returns the URL that clients are told.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(what: &'static str, arguments: impl Fn(u16) -> Vec<String>) -> Result<Self> {
        let python = Python::find()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&python, &arguments) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?.context(what))
    }

    fn attempt(python: &Python, arguments: &impl Fn(u16) -> Vec<String>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-stand-in-").tempdir()?;
        let [port] = ports::with_twins()?;
        let mut command = python.command();
        command.args(arguments(port)).env("GATEWAY_PORT", port.to_string());
        let log = folder.path().join("log");
        let file = fs::File::create(&log).context("make the server's log")?;
        let server = Kept::start(&command, Stdio::from(file))?;
        let deadline = Instant::now() + READY_WITHIN;
        while !answers(port) {
            if let Some(status) = server.ended() {
                let text = fs::read_to_string(&log).unwrap_or_default();
                bail!("the server ended with {status}:\n{text}");
            }
            if Instant::now() > deadline {
                bail!("the server gave no answer within {} s", READY_WITHIN.as_secs());
            }
            thread::sleep(POLL_EVERY);
        }
        Ok(Self { _server: server, _folder: folder, port })
    }
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/")
    };
    ask().unwrap_or(false)
}
