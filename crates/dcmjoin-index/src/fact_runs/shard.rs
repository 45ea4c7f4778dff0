//! A part of the facts that one thread at a time adds to.

use std::path::Path;

use super::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::record::Words;

/// Facts for which a partition takes memory first.
const FACTS_MIN: usize = 8;

/// Partitions with room for `capacity` bytes each; of each, the last facts are in memory, and those before
/// them in extents.
#[derive(Debug)]
pub(super) struct Shard {
    /// Each takes what its facts need, up to the capacity.
    blocks: Vec<Vec<u8>>,
    capacity: usize,
    extents: Vec<Vec<Extent>>,
    file: Option<SpillFile>,
    len: u64,
}

impl Shard {
    pub(super) fn new(bits: u32, capacity: usize) -> Self {
        Self {
            blocks: vec![Vec::new(); 1 << bits],
            capacity,
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

    /// Returns true where facts went to disk.
    pub(super) fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Adds a fact, of a size that the capacity is a multiple of.
    pub(super) fn push<W: Words>(
        &mut self,
        fact: &W,
        partition: usize,
        folder: &Path,
    ) -> Result<(), Error> {
        if self.blocks[partition].len() == self.capacity {
            self.write(partition, folder)?;
        }
        let block = &mut self.blocks[partition];
        let at = block.len();
        if at == block.capacity() {
            // Twice as much, and never more than there is room for.
            block.reserve_exact(at.max(W::BYTES * FACTS_MIN).min(self.capacity - at));
        }
        block.resize(at + W::BYTES, 0);
        fact.write(&mut block[at..]);
        self.len += 1;
        Ok(())
    }

    fn write(&mut self, partition: usize, folder: &Path) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpillFile::create(folder)?),
        };
        self.extents[partition].push(file.append(&self.blocks[partition])?);
        self.blocks[partition].clear();
        Ok(())
    }

    /// Writes what is in memory, and gives the memory back.
    pub(super) fn flush(&mut self, folder: &Path) -> Result<(), Error> {
        for partition in 0..self.blocks.len() {
            if !self.blocks[partition].is_empty() {
                self.write(partition, folder)?;
            }
            self.blocks[partition] = Vec::new();
        }
        Ok(())
    }

    /// Returns the bytes of a partition's facts.
    pub(super) fn bytes_of(&self, partition: usize) -> usize {
        let on_disk: usize = self.extents[partition].iter().map(|extent| extent.bytes()).sum();
        on_disk + self.blocks[partition].len()
    }

    /// Returns where a partition's facts are on disk: nowhere, where all are in memory.
    pub(super) fn on_disk(&self, partition: usize) -> Option<(&SpillFile, &[Extent])> {
        Some((self.file.as_ref()?, &self.extents[partition]))
    }

    /// Returns the facts of a partition that are in memory.
    pub(super) fn in_memory(&self, partition: usize) -> &[u8] {
        &self.blocks[partition]
    }

    #[cfg(test)]
    pub(super) fn flip_a_bit_at(&self, offset: u64) {
        self.file.as_ref().unwrap().flip_a_bit_at(offset);
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn fill_the_disk(&mut self) {
        self.file = Some(SpillFile::on_a_full_disk());
    }
}
