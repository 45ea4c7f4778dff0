//! Which reads are late, and how many of them may be asked for a second time.
//!
//! A few answers take many times as long as their peers, for reasons of the connection or of the
//! one machine behind it. The same range is then asked for on another connection, and the first
//! answer counts. Only reads, which change nothing; and only a few, or a store that is slow as a
//! whole would be asked twice for everything.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Reads are compared with the last ones of their size.
const RECENT: usize = 128;
/// Fewer reads than this say nothing about what is late.
const RECENT_MIN: usize = 32;
/// A read is late when it takes so many times the second longest of its peers...
const LATE_BY: u32 = 2;
/// ...and no less than this.
const LATE_MIN: Duration = Duration::from_millis(250);
/// Reads asked for twice, as a share of all.
const SHARE: f64 = 0.02;
/// Doubled reads that can be saved up.
const STORED_MAX: f64 = 4.0;
/// Doubled reads at the same time. Their second answers are bytes that no budget has paid for.
const AT_ONCE_MAX: u32 = 2;
/// Size classes; each has four times the bytes of the one before.
const CLASSES: usize = 16;

/// What is known of the reads of one store.
#[derive(Debug, Default)]
pub(crate) struct Stragglers {
    state: Mutex<State>,
    doubled: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    classes: [Class; CLASSES],
    left: f64,
}

/// How long the last reads of a size took, in microseconds.
#[derive(Debug, Default)]
struct Class {
    recent: Vec<u32>,
    oldest: usize,
}

/// The right to ask for one read a second time.
pub(crate) struct Hedge<'a>(&'a AtomicU32);

impl Drop for Hedge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Stragglers {
    /// Returns when a read of so many bytes is late, where that can be told.
    pub(crate) fn late_after(&self, bytes: u64) -> Option<Duration> {
        self.lock().classes[class(bytes)].late_after()
    }

    /// Hears how long a read took.
    pub(crate) fn took(&self, bytes: u64, time: Duration) {
        let mut state = self.lock();
        state.left = (state.left + SHARE).min(STORED_MAX);
        state.classes[class(bytes)].add(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// Asks for a second request; `None` where there were enough.
    pub(crate) fn hedge(&self) -> Option<Hedge<'_>> {
        let mut state = self.lock();
        if state.left < 1.0 || self.doubled.load(Relaxed) >= AT_ONCE_MAX {
            return None;
        }
        state.left -= 1.0;
        self.doubled.fetch_add(1, Relaxed);
        Some(Hedge(&self.doubled))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn class(bytes: u64) -> usize {
    (bytes.max(1).ilog2() as usize / 2).min(CLASSES - 1)
}

impl Class {
    fn add(&mut self, micros: u32) {
        if self.recent.len() < RECENT {
            self.recent.push(micros);
        } else {
            self.recent[self.oldest] = micros;
            self.oldest = (self.oldest + 1) % RECENT;
        }
    }

    fn late_after(&self) -> Option<Duration> {
        if self.recent.len() < RECENT_MIN {
            return None;
        }
        let (mut longest, mut second) = (0, 0);
        for &micros in &self.recent {
            if micros > longest {
                (longest, second) = (micros, longest);
            } else {
                second = second.max(micros);
            }
        }
        let second = Duration::from_micros(second.into());
        Some((second * LATE_BY).max(LATE_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn after(times: impl IntoIterator<Item = u64>) -> Stragglers {
        let stragglers = Stragglers::default();
        for millis in times {
            stragglers.took(16 * MIB, Duration::from_millis(millis));
        }
        stragglers
    }

    #[test]
    fn late_is_what_peers_are_not() {
        assert_eq!(after([100; RECENT_MIN - 1]).late_after(16 * MIB), None);
        let usual = after([100; RECENT_MIN]);
        assert_eq!(usual.late_after(16 * MIB), Some(LATE_MIN));
        assert_eq!(usual.late_after(64 << 10), None, "another size");
        // One straggler is no measure, two are.
        let with = |more: &[u64]| after([200; 50].iter().chain(more).copied());
        assert_eq!(with(&[9_000]).late_after(16 * MIB), Some(Duration::from_millis(400)));
        let slow = with(&[9_000, 1_000]).late_after(16 * MIB);
        assert_eq!(slow, Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let stragglers = after([5_000; 100].into_iter().chain([300; RECENT]));
        assert_eq!(stragglers.late_after(16 * MIB), Some(Duration::from_millis(600)));
    }

    #[test]
    fn two_of_a_hundred_are_doubled() {
        let stragglers = Stragglers::default();
        let mut doubled = 0;
        for read in 1..=10_000 {
            stragglers.took(MIB, Duration::from_millis(1));
            doubled += u32::from(stragglers.hedge().is_some());
            assert!(f64::from(doubled) <= SHARE * f64::from(read) + 0.01);
        }
        assert!(doubled > 190, "{doubled}");
    }

    #[test]
    fn few_are_doubled_at_the_same_time() {
        let stragglers = after([1; 1_000]);
        let mut held: Vec<_> = std::iter::from_fn(|| stragglers.hedge()).collect();
        assert_eq!(held.len(), AT_ONCE_MAX as usize);
        held.pop();
        assert!(stragglers.hedge().is_some());
    }

    #[test]
    fn sizes_have_classes() {
        assert_eq!(class(0), 0);
        assert_eq!(class(8 * MIB), class(4 * MIB));
        assert_eq!(class(u64::MAX), CLASSES - 1);
    }
}
