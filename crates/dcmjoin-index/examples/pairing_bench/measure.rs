//! Time and memory.

use std::fs;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Time that passed, and time that processors spent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Spent {
    pub(crate) fn add(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }

    pub(crate) fn json(self) -> Value {
        json!({ "seconds": self.wall.as_secs_f64(), "cpu_seconds": self.cpu.as_secs_f64() })
    }
}

/// Measures what all threads of the process spend.
pub(crate) fn process<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    measured(ClockId::ProcessCPUTime, work)
}

/// Measures what this thread spends.
pub(crate) fn thread<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    measured(ClockId::ThreadCPUTime, work)
}

fn measured<T>(clock: ClockId, work: impl FnOnce() -> T) -> (T, Spent) {
    let (begin, cpu) = (Instant::now(), cpu_time(clock));
    let made = work();
    (made, Spent { wall: begin.elapsed(), cpu: cpu_time(clock).saturating_sub(cpu) })
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lets all threads of the process run on one processor only: the first that it may use.
pub(crate) fn keep_to_one_processor() -> rustix::io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::MAX_CPU).find(|&number| allowed.is_set(number));
    first.into_iter().for_each(|number| one.set(number));
    sched_setaffinity(None, &one)
}

/// Returns the most memory that the process has had so far (`VmHWM`), or 0 where the system does
/// not tell.
pub(crate) fn memory_peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Returns the system's load of the last minute, or 0 where it does not tell: with more than one a
/// processor, times are upper bounds.
pub(crate) fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}
