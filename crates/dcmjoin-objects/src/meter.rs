//! Counts of what was asked of the stores, and the rule by which a request is tried again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::Error;

/// How often a request is tried at the most, the first time included.
pub(crate) const ATTEMPTS_MAX: u32 = 8;
/// The wait before the second try; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// Counts requests, retries and bytes; shared by all stores of a run.
#[derive(Debug, Default)]
pub struct Meter {
    lists: AtomicU64,
    heads: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    parts: AtomicU64,
    retries: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

/// What was asked of the stores so far. Requests that were tried again count once more in
/// `retries`, not in their own field.
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
    pub retries: u64,
    /// Bytes of GET bodies.
    pub bytes_read: u64,
    /// Bytes of PUT bodies that were accepted.
    pub bytes_written: u64,
}

impl Meter {
    /// Returns the counts so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests {
            lists: self.lists.load(Relaxed),
            heads: self.heads.load(Relaxed),
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            parts: self.parts.load(Relaxed),
            retries: self.retries.load(Relaxed),
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

    /// Begins a request that may be tried again.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts { meter: self, failed: 0 }
    }
}

/// The attempts of one request.
pub(crate) struct Attempts<'a> {
    meter: &'a Meter,
    failed: u32,
}

impl Attempts<'_> {
    /// Returns true where the request was made more than once.
    pub(crate) fn has_tried_again(&self) -> bool {
        self.failed > 1
    }

    /// Waits until the request may be tried again after it failed.
    ///
    /// # Errors
    /// The error itself where it will last, or where [`ATTEMPTS_MAX`] is reached.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if !error.kind.is_transient() || self.failed == ATTEMPTS_MAX {
            return Err(error);
        }
        self.meter.retries.fetch_add(1, Relaxed);
        tracing::debug!(failed = self.failed, kind = ?error.kind, "store request is tried again");
        tokio::time::sleep(backoff(self.failed)).await;
        Ok(())
    }
}

/// Returns the wait before an attempt: doubling, capped, and spread over its upper half so that
/// workers that failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let full = BACKOFF_FIRST.saturating_mul(1 << (attempt - 1).min(16)).min(BACKOFF_MAX);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    full / 2 + full.mul_f64(f64::from(nanos % 1_000_000) / 2_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Operation};

    async fn attempts(kind: ErrorKind, fail_first: u32) -> (Result<u32, Error>, u64) {
        let meter = Meter::default();
        let mut attempts = meter.attempts();
        for attempt in 0..fail_first {
            let failed = attempts.after(Error::new(Operation::Read, "p", kind, "d")).await;
            if let Err(error) = failed {
                return (Err(error), meter.requests().retries);
            }
            assert!(attempt < ATTEMPTS_MAX);
        }
        (Ok(fail_first), meter.requests().retries)
    }

    #[tokio::test(start_paused = true)]
    async fn transient_errors_are_tried_again_and_counted() {
        assert!(matches!(attempts(ErrorKind::Unavailable, 3).await, (Ok(3), 3)));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_end() {
        let (result, retries) = attempts(ErrorKind::Unavailable, 1000).await;
        assert!(result.is_err());
        assert_eq!(retries, u64::from(ATTEMPTS_MAX) - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_errors_are_not_tried_again() {
        assert!(matches!(attempts(ErrorKind::Denied, 1).await, (Err(_), 0)));
    }
}
