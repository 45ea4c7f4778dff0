//! A server process that dies with its owner.
//!
//! Linux sends the death signal when the *thread* that started a process ends, and tests run in
//! short-lived threads. So a thread of its own starts the server, keeps it, and ends it.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// How often the keeper looks whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running server; dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Kept {
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    ended: Receiver<ExitStatus>,
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
        guarded.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let keeper = thread::Builder::new().name("server".into()).spawn(move || {
            let child = guarded.spawn();
            match child {
                Ok(child) => {
                    let _ = started.send(Ok(()));
                    keep(child, &stopped, &end);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        start.recv().context("the keeper's thread has ended")?.context("start setpriv")?;
        Ok(Self { stop: Some(stop), keeper: Some(keeper), ended })
    }

    /// Returns how the server ended, or `None` while it runs.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.ended.try_recv().ok()
    }
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
