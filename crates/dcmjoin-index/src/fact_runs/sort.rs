//! Sorts one partition: in memory where it fits, else by runs on disk that are merged.
//!
//! A partition does not fit where the run is larger than its budget allows for, or where many facts
//! share few fingerprints, as one UID repeated without end does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Partitions;
use super::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::record::Words;

/// Facts that one bucket of the distribution holds on average.
const BUCKET_FACTS: usize = 4;
/// More buckets than this (1 MiB of counters) fall out of the second cache.
const BUCKET_BITS_MAX: u32 = 18;
/// Buckets up to this size are sorted by insertion: it has the least to set up.
const INSERTION_MAX: usize = 24;
/// Facts that are read at once from one run while runs are merged: at most and at least.
const PIECE_FACTS: (usize, usize) = (16, 4096);
/// Facts of a partition that did not fit, handed on at once.
const CHUNK_FACTS: usize = 16_384;

/// Takes sorted facts; says whether more are wanted.
pub(super) type Send<'a, W> = dyn FnMut(Vec<W>) -> bool + 'a;

/// Puts the facts into `sorted`, in order. All share the upper `shared_bits` of their fingerprints.
///
/// Fingerprints are spread evenly, so one distribution by the bits that follow leaves buckets of a
/// few facts; where they are not spread evenly, buckets are larger and take the time of a sort.
pub(super) fn sort<W: Words>(bytes: &[u8], shared_bits: u32, sorted: &mut Vec<W>) {
    let facts = || bytes.chunks_exact(W::BYTES).map(W::read);
    let count = bytes.len() / W::BYTES;
    let bits = (count / BUCKET_FACTS).checked_ilog2().unwrap_or(0).min(BUCKET_BITS_MAX);
    sorted.clear();
    if bits == 0 {
        sorted.extend(facts());
        sorted.sort_unstable();
        return;
    }
    let bucket = |fact: &W| ((fact.first() << shared_bits) >> (u64::BITS - bits)) as usize;
    let mut starts = vec![0_u32; 1 << bits];
    for fact in facts() {
        starts[bucket(&fact)] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    sorted.resize(count, W::ZERO);
    for fact in facts() {
        let at = &mut starts[bucket(&fact)];
        sorted[*at as usize] = fact;
        *at += 1;
    }
    // Every start has moved on to its bucket's end.
    let mut from = 0;
    for end in starts {
        sort_bucket(&mut sorted[from..end as usize]);
        from = end as usize;
    }
}

fn sort_bucket<W: Words>(bucket: &mut [W]) {
    if bucket.len() > INSERTION_MAX {
        bucket.sort_unstable();
        return;
    }
    for next in 1..bucket.len() {
        let fact = bucket[next];
        let mut at = next;
        while at > 0 && is_before(&fact, &bucket[at - 1]) {
            bucket[at] = bucket[at - 1];
            at -= 1;
        }
        bucket[at] = fact;
    }
}

/// Mostly the first words tell.
fn is_before<W: Words>(one: &W, other: &W) -> bool {
    if one.first() == other.first() { one < other } else { one.first() < other.first() }
}

impl Partitions {
    /// Sorts a partition and hands its facts on, in order, in one chunk or more. `bytes` and
    /// `sorted` are room to work in.
    pub(super) fn sort<W: Words>(
        &self,
        number: usize,
        bytes: &mut Vec<u8>,
        mut sorted: Vec<W>,
        send: &mut Send<'_, W>,
    ) -> Result<(), Error> {
        let (shard, partition) = self.at(number);
        let Some((file, extents)) = shard.on_disk(partition) else {
            sort(shard.in_memory(partition), self.all_bits, &mut sorted);
            send(sorted);
            return Ok(());
        };
        if shard.bytes_of(partition) > self.sort_bytes_max {
            return self.sort_by_runs(file, extents, send);
        }
        bytes.clear();
        for &extent in extents {
            file.read(extent, bytes)?;
        }
        sort(bytes, self.all_bits, &mut sorted);
        send(sorted);
        Ok(())
    }

    fn sort_by_runs<W: Words>(
        &self,
        from: &SpillFile,
        extents: &[Extent],
        send: &mut Send<'_, W>,
    ) -> Result<(), Error> {
        let total: usize = extents.iter().map(|extent| extent.bytes()).sum();
        // A run may be an extent short of the limit.
        let runs = total.div_ceil(self.sort_bytes_max) + 1;
        let piece_facts = self.sort_bytes_max / W::BYTES / runs;
        let piece_facts = piece_facts.clamp(PIECE_FACTS.0, PIECE_FACTS.1);
        let mut file = SpillFile::create(&self.folder)?;
        let mut runs: Vec<Vec<Extent>> = Vec::new();
        let (mut bytes, mut sorted) = (Vec::new(), Vec::<W>::new());
        let mut extents = extents.iter().copied().peekable();
        while let Some(extent) = extents.next() {
            from.read(extent, &mut bytes)?;
            let next = extents.peek().map(|extent| extent.bytes());
            if next.is_none_or(|next| bytes.len() + next > self.sort_bytes_max) {
                sort(&bytes, self.all_bits, &mut sorted);
                runs.push(write_run(&mut file, &sorted, piece_facts)?);
                bytes.clear();
            }
        }
        drop((bytes, sorted));
        merge(&file, runs, send)
    }
}

fn write_run<W: Words>(
    file: &mut SpillFile,
    sorted: &[W],
    piece_facts: usize,
) -> Result<Vec<Extent>, Error> {
    let mut bytes = vec![0; piece_facts * W::BYTES];
    let mut pieces = Vec::with_capacity(sorted.len().div_ceil(piece_facts));
    for piece in sorted.chunks(piece_facts) {
        for (place, fact) in bytes.chunks_exact_mut(W::BYTES).zip(piece) {
            fact.write(place);
        }
        pieces.push(file.append(&bytes[..piece.len() * W::BYTES])?);
    }
    Ok(pieces)
}

/// The next facts of a run.
struct Run<W> {
    pieces: std::vec::IntoIter<Extent>,
    facts: std::vec::IntoIter<W>,
}

impl<W: Words> Run<W> {
    fn next(&mut self, file: &SpillFile, bytes: &mut Vec<u8>) -> Result<Option<W>, Error> {
        if let Some(fact) = self.facts.next() {
            return Ok(Some(fact));
        }
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        bytes.clear();
        file.read(piece, bytes)?;
        let facts: Vec<W> = bytes.chunks_exact(W::BYTES).map(W::read).collect();
        self.facts = facts.into_iter();
        Ok(self.facts.next())
    }
}

fn merge<W: Words>(
    file: &SpillFile,
    runs: Vec<Vec<Extent>>,
    send: &mut Send<'_, W>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let mut heads = BinaryHeap::with_capacity(runs.len());
    let mut runs: Vec<Run<W>> = runs
        .into_iter()
        .map(|pieces| Run { pieces: pieces.into_iter(), facts: Vec::new().into_iter() })
        .collect();
    for (number, run) in runs.iter_mut().enumerate() {
        heads.extend(run.next(file, &mut bytes)?.map(|fact| Reverse((fact, number))));
    }
    let mut chunk = Vec::with_capacity(CHUNK_FACTS);
    while let Some(Reverse((fact, number))) = heads.pop() {
        heads.extend(runs[number].next(file, &mut bytes)?.map(|fact| Reverse((fact, number))));
        chunk.push(fact);
        if chunk.len() == CHUNK_FACTS
            && !send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_FACTS)))
        {
            return Ok(());
        }
    }
    send(chunk);
    Ok(())
}
