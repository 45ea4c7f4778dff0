//! What the fact runs need to know of what they sort: words that sort as it does, and how two that
//! follow each other are related.

use std::fmt::Debug;

use crate::Error;

/// A fact of fixed size: a [`Fact`](crate::Fact) or a [`BriefFact`](crate::BriefFact).
pub trait Record: Copy + Debug + Send + 'static {
    /// The fact as words.
    type Words: Words;

    /// Returns the fact as words that sort as the facts do, by fingerprint first.
    ///
    /// # Errors
    /// [`Error::Limit`] where a number does not fit its bits.
    fn pack(&self) -> Result<Self::Words, Error>;

    /// Returns the fact of the words.
    fn unpack(words: &Self::Words) -> Self;

    /// Returns how the fact that comes next in order is related to this one.
    fn relation(&self, next: &Self) -> Relation;

    /// Returns the number of the fact's side, below `SIDES`; 0 where facts do not tell.
    fn side(&self) -> usize {
        0
    }

    /// Returns true where a group must hold the fact, however many there are.
    fn is_kept(&self) -> bool {
        false
    }
}

/// The sides of a join.
pub(crate) const SIDES: usize = 2;

/// How two facts that follow each other in order are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Of different fingerprints.
    None,
    /// Of one fingerprint, on different sides.
    OtherSide,
    /// Of one fingerprint and side, with other bytes.
    OtherBytes,
    /// Of one fingerprint and side, with the same bytes.
    SameBytes,
}

/// Words that are compared from the first to the last, and lie on disk little-endian.
pub trait Words: Copy + Ord + Debug + Send + Sync + 'static {
    /// Their size in memory and on disk.
    const BYTES: usize;
    /// No fact's words: what memory is filled with before there are facts.
    const ZERO: Self;

    /// Returns the first word: the upper bits of the fingerprint.
    fn first(&self) -> u64;

    /// Writes the words.
    ///
    /// # Panics
    /// Where `bytes` is not of their size.
    fn write(&self, bytes: &mut [u8]);

    /// Reads words.
    ///
    /// # Panics
    /// Where `bytes` is not of their size.
    fn read(bytes: &[u8]) -> Self;
}

impl<const COUNT: usize> Words for [u64; COUNT] {
    const BYTES: usize = size_of::<Self>();
    const ZERO: Self = [0; COUNT];

    fn first(&self) -> u64 {
        self[0]
    }

    fn write(&self, bytes: &mut [u8]) {
        let (places, rest) = bytes.as_chunks_mut::<8>();
        assert!(places.len() == COUNT && rest.is_empty(), "{} bytes", bytes.len());
        for (place, word) in places.iter_mut().zip(self) {
            *place = word.to_le_bytes();
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let (places, rest) = bytes.as_chunks::<8>();
        assert!(places.len() == COUNT && rest.is_empty(), "{} bytes", bytes.len());
        let mut words = [0; COUNT];
        for (word, place) in words.iter_mut().zip(places) {
            *word = u64::from_le_bytes(*place);
        }
        words
    }
}
