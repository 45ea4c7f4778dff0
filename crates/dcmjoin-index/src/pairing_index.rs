//! The sealed headers: which fingerprints there are, where each header lies, and which an image
//! has claimed.
//!
//! Fingerprints come sorted out of the merge, so the index is the sorted array itself: 24 bytes a
//! header, no pointers, found by interpolation since fingerprints are spread evenly. Headers that
//! share a fingerprint have neighbouring slots, and callers compare their UIDs.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fingerprint::Fingerprint;
use crate::header_store::HeaderPlace;

/// The number of a header in the index.
pub type Slot = usize;

/// Collects headers in the order of their fingerprints.
#[derive(Debug, Default)]
pub struct PairingIndexBuilder {
    fingerprints: Vec<u128>,
    places: Vec<u64>,
}

impl PairingIndexBuilder {
    /// Adds a header.
    ///
    /// # Panics
    /// Where fingerprints do not come in order: the merge that feeds the builder sorts them.
    pub fn push(&mut self, fingerprint: Fingerprint, place: HeaderPlace) {
        let in_order = self.fingerprints.last().is_none_or(|&last| last <= fingerprint.0);
        assert!(in_order, "headers must be added in the order of their fingerprints");
        self.fingerprints.push(fingerprint.0);
        self.places.push(place.0);
    }

    /// Ends the collection.
    #[must_use]
    pub fn seal(self) -> PairingIndex {
        let words = self.fingerprints.len().div_ceil(64);
        let claimed = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        PairingIndex { fingerprints: self.fingerprints, places: self.places, claimed }
    }
}

/// The sealed headers.
#[derive(Debug)]
pub struct PairingIndex {
    fingerprints: Vec<u128>,
    places: Vec<u64>,
    claimed: Vec<AtomicU64>,
}

impl PairingIndex {
    /// Returns the number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Returns true where there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// Returns the slots of the headers with this fingerprint: mostly none or one.
    #[must_use]
    pub fn probe(&self, fingerprint: Fingerprint) -> Range<Slot> {
        let key = fingerprint.0;
        let start = self.lower_bound(key);
        let same = self.fingerprints[start..].iter().take_while(|&&found| found == key).count();
        start..start + same
    }

    /// Returns the place of a slot's header.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    #[must_use]
    pub fn place(&self, slot: Slot) -> HeaderPlace {
        HeaderPlace(self.places[slot])
    }

    /// Claims a header for an image; true for the first claim only, whichever thread makes it.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    #[must_use]
    pub fn claim(&self, slot: Slot) -> bool {
        let bit = 1 << (slot % 64);
        self.claimed[slot / 64].fetch_or(bit, Relaxed) & bit == 0
    }

    /// Returns true where an image has claimed the header.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    #[must_use]
    pub fn is_claimed(&self, slot: Slot) -> bool {
        self.claimed[slot / 64].load(Relaxed) & (1 << (slot % 64)) != 0
    }

    /// Returns the first slot whose fingerprint is not below `key`.
    ///
    /// Interpolation halves the digits left with each step while the keys are spread evenly; keys
    /// that are not (only a test makes such) fall back to bisection after a few steps.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a guess needs no exactness"
    )]
    fn lower_bound(&self, key: u128) -> usize {
        const INTERPOLATIONS_MAX: u32 = 4;
        /// Few enough for the rest to lie in one or two cache lines.
        const BISECT_BELOW: usize = 16;
        let (mut low, mut high) = (0, self.fingerprints.len());
        for _ in 0..INTERPOLATIONS_MAX {
            if high - low <= BISECT_BELOW {
                break;
            }
            let (first, last) = (self.fingerprints[low], self.fingerprints[high - 1]);
            if key <= first {
                return low;
            }
            if key > last {
                return high;
            }
            let share = top_bits(key - first) / top_bits(last - first).max(1.0);
            let guess = low + (share * (high - low - 1) as f64) as usize;
            // A window around the guess: its half is three deviations of an even spread.
            let reach = 3 * (high - low).isqrt() / 2 + 1;
            let (from, to) = (guess.saturating_sub(reach).max(low), (guess + reach).min(high - 1));
            if self.fingerprints[from] < key {
                low = from;
            } else {
                high = from + 1;
            }
            if to > low && self.fingerprints[to] >= key {
                high = high.min(to + 1);
            } else {
                low = low.max(to);
            }
        }
        low + self.fingerprints[low..high].partition_point(|&found| found < key)
    }
}

/// Returns a number by its upper 64 bits, as far as a share needs it.
#[expect(clippy::cast_precision_loss, reason = "a share needs no exactness")]
fn top_bits(value: u128) -> f64 {
    (value >> 64) as u64 as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(fingerprints: &[u128]) -> PairingIndex {
        let mut builder = PairingIndexBuilder::default();
        for (at, &fingerprint) in fingerprints.iter().enumerate() {
            builder.push(Fingerprint(fingerprint), HeaderPlace(at as u64 * 10));
        }
        builder.seal()
    }

    fn check(mut keys: Vec<u128>, probes: &[u128]) {
        keys.sort_unstable();
        let index = index(&keys);
        for &probe in probes.iter().chain(&keys) {
            let expected =
                keys.partition_point(|&k| k < probe)..keys.partition_point(|&k| k <= probe);
            assert_eq!(index.probe(Fingerprint(probe)), expected, "{probe}");
        }
    }

    proptest! {
        #[test]
        fn finds_what_bisection_finds(
            keys in prop::collection::vec(any::<u128>(), 0..2000),
            probes in prop::collection::vec(any::<u128>(), 0..50),
        ) {
            check(keys, &probes);
        }

        #[test]
        fn uneven_and_equal_fingerprints_are_found(
            keys in prop::collection::vec(prop_oneof![0..40_u128, any::<u128>().prop_map(|k| k >> 70)], 0..500),
            probes in prop::collection::vec(0..60_u128, 0..50),
        ) {
            check(keys, &probes);
        }
    }

    #[test]
    fn only_the_first_claim_counts() {
        let index = index(&(0..100).collect::<Vec<u128>>());
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|&slot| index.claim(slot)).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 100);
        assert!((0..100).all(|slot| index.is_claimed(slot)));
        assert_eq!(index.place(7), HeaderPlace(70));
    }
}
