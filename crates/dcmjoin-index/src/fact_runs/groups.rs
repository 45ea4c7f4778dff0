//! The facts in order, a group a fingerprint.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::Partitions;
use super::shard::Shard;
use super::sort::sorted;
use crate::Error;
use crate::fact::{Fact, Outcome, Packed};

/// Facts of one fingerprint after which repeats of the same bytes are counted and no longer kept;
/// after twice as many, other bytes are too. Only what somebody made up comes near.
pub const GROUP_FACTS_MAX: usize = 1 << 16;
/// Threads that read and sort: whoever walks through the groups is seldom faster than two.
const SORTERS: usize = 2;

/// The sorted facts, a group a fingerprint.
#[derive(Debug)]
pub struct Groups {
    chunks: Chunks,
    chunk: std::vec::IntoIter<Packed>,
    omitted: u64,
    facts_max: usize,
}

/// Sorted facts of one partition, and whether they are its last.
type Chunk = Result<(Vec<Packed>, bool), Error>;

#[derive(Debug)]
enum Chunks {
    Memory { shards: std::vec::IntoIter<Shard>, all_bits: u32, partition: usize },
    Disk { sorters: Vec<Receiver<Chunk>>, partition: usize, partitions: usize },
}

impl Groups {
    pub(super) fn in_memory(shards: Vec<Shard>, all_bits: u32) -> Self {
        Self::of(Chunks::Memory { shards: shards.into_iter(), all_bits, partition: 0 })
    }

    pub(super) fn on_disk(partitions: Partitions) -> Result<Self, Error> {
        let partitions = Arc::new(partitions);
        let mut sorters = Vec::with_capacity(SORTERS);
        for first in 0..SORTERS {
            // Nothing waits in the channel: a sorter has one partition in hand, and no more.
            let (chunks, receiver) = sync_channel(0);
            let partitions = Arc::clone(&partitions);
            thread::Builder::new()
                .name(format!("sort-facts-{first}"))
                .spawn(move || sort_every(&partitions, first, &chunks))
                .map_err(Error::io("start a thread to sort"))?;
            sorters.push(receiver);
        }
        let partitions = partitions.extents.len();
        Ok(Self::of(Chunks::Disk { sorters, partition: 0, partitions }))
    }

    fn of(chunks: Chunks) -> Self {
        Self { chunks, chunk: Vec::new().into_iter(), omitted: 0, facts_max: GROUP_FACTS_MAX }
    }

    /// Puts the facts of the next fingerprint into `group`, in order; false at the end.
    ///
    /// A group is bounded by [`GROUP_FACTS_MAX`]; see [`Self::omitted`] for what is beyond. Facts
    /// with an outcome are always kept.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk fails or is full, [`Error::Damaged`] where it gives other bytes
    /// than were written. There is no going on after an error.
    pub fn next_group(&mut self, group: &mut Vec<Fact>) -> Result<bool, Error> {
        group.clear();
        self.omitted = 0;
        loop {
            let Some(words) = self.chunk.as_slice().first() else {
                match self.chunks.next()? {
                    Some(chunk) => self.chunk = chunk.into_iter(),
                    None => return Ok(!group.is_empty()),
                }
                continue;
            };
            let fact = Fact::unpack(words);
            if let Some(last) = group.last() {
                if last.fingerprint != fact.fingerprint {
                    return Ok(true);
                }
                if self.is_beyond(group.len(), last, &fact) {
                    self.omitted += 1;
                    self.chunk.next();
                    continue;
                }
            }
            group.push(fact);
            self.chunk.next();
        }
    }

    fn is_beyond(&self, kept: usize, last: &Fact, fact: &Fact) -> bool {
        let max = if fact.digest == last.digest { self.facts_max } else { 2 * self.facts_max };
        kept >= max && fact.outcome == Outcome::Open
    }

    /// Returns how many facts of the last group were left out of it: to be counted as duplicates.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    #[cfg(test)]
    pub(super) fn with_facts_max(self, facts_max: usize) -> Self {
        Self { facts_max, ..self }
    }
}

/// Sorts every [`SORTERS`]th partition, until nobody wants more.
fn sort_every(partitions: &Partitions, first: usize, chunks: &SyncSender<Chunk>) {
    for number in (first..partitions.extents.len()).step_by(SORTERS) {
        let sorted = partitions.sort(number, &mut |chunk| chunks.send(Ok((chunk, false))).is_ok());
        let end = sorted.map(|()| (Vec::new(), true));
        let failed = end.is_err();
        if chunks.send(end).is_err() || failed {
            return;
        }
    }
}

impl Chunks {
    fn next(&mut self) -> Result<Option<Vec<Packed>>, Error> {
        match self {
            Self::Memory { shards, all_bits, partition } => {
                while let Some(shard) = shards.as_slice().first() {
                    if *partition < shard.partitions() {
                        let facts = shard.in_memory(*partition);
                        *partition += 1;
                        return Ok(Some(sorted(facts, *all_bits)));
                    }
                    shards.next();
                    *partition = 0;
                }
                Ok(None)
            }
            Self::Disk { sorters, partition, partitions } => {
                while partition < partitions {
                    let received = sorters[*partition % SORTERS].recv();
                    // A sorter goes early only after an error, or by a panic.
                    let gone = |_| Error::io("sort")(std::io::ErrorKind::BrokenPipe.into());
                    let (chunk, is_last) = received.map_err(gone)??;
                    if !is_last {
                        return Ok(Some(chunk));
                    }
                    *partition += 1;
                }
                Ok(None)
            }
        }
    }
}
