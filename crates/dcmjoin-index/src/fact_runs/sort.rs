//! Sorts one partition: in memory where it fits, else by runs on disk that are merged.
//!
//! A partition does not fit where the run is larger than its budget allows for, or where many facts
//! share few fingerprints, as one UID repeated without end does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Partitions;
use super::spill_file::{Extent, SpillFile};
use crate::Error;
use crate::fact::Packed;

/// Facts that one bucket of the distribution holds on average.
const BUCKET_FACTS: usize = 8;
/// More buckets than this make the distribution slower than the sorting it saves.
const BUCKET_BITS_MAX: u32 = 15;
/// Facts that are read at once from one run while runs are merged: at most and at least.
const PIECE_FACTS: (usize, usize) = (16, 4096);
/// Facts of a partition that did not fit, handed on at once.
const CHUNK_FACTS: usize = 16_384;

/// Returns the facts in order. All share the upper `shared_bits` of their fingerprints.
///
/// Fingerprints are spread evenly, so one distribution by the bits that follow leaves buckets of a
/// few facts; where they are not spread evenly, buckets are larger and take the time of a sort.
pub(super) fn sorted(facts: &[Packed], shared_bits: u32) -> Vec<Packed> {
    let bits = (facts.len() / BUCKET_FACTS).checked_ilog2().unwrap_or(0).min(BUCKET_BITS_MAX);
    if bits == 0 {
        let mut facts = facts.to_vec();
        facts.sort_unstable();
        return facts;
    }
    let bucket = |fact: &Packed| ((fact[0] << shared_bits) >> (u64::BITS - bits)) as usize;
    let mut starts = vec![0_u32; 1 << bits];
    for fact in facts {
        starts[bucket(fact)] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    let mut distributed = vec![[0; 7]; facts.len()];
    for fact in facts {
        let at = &mut starts[bucket(fact)];
        distributed[*at as usize] = *fact;
        *at += 1;
    }
    // Every start has moved on to its bucket's end.
    let mut from = 0;
    for end in starts {
        distributed[from..end as usize].sort_unstable();
        from = end as usize;
    }
    distributed
}

impl Partitions {
    /// Sorts a partition and hands its facts on, in order, in one chunk or more; `send` says
    /// whether anybody still wants them.
    pub(super) fn sort(
        &self,
        number: usize,
        send: &mut dyn FnMut(Vec<Packed>) -> bool,
    ) -> Result<(), Error> {
        let (extents, file) = (&self.extents[number], &self.files[number >> self.bits]);
        let count: usize = extents.iter().map(|extent| extent.facts()).sum();
        if count > self.sort_facts_max {
            return self.sort_by_runs(file, extents, send);
        }
        let (mut facts, mut bytes) = (Vec::with_capacity(count), Vec::new());
        for &extent in extents {
            file.read(extent, &mut bytes, &mut facts)?;
        }
        let sorted = sorted(&facts, self.all_bits);
        drop(facts);
        send(sorted);
        Ok(())
    }

    fn sort_by_runs(
        &self,
        from: &SpillFile,
        extents: &[Extent],
        send: &mut dyn FnMut(Vec<Packed>) -> bool,
    ) -> Result<(), Error> {
        let count: usize = extents.iter().map(|extent| extent.facts()).sum();
        // A run may be an extent short of the limit.
        let runs = count.div_ceil(self.sort_facts_max) + 1;
        let piece_facts = (self.sort_facts_max / runs).clamp(PIECE_FACTS.0, PIECE_FACTS.1);
        let mut file = SpillFile::create(&self.folder)?;
        let mut runs: Vec<Vec<Extent>> = Vec::new();
        let (mut facts, mut bytes) = (Vec::new(), Vec::new());
        let mut extents = extents.iter().copied().peekable();
        while let Some(extent) = extents.next() {
            from.read(extent, &mut bytes, &mut facts)?;
            let next = extents.peek().map(|extent| extent.facts());
            if next.is_none_or(|next| facts.len() + next > self.sort_facts_max) {
                let sorted = sorted(&facts, self.all_bits);
                let pieces = sorted.chunks(piece_facts).map(|piece| file.append(piece));
                runs.push(pieces.collect::<Result<_, _>>()?);
                facts.clear();
            }
        }
        drop(facts);
        merge(&file, runs, send)
    }
}

/// The next facts of a run.
struct Run {
    pieces: std::vec::IntoIter<Extent>,
    facts: std::vec::IntoIter<Packed>,
}

impl Run {
    fn next(&mut self, file: &SpillFile, bytes: &mut Vec<u8>) -> Result<Option<Packed>, Error> {
        if let Some(fact) = self.facts.next() {
            return Ok(Some(fact));
        }
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let mut facts = Vec::with_capacity(piece.facts());
        file.read(piece, bytes, &mut facts)?;
        self.facts = facts.into_iter();
        Ok(self.facts.next())
    }
}

fn merge(
    file: &SpillFile,
    runs: Vec<Vec<Extent>>,
    send: &mut dyn FnMut(Vec<Packed>) -> bool,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let mut heads = BinaryHeap::with_capacity(runs.len());
    let mut runs: Vec<Run> = runs
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
