//! Facts: one fixed-size record a half that was read, sorted on disk, merged once.
//!
//! The books, the duplicates, the conflicts and the unpaired all come from one pass over the facts
//! in the order of their fingerprints, so no map of all halves is ever in memory.
//!
//! **Invariant:** [`FactRuns`] holds at most its budget of facts in memory; the merge holds one
//! buffer a run, and one group.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::fingerprint::Fingerprint;

/// A fact's size on disk, in bytes.
const FACT_BYTES: usize = 72;
/// Read-ahead of one run during the merge, in bytes.
const RUN_BUFFER_BYTES: usize = 64 << 10;

/// What became of a half when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Nothing yet: its other half is not known, or another member with its UID came first.
    Open = 0,
    /// Its instance was published.
    Published = 1,
    /// Its instance stood in the output already.
    AlreadyThere = 2,
    /// Its instance was rejected.
    Rejected = 3,
}

impl Outcome {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Published,
            2 => Self::AlreadyThere,
            3 => Self::Rejected,
            _ => Self::Open,
        }
    }
}

/// What is known of one half. Facts sort by fingerprint, then by digest, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// Of its UID.
    pub fingerprint: Fingerprint,
    /// Of its bytes as they lie in the archive.
    pub digest: u128,
    /// The number of its archive on its side's list.
    pub archive: u32,
    /// Its first byte in the plain tar.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Where its UID can be read: a place in a store that the caller knows.
    pub place: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Fact {
    fn to_bytes(self) -> [u8; FACT_BYTES] {
        let mut bytes = [0; FACT_BYTES];
        // Big-endian, so that the file sorts as the facts do.
        bytes[0..16].copy_from_slice(&self.fingerprint.0.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.digest.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.archive.to_be_bytes());
        bytes[36..44].copy_from_slice(&self.offset.to_be_bytes());
        bytes[44..52].copy_from_slice(&self.length.to_be_bytes());
        bytes[52..60].copy_from_slice(&self.place.to_be_bytes());
        bytes[60] = self.outcome as u8;
        bytes
    }

    fn from_bytes(bytes: &[u8; FACT_BYTES]) -> Self {
        let wide = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0_u128, |value, &byte| (value << 8) | u128::from(byte))
        };
        Self {
            fingerprint: Fingerprint(wide(0..16)),
            digest: wide(16..32),
            archive: wide(32..36) as u32,
            offset: wide(36..44) as u64,
            length: wide(44..52) as u64,
            place: wide(52..60) as u64,
            outcome: Outcome::from_byte(bytes[60]),
        }
    }
}

/// Facts as they come in; sorted runs go to disk whenever the budget is full.
#[derive(Debug)]
pub struct FactRuns {
    spill: PathBuf,
    facts_max: usize,
    facts: Vec<Fact>,
    runs: Vec<File>,
}

impl FactRuns {
    /// Returns an empty collection that keeps at most `bytes_max` bytes of facts in memory.
    #[must_use]
    pub fn new(spill: &Path, bytes_max: usize) -> Self {
        let facts_max = (bytes_max / size_of::<Fact>()).max(1);
        Self { spill: spill.to_owned(), facts_max, facts: Vec::new(), runs: Vec::new() }
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// [`Error::Io`] where a run cannot be written.
    pub fn push(&mut self, fact: Fact) -> Result<(), Error> {
        if self.facts.len() == self.facts_max {
            self.write_run()?;
        }
        self.facts.push(fact);
        Ok(())
    }

    fn write_run(&mut self) -> Result<(), Error> {
        self.facts.sort_unstable();
        let file = tempfile::tempfile_in(&self.spill).map_err(Error::io("create"))?;
        let mut writer = BufWriter::with_capacity(RUN_BUFFER_BYTES, file);
        for fact in self.facts.drain(..) {
            writer.write_all(&fact.to_bytes()).map_err(Error::io("append to"))?;
        }
        let mut file =
            writer.into_inner().map_err(|error| Error::io("append to")(error.into_error()))?;
        file.rewind().map_err(Error::io("rewind"))?;
        self.runs.push(file);
        Ok(())
    }

    /// Ends the collection; returns the facts in order, grouped by fingerprint.
    ///
    /// # Errors
    /// [`Error::Io`] where a run cannot be read.
    pub fn into_groups(mut self) -> Result<Groups, Error> {
        self.facts.sort_unstable();
        let mut runs: Vec<Run> = vec![Run::Memory(self.facts.into_iter())];
        let files = self.runs.into_iter();
        runs.extend(files.map(|file| Run::Disk(BufReader::with_capacity(RUN_BUFFER_BYTES, file))));
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|fact| Reverse((fact, number))));
        }
        Ok(Groups { runs, heads })
    }
}

#[derive(Debug)]
enum Run {
    Memory(std::vec::IntoIter<Fact>),
    Disk(BufReader<File>),
}

impl Run {
    fn next(&mut self) -> Result<Option<Fact>, Error> {
        let reader = match self {
            Self::Memory(facts) => return Ok(facts.next()),
            Self::Disk(reader) => reader,
        };
        let mut bytes = [0; FACT_BYTES];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(Fact::from_bytes(&bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io("read")(error)),
        }
    }
}

/// The merged facts, a group a fingerprint.
#[derive(Debug)]
pub struct Groups {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Fact, usize)>>,
}

impl Groups {
    /// Puts the facts of the next fingerprint into `group`, in order; false at the end.
    ///
    /// # Errors
    /// [`Error::Io`] where a run cannot be read.
    pub fn next_group(&mut self, group: &mut Vec<Fact>) -> Result<bool, Error> {
        group.clear();
        while let Some(&Reverse((fact, number))) = self.heads.peek() {
            if group.last().is_some_and(|last: &Fact| last.fingerprint != fact.fingerprint) {
                break;
            }
            self.heads.pop();
            self.heads.extend(self.runs[number].next()?.map(|next| Reverse((next, number))));
            group.push(fact);
        }
        Ok(!group.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fact(fingerprint: u128, digest: u128, offset: u64) -> Fact {
        Fact {
            fingerprint: Fingerprint(fingerprint),
            digest,
            archive: offset as u32 % 7,
            offset,
            length: offset * 3,
            place: offset ^ 0xff00_0000_0000,
            outcome: Outcome::from_byte((offset % 4) as u8),
        }
    }

    fn groups(facts: &[Fact], bytes_max: usize) -> Vec<Vec<Fact>> {
        let spill = tempfile::tempdir().unwrap();
        let mut runs = FactRuns::new(spill.path(), bytes_max);
        facts.iter().for_each(|&fact| runs.push(fact).unwrap());
        let mut groups = runs.into_groups().unwrap();
        let (mut all, mut group) = (Vec::new(), Vec::new());
        while groups.next_group(&mut group).unwrap() {
            all.push(group.clone());
        }
        all
    }

    proptest! {
        #[test]
        fn merged_runs_are_the_sorted_facts(
            keys in prop::collection::vec((0..20_u128, 0..3_u128, 0..1000_u64), 0..200),
            facts_max in 1..50_usize,
        ) {
            let facts: Vec<_> = keys.into_iter().map(|(f, d, o)| fact(f, d, o)).collect();
            let mut sorted = facts.clone();
            sorted.sort_unstable();
            let expected: Vec<Vec<Fact>> =
                sorted.chunk_by(|a, b| a.fingerprint == b.fingerprint).map(<[Fact]>::to_vec).collect();
            prop_assert_eq!(groups(&facts, facts_max * size_of::<Fact>()), expected);
        }
    }
}
