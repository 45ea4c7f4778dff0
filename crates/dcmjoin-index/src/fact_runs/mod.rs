//! Facts of one side: partitioned by fingerprint as they come, sorted a partition at a time.
//!
//! The books, the duplicates, the conflicts and the unpaired all come from one pass over the facts
//! in the order of their fingerprints, so no map of all halves is ever in memory.
//!
//! The upper bits of the fingerprint choose a partition. Partitions fill one block of memory;
//! where one is full, its facts go to disk as an extent. At the end two threads read and sort the
//! partitions, one ahead of whoever walks through the groups. Facts that fit the memory never see
//! the disk.
//!
//! **Invariants:** while facts are pushed, at most the budget is in memory; while they are sorted,
//! at most five quarters of it (five partitions of a quarter each; larger ones are sorted through
//! the disk), and one group of at most [`GROUP_FACTS_MAX`] times two facts that nobody claimed.
//! This holds whatever the number of facts, and whatever their fingerprints.

mod groups;
mod sort;
mod spill_file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::groups::{GROUP_FACTS_MAX, Groups};
use self::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::fact::{FACT_BYTES, Fact, Packed};

/// An extent of at least this size is read at a good part of any device's speed.
const EXTENT_BYTES_MIN: usize = 32 << 10;
/// A billion facts make partitions of 27 MB.
const PARTITION_BITS_MAX: u32 = 11;
/// A partition of at most this share of the budget is sorted in memory.
const SORT_SHARE: usize = 4;

/// Facts as they come in, in any order.
#[derive(Debug)]
pub struct FactRuns {
    folder: PathBuf,
    bits: u32,
    /// Partitions of `capacity` facts each, of which the first `filled` are there.
    block: Vec<Packed>,
    capacity: usize,
    filled: Vec<usize>,
    extents: Vec<Vec<Extent>>,
    file: Option<SpillFile>,
    len: u64,
}

impl FactRuns {
    /// Returns an empty collection that keeps at most `bytes_max` bytes of facts in memory.
    #[must_use]
    pub fn new(spill: &Path, bytes_max: usize) -> Self {
        let bits = (bytes_max / EXTENT_BYTES_MIN).checked_ilog2().unwrap_or(0);
        Self::partitioned(spill, bits.min(PARTITION_BITS_MAX), bytes_max)
    }

    fn partitioned(spill: &Path, bits: u32, bytes_max: usize) -> Self {
        let capacity = ((bytes_max / FACT_BYTES) >> bits).max(1);
        Self {
            folder: spill.to_owned(),
            bits,
            // Zeroed memory is not touched, and does not count, before it is written to.
            block: vec![[0; 7]; capacity << bits],
            capacity,
            filled: vec![0; 1 << bits],
            extents: vec![Vec::new(); 1 << bits],
            file: None,
            len: 0,
        }
    }

    /// Returns the number of facts.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns true where there is no fact.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes that the facts take on disk so far.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, SpillFile::bytes)
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails, [`Error::Limit`] where the fact's numbers are
    /// beyond 48 bits.
    pub fn push(&mut self, fact: Fact) -> Result<(), Error> {
        let words = fact.pack()?;
        // In two steps, since a shift by all 64 bits is none.
        let partition = (words[0] >> 1 >> (u64::BITS - 1 - self.bits)) as usize;
        if self.filled[partition] == self.capacity {
            self.write(partition)?;
        }
        self.block[partition * self.capacity + self.filled[partition]] = words;
        self.filled[partition] += 1;
        self.len += 1;
        Ok(())
    }

    fn write(&mut self, partition: usize) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpillFile::create(&self.folder)?),
        };
        let from = partition * self.capacity;
        let facts = &self.block[from..from + self.filled[partition]];
        self.extents[partition].push(file.append(facts)?);
        self.filled[partition] = 0;
        Ok(())
    }

    /// Ends the collection; returns the facts in order, grouped by fingerprint.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails.
    pub fn into_groups(mut self) -> Result<Groups, Error> {
        if self.file.is_some() {
            for partition in 0..self.filled.len() {
                if self.filled[partition] > 0 {
                    self.write(partition)?;
                }
            }
        }
        let Self { folder, bits, block, capacity, filled, extents, file, .. } = self;
        let Some(file) = file else {
            return Ok(Groups::in_memory(block, bits, capacity, filled));
        };
        let sort_facts_max = (block.len() / SORT_SHARE).max(1);
        drop(block);
        Groups::on_disk(Partitions { folder, bits, sort_facts_max, extents, file })
    }
}

/// All facts of a side, on disk.
#[derive(Debug)]
struct Partitions {
    folder: PathBuf,
    bits: u32,
    sort_facts_max: usize,
    extents: Vec<Vec<Extent>>,
    file: SpillFile,
}
