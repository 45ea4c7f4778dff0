//! Time and memory.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use dcmjoin_index::{Error, Fingerprint, PairingIndex};
use serde_json::{Value, json};

use super::uids::{LOT, Uids, mixed, uid};

/// Lots of probes that are measured.
const PROBE_LOTS: u64 = 128;

/// Of the clock in `/proc/self/stat`, on all of Linux' usual machines.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was spent by phase.
#[derive(Default)]
pub(crate) struct Phases(Vec<Phase>);

#[derive(Default)]
struct Phase {
    name: &'static str,
    spent: Duration,
    /// Of all cores: what the phase costs where others use them too.
    cpu_ticks: u64,
    /// The most memory of the process up to the phase's end.
    memory_peak_bytes: u64,
}

impl Phases {
    pub(crate) fn measure<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let (begin, cpu_ticks) = (Instant::now(), cpu_ticks());
        let made = work();
        let spent = begin.elapsed();
        let at = self.0.iter().position(|phase| phase.name == name).unwrap_or_else(|| {
            self.0.push(Phase { name, ..Phase::default() });
            self.0.len() - 1
        });
        let phase = &mut self.0[at];
        phase.spent += spent;
        phase.cpu_ticks += self::cpu_ticks() - cpu_ticks;
        phase.memory_peak_bytes = memory_peak_bytes();
        made
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.iter().map(|phase| phase.spent.as_secs_f64()).sum()
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.0.iter().map(|phase| phase.cpu_ticks as f64 / TICKS_PER_SECOND).sum()
    }

    pub(crate) fn by_name(&self) -> Value {
        let figures = |phase: &Phase| {
            json!({
                "seconds": phase.spent.as_secs_f64(),
                "cpu_seconds": phase.cpu_ticks as f64 / TICKS_PER_SECOND,
                "memory_peak_bytes": phase.memory_peak_bytes,
            })
        };
        self.0.iter().map(|phase| (phase.name.to_owned(), figures(phase))).collect()
    }
}

/// Returns the processor time of all threads so far (`utime` and `stime`), or 0 where the system
/// does not tell.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

/// Returns the most memory that the process has had so far (`VmHWM`), or 0 where the system does
/// not tell.
pub(crate) fn memory_peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Returns the nanoseconds of a probe by a random fingerprint of the index, on one thread: one at
/// a time, and in lots.
pub(crate) fn probe_ns(uids: &Uids, index: &PairingIndex) -> Result<(f64, f64), Error> {
    let (mut singly, mut in_lots) = (Duration::ZERO, Duration::ZERO);
    let mut found = Vec::with_capacity(LOT as usize);
    for lot in 0..PROBE_LOTS {
        let number = |n| mixed(2 * lot * LOT + n) % uids.pairs();
        let lot: Vec<_> = (0..2 * LOT).map(|n| Fingerprint::of(&uid(number(n)))).collect();
        // Different halves, so that neither finds in the cache what the other fetched.
        let (one, other) = lot.split_at(LOT as usize);
        let begin = Instant::now();
        for &fingerprint in one {
            black_box(index.probe(fingerprint)?);
        }
        singly += begin.elapsed();
        let begin = Instant::now();
        index.probe_all(other, &mut found)?;
        black_box(&found);
        in_lots += begin.elapsed();
    }
    let each = |spent: Duration| spent.as_secs_f64() * 1e9 / (PROBE_LOTS * LOT) as f64;
    Ok((each(singly), each(in_lots)))
}
