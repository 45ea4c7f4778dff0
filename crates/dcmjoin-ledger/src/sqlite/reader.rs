//! A worker's partitions: leased, at most its share of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dcmjoin_model::Half;
use rusqlite::{Rows, Transaction, params};

use super::facts::{COLUMNS, fact};
use super::names::Names;
use super::{NOW, Sqlite, arrival, failed, millis};
use crate::error::Error;
use crate::facts::{FACTS_MAX, Fact, FactReader, PARTITIONS, Pair};

/// A worker's part.
pub(super) struct Reader {
    log: Sqlite,
    worker: String,
    /// Its partitions, each with the token of its lease.
    held: BTreeMap<u16, i64>,
    /// When it last held them.
    held_at: Option<Instant>,
    given: Arc<HashSet<i64>>,
}

/// While there are pairs, partitions are kept and parted no more often than this.
const HOLD_EVERY: Duration = Duration::from_secs(1);

impl Reader {
    pub(super) fn new(log: Sqlite, worker: &str) -> Self {
        let (worker, held) = (worker.to_owned(), BTreeMap::new());
        Self { log, worker, held, held_at: None, given: Arc::default() }
    }

    fn holds(&self) -> bool {
        self.held_at.is_some_and(|at| at.elapsed() < HOLD_EVERY.min(self.log.lease / 4))
    }

    /// Beats, takes what is free up to this worker's share, and gives back what is above it.
    async fn hold(&mut self) -> Result<(), Error> {
        let (worker, held, now) = (self.worker.clone(), self.held.clone(), Instant::now());
        let lease = millis(self.log.lease);
        self.held = self.log.change(move |change| hold(change, &worker, lease, &held)).await?;
        self.held_at = Some(now);
        Ok(())
    }

    /// Returns pairs of the partitions that it holds; where none is known, of what has come to them.
    async fn find(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        let max = max.min(FACTS_MAX);
        loop {
            let held: BTreeSet<u16> = self.held.keys().copied().collect();
            let given = Arc::clone(&self.given);
            let found = self.log.change(move |change| {
                let known = pairs(change, &held, &given, max)?;
                if !known.is_empty() || max == 0 {
                    return Ok((known, false));
                }
                let is_more = arrival::take_in(change, Some(&held))?;
                Ok((pairs(change, &held, &given, max)?, is_more))
            });
            let (pairs, is_more) = found.await?;
            Arc::make_mut(&mut self.given).extend(pairs.iter().map(|pair| pair.receipt));
            if !pairs.is_empty() || !is_more {
                return Ok(pairs);
            }
            if !self.holds() {
                self.hold().await?;
            }
        }
    }
}

#[async_trait]
impl FactReader for Reader {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        if self.holds() {
            let pairs = self.find(max).await?;
            if !pairs.is_empty() {
                return Ok(pairs);
            }
        }
        self.hold().await?;
        self.find(max).await
    }

    async fn done(&mut self, done: &[Pair]) -> Result<(), Error> {
        let receipts: Vec<i64> = done.iter().map(|pair| pair.receipt).collect();
        let partitions: HashSet<u16> = done.iter().map(Pair::partition).collect();
        let held = self.held.clone();
        let written = receipts.clone();
        let said = self
            .log
            .change(move |change| {
                for partition in partitions {
                    fence(change, partition, held.get(&partition).copied())?;
                }
                let mut delete = change.prepare_cached("DELETE FROM pair WHERE id = ?1")?;
                written.iter().try_for_each(|id| delete.execute([id]).map(|_| ()))?;
                Ok(())
            })
            .await;
        if matches!(said, Err(Error::Fenced)) {
            self.held_at = None;
        }
        said?;
        let given = Arc::make_mut(&mut self.given);
        for receipt in receipts {
            given.remove(&receipt);
        }
        Ok(())
    }

    async fn again(&mut self) -> Result<(), Error> {
        self.given = Arc::default();
        Ok(())
    }

    fn partitions(&self) -> Vec<u16> {
        self.held.keys().copied().collect()
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        let Self { log, worker, held, .. } = *self;
        log.change(move |change| {
            change.execute("DELETE FROM reader WHERE worker = ?1", [worker])?;
            held.iter().try_for_each(|held| give_back(change, *held.0, *held.1))
        })
        .await
    }
}

fn hold(
    change: &Transaction<'_>,
    worker: &str,
    lease: i64,
    held: &BTreeMap<u16, i64>,
) -> Result<BTreeMap<u16, i64>, Error> {
    let mut kept = BTreeMap::new();
    let mut beat = change.prepare_cached(&format!(
        "UPDATE holder SET until = {NOW} + ?3 WHERE partition = ?1 AND token = ?2 AND worker = ?4"
    ))?;
    for (&partition, &token) in held {
        if beat.execute(params![partition, token, lease, worker])? > 0 {
            kept.insert(partition, token);
        }
    }
    let share = share(change, worker, lease)?;
    while kept.len() > share {
        let Some((partition, token)) = kept.pop_last() else { break };
        give_back(change, partition, token)?;
    }
    let mut free = change.prepare_cached(&format!(
        "INSERT INTO holder VALUES (?1, ?2, 1, {NOW} + ?3)
         ON CONFLICT (partition) DO UPDATE SET worker = ?2, token = token + 1, until = {NOW} + ?3
         WHERE worker IS NULL OR until <= {NOW}
         RETURNING token"
    ))?;
    for partition in 0..PARTITIONS {
        if kept.len() >= share {
            break;
        }
        if kept.contains_key(&partition) {
            continue;
        }
        let mut rows = free.query(params![partition, worker, lease])?;
        let token = rows.next()?.map(|row| row.get(0)).transpose()?;
        // The statement is carried out to its end only when it is asked again.
        while rows.next()?.is_some() {}
        if let Some(token) = token {
            kept.insert(partition, token);
        }
    }
    Ok(kept)
}

/// Returns how many partitions a worker may hold: as many as every other one that was heard of.
fn share(change: &Transaction<'_>, worker: &str, lease: i64) -> Result<usize, Error> {
    change.execute(
        &format!(
            "INSERT INTO reader VALUES (?1, {NOW} + ?2)
             ON CONFLICT (worker) DO UPDATE SET until = excluded.until"
        ),
        params![worker, lease],
    )?;
    let sql = format!("SELECT count(*) FROM reader WHERE until > {NOW}");
    let readers: u16 = change.query_row(&sql, [], |row| row.get(0))?;
    Ok(usize::from(PARTITIONS.div_ceil(readers.max(1))))
}

fn give_back(change: &Transaction<'_>, partition: u16, token: i64) -> Result<(), Error> {
    change
        .prepare_cached("UPDATE holder SET worker = NULL WHERE partition = ?1 AND token = ?2")?
        .execute(params![partition, token])?;
    Ok(())
}

fn fence(change: &Transaction<'_>, partition: u16, token: Option<i64>) -> Result<(), Error> {
    let mut query = change.prepare_cached(
        "SELECT 1 FROM holder WHERE partition = ?1 AND token = ?2 AND worker IS NOT NULL",
    )?;
    match token {
        Some(token) if query.exists(params![partition, token])? => Ok(()),
        _ => Err(Error::Fenced),
    }
}

fn pairs(
    change: &Transaction<'_>,
    held: &BTreeSet<u16>,
    given: &HashSet<i64>,
    max: usize,
) -> Result<Vec<Pair>, Error> {
    let (mut found, mut names) = (Vec::new(), Names::of(change));
    let mut query = change.prepare_cached(
        "SELECT id, campaign, fingerprint, uid FROM pair WHERE partition = ?1 ORDER BY id",
    )?;
    let mut facts = change.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM fact WHERE campaign = ?1 AND fingerprint = ?2 AND uid = ?3"
    ))?;
    for &partition in held {
        let mut rows = query.query([partition])?;
        while found.len() < max
            && let Some(row) = rows.next()?
        {
            let receipt: i64 = row.get(0)?;
            if given.contains(&receipt) {
                continue;
            }
            let campaign = row.get_ref(1)?.as_str().unwrap_or_default();
            let values =
                params![campaign, row.get::<_, [u8; 16]>(2)?, row.get_ref(3)?.as_str().ok()];
            let (metadata, image) = halves(&mut facts.query(values)?, &mut names)?;
            found.push(Pair { campaign: campaign.parse()?, metadata, image, receipt });
        }
    }
    Ok(found)
}

/// Returns a fact of each half: of several, the one with the smallest digest.
fn halves(rows: &mut Rows<'_>, names: &mut Names<'_>) -> Result<(Fact, Fact), Error> {
    let mut halves: [Option<Fact>; 2] = [None, None];
    while let Some(row) = rows.next()? {
        let fact = fact(row, names)?;
        let first = &mut halves[usize::from(fact.half == Half::Image)];
        if first.as_ref().is_none_or(|first| place(&fact) < place(first)) {
            *first = Some(fact);
        }
    }
    let [metadata, image] = halves;
    metadata.zip(image).ok_or_else(|| failed(&"a pair lacks a half"))
}

fn place(fact: &Fact) -> (u128, &str, u64) {
    (fact.digest, &fact.archive, fact.offset)
}
