//! A worker's part: the pairs of what has arrived in the partitions that it holds.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FACTS_MAX, FactReader, Pair, partition};
use tokio_postgres::{Client, Transaction};

use crate::lease::{self, Held};
use crate::look::{ARRIVALS_A_READ, Names, arrivals, pairs};
use crate::session::{Postgres, words};
use crate::values::{Wide, seconds};

/// Those that were not forgotten meanwhile; none can be while the transaction goes on.
const ARE_THERE: &str = "
SELECT id, campaign FROM arrival JOIN unnest($1::int2[], $2::int8[]) of (partition, id)
USING (partition, id) FOR SHARE OF arrival";
const DONE: &str = "
INSERT INTO done SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[]) ON CONFLICT DO NOTHING";
const SPENT: &str = "
DELETE FROM arrival USING unnest($1::int2[], $2::int8[]) spent (partition, id)
WHERE arrival.partition = spent.partition AND arrival.id = spent.id";
/// While there are pairs, partitions are kept and parted no more often than this.
const HOLD_EVERY: Duration = Duration::from_secs(1);

/// How long it looks for more once it has some.
const LOOK_FOR: Duration = Duration::from_millis(100);

/// A worker's part.
pub(crate) struct Reader {
    log: Postgres,
    worker: String,
    held: Held,
    /// When it last held them.
    held_at: Option<Instant>,
    /// What it looked at.
    seen: Seen,
    names: Names,
}

/// Arrivals that were looked at, and are still in the log.
#[derive(Default)]
struct Seen {
    /// By their numbers: the partition, and how many pairs are not done.
    arrivals: HashMap<i64, (i16, usize)>,
    /// What is not done. An arrival whose pair is another's too need not wait for it.
    pairs: HashSet<(String, u128, String)>,
    /// What was not given yet.
    ready: VecDeque<Pair>,
}

impl Seen {
    fn take_in(&mut self, arrivals: impl Iterator<Item = (i64, i16)>, pairs: Vec<Pair>) {
        self.arrivals.extend(arrivals.map(|(id, partition)| (id, (partition, 0))));
        for pair in pairs {
            if self.pairs.insert(key(&pair))
                && let Some((_, left)) = self.arrivals.get_mut(&pair.receipt)
            {
                *left += 1;
                self.ready.push_back(pair);
            }
        }
    }

    fn forget(&mut self, done: &[Pair]) {
        for pair in done {
            if self.pairs.remove(&key(pair))
                && let Some((_, left)) = self.arrivals.get_mut(&pair.receipt)
            {
                *left = left.saturating_sub(1);
            }
        }
    }

    fn keep(&mut self, is_kept: impl Fn(i16) -> bool) {
        self.arrivals.retain(|_, &mut (at, _)| is_kept(at));
        self.pairs.retain(|&(_, print, _)| is_kept(partition(print).cast_signed()));
        self.ready.retain(|pair| is_kept(pair.partition().cast_signed()));
    }

    /// Returns arrivals of which nothing is left, once so many pairs are done.
    fn spent(&self, done: &[Pair]) -> Vec<(i16, i64)> {
        let mut ending: HashMap<i64, usize> = HashMap::new();
        for pair in done.iter().filter(|pair| self.pairs.contains(&key(pair))) {
            *ending.entry(pair.receipt).or_default() += 1;
        }
        let left = |id: &i64, left: usize| left - ending.get(id).copied().unwrap_or_default();
        let spent = self.arrivals.iter().filter(|&(id, &(_, count))| left(id, count) == 0);
        spent.map(|(&id, &(partition, _))| (partition, id)).collect()
    }
}

fn key(pair: &Pair) -> (String, u128, String) {
    let fact = &pair.metadata;
    (pair.campaign.to_string(), fact.fingerprint, fact.uid.to_string())
}

impl Reader {
    pub(crate) fn new(log: Postgres, worker: &str) -> Self {
        let (worker, held) = (worker.to_owned(), Held::new());
        Self { log, worker, held, held_at: None, seen: Seen::default(), names: Names::default() }
    }

    fn holds(&self) -> bool {
        self.held_at.is_some_and(|at| at.elapsed() < HOLD_EVERY.min(self.log.lease / 4))
    }

    async fn hold(&mut self, client: &mut Client) -> Result<(), Error> {
        let (lease, now) = (seconds(self.log.lease), Instant::now());
        let held = lease::hold(client, &self.worker, lease, &self.held).await;
        let before = std::mem::replace(&mut self.held, held.map_err(|error| words(&error))?);
        self.held_at = Some(now);
        // Where another has it, or had it, what was seen of it is no longer so.
        let held = &self.held;
        self.seen.keep(|partition| before.get(&partition) == held.get(&partition));
        Ok(())
    }

    /// Returns pairs of the partitions that it holds: those that were found soon, where there are some.
    async fn find(&mut self, client: &mut Client, max: usize) -> Result<Vec<Pair>, Error> {
        let partitions: Vec<i16> = self.held.keys().copied().collect();
        let (soon, mut is_all) = (Instant::now() + LOOK_FOR, false);
        while self.seen.ready.len() < max && !is_all {
            if !self.seen.ready.is_empty() && Instant::now() >= soon {
                break;
            }
            let seen: Vec<i64> = self.seen.arrivals.keys().copied().collect();
            let came = arrivals(client, &partitions, &seen).await?;
            is_all = came.len() < ARRIVALS_A_READ as usize;
            let pairs = pairs(client, &mut self.names, &came).await?;
            self.seen.take_in(came.iter().map(|came| (came.id, came.partition)), pairs);
        }
        let given: Vec<Pair> = {
            let count = max.min(self.seen.ready.len());
            self.seen.ready.drain(..count).collect()
        };
        if given.is_empty() && max > 0 {
            self.end_spent(client).await?;
        }
        Ok(given)
    }

    /// Takes arrivals out of the log that have no pair of their own: nobody is going to say that they are done.
    async fn end_spent(&mut self, client: &mut Client) -> Result<(), Error> {
        match self.end(client, &[]).await {
            Err(Error::Fenced) => Ok(()),
            ended => ended,
        }
    }

    /// Says that pairs are done, and takes out of the log what of their arrivals is spent.
    async fn end(&mut self, client: &mut Client, done: &[Pair]) -> Result<(), Error> {
        let spent = self.seen.spent(done);
        if spent.is_empty() && done.is_empty() {
            return Ok(());
        }
        let mut partitions: BTreeSet<i16> = spent.iter().map(|spent| spent.0).collect();
        partitions.extend(done.iter().map(|pair| pair.partition().cast_signed()));
        if partitions.iter().any(|partition| !self.held.contains_key(partition)) {
            return Err(Error::Fenced);
        }
        let ended = async {
            let change = client.transaction().await?;
            if !lease::fence(&change, &self.worker, &self.held, &partitions).await? {
                return Ok(false);
            }
            remember(&change, done).await?;
            let (partitions, ids): (Vec<i16>, Vec<i64>) = spent.iter().copied().unzip();
            change.execute(SPENT, &[&partitions, &ids]).await?;
            change.commit().await.map(|()| true)
        };
        if !ended.await.map_err(|error: tokio_postgres::Error| words(&error))? {
            self.held_at = None;
            return Err(Error::Fenced);
        }
        self.seen.forget(done);
        for (_, id) in spent {
            self.seen.arrivals.remove(&id);
        }
        Ok(())
    }
}

/// Adds pairs to what need not be given again; not those of a campaign that was forgotten.
async fn remember(change: &Transaction<'_>, done: &[Pair]) -> Result<(), tokio_postgres::Error> {
    let receipts: BTreeSet<(i16, i64)> =
        done.iter().map(|pair| (pair.partition().cast_signed(), pair.receipt)).collect();
    let (partitions, ids): (Vec<i16>, Vec<i64>) = receipts.into_iter().unzip();
    let there = change.query(ARE_THERE, &[&partitions, &ids]).await?;
    let there: HashMap<i64, i32> = there.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut rows: Vec<(i32, Wide, &str)> = Vec::with_capacity(done.len());
    for pair in done {
        let fact = &pair.metadata;
        let campaign = there.get(&pair.receipt);
        rows.extend(campaign.map(|&id| (id, Wide(fact.fingerprint), fact.uid.as_str())));
    }
    rows.sort_unstable();
    let (mut campaigns, mut prints, mut uids) = (Vec::new(), Vec::new(), Vec::new());
    for (campaign, print, uid) in rows {
        campaigns.push(campaign);
        prints.push(print);
        uids.push(uid);
    }
    change.execute(DONE, &[&campaigns, &prints, &uids]).await?;
    Ok(())
}

#[async_trait]
impl FactReader for Reader {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        let (log, max) = (self.log.clone(), max.min(FACTS_MAX));
        let mut link = log.link().await?;
        let mut pairs = match self.holds() {
            true => self.find(&mut link.client, max).await?,
            false => Vec::new(),
        };
        if pairs.is_empty() {
            self.hold(&mut link.client).await?;
            pairs = self.find(&mut link.client, max).await?;
        }
        link.give_back();
        Ok(pairs)
    }

    async fn done(&mut self, done: &[Pair]) -> Result<(), Error> {
        if done.is_empty() {
            return Ok(());
        }
        let log = self.log.clone();
        let mut link = log.link().await?;
        let ended = self.end(&mut link.client, done).await;
        if ended.is_ok() {
            link.give_back();
        }
        ended
    }

    async fn again(&mut self) -> Result<(), Error> {
        let log = self.log.clone();
        let mut link = log.link().await?;
        self.end_spent(&mut link.client).await?;
        link.give_back();
        self.seen = Seen::default();
        Ok(())
    }

    fn partitions(&self) -> Vec<u16> {
        self.held.keys().map(|partition| partition.cast_unsigned()).collect()
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        let mut link = self.log.link().await?;
        let left = lease::leave(&mut link.client, &self.worker, &self.held).await;
        left.map_err(|error| words(&error))?;
        link.give_back();
        Ok(())
    }
}
