//! Counts of what was asked of the stores.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::ErrorKind;

/// Counts requests, retries and bytes; shared by all stores of a run.
#[derive(Debug, Default)]
pub struct Meter {
    lists: AtomicU64,
    heads: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    parts: AtomicU64,
    retries: Causes,
    throttled: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    micros_waited: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

#[derive(Debug, Default)]
struct Causes {
    throttled: AtomicU64,
    timed_out: AtomicU64,
    unavailable: AtomicU64,
    bad_answer: AtomicU64,
}

/// What was asked of the stores so far. Requests that were tried again count once more in
/// `retries`, and those that were doubled in `hedges`, not in their own field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Listings begun.
    pub lists: u64,
    /// Looks at one object.
    pub heads: u64,
    /// Range or whole-object GETs.
    pub reads: u64,
    /// Objects written, each once, however many requests it took.
    pub writes: u64,
    /// Requests of uploads in parts: their beginnings, parts and ends.
    pub parts: u64,
    /// Requests that were tried again.
    pub retries: Retries,
    /// Answers that asked for fewer requests (503 `SlowDown`, 429), tried again or not.
    pub throttled: u64,
    /// Reads that were asked for a second time because the first answer was late.
    pub hedges: u64,
    /// Of these, the ones whose second answer came first.
    pub hedges_won: u64,
    /// How long requests waited to be made: for their turn, or to be tried again. Requests that
    /// wait side by side add up.
    pub waited: Duration,
    /// Bytes of GET bodies.
    pub bytes_read: u64,
    /// Bytes of PUT bodies that were accepted.
    pub bytes_written: u64,
}

/// Requests that were tried again, by what was wrong the time before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    /// The store asked for fewer requests.
    pub throttled: u64,
    /// It did not answer in time.
    pub timed_out: u64,
    /// It failed, or the connection did.
    pub unavailable: u64,
    /// The answer did not hold what was asked for.
    pub bad_answer: u64,
}

impl Retries {
    /// Returns the sum of all causes.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.throttled + self.timed_out + self.unavailable + self.bad_answer
    }
}

impl Meter {
    /// Returns the counts so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let Causes { throttled, timed_out, unavailable, bad_answer } = &self.retries;
        Requests {
            lists: self.lists.load(Relaxed),
            heads: self.heads.load(Relaxed),
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            parts: self.parts.load(Relaxed),
            retries: Retries {
                throttled: throttled.load(Relaxed),
                timed_out: timed_out.load(Relaxed),
                unavailable: unavailable.load(Relaxed),
                bad_answer: bad_answer.load(Relaxed),
            },
            throttled: self.throttled.load(Relaxed),
            hedges: self.hedges.load(Relaxed),
            hedges_won: self.hedges_won.load(Relaxed),
            waited: Duration::from_micros(self.micros_waited.load(Relaxed)),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
        }
    }

    pub(crate) fn list(&self) {
        self.lists.fetch_add(1, Relaxed);
    }

    pub(crate) fn head(&self) {
        self.heads.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.reads.fetch_add(1, Relaxed);
        self.bytes_read.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn write(&self, bytes: u64) {
        self.writes.fetch_add(1, Relaxed);
        self.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn part(&self) {
        self.parts.fetch_add(1, Relaxed);
    }

    pub(crate) fn retry(&self, cause: ErrorKind) {
        let Causes { throttled, timed_out, unavailable, bad_answer } = &self.retries;
        let count = match cause {
            ErrorKind::Throttled => throttled,
            ErrorKind::TimedOut => timed_out,
            ErrorKind::BadAnswer => bad_answer,
            _ => unavailable,
        };
        count.fetch_add(1, Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Relaxed);
    }

    pub(crate) fn hedge(&self) {
        self.hedges.fetch_add(1, Relaxed);
    }

    pub(crate) fn hedge_won(&self) {
        self.hedges_won.fetch_add(1, Relaxed);
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.micros_waited.fetch_add(u64::try_from(time.as_micros()).unwrap_or(0), Relaxed);
    }
}
