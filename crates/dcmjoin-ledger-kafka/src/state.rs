//! What a reader knows of partitions, in a file that is gone with it and made again from the topics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FACTS_MAX, Fact, FactDepth, Pair};
use dcmjoin_model::{Half, SopInstanceUid};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::follower::Record;
use crate::log::failed;
use crate::message::{FactKey, read_fact_key, read_fact_value, read_pair_key};

/// No file but one: it has no name any more when others would be opened beside it.
const SCHEMA: &str = "
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -65536;
CREATE TABLE IF NOT EXISTS position (
    topic INTEGER, partition INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, partition))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (
    partition INTEGER NOT NULL, campaign TEXT, fingerprint BLOB, uid TEXT, half INTEGER,
    archive TEXT, offset INTEGER, version TEXT, length INTEGER NOT NULL, digest BLOB NOT NULL,
    crc32c INTEGER NOT NULL, came INTEGER NOT NULL, paired INTEGER NOT NULL,
    PRIMARY KEY (campaign, fingerprint, uid, half, archive, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pair (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, campaign TEXT NOT NULL,
    fingerprint BLOB NOT NULL, uid TEXT NOT NULL, whole INTEGER NOT NULL, done INTEGER NOT NULL,
    UNIQUE (campaign, fingerprint, uid));
CREATE INDEX IF NOT EXISTS pair_open ON pair (partition, id) WHERE whole = 1 AND done = 0;
";

const FACT: &str = "fingerprint, uid, half, archive, offset, version, length, digest, crc32c";
const ADD_FACT: &str = "
INSERT OR IGNORE INTO fact VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0)";
const HAS_PARTNER: &str = "
SELECT 1 FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3 AND half <> ?4 LIMIT 1";
const IS_PAIRED: &str =
    "UPDATE fact SET paired = ?4 WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3";
const WHOLE: &str = "
INSERT INTO pair (partition, campaign, fingerprint, uid, whole, done) VALUES (?1, ?2, ?3, ?4, 1, 0)
ON CONFLICT (campaign, fingerprint, uid) DO UPDATE SET whole = 1 WHERE whole = 0";
const IS_DONE: &str = "
INSERT INTO pair (partition, campaign, fingerprint, uid, whole, done) VALUES (?1, ?2, ?3, ?4, 0, ?5)
ON CONFLICT (campaign, fingerprint, uid) DO UPDATE SET done = excluded.done";
const FORGET_FACT: &str = "
DELETE FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3 AND half = ?4
AND archive = ?5 AND offset = ?6";
const BROKEN: &str =
    "UPDATE pair SET whole = 0 WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3";
const MOVE: &str = "
INSERT INTO position VALUES (?1, ?2, ?3)
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next";

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

    /// Takes in what was read of a topic, whole or not at all.
    pub(crate) fn apply(&mut self, topic: Topic, records: &[Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        self.change(|change| {
            let mut positions = BTreeMap::new();
            // In the order of the tables' keys, and those of one key as they came: each page is
            // changed once.
            let mut records: Vec<&Record> = records.iter().collect();
            records.sort_by(|one, other| one.key.cmp(&other.key));
            for record in records {
                match topic {
                    Topic::Halves => take_fact(change, record)?,
                    Topic::Pairs => take_pair(change, record)?,
                }
                let next = positions.entry(record.partition).or_insert(0);
                *next = (record.offset + 1).max(*next);
            }
            for (partition, next) in positions {
                change.prepare_cached(MOVE)?.execute(params![topic as i32, partition, next])?;
            }
            Ok(())
        })
    }

    /// Marks pairs as done before their records come back.
    pub(crate) fn done(&mut self, receipts: &[i64]) -> Result<(), Error> {
        self.change(|change| {
            let mut update = change.prepare_cached("UPDATE pair SET done = 1 WHERE id = ?1")?;
            receipts.iter().try_for_each(|receipt| update.execute([receipt]).map(|_| ()))
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

    /// Returns pairs of partitions that are not done and not among those given.
    pub(crate) fn pairs(
        &self,
        partitions: &BTreeSet<i32>,
        is_given: impl Fn(i64) -> bool,
        max: usize,
    ) -> Result<Vec<Pair>, Error> {
        let mut found = Vec::new();
        let sql = "SELECT id, campaign, fingerprint, uid FROM pair
                   WHERE partition = ?1 AND whole = 1 AND done = 0 ORDER BY id";
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        for partition in partitions {
            let mut rows = query.query([partition]).map_err(failed)?;
            while found.len() < max
                && let Some(row) = rows.next().map_err(failed)?
            {
                let receipt = row.get(0).map_err(failed)?;
                if !is_given(receipt) {
                    found.push(self.pair(receipt, row)?);
                }
            }
        }
        Ok(found)
    }

    fn pair(&self, receipt: i64, row: &Row<'_>) -> Result<Pair, Error> {
        let campaign: String = row.get(1).map_err(failed)?;
        let key: [u8; 16] = row.get(2).map_err(failed)?;
        let uid: String = row.get(3).map_err(failed)?;
        // Of several facts of a half, the one with the smallest digest.
        let sql = format!(
            "SELECT {FACT} FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3
             AND half = ?4 ORDER BY digest, archive, offset LIMIT 1"
        );
        let half = |half: Half| -> Result<Fact, Error> {
            let mut query = self.connection.prepare_cached(&sql).map_err(failed)?;
            query.query_row(params![campaign, key, uid, half as i64], fact).map_err(failed)
        };
        let (metadata, image) = (half(Half::Metadata)?, half(Half::Image)?);
        Ok(Pair { campaign: campaign.parse()?, metadata, image, receipt })
    }

    /// Returns facts without partner that came before a time, in their order.
    pub(crate) fn unpaired(
        &self,
        campaign: &str,
        before: i64,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        self.facts("paired = 0", campaign, before, after, max)
    }

    /// Returns all facts of a campaign, in their order.
    pub(crate) fn all(
        &self,
        campaign: &str,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        self.facts("1", campaign, i64::MAX, after, max)
    }

    fn facts(
        &self,
        which: &str,
        campaign: &str,
        before: i64,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        let sql = format!(
            "SELECT {FACT} FROM fact WHERE campaign = ?1 AND {which} AND came <= ?2
             AND (?3 IS NULL OR (fingerprint, uid, half, archive, offset) > (?3, ?4, ?5, ?6, ?7))
             ORDER BY fingerprint, uid, half, archive, offset LIMIT ?8"
        );
        let mut query = self.connection.prepare_cached(&sql).map_err(failed)?;
        let values = params![
            campaign,
            before,
            after.map(|fact| fact.fingerprint.to_be_bytes()),
            after.map(|fact| fact.uid.as_str()),
            after.map(|fact| fact.half as i64),
            after.map(|fact| fact.archive.as_str()),
            after.map(|fact| signed(fact.offset)),
            signed(max.min(FACTS_MAX) as u64),
        ];
        let rows = query.query_map(values, fact);
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Returns fingerprint and UID of all pairs of a campaign that are done.
    pub(crate) fn done_pairs(&self, campaign: &str) -> Result<Vec<(u128, String)>, Error> {
        let sql = "SELECT fingerprint, uid FROM pair WHERE campaign = ?1 AND done = 1";
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let rows =
            query.query_map([campaign], |row| Ok((u128::from_be_bytes(row.get(0)?), row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(failed)
    }

    pub(crate) fn depth(&self, campaign: &str) -> Result<FactDepth, Error> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE paired = 0),
                       (SELECT count(*) FROM pair WHERE campaign = ?1 AND whole = 1 AND done = 0)
                   FROM fact WHERE campaign = ?1";
        let depth = self.connection.query_row(sql, [campaign], |row| {
            let count = |at| row.get(at).map(unsigned);
            Ok(FactDepth { facts: count(0)?, open: count(1)?, pairs: count(2)? })
        });
        depth.map_err(failed)
    }
}

fn take_fact(change: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let Some((fingerprint, key)) = read_fact_key(&record.key) else { return Ok(()) };
    let print = fingerprint.to_be_bytes();
    let Some(value) = &record.value else { return forget_fact(change, print, &key) };
    let Some(value) = read_fact_value(value) else { return Ok(()) };
    let half = key.half() as i64;
    let added = change.prepare_cached(ADD_FACT)?.execute(params![
        record.partition,
        key.campaign,
        print,
        key.uid,
        half,
        key.archive,
        signed(key.offset),
        value.version,
        signed(value.length),
        value.digest.to_be_bytes(),
        value.crc32c,
        record.time,
    ])?;
    let mut partner = change.prepare_cached(HAS_PARTNER)?;
    if added == 0 || !partner.exists(params![key.campaign, print, key.uid, half])? {
        return Ok(());
    }
    change.prepare_cached(IS_PAIRED)?.execute(params![key.campaign, print, key.uid, 1])?;
    let values = params![record.partition, key.campaign, print, key.uid];
    change.prepare_cached(WHOLE)?.execute(values)?;
    Ok(())
}

fn forget_fact(
    change: &Transaction<'_>,
    print: [u8; 16],
    key: &FactKey<'_>,
) -> rusqlite::Result<()> {
    let half = key.half() as i64;
    let offset = signed(key.offset);
    let values = params![key.campaign, print, key.uid, half, key.archive, offset];
    change.prepare_cached(FORGET_FACT)?.execute(values)?;
    let sql =
        "SELECT 1 FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3 AND half = ?4";
    let mut same = change.prepare_cached(sql)?;
    let values = params![key.campaign, print, key.uid, half];
    if same.query_row(values, |_| Ok(())).optional()?.is_none() {
        change.prepare_cached(IS_PAIRED)?.execute(params![key.campaign, print, key.uid, 0])?;
        change.prepare_cached(BROKEN)?.execute(params![key.campaign, print, key.uid])?;
    }
    Ok(())
}

fn take_pair(change: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let Some((fingerprint, key)) = read_pair_key(&record.key) else { return Ok(()) };
    let print = fingerprint.to_be_bytes();
    let is_done = record.value.is_some();
    let values = params![record.partition, key.campaign, print, key.uid, is_done];
    change.prepare_cached(IS_DONE)?.execute(values)?;
    Ok(())
}

fn fact(row: &Row<'_>) -> rusqlite::Result<Fact> {
    let wrong = |column: &str| rusqlite::Error::InvalidColumnName(column.to_owned());
    let uid = SopInstanceUid::parse(row.get_ref(1)?.as_str()?).map_err(|_| wrong("uid"))?;
    let half: i64 = row.get(2)?;
    Ok(Fact {
        fingerprint: u128::from_be_bytes(row.get(0)?),
        uid,
        half: if half == Half::Metadata as i64 { Half::Metadata } else { Half::Image },
        archive: row.get(3)?,
        offset: row.get(4).map(unsigned)?,
        version: row.get(5)?,
        length: row.get(6).map(unsigned)?,
        digest: u128::from_be_bytes(row.get(7)?),
        crc32c: row.get(8)?,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
