//! What a reader knows of partitions, in a file that is gone with it and made again from the topics.
//!
//! Records are kept as they came, by their keys. A key begins with the fingerprint, so a partition is a range of
//! keys; then come campaign and UID, which is all of a pair's key, so the facts of an instance are beside
//! each other, and a read in the order of keys has pairs and what is without partner.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FactDepth, partition};
use rusqlite::{Connection, Rows, Transaction, params};

use crate::follower::Record;
use crate::group::Group;
use crate::log::failed;
use crate::message::{read_fact_key, read_fact_value, read_pair_key};

/// No file but one: it has no name any more when others would be opened beside it. Pages stay in memory up
/// to 32 MiB, and of those that a change touches also what was in them before: at most one a record.
const SCHEMA: &str = "
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -32768;
CREATE TABLE position (
    topic INTEGER, partition INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, partition))
    WITHOUT ROWID;
CREATE TABLE fact (key BLOB PRIMARY KEY, value BLOB NOT NULL, came INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE done (key BLOB PRIMARY KEY) WITHOUT ROWID;
";
const MOVE: &str = "
INSERT INTO position VALUES (?1, ?2, ?3)
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next";
const IS_DONE: &str = "INSERT OR IGNORE INTO done VALUES (?1)";

/// One of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Halves,
    Pairs,
}

/// Facts and pairs of the partitions that were read.
pub(crate) struct State {
    connection: Connection,
}

/// Returns the least key of a partition.
pub(crate) fn start(partition: i32) -> Vec<u8> {
    let Ok(partition @ 0..=63) = u8::try_from(partition) else { return vec![u8::MAX; 17] };
    vec![partition << 2]
}
// The partition is the highest six bits of the fingerprint.
const _: () = assert!(dcmjoin_ledger::facts::PARTITIONS == 64);

impl State {
    /// Makes an empty state in a folder; its file has no name, so that nothing is left of a
    /// process that is killed.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::Builder::new().prefix("dcmjoin-facts-").tempfile_in(folder);
        let file = file.map_err(|error| failed(error.kind()))?;
        let connection = Connection::open(file.path()).map_err(failed)?;
        connection.execute_batch(SCHEMA).map_err(failed)?;
        file.close().map_err(|error| failed(error.kind()))?;
        Ok(Self { connection })
    }

    /// Returns the offsets to read on from.
    pub(crate) fn positions(&self, topic: Topic) -> Result<BTreeMap<i32, i64>, Error> {
        let sql = "SELECT partition, next FROM position WHERE topic = ?1";
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let rows = query.query_map([topic as i32], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Takes in what was read of a topic, whole or not at all; returns the fingerprints of facts that
    /// are new.
    pub(crate) fn apply(&mut self, topic: Topic, records: &[Record]) -> Result<Vec<u128>, Error> {
        let mut new = Vec::new();
        if records.is_empty() {
            return Ok(new);
        }
        self.change(|change| {
            let mut positions = BTreeMap::new();
            // In the order of the tables' keys, and those of one key as they came: each page is
            // changed once.
            let mut records: Vec<&Record> = records.iter().collect();
            records.sort_by(|one, other| one.key.cmp(&other.key));
            for record in records {
                match topic {
                    Topic::Halves => new.extend(take_fact(change, record)?),
                    Topic::Pairs => take_pair(change, record)?,
                }
                let next = positions.entry(record.partition).or_insert(0);
                *next = (record.offset + 1).max(*next);
            }
            for (partition, next) in positions {
                change.prepare_cached(MOVE)?.execute(params![topic as i32, partition, next])?;
            }
            Ok(())
        })?;
        Ok(new)
    }

    /// Marks pairs as done, by their keys, before their records come back.
    pub(crate) fn done(&mut self, keys: &[Vec<u8>]) -> Result<(), Error> {
        self.change(|change| {
            let mut add = change.prepare_cached(IS_DONE)?;
            keys.iter().try_for_each(|key| add.execute([key]).map(|_| ()))
        })
    }

    fn change(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let change = self.connection.transaction().map_err(failed)?;
        work(&change).map_err(failed)?;
        change.commit().map_err(failed)
    }

    /// Calls for each instance with facts after one key and before another, in the order of keys, until it is
    /// told to stop; with it comes what says whether its pair is done.
    pub(crate) fn groups(
        &self,
        after: &[u8],
        before: &[u8],
        mut each: impl FnMut(Group, &mut Done<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT key FROM done WHERE key > ?1 AND key < ?2 ORDER BY key";
        let mut done = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut done = Done::begin(done.query([after, before]).map_err(failed)?);
        let sql = "SELECT key, value, came FROM fact WHERE key > ?1 AND key < ?2 ORDER BY key";
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = query.query([after, before]).map_err(failed)?;
        let mut group: Option<Group> = None;
        while let Some(row) = rows.next().map_err(failed)? {
            let key: &[u8] = row.get_ref(0).and_then(|key| Ok(key.as_blob()?)).map_err(failed)?;
            let value = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
            let came = row.get(2).map_err(failed)?;
            if let Some(ended) = group.take_if(|group| !group.has(key))
                && each(ended, &mut done)?.is_break()
            {
                return Ok(());
            }
            match &mut group {
                Some(group) => group.add(key, value, came)?,
                None => group = Some(Group::begin(key, value, came)?),
            }
        }
        if let Some(last) = group {
            let _ = each(last, &mut done)?;
        }
        Ok(())
    }

    /// Returns fingerprints and keys of a campaign's pairs that are done, after a key, in their order.
    pub(crate) fn done_keys(
        &self,
        campaign: &str,
        after: &[u8],
        max: usize,
    ) -> Result<Vec<(u128, Vec<u8>)>, Error> {
        let sql = "SELECT key FROM done WHERE key > ?1 ORDER BY key";
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = query.query([after]).map_err(failed)?;
        let mut keys = Vec::new();
        while keys.len() < max
            && let Some(row) = rows.next().map_err(failed)?
        {
            let key: Vec<u8> = row.get(0).map_err(failed)?;
            let read = read_pair_key(&key).filter(|(_, read)| read.campaign == campaign);
            if let Some((fingerprint, _)) = read {
                keys.push((fingerprint, key));
            }
        }
        Ok(keys)
    }

    pub(crate) fn depth(&self, campaign: &str) -> Result<FactDepth, Error> {
        let mut depth = FactDepth::default();
        self.groups(&[], &start(i32::MAX), |group, done| {
            if group.is_of(campaign) {
                let facts = group.len() as u64;
                depth.facts += facts;
                match group.is_whole() {
                    true => depth.pairs += u64::from(!done.has(group.pair_key())?),
                    false => depth.open += facts,
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(depth)
    }
}

/// The pairs that are done, beside the facts in the same order: each is looked at once.
pub(crate) struct Done<'a> {
    rows: Rows<'a>,
    /// The last one that was looked at.
    key: Vec<u8>,
    is_over: bool,
}

impl<'a> Done<'a> {
    fn begin(rows: Rows<'a>) -> Self {
        Self { rows, key: Vec::new(), is_over: false }
    }

    /// Returns whether a pair is done; it comes after those that were asked for before. No pair's key is the
    /// beginning of another one's, so pairs have the order of their facts.
    pub(crate) fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        while !self.is_over && self.key.as_slice() < key {
            match self.rows.next().map_err(failed)? {
                None => self.is_over = true,
                Some(row) => {
                    let next = row.get_ref(0).and_then(|key| Ok(key.as_blob()?)).map_err(failed)?;
                    self.key.clear();
                    self.key.extend_from_slice(next);
                }
            }
        }
        Ok(!self.is_over && self.key == key)
    }
}

/// Takes in a fact, or forgets it; returns the fingerprint of one that was not there.
fn take_fact(change: &Transaction<'_>, record: &Record) -> rusqlite::Result<Option<u128>> {
    let Some((fingerprint, _)) = read_fact_key(&record.key) else { return Ok(None) };
    // A range of keys is read as a partition.
    if i32::from(partition(fingerprint)) != record.partition {
        return Ok(None);
    }
    let Some(value) = &record.value else {
        change.prepare_cached("DELETE FROM fact WHERE key = ?1")?.execute([&record.key])?;
        return Ok(None);
    };
    if read_fact_value(value).is_none() {
        return Ok(None);
    }
    let mut add = change.prepare_cached("INSERT OR IGNORE INTO fact VALUES (?1, ?2, ?3)")?;
    let added = add.execute(params![record.key, value, record.time])?;
    Ok((added > 0).then_some(fingerprint))
}

fn take_pair(change: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    if read_pair_key(&record.key).is_none() {
        return Ok(());
    }
    let sql = match record.value {
        Some(_) => IS_DONE,
        None => "DELETE FROM done WHERE key = ?1",
    };
    change.prepare_cached(sql)?.execute([&record.key])?;
    Ok(())
}
