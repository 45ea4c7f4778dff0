//! What the figures were measured on: sizes and models, no names.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::steps::Context;

/// Returns `<date>-<machine>`, as `2026-03-14-epyc-2c-24g`.
pub(crate) fn folder_name() -> Result<String> {
    let date = said("date", &["-u", "+%Y-%m-%d"]).context("ask for the date")?;
    let gib = memory_bytes().div_ceil(1 << 30);
    Ok(format!("{date}-{}-{}c-{gib}g", family(&cpu_model()), cores()))
}

/// Returns the machine, the commit and the load of now.
pub(crate) fn describe(context: &Context, work: &Path) -> Result<Value> {
    let root = context.root.to_string_lossy().into_owned();
    let commit = said("git", &["-C", &root, "rev-parse", "--short=12", "HEAD"])?;
    let changed = !said("git", &["-C", &root, "status", "--porcelain", "-uno"])?.is_empty();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Ok(json!({
        "started": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])?,
        "commit": commit,
        "changed_since_commit": changed,
        "profile": super::data::PROFILE,
        "cores": cores(),
        "cpu": cpu_model(),
        "memory_bytes": memory_bytes(),
        "kernel": said("uname", &["-r"])?,
        "filesystem": said("stat", &["-f", "-c", "%T", &work.to_string_lossy()])?,
        "load_at_start": load.split(' ').next().and_then(|load| load.parse::<f64>().ok()),
    }))
}

fn said(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output();
    let output = output.with_context(|| format!("start {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model).to_owned()
}

fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Returns the word of a CPU model that says most, in small letters.
fn family(model: &str) -> String {
    let model = model.to_ascii_lowercase();
    let known = ["epyc", "ryzen", "xeon", "core", "neoverse", "graviton"];
    let found = known.into_iter().find(|word| model.contains(word));
    found.unwrap_or("cpu").to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn families_are_generic() {
        assert_eq!(super::family("AMD EPYC 9R14 96-Core"), "epyc");
        assert_eq!(super::family("something else"), "cpu");
    }
}
