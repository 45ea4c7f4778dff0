//! Facts as they come, and how they are taken in.
//!
//! Fingerprints are spread evenly, so a fact that goes straight to its place changes a page of its own, which is
//! written twice. Facts are therefore appended as they come, some of a partition in one row, and taken in later: all
//! of a partition that have come by then, in the order of their places. Who asks what there is takes in first; so nobody
//! can tell the difference.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, Transaction, params};
use serde::{Deserialize, Serialize};

use super::names::Numbers;
use super::{NOW, Sqlite, failed, signed};
use crate::error::Error;
use crate::facts::{Fact, PARTITIONS, partition};

/// Facts of one row, at most.
const ROW_FACTS: usize = 1_000;
/// Facts that are taken in by one change, about: others wait for it to end.
const TAKEN_FACTS: usize = 20_000;

/// A fact in a row: some 80 bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Arrived<'a> {
    fingerprint: [u8; 16],
    uid: &'a str,
    half: i64,
    archive: i64,
    version: Option<i64>,
    offset: i64,
    length: i64,
    digest: [u8; 16],
    crc32c: u32,
}

/// What makes a fact the same as another of its instance: half, archive and offset.
type Place = (i64, i64, i64);

impl Arrived<'_> {
    fn place(&self) -> Place {
        (self.half, self.archive, self.offset)
    }
}

/// Facts of a row, with whose they are and when they came.
struct Row {
    campaign: String,
    came: i64,
    facts: Vec<u8>,
}

/// Appends facts of a campaign, which are in the order of their fingerprints.
pub(super) fn append(
    change: &Transaction<'_>,
    campaign: &str,
    facts: &[Fact],
) -> Result<(), Error> {
    let mut numbers = Numbers::of(change, campaign);
    let mut insert = change.prepare_cached(&format!(
        "INSERT INTO arrival (partition, campaign, came, facts) VALUES (?1, ?2, {NOW}, ?3)"
    ))?;
    for facts in facts.chunk_by(|one, other| of(one) == of(other)) {
        for some in facts.chunks(ROW_FACTS) {
            let some = some.iter().map(|fact| arrived(&mut numbers, fact));
            let some: Vec<Arrived<'_>> = some.collect::<Result<_, _>>()?;
            let bytes = postcard::to_allocvec(&some).map_err(|error| failed(&error))?;
            insert.execute(params![of(&facts[0]), campaign, bytes])?;
        }
    }
    Ok(())
}

fn of(fact: &Fact) -> u16 {
    partition(fact.fingerprint)
}

fn arrived<'a>(numbers: &mut Numbers<'_>, fact: &'a Fact) -> Result<Arrived<'a>, Error> {
    Ok(Arrived {
        fingerprint: fact.fingerprint.to_be_bytes(),
        uid: fact.uid.as_str(),
        half: fact.half as i64,
        archive: numbers.number(&fact.archive)?,
        version: fact.version.as_deref().map(|version| numbers.number(version)).transpose()?,
        offset: signed(fact.offset),
        length: signed(fact.length),
        digest: fact.digest.to_be_bytes(),
        crc32c: fact.crc32c,
    })
}

impl Sqlite {
    /// Takes in all that has come, in changes between which others have their turn.
    pub(super) async fn take_in_all(&self) -> Result<(), Error> {
        while self.change(|change| take_in(change, None)).await? {}
        Ok(())
    }
}

/// Takes in what has come to some partitions, or to all, that which came first before the rest. Returns whether more is left.
pub(super) fn take_in(
    change: &Transaction<'_>,
    partitions: Option<&BTreeSet<u16>>,
) -> Result<bool, Error> {
    let mut taken = 0;
    while taken < TAKEN_FACTS {
        let Some(partition) = oldest(change, partitions)? else { return Ok(false) };
        taken += take_in_partition(change, partition, TAKEN_FACTS - taken)?;
    }
    Ok(true)
}

/// Returns the partition to which something came before all others.
fn oldest(
    change: &Transaction<'_>,
    partitions: Option<&BTreeSet<u16>>,
) -> Result<Option<u16>, Error> {
    let mut query = change.prepare_cached("SELECT min(id) FROM arrival WHERE partition = ?1")?;
    let mut first: Option<(i64, u16)> = None;
    for partition in 0..PARTITIONS {
        if partitions.is_some_and(|partitions| !partitions.contains(&partition)) {
            continue;
        }
        let id: Option<i64> = query.query_row([partition], |row| row.get(0))?;
        first = id.map(|id| (id, partition)).into_iter().chain(first).min();
    }
    Ok(first.map(|(_, partition)| partition))
}

/// Takes in facts of a partition, some more than `max` at most; returns how many.
fn take_in_partition(change: &Transaction<'_>, partition: u16, max: usize) -> Result<usize, Error> {
    let (rows, last) = rows(change, partition, max)?;
    let mut facts = Vec::new();
    for row in &rows {
        for fact in read(&row.facts)? {
            facts.push((row, fact));
        }
    }
    // Of the same fact, that which came first stays first.
    facts.sort_by(|one, other| key(one).cmp(&key(other)));
    let mut statements = Statements::of(change)?;
    for instance in facts.chunk_by(|one, other| key(one) == key(other)) {
        statements.take_in(partition, instance)?;
    }
    change
        .prepare_cached("DELETE FROM arrival WHERE partition = ?1 AND id <= ?2")?
        .execute(params![partition, last])?;
    Ok(facts.len())
}

/// Returns the first rows of a partition with about so many facts, and the number of the last of them.
fn rows(change: &Transaction<'_>, partition: u16, max: usize) -> Result<(Vec<Row>, i64), Error> {
    let sql = "SELECT id, campaign, came, facts FROM arrival WHERE partition = ?1 ORDER BY id";
    let mut query = change.prepare_cached(sql)?;
    let mut found = query.query([partition])?;
    let (mut rows, mut last, mut count) = (Vec::new(), 0, 0);
    while count < max
        && let Some(row) = found.next()?
    {
        last = row.get(0)?;
        let facts: Vec<u8> = row.get(3)?;
        count += len(&facts)?;
        rows.push(Row { campaign: row.get(1)?, came: row.get(2)?, facts });
    }
    Ok((rows, last))
}

/// Returns how many facts a row has, which its bytes begin with.
fn len(bytes: &[u8]) -> Result<usize, Error> {
    let (len, _) = postcard::take_from_bytes(bytes).map_err(|error| failed(&error))?;
    Ok(len)
}

fn read(bytes: &[u8]) -> Result<Vec<Arrived<'_>>, Error> {
    postcard::from_bytes(bytes).map_err(|error| failed(&error))
}

fn key<'a>((row, fact): &(&'a Row, Arrived<'a>)) -> (&'a str, [u8; 16], &'a str) {
    (&row.campaign, fact.fingerprint, fact.uid)
}

/// What is said for each instance.
struct Statements<'a> {
    standing: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    pair: CachedStatement<'a>,
    places: Vec<Place>,
}

impl<'a> Statements<'a> {
    fn of(change: &'a Transaction<'a>) -> Result<Self, Error> {
        Ok(Self {
            standing: change.prepare_cached(
                "SELECT half, archive, offset FROM fact
                 WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3",
            )?,
            insert: change.prepare_cached(
                "INSERT INTO fact (campaign, fingerprint, uid, half, archive, offset, version, length,
                     digest, crc32c, came)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            pair: change.prepare_cached(
                "INSERT INTO pair (partition, campaign, fingerprint, uid) VALUES (?1, ?2, ?3, ?4)",
            )?,
            places: Vec::new(),
        })
    }

    /// Takes in facts of one instance. It is a pair from that fact on that brings its second half: there is one such
    /// fact, so a pair comes about once, also where more facts come after it was done.
    fn take_in(&mut self, partition: u16, facts: &[(&Row, Arrived<'_>)]) -> Result<(), Error> {
        let (row, first) = &facts[0];
        self.places.clear();
        let mut rows = self.standing.query(params![row.campaign, first.fingerprint, first.uid])?;
        while let Some(row) = rows.next()? {
            self.places.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
        drop(rows);
        let was_pair = is_pair(&self.places);
        for (row, fact) in facts {
            if self.places.contains(&fact.place()) {
                continue;
            }
            self.places.push(fact.place());
            self.insert.execute(params![
                row.campaign,
                fact.fingerprint,
                fact.uid,
                fact.half,
                fact.archive,
                fact.offset,
                fact.version,
                fact.length,
                fact.digest,
                fact.crc32c,
                row.came,
            ])?;
        }
        if !was_pair && is_pair(&self.places) {
            self.pair.execute(params![partition, row.campaign, first.fingerprint, first.uid])?;
        }
        Ok(())
    }
}

fn is_pair(places: &[Place]) -> bool {
    places.iter().any(|(half, ..)| *half != places[0].0)
}
