//! Where a reader looks for pairs: each partition is read once, and then only what came since.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::Pair;

use crate::group::Group;
use crate::message::fingerprint;
use crate::parts::{Parts, after_all};
use crate::state::{Done, State};

/// Fingerprints that are remembered; where more come, their partitions are read again.
const FRESH_MAX: usize = 100_000;

pub(crate) struct Search {
    parts: Parts,
    /// Of partitions that were begun: the last key that was read.
    at: BTreeMap<i32, Vec<u8>>,
    /// What came since in those parts that were read.
    fresh: BTreeSet<u128>,
    /// Keys of pairs that were given and are not done.
    given: HashSet<Vec<u8>>,
}

impl Search {
    pub(crate) fn new(parts: Parts) -> Self {
        let (at, fresh, given) = (BTreeMap::new(), BTreeSet::new(), HashSet::new());
        Self { parts, at, fresh, given }
    }

    fn of(&self, fingerprint: u128) -> i32 {
        i32::from(self.parts.of(fingerprint))
    }

    /// Notes the fingerprints of facts that are new.
    pub(crate) fn note(&mut self, new: Vec<u128>) {
        let (parts, at) = (self.parts, &self.at);
        let is_passed = |print: &u128| {
            let at = at.get(&i32::from(parts.of(*print)));
            at.is_some_and(|at| at.as_slice() >= print.to_be_bytes().as_slice())
        };
        self.fresh.extend(new.into_iter().filter(is_passed));
        if self.fresh.len() > FRESH_MAX {
            for print in std::mem::take(&mut self.fresh) {
                self.at.remove(&self.of(print));
            }
        }
    }

    /// Forgets all but some partitions.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(i32) -> bool) {
        let parts = self.parts;
        let is_part_kept = |print| is_kept(i32::from(parts.of(print)));
        self.at.retain(|partition, _| is_kept(*partition));
        self.fresh.retain(|print| is_part_kept(*print));
        self.given.retain(|key| is_part_kept(fingerprint(key)));
    }

    /// Returns the partitions that were read to their ends and have no pairs left, once these are done.
    pub(crate) fn settled(&self, done: &HashSet<&[u8]>) -> BTreeSet<i32> {
        let ended =
            self.at.iter().filter(|&(&partition, at)| *at == self.parts.start(partition + 1));
        let mut settled: BTreeSet<i32> = ended.map(|(&partition, _)| partition).collect();
        for print in &self.fresh {
            settled.remove(&self.of(*print));
        }
        for key in &self.given {
            if !done.contains(key.as_slice()) {
                settled.remove(&self.of(fingerprint(key)));
            }
        }
        settled
    }

    /// Takes pairs that are done from among those given.
    pub(crate) fn forget(&mut self, keys: &[Vec<u8>]) {
        for key in keys {
            self.given.remove(key);
        }
    }

    /// Returns pairs of partitions that are not done and were not given, at most so many.
    pub(crate) fn find(
        &mut self,
        state: &State,
        partitions: &BTreeSet<i32>,
        max: usize,
    ) -> Result<Vec<Pair>, Error> {
        let mut found = Vec::new();
        let fresh: Vec<u128> = self
            .fresh
            .iter()
            .copied()
            .filter(|print| partitions.contains(&self.of(*print)))
            .collect();
        for print in fresh {
            if found.len() >= max {
                return Ok(found);
            }
            let key = print.to_be_bytes();
            let after =
                print.checked_add(1).map_or(after_all(), |next| next.to_be_bytes().to_vec());
            state.groups(&key, &after, |group, done| {
                found.extend(self.give(&group, done)?);
                Ok(ControlFlow::Continue(()))
            })?;
            self.fresh.remove(&print);
        }
        for &partition in partitions {
            let mut at =
                self.at.get(&partition).cloned().unwrap_or_else(|| self.parts.start(partition));
            let end = self.parts.start(partition + 1);
            if at == end || found.len() >= max {
                continue;
            }
            let mut is_whole = true;
            state.groups(&at.clone(), &end, |group, done| {
                if found.len() >= max {
                    is_whole = false;
                    return Ok(ControlFlow::Break(()));
                }
                found.extend(self.give(&group, done)?);
                at.clear();
                at.extend_from_slice(group.last_key());
                Ok(ControlFlow::Continue(()))
            })?;
            self.at.insert(partition, if is_whole { end } else { at });
        }
        Ok(found)
    }

    fn give(&mut self, group: &Group, done: &mut Done<'_>) -> Result<Option<Pair>, Error> {
        let key = group.pair_key();
        if !group.is_whole() || self.given.contains(key) || done.has(key)? {
            return Ok(None);
        }
        let pair = group.pair()?;
        self.given.insert(key.to_vec());
        Ok(Some(pair))
    }
}
