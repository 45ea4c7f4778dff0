//! Brief facts: what pairing needs of a half, and no more, so that facts of both sides are sorted
//! together and each pair is found by its halves lying side by side.
//!
//! 24 bytes in memory and on disk: 96 bits of the fingerprint, the side, 48 bits of the digest, and
//! a place. At two billion UIDs the chance that two share 96 bits is 2.5e-11, and callers compare
//! the UIDs in any case. The chance that a conflict passes for a duplicate is 4e-15 each.

use dcmjoin_model::Half;

use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::record::{Record, Relation, SIDES};

/// Places are kept in 47 bits: 128 TiB, or 140 trillion numbers.
const PLACE_BITS: u32 = 47;
/// Bits of the digest beside the side, and beside the place.
const DIGEST_BITS: (u32, u32) = (31, 17);

/// What pairing needs to know of a half. Brief facts sort by fingerprint, then by half (headers
/// first), then by digest, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BriefFact {
    /// Fingerprint (64 + 32 bits), half (1), digest (31 + 17), place (47).
    words: [u64; 3],
}

impl BriefFact {
    /// Returns the brief fact of a half, by the fingerprint of its UID and the digest of its bytes.
    /// `place` says where to learn more, such as its UID: the caller knows what it means.
    ///
    /// # Errors
    /// [`Error::Limit`] where the place has more than 47 bits.
    pub fn new(
        fingerprint: Fingerprint,
        half: Half,
        digest: u128,
        place: u64,
    ) -> Result<Self, Error> {
        let limit = 1 << PLACE_BITS;
        if place >= limit {
            return Err(Error::Limit { what: "places of halves", limit });
        }
        let (upper, lower) = DIGEST_BITS;
        let digest = (digest >> (u128::BITS - upper - lower)) as u64;
        let fingerprint_rest = (fingerprint.0 >> 32) as u64 & u64::from(u32::MAX);
        let side = u64::from(half == Half::Image);
        Ok(Self {
            words: [
                (fingerprint.0 >> 64) as u64,
                (fingerprint_rest << 32) | (side << upper) | (digest >> lower),
                (digest << PLACE_BITS) | place,
            ],
        })
    }

    /// Returns which half it is.
    #[must_use]
    pub fn half(&self) -> Half {
        if self.side() == 0 { Half::Metadata } else { Half::Image }
    }

    /// Returns where to learn more.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.words[2] & ((1 << PLACE_BITS) - 1)
    }

    /// Returns the upper 48 bits of the digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let (upper, lower) = DIGEST_BITS;
        ((self.words[1] & ((1 << upper) - 1)) << lower) | (self.words[2] >> PLACE_BITS)
    }
}

impl Record for BriefFact {
    type Words = [u64; 3];

    fn pack(&self) -> Result<Self::Words, Error> {
        Ok(self.words)
    }

    fn unpack(words: &Self::Words) -> Self {
        Self { words: *words }
    }

    fn relation(&self, next: &Self) -> Relation {
        let [first, second, _] = std::array::from_fn(|at| self.words[at] ^ next.words[at]);
        if first != 0 || second >> 32 != 0 {
            Relation::None
        } else if second >> DIGEST_BITS.0 != 0 {
            Relation::OtherSide
        } else if self.digest() != next.digest() {
            Relation::OtherBytes
        } else {
            Relation::SameBytes
        }
    }

    fn side(&self) -> usize {
        (self.words[1] >> DIGEST_BITS.0) as usize % SIDES
    }
}

/// The halves of one fingerprint, as a merge of both sides finds them.
#[derive(Debug, Clone, Copy)]
pub struct Halves<'a> {
    /// Of the metadata side, in the order of their digests.
    pub headers: &'a [BriefFact],
    /// Of the images' side, in the order of their digests.
    pub images: &'a [BriefFact],
}

impl<'a> Halves<'a> {
    /// Parts a group by its sides.
    #[must_use]
    pub fn of(group: &'a [BriefFact]) -> Self {
        let headers = group.partition_point(|fact| fact.half() == Half::Metadata);
        let (headers, images) = group.split_at(headers);
        Self { headers, images }
    }

    /// Returns true where both halves are known.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        !self.headers.is_empty() && !self.images.is_empty()
    }

    /// Returns true where a side has halves with different bytes.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        [self.headers, self.images].iter().any(|side| {
            let ends = side.first().zip(side.last());
            ends.is_some_and(|(first, last)| first.digest() != last.digest())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields = (u128, bool, u128, u64);

    /// Returns the fields of any brief fact, with equal ones often enough for ties.
    fn any_fields() -> impl Strategy<Value = Fields> {
        let bits = |kept: u32| {
            let few = (0..3_u128).prop_map(move |upper| upper << (u128::BITS - kept));
            prop_oneof![few, any::<u128>()]
        };
        (bits(96), any::<bool>(), bits(48), prop_oneof![0..3_u64, 0..1_u64 << PLACE_BITS])
    }

    fn made((fingerprint, is_image, digest, place): Fields) -> BriefFact {
        let half = if is_image { Half::Image } else { Half::Metadata };
        BriefFact::new(Fingerprint(fingerprint), half, digest, place).unwrap()
    }

    fn kept((fingerprint, is_image, digest, place): Fields) -> (u128, bool, u128, u64) {
        (fingerprint >> 32, is_image, digest >> 80, place)
    }

    proptest! {
        #[test]
        fn brief_facts_hold_and_sort_by_their_fields(one in any_fields(), other in any_fields()) {
            let (fact, another) = (made(one), made(other));
            prop_assert_eq!(fact.half() == Half::Image, one.1);
            prop_assert_eq!(u128::from(fact.digest()), one.2 >> 80);
            prop_assert_eq!(fact.place(), one.3);
            prop_assert_eq!(fact.cmp(&another), kept(one).cmp(&kept(other)));
            let relation = match (kept(one), kept(other)) {
                (one, other) if one.0 != other.0 => Relation::None,
                (one, other) if one.1 != other.1 => Relation::OtherSide,
                (one, other) if one.2 != other.2 => Relation::OtherBytes,
                _ => Relation::SameBytes,
            };
            prop_assert_eq!(fact.relation(&another), relation);
        }
    }

    #[test]
    fn a_place_beyond_its_bits_is_refused() {
        let failed = BriefFact::new(Fingerprint(1), Half::Image, 2, 1 << PLACE_BITS);
        assert!(matches!(failed, Err(Error::Limit { .. })));
    }
}
