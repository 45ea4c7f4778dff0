//! A worker's partitions, by a rule that all readers know, and the pairs of a partition by one grouped
//! read of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use clickhouse::Row;
use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FACTS_MAX, FactReader, PARTITIONS, Pair};
use serde::Serialize;
use tokio::time::Instant;

use crate::log::{ClickHouse, words};
use crate::pass::Pass;

/// A reader that found nothing asks the server no sooner than this: one count.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A reader is heard of so often in its lease.
const BEATS: u32 = 5;
/// While there are pairs, partitions are parted no more often than this.
const HOLD_EVERY: Duration = Duration::from_secs(1);

const ALIVE: &str = "
SELECT worker FROM dcmjoin_reader WHERE at > now64(3) - toIntervalMillisecond(?)
GROUP BY worker HAVING NOT argMax(has_left, (at, has_left)) ORDER BY worker";
const COUNTS: &str = "
SELECT partition, count() FROM dcmjoin_fact WHERE partition IN ? GROUP BY partition
ORDER BY partition";

type Key = (String, u128, String);

#[derive(Row, Serialize)]
struct DoneRow<'a> {
    partition: u16,
    campaign: &'a str,
    fingerprint: u128,
    uid: &'a str,
}

#[derive(Row, Serialize)]
struct BeatRow<'a> {
    worker: &'a str,
    has_left: bool,
}

/// A worker's part.
pub(crate) struct Reader {
    log: ClickHouse,
    worker: String,
    held: Vec<u16>,
    heard: Option<Instant>,
    /// When it last took its partitions.
    held_at: Option<Instant>,
    /// When nothing was found the last time.
    idle_since: Option<Instant>,
    given: BTreeMap<u16, BTreeSet<Key>>,
    /// Read and not given.
    ready: VecDeque<Pair>,
    /// What is being read.
    pass: Option<Pass>,
    /// How many facts a partition had when no more pairs were found in it.
    empty_at: BTreeMap<u16, u64>,
}

impl Reader {
    pub(crate) fn new(log: ClickHouse, worker: &str) -> Self {
        Self {
            log,
            worker: worker.to_owned(),
            held: Vec::new(),
            heard: None,
            held_at: None,
            idle_since: None,
            given: BTreeMap::new(),
            ready: VecDeque::new(),
            pass: None,
            empty_at: BTreeMap::new(),
        }
    }

    async fn beat(&mut self, has_left: bool) -> Result<(), clickhouse::error::Error> {
        let mut insert = self.log.client.insert::<BeatRow<'_>>("dcmjoin_reader").await?;
        insert.write(&BeatRow { worker: &self.worker, has_left }).await?;
        insert.end().await
    }

    /// Says that this worker is alive, and takes every n-th partition of n workers.
    async fn hold(&mut self) -> Result<(), clickhouse::error::Error> {
        let now = Instant::now();
        let every = HOLD_EVERY.min(self.log.lease / BEATS);
        if self.held_at.is_some_and(|at| at + every > now) && !self.ready.is_empty() {
            return Ok(());
        }
        if self.heard.is_none_or(|heard| heard + self.log.lease / BEATS <= now) {
            self.beat(false).await?;
            self.heard = Some(now);
        }
        let lease = u64::try_from(self.log.lease.as_millis()).unwrap_or(u64::MAX);
        let alive = self.log.client.query(ALIVE).bind(lease).fetch_all::<String>().await?;
        let place = alive.iter().position(|worker| *worker == self.worker);
        let mine = |&partition: &u16| place == Some(usize::from(partition) % alive.len().max(1));
        self.held = (0..PARTITIONS).filter(mine).collect();
        self.held_at = Some(now);
        // What was not done is another's now.
        let held = &self.held;
        self.given.retain(|partition, _| held.contains(partition));
        self.empty_at.retain(|partition, _| held.contains(partition));
        self.ready.retain(|pair| held.contains(&pair.partition()));
        self.pass.take_if(|pass| pass.partitions.iter().any(|(at, _)| !held.contains(at)));
        Ok(())
    }

    async fn find(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        self.hold().await.map_err(|error| words(&error))?;
        let mut pairs = Vec::new();
        while pairs.len() < max {
            let Some(pair) = self.ready.pop_front() else {
                // Where facts come all the time, what there is is given before they are read again.
                let is_to_begin = self.pass.is_none() && !pairs.is_empty();
                if !is_to_begin && self.read().await? {
                    continue;
                }
                break;
            };
            if self.given.entry(pair.partition()).or_default().insert(key(&pair)) {
                pairs.push(pair);
            }
        }
        Ok(pairs)
    }

    /// Reads on, or anew where there are new facts. Returns false where nothing is new.
    async fn read(&mut self) -> Result<bool, Error> {
        if self.pass.is_none() {
            self.pass = self.begin().await?;
        }
        let Some(pass) = &mut self.pass else { return Ok(false) };
        if let Some(pairs) = pass.read(&self.log.client).await? {
            self.ready.extend(pairs);
        } else {
            let passed = self.pass.take();
            self.empty_at.extend(passed.into_iter().flat_map(|pass| pass.partitions));
        }
        Ok(true)
    }

    /// Returns what has new facts.
    async fn begin(&self) -> Result<Option<Pass>, Error> {
        if self.held.is_empty() {
            return Ok(None);
        }
        let counts = self.log.client.query(COUNTS).bind(&self.held);
        let counts = counts.fetch_all::<(u16, u64)>().await.map_err(|error| words(&error))?;
        let is_new = |(partition, count): &(u16, u64)| self.empty_at.get(partition) != Some(count);
        let new: Vec<(u16, u64)> = counts.into_iter().filter(is_new).collect();
        Ok((!new.is_empty()).then(|| Pass::new(new)))
    }
}

fn key(pair: &Pair) -> Key {
    let fact = &pair.metadata;
    (pair.campaign.to_string(), fact.fingerprint, fact.uid.to_string())
}

#[async_trait]
impl FactReader for Reader {
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error> {
        if self.idle_since.is_some_and(|since| since.elapsed() < LOOK_EVERY) {
            return Ok(Vec::new());
        }
        let pairs = self.find(max.min(FACTS_MAX)).await?;
        self.idle_since = pairs.is_empty().then(Instant::now);
        Ok(pairs)
    }

    async fn done(&mut self, done: &[Pair]) -> Result<(), Error> {
        if done.is_empty() {
            return Ok(());
        }
        let inserted = async {
            let mut insert = self.log.client.insert::<DoneRow<'_>>("dcmjoin_done").await?;
            for pair in done {
                let row = DoneRow {
                    partition: pair.partition(),
                    campaign: pair.campaign.as_str(),
                    fingerprint: pair.metadata.fingerprint,
                    uid: pair.metadata.uid.as_str(),
                };
                insert.write(&row).await?;
            }
            insert.end().await
        };
        inserted.await.map_err(|error| words(&error))?;
        for pair in done {
            if let Some(given) = self.given.get_mut(&pair.partition()) {
                given.remove(&key(pair));
            }
        }
        Ok(())
    }

    async fn again(&mut self) -> Result<(), Error> {
        self.given.clear();
        self.ready.clear();
        self.pass = None;
        self.empty_at.clear();
        self.idle_since = None;
        Ok(())
    }

    fn partitions(&self) -> Vec<u16> {
        self.held.clone()
    }

    async fn leave(mut self: Box<Self>) -> Result<(), Error> {
        self.beat(true).await.map_err(|error| words(&error))
    }
}
