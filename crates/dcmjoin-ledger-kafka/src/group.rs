//! The facts of one instance, as they lie beside each other in the order of keys.

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{Fact, Pair};
use dcmjoin_model::{Half, SopInstanceUid};

use crate::log::failed;
use crate::message::{fingerprint, pair_key_len, read_fact_key, read_fact_value, read_pair_key};
use crate::recent::Stored;

/// Facts with one fingerprint, campaign and UID.
pub(crate) struct Group {
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
    facts: Vec<Place>,
    pair_len: usize,
    halves: [bool; 2],
}

/// Where a fact's key and value end, and when it came.
struct Place {
    key_end: usize,
    value_end: usize,
    came: i64,
}

impl Group {
    pub(crate) fn begin(key: &[u8], value: &[u8], came: i64) -> Result<Self, Error> {
        let pair_len = pair_key_len(key).ok_or_else(strange)?;
        // Most have two.
        let bytes = Vec::with_capacity(2 * (key.len() + value.len()));
        let facts = Vec::with_capacity(2);
        let mut group = Self { bytes, facts, pair_len, halves: [false; 2] };
        group.add(key, value, came)?;
        Ok(group)
    }

    pub(crate) fn add(&mut self, key: &[u8], value: &[u8], came: i64) -> Result<(), Error> {
        let is_image = key.get(self.pair_len).ok_or_else(strange)?;
        self.halves[usize::from(*is_image != 0)] = true;
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.facts.push(Place { key_end, value_end: self.bytes.len(), came });
        Ok(())
    }

    /// Returns each fact's key and value, and when it came.
    fn parts(&self) -> impl Iterator<Item = Stored<'_>> {
        self.facts.iter().scan(0, |start, place| {
            let key = &self.bytes[*start..place.key_end];
            *start = place.value_end;
            Some((key, &self.bytes[place.key_end..place.value_end], place.came))
        })
    }

    /// Returns whether a key is of the same instance.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        key.starts_with(self.pair_key())
    }

    pub(crate) fn pair_key(&self) -> &[u8] {
        &self.bytes[..self.pair_len]
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        self.parts().last().map_or(&[], |(key, ..)| key)
    }

    pub(crate) fn fingerprint(&self) -> u128 {
        fingerprint(&self.bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.halves == [true; 2]
    }

    pub(crate) fn is_of(&self, campaign: &str) -> bool {
        read_pair_key(self.pair_key()).is_some_and(|(_, key)| key.campaign == campaign)
    }

    /// Returns the facts that came by a time, in milliseconds since 1970.
    pub(crate) fn facts(&self, by: i64) -> Result<Vec<Fact>, Error> {
        let facts = self.parts().filter(|(_, _, came)| *came <= by);
        facts.map(|(key, value, _)| fact(key, value)).collect()
    }

    /// Returns the pair of an instance that is whole; of several facts of a half, the one with the smallest
    /// digest.
    pub(crate) fn pair(&self) -> Result<Pair, Error> {
        let mut halves: [Option<Fact>; 2] = [None, None];
        for (key, value, _) in self.parts() {
            let fact = fact(key, value)?;
            let first = &mut halves[usize::from(fact.half == Half::Image)];
            if first.as_ref().is_none_or(|first| place(&fact) < place(first)) {
                *first = Some(fact);
            }
        }
        let [Some(metadata), Some(image)] = halves else {
            return Err(failed("a pair lacks a half"));
        };
        let (_, key) = read_pair_key(self.pair_key()).ok_or_else(strange)?;
        // The pair's UID is enough.
        Ok(Pair { campaign: key.campaign.parse()?, metadata, image, receipt: 0 })
    }
}

fn place(fact: &Fact) -> (u128, &str, u64) {
    (fact.digest, &fact.archive, fact.offset)
}

fn fact(key: &[u8], value: &[u8]) -> Result<Fact, Error> {
    let (fingerprint, key) = read_fact_key(key).ok_or_else(strange)?;
    let value = read_fact_value(value).ok_or_else(strange)?;
    Ok(Fact {
        fingerprint,
        uid: SopInstanceUid::parse(key.uid).map_err(|_| strange())?,
        half: key.half(),
        archive: key.archive.to_owned(),
        version: value.version.map(str::to_owned),
        offset: key.offset,
        length: value.length,
        digest: value.digest,
        crc32c: value.crc32c,
    })
}

fn strange() -> Error {
    failed("the reader's file holds what it did not take in")
}
