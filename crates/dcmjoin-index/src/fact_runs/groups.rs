//! The facts in order, a group a fingerprint.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dcmjoin_model::Half;

use super::Partitions;
use super::shard::Shard;
use crate::Error;
use crate::brief_fact::BriefFact;
use crate::fact::Fact;
use crate::record::{Record, Relation, SIDES};

/// Facts of one fingerprint and side after which repeats of the same bytes are counted and no
/// longer kept; after twice as many, other bytes are too. Only what somebody made up comes near.
pub const GROUP_FACTS_MAX: usize = 1 << 16;

/// The sorted facts, a group a fingerprint.
#[derive(Debug)]
pub struct Groups<R: Record = Fact> {
    chunks: Chunks<R>,
    chunk: Vec<R::Words>,
    at: usize,
    omitted: [u64; SIDES],
    facts_max: usize,
    disk_bytes: u64,
}

/// Sorted facts of one partition, and whether they are its last.
type Chunk<R> = Result<(Vec<<R as Record>::Words>, bool), Error>;

/// Partitions in order, sorted by threads that take turns.
#[derive(Debug)]
struct Chunks<R: Record> {
    sorters: Vec<Sorter<R>>,
    partition: usize,
    partitions: usize,
}

#[derive(Debug)]
struct Sorter<R: Record> {
    chunks: Receiver<Chunk<R>>,
    /// A chunk that is done with: its memory is used again.
    spent: SyncSender<Vec<R::Words>>,
}

impl<R: Record> Groups<R> {
    pub(super) fn of(partitions: Partitions, sorters: usize) -> Result<Self, Error> {
        let disk_bytes = partitions.shards.iter().map(Shard::disk_bytes).sum();
        let partitions = Arc::new(partitions);
        let step = sorters.max(1);
        let sorters = (0..step).map(|first| {
            // Nothing waits in the channel: a sorter has one partition in hand, and no more.
            let (send, chunks) = sync_channel(0);
            let (spent, unused) = sync_channel(1);
            let partitions = Arc::clone(&partitions);
            thread::Builder::new()
                .name(format!("sort-facts-{first}"))
                .spawn(move || sort_every::<R>(&partitions, first, step, &send, &unused))
                .map_err(Error::io("start a thread to sort"))?;
            Ok(Sorter { chunks, spent })
        });
        let sorters = sorters.collect::<Result<_, Error>>()?;
        let partitions = partitions.count();
        Ok(Self {
            chunks: Chunks { sorters, partition: 0, partitions },
            chunk: Vec::new(),
            at: 0,
            omitted: [0; SIDES],
            facts_max: GROUP_FACTS_MAX,
            disk_bytes,
        })
    }

    /// Puts the facts of the next fingerprint into `group`, in order; false at the end.
    ///
    /// A group is bounded by [`GROUP_FACTS_MAX`]; see [`Self::omitted`] for what is beyond. Facts
    /// with an outcome are always kept.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk fails or is full, [`Error::Damaged`] where it gives other bytes
    /// than were written. There is no going on after an error.
    pub fn next_group(&mut self, group: &mut Vec<R>) -> Result<bool, Error> {
        group.clear();
        self.omitted = [0; SIDES];
        let mut side_from = 0;
        loop {
            let Some(words) = self.chunk.get(self.at) else {
                self.at = 0;
                if self.chunks.next(&mut self.chunk)? {
                    continue;
                }
                return Ok(!group.is_empty());
            };
            let fact = R::unpack(words);
            if let Some(last) = group.last() {
                let relation = last.relation(&fact);
                match relation {
                    Relation::None => return Ok(true),
                    Relation::OtherSide => side_from = group.len(),
                    Relation::OtherBytes | Relation::SameBytes => {}
                }
                if self.is_beyond(group.len() - side_from, relation) && !fact.is_kept() {
                    self.omitted[fact.side()] += 1;
                    self.at += 1;
                    continue;
                }
            }
            group.push(fact);
            self.at += 1;
        }
    }

    fn is_beyond(&self, kept: usize, relation: Relation) -> bool {
        let is_same = relation == Relation::SameBytes;
        kept >= if is_same { self.facts_max } else { 2 * self.facts_max }
    }

    /// Returns how many facts of the last group were left out of it: to be counted as duplicates.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.omitted.iter().sum()
    }

    /// Returns the bytes that the facts take on disk; those of a partition that does not fit its
    /// share of the memory take as much again while it is sorted.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    #[cfg(test)]
    pub(super) fn with_facts_max(self, facts_max: usize) -> Self {
        Self { facts_max, ..self }
    }
}

impl Groups<BriefFact> {
    /// Returns how many facts of one side of the last group were left out of it.
    #[must_use]
    pub fn omitted_of(&self, half: Half) -> u64 {
        self.omitted[usize::from(half == Half::Image)]
    }
}

/// Sorts every `step`th partition, until nobody wants more.
fn sort_every<R: Record>(
    partitions: &Partitions,
    first: usize,
    step: usize,
    chunks: &SyncSender<Chunk<R>>,
    unused: &Receiver<Vec<R::Words>>,
) {
    let mut bytes = Vec::new();
    for number in (first..partitions.count()).step_by(step) {
        let room = unused.try_recv().unwrap_or_default();
        let mut send = |chunk| chunks.send(Ok((chunk, false))).is_ok();
        let end = partitions.sort(number, &mut bytes, room, &mut send);
        let end = end.map(|()| (Vec::new(), true));
        let failed = end.is_err();
        if chunks.send(end).is_err() || failed {
            return;
        }
    }
}

impl<R: Record> Chunks<R> {
    /// Puts the next sorted facts in the place of those before; none, and false, at the end.
    fn next(&mut self, chunk: &mut Vec<R::Words>) -> Result<bool, Error> {
        while self.partition < self.partitions {
            let sorter = &self.sorters[self.partition % self.sorters.len()];
            // A sorter goes early only after an error, or by a panic.
            let gone = |_| Error::io("sort")(std::io::ErrorKind::BrokenPipe.into());
            let (next, is_last) = sorter.chunks.recv().map_err(gone)??;
            if !is_last {
                // A sorter that has room already, or is done, needs no more.
                let _ = sorter.spent.try_send(std::mem::replace(chunk, next));
                return Ok(true);
            }
            self.partition += 1;
        }
        chunk.clear();
        Ok(false)
    }
}
