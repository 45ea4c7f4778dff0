//! Facts and pairs as records, many in one: a record costs a client and a broker more than the fact in it does.
//!
//! The key of a record begins with sixteen bytes, and the form follows:
//!
//! | form | sixteen bytes | then | value |
//! |---|---|---|---|
//! | 1 | fingerprint | campaign, UID, of a fact also half, archive and offset | one fact or pair |
//! | 2 | XXH3-128 of the value | campaign | facts of one archive, or pairs |
//! | 3 | zeros | campaign | `forgotten`: what came before in this partition is no more |
//!
//! So a key has one content, and compaction takes nothing that another record does not have. Records of form 1 are
//! read, and no longer written. A record without a value takes one of form 1 back; of form 2 it only frees space,
//! after one of form 3.
//!
//! A reader keeps each fact and pair under its key of form 1. The key of a pair is the beginning of the keys of its
//! facts.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use dcmjoin_ledger::facts::Fact;
use dcmjoin_model::{Half, SopInstanceUid};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::parts::Parts;

/// A record with one fact or pair; and the keys that readers keep.
const SINGLE: u8 = 1;
/// A record with several.
const BATCH: u8 = 2;
/// A record that forgets a campaign in its partition.
const MARK: u8 = 3;
const FORGOTTEN: &[u8] = b"forgotten";

/// Facts or pairs of one record: it stays well below what brokers take, which is a million bytes.
const BATCH_MAX: usize = 256;

/// A record to be sent; without a value it takes back, or frees space.
#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) partition: u16,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Which fact.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactKey<'a> {
    form: u8,
    pub(crate) campaign: &'a str,
    pub(crate) uid: &'a str,
    is_image: bool,
    pub(crate) archive: &'a str,
    pub(crate) offset: u64,
}

/// The rest of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactValue<'a> {
    pub(crate) version: Option<&'a str>,
    pub(crate) length: u64,
    pub(crate) digest: u128,
    pub(crate) crc32c: u32,
}

/// Which pair.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairKey<'a> {
    form: u8,
    pub(crate) campaign: &'a str,
    pub(crate) uid: &'a str,
}

/// Of records with several, and of those that forget.
#[derive(Serialize, Deserialize)]
struct BatchKey<'a> {
    form: u8,
    campaign: &'a str,
}

/// Facts of one archive.
#[derive(Serialize, Deserialize)]
struct FactBatch<'a> {
    is_image: bool,
    #[serde(borrow)]
    archive: &'a str,
    version: Option<&'a str>,
    facts: Vec<BatchFact<'a>>,
}

#[derive(Serialize, Deserialize)]
struct BatchFact<'a> {
    fingerprint: u128,
    uid: &'a str,
    offset: u64,
    length: u64,
    digest: u128,
    crc32c: u32,
}

/// Fingerprints and UIDs of pairs.
#[derive(Serialize, Deserialize)]
struct PairBatch<'a>(#[serde(borrow)] Vec<(u128, &'a str)>);

/// What a record says, by the keys that readers keep.
pub(crate) trait Told {
    /// Something is there.
    fn is(&mut self, key: &[u8], value: &[u8]);
    /// It is no more.
    fn is_not(&mut self, key: &[u8]);
    /// Nothing of a campaign is any more, in the record's partition.
    fn forgets(&mut self, campaign: &str);
}

impl FactKey<'_> {
    pub(crate) fn half(&self) -> Half {
        if self.is_image { Half::Image } else { Half::Metadata }
    }
}

/// Returns facts of a campaign as records.
pub(crate) fn facts_to_items(parts: Parts, campaign: &str, facts: &[Fact]) -> Vec<Item> {
    let mut batches: BTreeMap<_, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        let place = (parts.of(fact.fingerprint), fact.half == Half::Image);
        let archive = (fact.archive.as_str(), fact.version.as_deref());
        batches.entry((place, archive)).or_default().push(fact);
    }
    let mut items = Vec::new();
    for (((partition, is_image), (archive, version)), facts) in batches {
        for facts in facts.chunks(BATCH_MAX) {
            let facts = facts.iter().map(|fact| BatchFact {
                fingerprint: fact.fingerprint,
                uid: fact.uid.as_str(),
                offset: fact.offset,
                length: fact.length,
                digest: fact.digest,
                crc32c: fact.crc32c,
            });
            let batch = FactBatch { is_image, archive, version, facts: facts.collect() };
            items.push(item(partition, campaign, &batch));
        }
    }
    items
}

/// Returns pairs that are done as records, by their keys.
pub(crate) fn done_to_items<'a>(parts: Parts, keys: impl Iterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut batches: BTreeMap<_, Vec<(u128, &str)>> = BTreeMap::new();
    for (fingerprint, key) in keys.filter_map(read_pair_key) {
        let place = (parts.of(fingerprint), key.campaign);
        batches.entry(place).or_default().push((fingerprint, key.uid));
    }
    let mut items = Vec::new();
    for ((partition, campaign), pairs) in batches {
        for pairs in pairs.chunks(BATCH_MAX) {
            items.push(item(partition, campaign, &PairBatch(pairs.to_vec())));
        }
    }
    items
}

fn item(partition: u16, campaign: &str, batch: &impl Serialize) -> Item {
    let value = bytes(batch);
    let key = extend(xxh3_128(&value), &BatchKey { form: BATCH, campaign });
    Item { partition, key, value: Some(value) }
}

/// Returns the record that forgets a campaign in a partition.
pub(crate) fn mark(campaign: &str, partition: u16) -> Item {
    let key = extend(0, &BatchKey { form: MARK, campaign });
    Item { partition, key, value: Some(FORGOTTEN.to_vec()) }
}

/// Returns whether a record has facts or pairs of a campaign.
pub(crate) fn is_of(key: &[u8], campaign: &str) -> bool {
    let read = read_pair_key(key).is_some_and(|(_, key)| key.campaign == campaign);
    read || read_batch_key(key).is_some_and(|key| key.form == BATCH && key.campaign == campaign)
}

/// Tells what a record of facts says; nothing, where it is not of this program.
pub(crate) fn tell_facts(key: &[u8], value: Option<&[u8]>, told: &mut impl Told) {
    if read_fact_key(key).is_some() {
        match value {
            None => told.is_not(key),
            Some(value) if read_fact_value(value).is_some() => told.is(key, value),
            Some(_) => {}
        }
        return;
    }
    let (Some(batch), Some(value)) = (read_batch_key(key), value) else { return };
    let campaign = batch.campaign;
    if batch.form == MARK {
        return told.forgets(campaign);
    }
    let Ok(batch) = postcard::from_bytes::<FactBatch<'_>>(value) else { return };
    let FactBatch { is_image, archive, version, facts } = batch;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for fact in facts {
        let BatchFact { fingerprint, uid, offset, length, digest, crc32c } = fact;
        if SopInstanceUid::parse(uid).is_err() {
            continue;
        }
        key.clear();
        key.extend_from_slice(&fingerprint.to_be_bytes());
        key = put(key, &FactKey { form: SINGLE, campaign, uid, is_image, archive, offset });
        value.clear();
        value = put(value, &FactValue { version, length, digest, crc32c });
        told.is(&key, &value);
    }
}

/// Tells what a record of pairs says; nothing, where it is not of this program.
pub(crate) fn tell_pairs(key: &[u8], value: Option<&[u8]>, told: &mut impl Told) {
    if read_pair_key(key).is_some() {
        match value {
            None => told.is_not(key),
            Some(value) => told.is(key, value),
        }
        return;
    }
    let (Some(batch), Some(value)) = (read_batch_key(key), value) else { return };
    if batch.form == MARK {
        return told.forgets(batch.campaign);
    }
    let Ok(PairBatch(pairs)) = postcard::from_bytes(value) else { return };
    for (fingerprint, uid) in pairs {
        told.is(&pair_key(batch.campaign, fingerprint, uid), &[]);
    }
}

pub(crate) fn pair_key(campaign: &str, fingerprint: u128, uid: &str) -> Vec<u8> {
    extend(fingerprint, &PairKey { form: SINGLE, campaign, uid })
}

fn extend(first: u128, key: &impl Serialize) -> Vec<u8> {
    put(first.to_be_bytes().to_vec(), key)
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    put(Vec::new(), value)
}

fn put(bytes: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("numbers and texts have a form")
}

fn read_batch_key(bytes: &[u8]) -> Option<BatchKey<'_>> {
    let (_, rest) = bytes.split_first_chunk::<16>()?;
    let key: BatchKey<'_> = postcard::from_bytes(rest).ok()?;
    [BATCH, MARK].contains(&key.form).then_some(key)
}

/// Returns the fingerprint that a key begins with.
pub(crate) fn fingerprint(key: &[u8]) -> u128 {
    key.first_chunk().map_or(0, |key| u128::from_be_bytes(*key))
}

/// Returns fingerprint and key of a fact, or nothing where the key is none.
pub(crate) fn read_fact_key(bytes: &[u8]) -> Option<(u128, FactKey<'_>)> {
    let (fingerprint, rest) = bytes.split_first_chunk()?;
    let key: FactKey<'_> = postcard::from_bytes(rest).ok()?;
    let is_known = key.form == SINGLE && SopInstanceUid::parse(key.uid).is_ok();
    is_known.then_some((u128::from_be_bytes(*fingerprint), key))
}

/// Returns how much of a fact's key is the key of its pair.
pub(crate) fn pair_key_len(bytes: &[u8]) -> Option<usize> {
    let (_, rest) = bytes.split_first_chunk::<16>()?;
    let (_, after): (PairKey<'_>, _) = postcard::take_from_bytes(rest).ok()?;
    Some(bytes.len() - after.len())
}

pub(crate) fn read_fact_value(bytes: &[u8]) -> Option<FactValue<'_>> {
    postcard::from_bytes(bytes).ok()
}

/// Returns fingerprint and key of a pair, or of a fact's pair.
pub(crate) fn read_pair_key(bytes: &[u8]) -> Option<(u128, PairKey<'_>)> {
    let (fingerprint, rest) = bytes.split_first_chunk()?;
    let (key, _): (PairKey<'_>, _) = postcard::take_from_bytes(rest).ok()?;
    (key.form == SINGLE).then_some((u128::from_be_bytes(*fingerprint), key))
}
