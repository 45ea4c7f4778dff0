//! How many partitions the topics have: each holds a range of the log's own partitions, which are ranges of
//! fingerprints. A client makes a request for each partition that an append, or a *done*, touches, and they touch all.

use std::ops::Range;
use std::str::FromStr;

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::PARTITIONS;

/// The number of partitions of both topics: a power of two, and no more than the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts(u16);

/// Of topics that are made: as many workers may assemble, and a broker has much less to do than with 64.
impl Default for Parts {
    fn default() -> Self {
        Self(16)
    }
}

impl Parts {
    /// Returns so many, where that is a number that topics can have.
    pub(crate) fn of_count(count: usize) -> Result<Self, Error> {
        let fits = |&count: &u16| count.is_power_of_two() && count <= PARTITIONS;
        u16::try_from(count).ok().filter(fits).map(Self).ok_or_else(|| {
            let expected = format!("expected 1, 2, 4 … {PARTITIONS} partitions");
            Error::Invalid(format!("{expected}, got {count}"))
        })
    }

    pub(crate) fn count(self) -> u16 {
        self.0
    }

    /// Returns all partitions.
    pub(crate) fn all(self) -> Range<u16> {
        0..self.0
    }

    /// Returns the partition of a fingerprint: its highest bits.
    pub(crate) fn of(self, fingerprint: u128) -> u16 {
        fingerprint.checked_shr(128 - self.0.ilog2()).unwrap_or_default() as u16
    }

    /// Returns the least key of a partition; of one after the last, a key after all others.
    pub(crate) fn start(self, partition: i32) -> Vec<u8> {
        match u16::try_from(partition).ok().filter(|partition| *partition < self.0) {
            Some(partition) => vec![(partition << (8 - self.0.ilog2())) as u8],
            None => after_all(),
        }
    }

    /// Returns the log's partitions that one of the topics' holds.
    pub(crate) fn held(self, partition: i32) -> Range<u16> {
        let each = PARTITIONS / self.0;
        match u16::try_from(partition) {
            Ok(partition) if partition < self.0 => partition * each..(partition + 1) * each,
            _ => 0..0,
        }
    }
}

impl FromStr for Parts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::of_count(text.parse().unwrap_or_default())
    }
}

/// Returns a key after all others: a fingerprint has 16 bytes.
pub(crate) fn after_all() -> Vec<u8> {
    vec![u8::MAX; 17]
}

#[cfg(test)]
mod tests {
    use dcmjoin_ledger::facts::partition;

    use super::*;

    #[test]
    fn a_partition_holds_what_the_logs_own_hold() {
        for count in [1, 2, 4, 8, 16, 32, 64] {
            let parts = Parts::of_count(count).unwrap();
            assert_eq!(parts.all().len(), count);
            let held: Vec<u16> = parts.all().flat_map(|part| parts.held(part.into())).collect();
            assert_eq!(held, (0..PARTITIONS).collect::<Vec<_>>(), "{count}");
            for print in (0..2_000).map(|number| u128::MAX / 2_000 * number).chain([u128::MAX]) {
                let part = parts.of(print);
                assert!(parts.held(part.into()).contains(&partition(print)), "{count}: {print}");
                let key = print.to_be_bytes().to_vec();
                assert!(parts.start(part.into()) <= key, "{count}: {print}");
                assert!(key < parts.start(i32::from(part) + 1), "{count}: {print}");
            }
        }
    }

    #[test]
    fn other_numbers_are_refused() {
        for count in [0, 3, 12, 65, 128, 65_537] {
            let said = Parts::of_count(count).unwrap_err().to_string();
            assert!(said.contains(&format!("got {count}")), "{said}");
        }
        assert!("x".parse::<Parts>().is_err());
    }
}
