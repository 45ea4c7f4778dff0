//! What a reader knows of partitions: what came last in memory, the rest in a file that is gone with it and
//! made again from the topics.
//!
//! Records are kept as they came, by their keys. A key begins with the fingerprint, so a partition is a range of
//! keys; then come campaign and UID, which is all of a pair's key, so the facts of an instance are beside
//! each other, and a read in the order of keys has pairs and what is without partner.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::FactDepth;
use rusqlite::{CachedStatement, Connection, Row, Rows, Transaction, params};

use crate::follower::{Follower, Record};
use crate::group::Group;
use crate::log::failed;
use crate::message::{Told, fingerprint, read_pair_key, tell_facts, tell_pairs};
use crate::parts::{Parts, after_all};
use crate::recent::{Recent, Stored};

/// No file but one: it has no name any more when others would be opened beside it. Pages stay in memory up
/// to 8 MiB, and of those that a change touches also what was in them before: at most one a row.
const SCHEMA: &str = "
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -8192;
CREATE TABLE fact (key BLOB PRIMARY KEY, value BLOB NOT NULL, came INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE done (key BLOB PRIMARY KEY) WITHOUT ROWID;
";
const IS_FACT: &str = "INSERT OR IGNORE INTO fact VALUES (?1, ?2, ?3)";
const IS_DONE: &str = "INSERT OR IGNORE INTO done VALUES (?1)";

/// Records that are taken in at once.
const RECORDS_MAX: usize = 64;
/// What came last takes so much at most before it goes to the file, all of it.
const RECENT_BYTES: usize = 48 << 20;
/// Rows of one change of the file.
const ROWS: usize = 1_000;

/// One of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Halves,
    Pairs,
}

impl Topic {
    fn table(self) -> &'static str {
        match self {
            Self::Halves => "fact",
            Self::Pairs => "done",
        }
    }
}

/// What came at once.
pub(crate) struct Came {
    pub(crate) records: usize,
    /// Fingerprints of facts that are new, or come again after long.
    pub(crate) new: Vec<u128>,
}

/// What is to be removed from the file.
#[derive(Default)]
struct Gone {
    keys: Vec<Vec<u8>>,
    /// Campaigns that are forgotten, each in a partition.
    campaigns: Vec<(i32, String)>,
}

/// Takes in what a record says.
struct Taking<'a> {
    topic: Topic,
    parts: Parts,
    partition: i32,
    time: i64,
    recent: &'a mut Recent,
    new: &'a mut Vec<u128>,
    gone: &'a mut Gone,
}

impl Told for Taking<'_> {
    fn is(&mut self, key: &[u8], value: &[u8]) {
        if self.topic == Topic::Pairs {
            return self.recent.add_done(key);
        }
        let fingerprint = fingerprint(key);
        // A range of keys is read as a partition.
        let is_here = i32::from(self.parts.of(fingerprint)) == self.partition;
        if is_here && self.recent.add_fact(key, value, self.time) {
            self.new.push(fingerprint);
        }
    }

    fn is_not(&mut self, key: &[u8]) {
        match self.topic {
            Topic::Halves => self.recent.remove_fact(key),
            Topic::Pairs => self.recent.remove_done(key),
        }
        self.gone.keys.push(key.to_vec());
    }

    fn forgets(&mut self, campaign: &str) {
        let [after, before] = [0, 1].map(|next| self.parts.start(self.partition + next));
        let is_campaigns = |key: &[u8]| is_campaigns(key, campaign);
        match self.topic {
            Topic::Halves => self.recent.remove_facts(&after, &before, is_campaigns),
            Topic::Pairs => self.recent.remove_all_done(&after, &before, is_campaigns),
        }
        self.gone.campaigns.push((self.partition, campaign.to_owned()));
    }
}

/// Facts and pairs of the partitions that were read.
pub(crate) struct State {
    parts: Parts,
    connection: Connection,
    recent: Recent,
    /// Whether there is anything in the file.
    is_put_down: bool,
    /// The offsets to read on from, by topic and partition.
    positions: [BTreeMap<i32, i64>; 2],
}

/// Begins a query.
fn begun<'a>(
    query: &'a mut Option<CachedStatement<'_>>,
    keys: [&[u8]; 2],
) -> Result<Option<Rows<'a>>, Error> {
    query.as_mut().map(|query| query.query(keys)).transpose().map_err(failed)
}

impl State {
    /// Makes an empty state in a folder; its file has no name, so that nothing is left of a
    /// process that is killed.
    pub(crate) fn open(folder: &Path, parts: Parts) -> Result<Self, Error> {
        let file = tempfile::Builder::new().prefix("dcmjoin-facts-").tempfile_in(folder);
        let file = file.map_err(|error| failed(error.kind()))?;
        let connection = Connection::open(file.path()).map_err(failed)?;
        connection.execute_batch(SCHEMA).map_err(failed)?;
        file.close().map_err(|error| failed(error.kind()))?;
        let (recent, positions) = (Recent::default(), Default::default());
        Ok(Self { parts, connection, recent, is_put_down: false, positions })
    }

    /// Returns how keys lie in partitions.
    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }

    /// Returns the offsets to read on from.
    pub(crate) fn positions(&self, topic: Topic) -> &BTreeMap<i32, i64> {
        &self.positions[topic as usize]
    }

    /// Takes in what a topic has, at most [`RECORDS_MAX`]; where there is nothing, what comes first within a time.
    pub(crate) fn follow(
        &mut self,
        topic: Topic,
        follower: &mut Follower,
        wait: Duration,
    ) -> Result<Came, Error> {
        let Self { recent, positions, .. } = self;
        let parts = self.parts;
        let (mut new, mut gone) = (Vec::new(), Gone::default());
        let read = follower.read(RECORDS_MAX, wait, |record| {
            let Record { partition, offset, key, value, time } = *record;
            let mut taking =
                Taking { topic, parts, partition, time, recent, new: &mut new, gone: &mut gone };
            match topic {
                Topic::Halves => tell_facts(key, value, &mut taking),
                Topic::Pairs => tell_pairs(key, value, &mut taking),
            }
            positions[topic as usize].insert(partition, offset + 1);
        });
        if self.is_put_down {
            self.remove(topic, &gone)?;
        }
        self.put_down_when_full()?;
        Ok(Came { records: read?, new })
    }

    /// Removes from the file what is gone. What has come again since is not there yet.
    fn remove(&mut self, topic: Topic, gone: &Gone) -> Result<(), Error> {
        let table = topic.table();
        for (partition, campaign) in &gone.campaigns {
            let (mut after, end) = (self.parts.start(*partition), self.parts.start(partition + 1));
            loop {
                let keys = self.keys(table, &after, &end)?;
                let Some(last) = keys.last() else { break };
                after.clone_from(last);
                let of_campaign = |key: &&Vec<u8>| is_campaigns(key, campaign);
                remove_keys(&mut self.connection, table, keys.iter().filter(of_campaign))?;
            }
        }
        if gone.keys.is_empty() {
            return Ok(());
        }
        remove_keys(&mut self.connection, table, gone.keys.iter())
    }

    /// Returns the next keys of a table.
    fn keys(&self, table: &str, after: &[u8], before: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let sql =
            format!("SELECT key FROM {table} WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3");
        let mut query = self.connection.prepare_cached(&sql).map_err(failed)?;
        let rows = query.query_map(params![after, before, ROWS], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Marks pairs as done, by their keys, before their records come back.
    pub(crate) fn done(&mut self, keys: &[Vec<u8>]) -> Result<(), Error> {
        for key in keys {
            self.recent.add_done(key);
            // That it is done says all: whatever else comes of it, it is not given again.
            self.recent.remove_facts_of(key);
        }
        self.put_down_when_full()
    }

    fn put_down_when_full(&mut self) -> Result<(), Error> {
        if self.recent.bytes() < RECENT_BYTES {
            return Ok(());
        }
        self.put_down()
    }

    /// Puts all of what came last to the file, in the order of keys: each page is changed once.
    fn put_down(&mut self) -> Result<(), Error> {
        let Self { connection, recent, is_put_down, .. } = self;
        *is_put_down = true;
        loop {
            let (mut facts, mut done) = (0, 0);
            change(connection, |change| {
                let mut add = change.prepare_cached(IS_FACT)?;
                for (key, value, came) in recent.facts(&[], None).take(ROWS) {
                    add.execute(params![key, value, came])?;
                    facts += 1;
                }
                let mut add = change.prepare_cached(IS_DONE)?;
                for key in recent.done(&[]).take(ROWS - facts) {
                    add.execute([key])?;
                    done += 1;
                }
                Ok(())
            })?;
            if facts + done == 0 {
                return Ok(());
            }
            recent.remove_first(facts, done);
        }
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
        let mut done = self.query(sql)?;
        let rows = begun(&mut done, [after, before])?;
        let mut done = Done { recent: &self.recent, rows, key: Vec::new() };
        let sql = "SELECT key, value, came FROM fact WHERE key > ?1 AND key < ?2 ORDER BY key";
        let mut query = self.query(sql)?;
        let mut rows = begun(&mut query, [after, before])?;
        let mut recent = self.recent.facts(after, Some(before)).peekable();
        let mut stored = next(&mut rows)?;
        let mut group: Option<Group> = None;
        loop {
            // Of one that is in both, the file tells when it came first.
            let is_recent = match (recent.peek(), &stored) {
                (None, None) => break,
                (Some((key, ..)), Some((at, ..))) if key == at => {
                    recent.next();
                    continue;
                }
                (Some((key, ..)), Some((at, ..))) => key < at,
                (recent, _) => recent.is_some(),
            };
            let taken = match is_recent {
                true => recent.next(),
                false => stored,
            };
            let Some((key, value, came)) = taken else { break };
            if let Some(ended) = group.take_if(|group| !group.has(key))
                && each(ended, &mut done)?.is_break()
            {
                return Ok(());
            }
            match &mut group {
                Some(group) => group.add(key, value, came)?,
                None => group = Some(Group::begin(key, value, came)?),
            }
            if !is_recent {
                stored = next(&mut rows)?;
            }
        }
        if let Some(last) = group {
            let _ = each(last, &mut done)?;
        }
        Ok(())
    }

    /// Returns a query, where there is anything in the file.
    fn query(&self, sql: &str) -> Result<Option<CachedStatement<'_>>, Error> {
        self.is_put_down.then(|| self.connection.prepare_cached(sql)).transpose().map_err(failed)
    }

    pub(crate) fn depth(&self, campaign: &str) -> Result<FactDepth, Error> {
        let mut depth = FactDepth::default();
        self.groups(&[], &after_all(), |group, done| {
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
    recent: &'a Recent,
    /// Those in the file, until all were looked at.
    rows: Option<Rows<'a>>,
    /// The last one of them that was looked at.
    key: Vec<u8>,
}

impl Done<'_> {
    /// Returns whether a pair is done; it comes after those that were asked for before. No pair's key is the
    /// beginning of another one's, so pairs have the order of their facts.
    pub(crate) fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        if self.recent.is_done(key) {
            return Ok(true);
        }
        while let Some(rows) = &mut self.rows
            && self.key.as_slice() < key
        {
            self.key.clear();
            match rows.next().map_err(failed)? {
                Some(row) => self.key.extend_from_slice(blob(row, 0)?),
                None => self.rows = None,
            }
        }
        Ok(self.key == key)
    }
}

/// Returns key, value and time of the next fact.
fn next<'a>(rows: &'a mut Option<Rows<'_>>) -> Result<Option<Stored<'a>>, Error> {
    let row = rows.as_mut().map_or(Ok(None), Rows::next).map_err(failed)?;
    row.map(|row| Ok((blob(row, 0)?, blob(row, 1)?, row.get(2).map_err(failed)?))).transpose()
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], Error> {
    row.get_ref(column).and_then(|value| Ok(value.as_blob()?)).map_err(failed)
}

fn change(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    let change = connection.transaction().map_err(failed)?;
    work(&change).map_err(failed)?;
    change.commit().map_err(failed)
}

fn remove_keys<'a>(
    connection: &mut Connection,
    table: &str,
    mut keys: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<(), Error> {
    change(connection, |change| {
        let mut remove = change.prepare_cached(&format!("DELETE FROM {table} WHERE key = ?1"))?;
        keys.try_for_each(|key| remove.execute([key]).map(|_| ()))
    })
}

/// Returns whether a key of a fact or pair is a campaign's.
fn is_campaigns(key: &[u8], campaign: &str) -> bool {
    read_pair_key(key).is_some_and(|(_, key)| key.campaign == campaign)
}
