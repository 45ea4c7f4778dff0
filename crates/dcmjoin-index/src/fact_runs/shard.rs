//! A part of the facts that one thread at a time adds to.

use std::path::Path;

use super::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::fact::Packed;

/// Partitions of `capacity` facts each; of each, the last `filled` are in memory.
#[derive(Debug)]
pub(super) struct Shard {
    block: Vec<Packed>,
    capacity: usize,
    filled: Vec<usize>,
    extents: Vec<Vec<Extent>>,
    file: Option<SpillFile>,
    len: u64,
}

impl Shard {
    pub(super) fn new(bits: u32, capacity: usize) -> Self {
        Self {
            // Zeroed memory is not touched, and does not count, before it is written to.
            block: vec![[0; 7]; capacity << bits],
            capacity,
            filled: vec![0; 1 << bits],
            extents: vec![Vec::new(); 1 << bits],
            file: None,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, SpillFile::bytes)
    }

    pub(super) fn push(
        &mut self,
        fact: Packed,
        partition: usize,
        folder: &Path,
    ) -> Result<(), Error> {
        if self.filled[partition] == self.capacity {
            self.write(partition, folder)?;
        }
        self.block[partition * self.capacity + self.filled[partition]] = fact;
        self.filled[partition] += 1;
        self.len += 1;
        Ok(())
    }

    fn write(&mut self, partition: usize, folder: &Path) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpillFile::create(folder)?),
        };
        let from = partition * self.capacity;
        let facts = &self.block[from..from + self.filled[partition]];
        self.extents[partition].push(file.append(facts)?);
        self.filled[partition] = 0;
        Ok(())
    }

    /// Returns the number of partitions.
    pub(super) fn partitions(&self) -> usize {
        self.filled.len()
    }

    /// Returns the facts of a partition that are in memory.
    pub(super) fn in_memory(&self, partition: usize) -> &[Packed] {
        &self.block[partition * self.capacity..][..self.filled[partition]]
    }

    /// Writes what is in memory; returns where the facts of each partition are.
    pub(super) fn into_disk(
        mut self,
        folder: &Path,
    ) -> Result<(SpillFile, Vec<Vec<Extent>>), Error> {
        for partition in 0..self.partitions() {
            if self.filled[partition] > 0 {
                self.write(partition, folder)?;
            }
        }
        let file = self.file.take().map_or_else(|| SpillFile::create(folder), Ok)?;
        Ok((file, self.extents))
    }

    #[cfg(test)]
    pub(super) fn flip_a_bit_at(&self, offset: u64) {
        self.file.as_ref().unwrap().flip_a_bit_at(offset);
    }
}
