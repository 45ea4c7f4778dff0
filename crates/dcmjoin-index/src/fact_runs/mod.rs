//! Facts of one side, or of both: partitioned by fingerprint as they come, sorted a partition at a
//! time.
//!
//! The books, the duplicates, the conflicts and the unpaired all come from one pass over the facts
//! in the order of their fingerprints, so no map of all halves is ever in memory. Where both sides
//! are sorted together, the pairs come from the same pass: the halves of one UID lie side by side.
//!
//! The upper bits of the fingerprint choose a shard, which threads lock one at a time, and in it a
//! partition. A partition takes a block of memory as its facts come, up to its share; where that is full, its facts go to
//! disk as an extent. At the end threads read and sort the partitions, ahead of whoever walks through the
//! groups. Facts that fit the memory never see the disk.
//!
//! **Invariants:** with the usual two sorters, at most the budget is in memory: while facts are
//! pushed, in their blocks; while they are sorted, as five partitions of a fifth each (larger ones
//! are sorted through the disk). Beside it there are 16 bytes an extent, and one group of at most
//! [`GROUP_FACTS_MAX`] times two facts a side that nobody claimed. Where no fact went to disk, the
//! blocks stay in memory while its partitions, of less than a hundredth each, are sorted.
//! This holds whatever the number of facts, and whatever their fingerprints.

mod groups;
mod shard;
mod sort;
mod spill_file;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::groups::{GROUP_FACTS_MAX, Groups};
use self::shard::Shard;
use crate::Error;
use crate::fact::Fact;
use crate::record::{Record, Words};

/// An extent of at least this size is read at a good part of any device's speed.
const EXTENT_BYTES_MIN: usize = 32 << 10;
/// A billion brief facts make partitions of 12 MB, a billion facts partitions of 27 MB.
const PARTITION_BITS_MAX: u32 = 11;
/// Threads that push at the same time seldom meet in one of 16 shards.
const SHARD_BITS_MAX: u32 = 4;
/// A partition of at most this share of the budget is sorted in memory: two sorters hold two each,
/// the bytes and the sorted facts, and whoever walks through the groups has a fifth.
const SORT_SHARE: usize = 5;
/// Threads that read and sort: whoever walks through the groups is seldom faster than two.
const SORTERS: usize = 2;
/// Facts that are spread over the shards at once: each shard is locked once for about 32.
const LOT: usize = 512;

/// Facts as they come in, in any order, from any thread.
#[derive(Debug)]
pub struct FactRuns<R: Record = Fact> {
    folder: PathBuf,
    shards: Vec<Mutex<Shard>>,
    shard_bits: u32,
    /// Of the partitions in each shard.
    bits: u32,
    sort_bytes_max: usize,
    sorters: usize,
    records: PhantomData<fn(R)>,
}

impl<R: Record> FactRuns<R> {
    /// Returns an empty collection that keeps at most `bytes_max` bytes of facts in memory.
    #[must_use]
    pub fn new(spill: &Path, bytes_max: usize) -> Self {
        let bits = (bytes_max / EXTENT_BYTES_MIN).checked_ilog2().unwrap_or(0);
        Self::partitioned(spill, bits.min(PARTITION_BITS_MAX), bytes_max)
    }

    fn partitioned(spill: &Path, all_bits: u32, bytes_max: usize) -> Self {
        let record_bytes = R::Words::BYTES;
        let capacity = ((bytes_max / record_bytes) >> all_bits).max(1) * record_bytes;
        let shard_bits = all_bits.min(SHARD_BITS_MAX);
        let bits = all_bits - shard_bits;
        let shards = (0..1 << shard_bits).map(|_| Mutex::new(Shard::new(bits, capacity))).collect();
        Self {
            folder: spill.to_owned(),
            shards,
            shard_bits,
            bits,
            sort_bytes_max: (bytes_max / SORT_SHARE).max(record_bytes),
            sorters: SORTERS,
            records: PhantomData,
        }
    }

    /// Sorts on so many threads instead of two; each takes two fifths of the memory while it does.
    #[must_use]
    pub fn sorted_by(self, threads: usize) -> Self {
        Self { sorters: threads, ..self }
    }

    /// Returns the number of facts.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }

    /// Returns true where there is no fact.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes that the facts take on disk so far.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| locked(shard).disk_bytes()).sum()
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails, [`Error::Limit`] where one of the fact's
    /// numbers does not fit its bits.
    pub fn push(&self, fact: &R) -> Result<(), Error> {
        let words = fact.pack()?;
        let (shard, partition) = self.partition_of(&words);
        locked(&self.shards[shard]).push(&words, partition, &self.folder)
    }

    /// Adds many facts, in a fraction of the time that each alone takes: a shard is locked once for
    /// many of them.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn push_all(&self, facts: &[R]) -> Result<(), Error> {
        let mut lot = Vec::with_capacity(LOT.min(facts.len()));
        for facts in facts.chunks(LOT) {
            lot.clear();
            let mut starts = [0_u16; (1 << SHARD_BITS_MAX) + 1];
            for fact in facts {
                let words = fact.pack()?;
                let (shard, partition) = self.partition_of(&words);
                starts[shard + 1] += 1;
                lot.push((words, shard, partition));
            }
            self.push_lot(&lot, starts)?;
        }
        Ok(())
    }

    /// Adds a lot of facts, of which `counts` are in each shard, after the first entry.
    fn push_lot(
        &self,
        lot: &[(R::Words, usize, usize)],
        counts: [u16; (1 << SHARD_BITS_MAX) + 1],
    ) -> Result<(), Error> {
        let mut order = [0_u16; LOT];
        let mut starts = counts;
        for shard in 1..starts.len() {
            starts[shard] += starts[shard - 1];
        }
        let mut ends = starts;
        for (number, (_, shard, _)) in lot.iter().enumerate() {
            order[usize::from(ends[*shard])] = number as u16;
            ends[*shard] += 1;
        }
        for (number, shard) in self.shards.iter().enumerate() {
            let of_shard = &order[usize::from(starts[number])..usize::from(ends[number])];
            if of_shard.is_empty() {
                continue;
            }
            let mut shard = locked(shard);
            for &fact in of_shard {
                let (words, _, partition) = &lot[usize::from(fact)];
                shard.push(words, *partition, &self.folder)?;
            }
        }
        Ok(())
    }

    /// Returns the shard of a fact, and its partition there.
    fn partition_of(&self, words: &R::Words) -> (usize, usize) {
        let upper = upper_bits(words.first(), self.shard_bits + self.bits);
        (upper >> self.bits, upper & ((1 << self.bits) - 1))
    }

    /// Ends the collection; returns the facts in order, grouped by fingerprint.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails.
    pub fn into_groups(self) -> Result<Groups<R>, Error> {
        let shards = self.shards.into_iter();
        let mut shards: Vec<Shard> = shards
            .map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        if shards.iter().any(Shard::is_on_disk) {
            shards.iter_mut().try_for_each(|shard| shard.flush(&self.folder))?;
        }
        let partitions = Partitions {
            folder: self.folder,
            all_bits: self.shard_bits + self.bits,
            bits: self.bits,
            sort_bytes_max: self.sort_bytes_max,
            shards,
        };
        Groups::of(partitions, self.sorters)
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the upper bits of a word. In two steps, since a shift by all 64 bits is none.
fn upper_bits(word: u64, bits: u32) -> usize {
    (word >> 1 >> (u64::BITS - 1 - bits)) as usize
}

/// All facts, on disk or, where none is, in memory.
#[derive(Debug)]
struct Partitions {
    folder: PathBuf,
    all_bits: u32,
    /// Of the partitions in each shard.
    bits: u32,
    sort_bytes_max: usize,
    shards: Vec<Shard>,
}

impl Partitions {
    fn count(&self) -> usize {
        1 << self.all_bits
    }

    /// Returns the shard of a partition, and the partition's number there.
    fn at(&self, number: usize) -> (&Shard, usize) {
        (&self.shards[number >> self.bits], number & ((1 << self.bits) - 1))
    }
}
