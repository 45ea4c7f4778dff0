//! Facts of one side: partitioned by fingerprint as they come, sorted a partition at a time.
//!
//! The books, the duplicates, the conflicts and the unpaired all come from one pass over the facts
//! in the order of their fingerprints, so no map of all halves is ever in memory.
//!
//! The upper bits of the fingerprint choose a shard, which threads lock one at a time, and in it a
//! partition. Partitions fill a block of memory; where one is full, its facts go to disk as an
//! extent. At the end two threads read and sort the
//! partitions, one ahead of whoever walks through the groups. Facts that fit the memory never see
//! the disk.
//!
//! **Invariants:** while facts are pushed, at most the budget is in memory; while they are sorted,
//! at most five quarters of it (five partitions of a quarter each; larger ones are sorted through
//! the disk), and one group of at most [`GROUP_FACTS_MAX`] times two facts that nobody claimed.
//! This holds whatever the number of facts, and whatever their fingerprints.

mod groups;
mod shard;
mod sort;
mod spill_file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::groups::{GROUP_FACTS_MAX, Groups};
use self::shard::Shard;
use self::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::fact::{FACT_BYTES, Fact};

/// An extent of at least this size is read at a good part of any device's speed.
const EXTENT_BYTES_MIN: usize = 32 << 10;
/// A billion facts make partitions of 27 MB.
const PARTITION_BITS_MAX: u32 = 11;
/// Threads that push at the same time seldom meet in one of 16 shards.
const SHARD_BITS_MAX: u32 = 4;
/// A partition of at most this share of the budget is sorted in memory.
const SORT_SHARE: usize = 4;

/// Facts as they come in, in any order, from any thread.
#[derive(Debug)]
pub struct FactRuns {
    folder: PathBuf,
    shards: Vec<Mutex<Shard>>,
    shard_bits: u32,
    /// Of the partitions in each shard.
    bits: u32,
    capacity: usize,
}

impl FactRuns {
    /// Returns an empty collection that keeps at most `bytes_max` bytes of facts in memory.
    #[must_use]
    pub fn new(spill: &Path, bytes_max: usize) -> Self {
        let bits = (bytes_max / EXTENT_BYTES_MIN).checked_ilog2().unwrap_or(0);
        Self::partitioned(spill, bits.min(PARTITION_BITS_MAX), bytes_max)
    }

    fn partitioned(spill: &Path, all_bits: u32, bytes_max: usize) -> Self {
        let capacity = ((bytes_max / FACT_BYTES) >> all_bits).max(1);
        let shard_bits = all_bits.min(SHARD_BITS_MAX);
        let bits = all_bits - shard_bits;
        let shards = (0..1 << shard_bits).map(|_| Mutex::new(Shard::new(bits, capacity))).collect();
        Self { folder: spill.to_owned(), shards, shard_bits, bits, capacity }
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
    /// [`Error::Io`] where the disk is full or fails, [`Error::Limit`] where the fact's numbers are
    /// beyond 48 bits.
    pub fn push(&self, fact: &Fact) -> Result<(), Error> {
        let words = fact.pack()?;
        let upper = upper_bits(words[0], self.shard_bits + self.bits);
        let mut shard = locked(&self.shards[upper >> self.bits]);
        shard.push(words, upper & ((1 << self.bits) - 1), &self.folder)
    }

    /// Ends the collection; returns the facts in order, grouped by fingerprint.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails.
    pub fn into_groups(self) -> Result<Groups, Error> {
        let Self { folder, shards, shard_bits, bits, capacity } = self;
        let all_bits = shard_bits + bits;
        let shards = shards.into_iter();
        let mut shards: Vec<Shard> = shards
            .map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        if shards.iter().all(|shard| shard.disk_bytes() == 0) {
            return Ok(Groups::in_memory(shards, all_bits));
        }
        let sort_facts_max = ((capacity << all_bits) / SORT_SHARE).max(1);
        let (mut files, mut extents) = (Vec::new(), Vec::new());
        for shard in shards.drain(..) {
            let (file, of_shard) = shard.into_disk(&folder)?;
            files.push(file);
            extents.extend(of_shard);
        }
        Groups::on_disk(Partitions { folder, all_bits, bits, sort_facts_max, extents, files })
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the upper bits of a word. In two steps, since a shift by all 64 bits is none.
fn upper_bits(word: u64, bits: u32) -> usize {
    (word >> 1 >> (u64::BITS - 1 - bits)) as usize
}

/// All facts of a side, on disk.
#[derive(Debug)]
struct Partitions {
    folder: PathBuf,
    all_bits: u32,
    /// Of the partitions in each file.
    bits: u32,
    sort_facts_max: usize,
    extents: Vec<Vec<Extent>>,
    files: Vec<SpillFile>,
}
