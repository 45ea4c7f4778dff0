//! What came last of facts and pairs, in memory and in the order of keys: most pairs are whole, given and
//! done before their facts need a place in the file.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

/// What an entry takes besides its bytes: its place in the order, and the allocator's own.
const ENTRY_BYTES: usize = 48;
/// Before a fact's key: when it came, and how long the key is.
const HEAD_BYTES: usize = 16;

/// Facts and pairs that are not in the file, or not known to be.
#[derive(Default)]
pub(crate) struct Recent {
    facts: BTreeSet<Entry>,
    done: BTreeSet<Box<[u8]>>,
    bytes: usize,
}

/// A fact in one piece: when it came, the length of its key, the key, the value.
struct Entry(Box<[u8]>);

/// A fact's key and value, and when it came.
pub(crate) type Stored<'a> = (&'a [u8], &'a [u8], i64);

impl Recent {
    /// Returns about how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a fact, where it is not there; returns whether it was not.
    pub(crate) fn add_fact(&mut self, key: &[u8], value: &[u8], came: i64) -> bool {
        let entry = Entry::of(key, value, came);
        let bytes = entry.0.len() + ENTRY_BYTES;
        let is_new = self.facts.insert(entry);
        self.bytes += if is_new { bytes } else { 0 };
        is_new
    }

    /// Adds a pair that is done.
    pub(crate) fn add_done(&mut self, key: &[u8]) {
        if self.done.insert(key.into()) {
            self.bytes += key.len() + ENTRY_BYTES;
        }
    }

    pub(crate) fn remove_fact(&mut self, key: &[u8]) {
        if let Some(entry) = self.facts.take(key) {
            self.bytes -= entry.0.len() + ENTRY_BYTES;
        }
    }

    /// Removes the facts of a pair.
    pub(crate) fn remove_facts_of(&mut self, pair: &[u8]) {
        let of_pair = |key: &[u8]| key.starts_with(pair).then(|| key.to_vec());
        loop {
            let first = self.facts(pair, None).next().and_then(|(key, ..)| of_pair(key));
            let Some(key) = first else { return };
            self.remove_fact(&key);
        }
    }

    /// Removes some of the facts between two keys.
    pub(crate) fn remove_facts(
        &mut self,
        after: &[u8],
        before: &[u8],
        is_gone: impl Fn(&[u8]) -> bool,
    ) {
        let keys = self.facts(after, Some(before)).map(|(key, ..)| key);
        let gone: Vec<_> = keys.filter(|key| is_gone(key)).map(<[u8]>::to_vec).collect();
        gone.iter().for_each(|key| self.remove_fact(key));
    }

    /// Removes some of the pairs between two keys.
    pub(crate) fn remove_all_done(
        &mut self,
        after: &[u8],
        before: &[u8],
        is_gone: impl Fn(&[u8]) -> bool,
    ) {
        let keys = self.done(after).take_while(|key| *key < before);
        let gone: Vec<_> = keys.filter(|key| is_gone(key)).map(<[u8]>::to_vec).collect();
        gone.iter().for_each(|key| self.remove_done(key));
    }

    pub(crate) fn remove_done(&mut self, key: &[u8]) {
        if self.done.remove(key) {
            self.bytes -= key.len() + ENTRY_BYTES;
        }
    }

    pub(crate) fn is_done(&self, key: &[u8]) -> bool {
        self.done.contains(key)
    }

    /// Returns the facts after one key, and before another.
    pub(crate) fn facts<'a>(
        &'a self,
        after: &[u8],
        before: Option<&[u8]>,
    ) -> impl Iterator<Item = Stored<'a>> + use<'a> {
        // Bounds without anything between them are refused.
        let bounds = match before {
            Some(before) if before <= after => (Bound::Included(after), Bound::Excluded(after)),
            Some(before) => (Bound::Excluded(after), Bound::Excluded(before)),
            None => (Bound::Excluded(after), Bound::Unbounded),
        };
        self.facts.range::<[u8], _>(bounds).map(Entry::parts)
    }

    /// Returns the pairs after a key.
    pub(crate) fn done(&self, after: &[u8]) -> impl Iterator<Item = &[u8]> {
        let bounds = (Bound::Excluded(after), Bound::Unbounded);
        self.done.range::<[u8], _>(bounds).map(|key| &**key)
    }

    /// Forgets the first facts and pairs.
    pub(crate) fn remove_first(&mut self, facts: usize, done: usize) {
        for _ in 0..facts {
            let Some(entry) = self.facts.pop_first() else { break };
            self.bytes -= entry.0.len() + ENTRY_BYTES;
        }
        for _ in 0..done {
            let Some(key) = self.done.pop_first() else { break };
            self.bytes -= key.len() + ENTRY_BYTES;
        }
    }
}

impl Entry {
    fn of(key: &[u8], value: &[u8], came: i64) -> Self {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + key.len() + value.len());
        bytes.extend_from_slice(&came.to_le_bytes());
        bytes.extend_from_slice(&key.len().to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Self(bytes.into())
    }

    fn parts(&self) -> Stored<'_> {
        let (came, rest) = self.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (key_len, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (key, value) = rest.split_at(usize::from_le_bytes(*key_len).min(rest.len()));
        (key, value, i64::from_le_bytes(*came))
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.parts().0
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().0.cmp(other.parts().0)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}
