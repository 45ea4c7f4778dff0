//! A worker's partitions: leased, at most its share of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FACTS_MAX, Fact, FactReader, PARTITIONS, Pair};
use dcmjoin_model::Half;
use tokio_postgres::{Client, Transaction};

use crate::facts::fact;
use crate::session::{Postgres, failed, words};
use crate::values::{limit, seconds};

/// Readers part the partitions one after another.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306083463)";
const COME: &str = "
INSERT INTO reader VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (worker) DO UPDATE SET until = excluded.until";
/// As many as every other one that was heard of.
const SHARE: &str = "
SELECT greatest(count(*), 1) FROM reader WHERE until > clock_timestamp()";
const KEEP: &str = "
UPDATE holder SET until = clock_timestamp() + make_interval(secs => $2)
FROM unnest($3::int2[], $4::int8[]) held (partition, token)
WHERE holder.partition = held.partition AND holder.token = held.token AND holder.worker = $1
RETURNING holder.partition, holder.token";
const TAKE: &str = "
UPDATE holder SET worker = $1, token = token + 1,
    until = clock_timestamp() + make_interval(secs => $2)
WHERE partition IN (
    SELECT partition FROM holder WHERE worker IS NULL OR until <= clock_timestamp()
    ORDER BY partition LIMIT $3)
RETURNING partition, token";
const GIVE_BACK: &str = "
UPDATE holder SET worker = NULL FROM unnest($1::int2[], $2::int8[]) held (partition, token)
WHERE holder.partition = held.partition AND holder.token = held.token";
const LEAVE: &str = "DELETE FROM reader WHERE worker = $1";

/// Held until the transaction ends: nobody takes one of them meanwhile.
const FENCE: &str = "
SELECT 1 FROM holder JOIN unnest($1::int2[], $2::int8[]) held (partition, token)
ON holder.partition = held.partition AND holder.token = held.token
WHERE holder.worker = $3 FOR SHARE OF holder";
const DONE: &str = "DELETE FROM queue WHERE receipt = ANY ($1)";
/// One partition after the other, each in the order of its index, until there are enough.
const FIND: &str = "
SELECT found.receipt FROM unnest($1::int2[]) held (partition) CROSS JOIN LATERAL (
    SELECT receipt FROM queue WHERE queue.partition = held.partition
    AND NOT EXISTS (SELECT 1 FROM unnest($2::int8[]) given WHERE given = receipt)
    ORDER BY receipt LIMIT $3) found
LIMIT $3";
/// Facts are looked up pair by pair, and names fact by fact: `OFFSET 0` keeps the server from reading
/// all of a table whose counts it does not know yet.
const PAIRS: &str = "
SELECT q.receipt, (SELECT name FROM name WHERE id = q.campaign), f.*
FROM queue q CROSS JOIN LATERAL (
    SELECT half, fingerprint, (SELECT name FROM name WHERE id = archive) AS archive_name,
        (SELECT name FROM name WHERE id = version), at, length, crc32c, digest, uid
    FROM fact WHERE campaign = q.campaign AND fingerprint = q.fingerprint AND uid = q.uid
    OFFSET 0) f
WHERE q.receipt = ANY ($1)
ORDER BY q.receipt, f.half, f.digest, f.archive_name COLLATE \"C\", f.at";
/// While there are pairs, partitions are kept and parted no more often than this.
const HOLD_EVERY: Duration = Duration::from_secs(1);

type Held = BTreeMap<i16, i64>;

/// A worker's part.
pub(crate) struct Reader {
    log: Postgres,
    worker: String,
    /// Its partitions, each with the token of its lease.
    held: Held,
    /// When it last held them.
    held_at: Option<Instant>,
    given: HashSet<i64>,
}

impl Reader {
    pub(crate) fn new(log: Postgres, worker: &str) -> Self {
        let (worker, held) = (worker.to_owned(), Held::new());
        Self { log, worker, held, held_at: None, given: HashSet::new() }
    }

    fn holds(&self) -> bool {
        self.held_at.is_some_and(|at| at.elapsed() < HOLD_EVERY.min(self.log.lease / 4))
    }

    async fn hold(&mut self, client: &mut Client) -> Result<(), Error> {
        let (lease, now) = (seconds(self.log.lease), Instant::now());
        let held = hold(client, &self.worker, lease, &self.held).await;
        self.held = held.map_err(|error| words(&error))?;
        self.held_at = Some(now);
        Ok(())
    }

    /// Returns pairs of the partitions that it holds.
    async fn find(&mut self, client: &Client, max: usize) -> Result<Vec<Pair>, Error> {
        let given: Vec<i64> = self.given.iter().copied().collect();
        let partitions: Vec<i16> = self.held.keys().copied().collect();
        let max = limit(max, FACTS_MAX);
        let found = client.query(FIND, &[&partitions, &given, &max]).await;
        let found = found.map_err(|error| words(&error))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let receipts: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
        let pairs = pairs(client, &receipts).await?;
        self.given.extend(receipts);
        Ok(pairs)
    }
}

#[async_trait]
impl FactReader for Reader {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        let log = self.log.clone();
        let mut link = log.link().await?;
        let mut pairs = match self.holds() {
            true => self.find(&link.client, max).await?,
            false => Vec::new(),
        };
        if pairs.is_empty() {
            self.hold(&mut link.client).await?;
            pairs = self.find(&link.client, max).await?;
        }
        link.give_back();
        Ok(pairs)
    }

    async fn done(&mut self, done: &[Pair]) -> Result<(), Error> {
        let receipts: Vec<i64> = done.iter().map(|pair| pair.receipt).collect();
        let partitions: BTreeSet<i16> =
            done.iter().map(|pair| pair.partition().cast_signed()).collect();
        let tokens: Option<Vec<i64>> =
            partitions.iter().map(|partition| self.held.get(partition).copied()).collect();
        let tokens = tokens.ok_or(Error::Fenced)?;
        let partitions: Vec<i16> = partitions.into_iter().collect();
        let mut link = self.log.link().await?;
        let done = async {
            let change = link.client.transaction().await?;
            let fenced = change.query(FENCE, &[&partitions, &tokens, &self.worker]).await?;
            if fenced.len() < partitions.len() {
                return Ok(false);
            }
            change.execute(DONE, &[&receipts]).await?;
            change.commit().await.map(|()| true)
        };
        let is_done = done.await.map_err(|error: tokio_postgres::Error| words(&error))?;
        link.give_back();
        if !is_done {
            self.held_at = None;
            return Err(Error::Fenced);
        }
        for receipt in receipts {
            self.given.remove(&receipt);
        }
        Ok(())
    }

    async fn again(&mut self) -> Result<(), Error> {
        self.given.clear();
        Ok(())
    }

    fn partitions(&self) -> Vec<u16> {
        self.held.keys().map(|partition| partition.cast_unsigned()).collect()
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        let mut link = self.log.link().await?;
        let left = async {
            let change = link.client.transaction().await?;
            change.execute(LOCK, &[]).await?;
            change.execute(LEAVE, &[&self.worker]).await?;
            give_back(&change, &self.held).await?;
            change.commit().await
        };
        left.await.map_err(|error| words(&error))?;
        link.give_back();
        Ok(())
    }
}

/// Beats, gives back what is above this worker's share, and takes what is free up to it.
async fn hold(
    client: &mut Client,
    worker: &str,
    lease: f64,
    held: &Held,
) -> Result<Held, tokio_postgres::Error> {
    let change = client.transaction().await?;
    change.execute(LOCK, &[]).await?;
    change.execute(COME, &[&worker, &lease]).await?;
    let readers: i64 = change.query_one(SHARE, &[]).await?.get(0);
    let share = usize::from(PARTITIONS).div_ceil(readers.unsigned_abs() as usize);
    let (partitions, tokens) = lists(held);
    let kept = change.query(KEEP, &[&worker, &lease, &partitions, &tokens]).await?;
    let mut kept: Held = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut surplus = Held::new();
    while kept.len() > share {
        surplus.extend(kept.pop_last());
    }
    if !surplus.is_empty() {
        give_back(&change, &surplus).await?;
    }
    if kept.len() < share {
        let free = limit(share - kept.len(), usize::MAX);
        let taken = change.query(TAKE, &[&worker, &lease, &free]).await?;
        kept.extend(taken.iter().map(|row| (row.get::<_, i16>(0), row.get::<_, i64>(1))));
    }
    change.commit().await?;
    Ok(kept)
}

async fn give_back(change: &Transaction<'_>, held: &Held) -> Result<u64, tokio_postgres::Error> {
    let (partitions, tokens) = lists(held);
    change.execute(GIVE_BACK, &[&partitions, &tokens]).await
}

fn lists(held: &Held) -> (Vec<i16>, Vec<i64>) {
    held.iter().map(|(&partition, &token)| (partition, token)).unzip()
}

/// Returns pairs by their receipts; of several facts of a half, the one with the smallest digest.
async fn pairs(client: &Client, receipts: &[i64]) -> Result<Vec<Pair>, Error> {
    let rows = client.query(PAIRS, &[&receipts]).await.map_err(|error| words(&error))?;
    let mut pairs = Vec::with_capacity(receipts.len());
    for of_one in rows.chunk_by(|one, next| one.get::<_, i64>(0) == next.get::<_, i64>(0)) {
        let facts = of_one.iter().map(|row| fact(row, 2)).collect::<Result<Vec<_>, _>>()?;
        let campaign: &str = of_one[0].get(1);
        pairs.push(Pair {
            campaign: campaign.parse()?,
            metadata: first(&facts, Half::Metadata)?,
            image: first(&facts, Half::Image)?,
            receipt: of_one[0].get(0),
        });
    }
    Ok(pairs)
}

fn first(facts: &[Fact], half: Half) -> Result<Fact, Error> {
    let found = facts.iter().find(|fact| fact.half == half).cloned();
    found.ok_or_else(|| failed("a pair lacks a half"))
}
