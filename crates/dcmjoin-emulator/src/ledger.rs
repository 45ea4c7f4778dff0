//! What was asked of the emulator: the figures that a bill is made of.

use std::collections::BTreeMap;

use crate::class::Tier;
use crate::request::Kind;
use crate::time::Time;

/// A gibibyte: what AWS's price list calls a GB.
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const HOUR_MILLIS: f64 = 3_600_000.0;

/// Retrievals of one tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retrieved {
    /// Requests that started a retrieval, or made a running one faster.
    pub requests: u64,
    /// Bytes of the objects that they named.
    pub bytes: u64,
}

/// What was asked, since the emulator started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Requests by kind, with those that were refused.
    pub requests: BTreeMap<Kind, u64>,
    /// Answers by their status, where it was 400 or above.
    pub refused: BTreeMap<u16, u64>,
    /// Retrievals by tier.
    pub retrieved: BTreeMap<Tier, Retrieved>,
    /// Bytes of objects that went to clients.
    pub bytes_read: u64,
    /// Bytes of objects that came from clients.
    pub bytes_written: u64,
    /// Bytes of temporary copies, times the milliseconds that they were there.
    pub copy_byte_millis: u128,
    /// Batch jobs that were created.
    pub batch_jobs: u64,
    /// Objects that batch jobs worked on.
    pub batch_tasks: u64,
    /// Events that were put in queues, with duplicates.
    pub events: u64,
    /// Events that went to queues of other servers.
    pub forwarded: u64,
    /// Events that those did not take.
    pub forward_failed: u64,
    /// Faults that were played, by the name of their effect.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Returns how many requests of a kind there were.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).copied().unwrap_or_default()
    }

    /// Returns the retrievals of a tier.
    #[must_use]
    pub fn retrieved(&self, tier: Tier) -> Retrieved {
        self.retrieved.get(&tier).copied().unwrap_or_default()
    }

    /// Returns GiB times hours of the temporary copies: S3 bills them as its Standard class.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a bill's last digit is not its sixteenth")]
    pub fn copy_gib_hours(&self) -> f64 {
        self.copy_byte_millis as f64 / GIB / HOUR_MILLIS
    }
}

/// The ledger in the making.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    copies_bytes: u64,
    /// Up to when the copies' time is in the ledger.
    counted: Time,
}

impl Book {
    pub(crate) fn new(start: Time) -> Self {
        Self { ledger: Ledger::default(), copies_bytes: 0, counted: start }
    }

    pub(crate) fn request(&mut self, kind: Kind) {
        *self.ledger.requests.entry(kind).or_default() += 1;
    }

    pub(crate) fn answer(&mut self, status: u16) {
        if status >= 400 {
            *self.ledger.refused.entry(status).or_default() += 1;
        }
    }

    pub(crate) fn fault(&mut self, name: &'static str) {
        *self.ledger.faults.entry(name).or_default() += 1;
    }

    pub(crate) fn retrieval(&mut self, tier: Tier, bytes: u64) {
        let retrieved = self.ledger.retrieved.entry(tier).or_default();
        retrieved.requests += 1;
        retrieved.bytes += bytes;
    }

    /// Notes that the temporary copies of an object took so many bytes, and now take others.
    pub(crate) fn copies(&mut self, now: Time, before: u64, after: u64) {
        let millis = now.since(self.counted).as_millis();
        self.ledger.copy_byte_millis += u128::from(self.copies_bytes) * millis;
        self.counted = self.counted.max(now);
        self.copies_bytes = self.copies_bytes - before + after;
    }

    /// Returns the ledger as it stands now.
    pub(crate) fn read(&mut self, now: Time) -> Ledger {
        self.copies(now, 0, 0);
        self.ledger.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_cost_by_size_and_time() {
        let at = |hours: u64| Time::from_millis(hours * 3_600_000);
        let gib = 1 << 30;
        let mut book = Book::new(at(0));
        book.copies(at(1), 0, 2 * gib);
        book.copies(at(3), 0, gib);
        book.copies(at(4), 2 * gib, 0);
        // Two for two hours, three for one, and one for two.
        assert!((book.read(at(6)).copy_gib_hours() - 9.0).abs() < 1e-9);
    }
}
