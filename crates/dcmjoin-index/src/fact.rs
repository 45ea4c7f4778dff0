//! Facts: one fixed-size record a half that was read.
//!
//! In memory and on disk a fact is seven words that sort as the facts do, so that sorting moves
//! words and compares nothing else. Where only pairing is wanted, a [`BriefFact`](crate::BriefFact)
//! is less than half as large.

use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::record::{Record, Relation};

/// Offsets, lengths and places are kept in 48 bits: 256 TiB.
const WIDE_BITS: u32 = 48;

/// What became of a half when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Nothing yet: its other half is not known, or another member with its UID came first.
    Open = 0,
    /// Its instance was published.
    Published = 1,
    /// Its instance stood in the output already.
    AlreadyThere = 2,
    /// Its instance was rejected.
    Rejected = 3,
    /// Its instance was published once more: another member with its UID came first.
    CopyPublished = 4,
    /// Its instance stood in the output once more.
    CopyThere = 5,
}

impl Outcome {
    const fn from_bits(bits: u64) -> Self {
        match bits & 7 {
            1 => Self::Published,
            2 => Self::AlreadyThere,
            3 => Self::Rejected,
            4 => Self::CopyPublished,
            5 => Self::CopyThere,
            _ => Self::Open,
        }
    }
}

/// What is known of one half. Facts sort by fingerprint, then by digest, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// Of its UID.
    pub fingerprint: Fingerprint,
    /// Of its bytes as they lie in the archive.
    pub digest: u128,
    /// The number of its archive on its side's list.
    pub archive: u32,
    /// Its first byte in the plain tar.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Where its UID can be read: a place in a store that the caller knows.
    pub place: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Record for Fact {
    /// Fingerprint (2 words), digest (2), then archive (32 bits), offset, length, place (48 bits
    /// each) and outcome (16 bits), from the high bits to the low ones.
    type Words = [u64; 7];

    fn pack(&self) -> Result<Self::Words, Error> {
        let limit = 1 << WIDE_BITS;
        for (what, value) in [
            ("bytes before a member", self.offset),
            ("bytes in a member", self.length),
            ("bytes in the header store", self.place),
        ] {
            if value >= limit {
                return Err(Error::Limit { what, limit });
            }
        }
        Ok([
            (self.fingerprint.0 >> 64) as u64,
            self.fingerprint.0 as u64,
            (self.digest >> 64) as u64,
            self.digest as u64,
            (u64::from(self.archive) << 32) | (self.offset >> 16),
            (self.offset << 48) | self.length,
            (self.place << 16) | self.outcome as u64,
        ])
    }

    fn unpack(words: &Self::Words) -> Self {
        let wide = |high: u64, low: u64| (u128::from(high) << 64) | u128::from(low);
        Self {
            fingerprint: Fingerprint(wide(words[0], words[1])),
            digest: wide(words[2], words[3]),
            archive: (words[4] >> 32) as u32,
            offset: ((words[4] & 0xffff_ffff) << 16) | (words[5] >> 48),
            length: words[5] & ((1 << WIDE_BITS) - 1),
            place: words[6] >> 16,
            outcome: Outcome::from_bits(words[6]),
        }
    }

    fn relation(&self, next: &Self) -> Relation {
        if self.fingerprint != next.fingerprint {
            Relation::None
        } else if self.digest != next.digest {
            Relation::OtherBytes
        } else {
            Relation::SameBytes
        }
    }

    /// The fact that tells what became of an instance is never left out.
    fn is_kept(&self) -> bool {
        !matches!(self.outcome, Outcome::Open | Outcome::CopyPublished | Outcome::CopyThere)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns any fact, with equal fields often enough for ties.
    pub(crate) fn any_fact() -> impl Strategy<Value = Fact> {
        let wide = || prop_oneof![0..3_u64, 0..1_u64 << WIDE_BITS];
        let hash = || prop_oneof![0..4_u128, any::<u128>()];
        (hash(), hash(), any::<u32>(), wide(), wide(), wide(), 0..6_u64).prop_map(
            |(fingerprint, digest, archive, offset, length, place, outcome)| Fact {
                fingerprint: Fingerprint(fingerprint),
                digest,
                archive,
                offset,
                length,
                place,
                outcome: Outcome::from_bits(outcome),
            },
        )
    }

    proptest! {
        #[test]
        fn words_are_the_fact_and_sort_as_it_does(one in any_fact(), other in any_fact()) {
            let (words, others) = (one.pack().unwrap(), other.pack().unwrap());
            prop_assert_eq!(Fact::unpack(&words), one);
            prop_assert_eq!(words.cmp(&others), one.cmp(&other));
        }

        #[test]
        fn what_does_not_fit_is_refused(fact in any_fact()) {
            let too_large = 1 << WIDE_BITS;
            for fact in [
                Fact { offset: too_large, ..fact },
                Fact { length: too_large, ..fact },
                Fact { place: too_large, ..fact },
            ] {
                let is_refused = matches!(fact.pack(), Err(Error::Limit { .. }));
                prop_assert!(is_refused);
            }
        }
    }
}
