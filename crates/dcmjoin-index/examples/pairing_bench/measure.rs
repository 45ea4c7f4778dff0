//! Time and memory.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use dcmjoin_index::{Error, Fingerprint, PairingIndex};
use serde_json::{Value, json};

use super::uids::{LOT, Uids, mixed, uid};

/// Lots of probes that are measured.
const PROBE_LOTS: u64 = 24;

/// Time spent by phase, and the memory peak of the process at its end.
#[derive(Default)]
pub(crate) struct Phases(Vec<(&'static str, Duration, u64)>);

impl Phases {
    pub(crate) fn measure<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let made = work();
        let spent = begin.elapsed();
        let peak = memory_peak_bytes();
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some(phase) => (phase.1, phase.2) = (phase.1 + spent, peak),
            None => self.0.push((name, spent, peak)),
        }
        made
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.iter().map(|(_, spent, _)| spent.as_secs_f64()).sum()
    }

    pub(crate) fn by_name(&self) -> Value {
        self.0
            .iter()
            .map(|&(name, spent, _)| (name.to_owned(), json!(spent.as_secs_f64())))
            .collect()
    }

    pub(crate) fn memory_by_name(&self) -> Value {
        self.0.iter().map(|&(name, _, peak)| (name.to_owned(), json!(peak))).collect()
    }
}

/// Returns the most memory that the process has had so far (`VmHWM`), or 0 where the system does
/// not tell.
pub(crate) fn memory_peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Returns the nanoseconds of a probe by a random fingerprint of the index, on one thread.
pub(crate) fn probe_ns(uids: &Uids, index: &PairingIndex) -> Result<f64, Error> {
    let (mut spent, mut probes) = (Duration::ZERO, 0);
    for lot in 0..PROBE_LOTS {
        let number = |n| mixed(lot * LOT + n) % uids.pairs();
        let lot: Vec<_> = (0..LOT).map(|n| Fingerprint::of(&uid(number(n)))).collect();
        let begin = Instant::now();
        for &fingerprint in &lot {
            probes += black_box(index.probe(fingerprint)?).len();
        }
        spent += begin.elapsed();
    }
    Ok(spent.as_secs_f64() * 1e9 / probes as f64)
}
