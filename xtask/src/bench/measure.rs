//! Time and memory of one child process.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::steps::shown;

/// The peak is the system's own; it only has to be looked at before the process is gone.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// Nothing that is measured takes as long: a thousand million pairs take minutes. What does, hangs.
const TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// What a process took, and what it wrote to standard output.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// `VmHWM`, in bytes.
    pub(crate) rss_bytes: u64,
    pub(crate) output: String,
}

/// Runs a command; anything but success is an error with the end of what it said.
pub(crate) fn run(command: &mut Command) -> Result<Measured> {
    let name = shown(command);
    let name: String = name.chars().take(60).collect();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("start `{name}`"))?;
    let (output, seconds, rss_bytes) = watched(child, began)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail = said.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
        bail!("`{name}` ended with {}: {tail}", output.status);
    }
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Measured { seconds, rss_bytes, output })
}

/// Runs a command that prints one JSON document, which has its own figures.
pub(crate) fn json(command: &mut Command) -> Result<Value> {
    let measured = run(command)?;
    let mut row: Value = serde_json::from_str(&measured.output).context("read its JSON")?;
    row["rss_bytes"] = measured.rss_bytes.into();
    Ok(row)
}

fn watched(child: Child, began: Instant) -> Result<(std::process::Output, f64, u64)> {
    let (id, ended) = (child.id(), AtomicBool::new(false));
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_bytes(id));
                if began.elapsed() > TIME_MAX {
                    let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
                    break;
                }
                thread::sleep(LOOK_EVERY);
            }
            peak
        });
        let output = child.wait_with_output();
        let seconds = began.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        let peak = watch.join().expect("the watch does not panic");
        Ok((output.context("wait for the command")?, seconds, peak))
    })
}

fn peak_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
