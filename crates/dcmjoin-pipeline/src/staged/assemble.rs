//! What came late: images whose headers were scanned after them. Both leave facts; an assemble worker
//! gets the pairs and publishes each by two ranges, before the campaign is closed.
//!
//! It records nothing: the closing looks at every late pair again, and finds its object standing. So
//! what cannot be read or published here is left to the closing, which says why.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use dcmjoin_catalog::{Row, State};
use dcmjoin_index::Fingerprint;
use dcmjoin_ledger::facts::{Fact, Pair};
use dcmjoin_ledger::tasks::{Depth, Stage};
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::session::Means;
use super::work::WorkError;
use crate::catalog::Known;
use crate::config::Publish;
use crate::local::{Apart, Assembled, HalfPlace, joined};

/// Facts of one append.
const APPEND_FACTS: usize = 10_000;
/// Pairs that are asked for at once.
const PAIRS: usize = 256;
/// Pairs that are assembled at once.
const PAIRS_AT_ONCE: usize = 32;
/// How long it waits before it looks for pairs again.
const WAIT: Duration = Duration::from_secs(1);

/// How long pairs wait where more headers of their campaign are still to be scanned.
const GATHER: Duration = Duration::from_secs(2);

/// How many late pairs came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Late {
    /// They are in the output.
    pub in_output: u64,
    /// They are left to the closing.
    pub left: u64,
}

/// Returns whether metadata archives of a campaign are late: some of its images were scanned without them.
pub(super) async fn is_late(
    tasks: &dyn TaskStore,
    campaign: &CampaignName,
) -> Result<bool, WorkError> {
    let depths = tasks.depths().await?;
    let images =
        depths.iter().find(|depth| depth.campaign == *campaign && depth.stage == Stage::Images);
    Ok(images.is_some_and(|images| images.done.tasks > 0))
}

/// Appends the halves of an archive that have no partner yet. Those of a compressed archive cannot be
/// read by range: they are left to the closing.
pub(super) async fn append_open(
    facts: &dyn FactLog,
    campaign: &CampaignName,
    known: &Known,
) -> Result<(), WorkError> {
    if known.is_compressed() {
        return Ok(());
    }
    let mut some = Vec::new();
    for row in known.reader.rows() {
        some.extend(fact_of(known, row.map_err(crate::error::RunError::from)?));
        if some.len() == APPEND_FACTS {
            facts.append(campaign, &some).await?;
            some.clear();
        }
    }
    if !some.is_empty() {
        facts.append(campaign, &some).await?;
    }
    Ok(())
}

fn fact_of(known: &Known, row: Row) -> Option<Fact> {
    if row.state != State::Open || row.header_digest.is_some() {
        return None;
    }
    let archive = known.reader.archive();
    let uid = row.uid?;
    Some(Fact {
        fingerprint: Fingerprint::of(&uid).0,
        uid,
        half: archive.half,
        archive: archive.url.clone(),
        version: archive.version.clone(),
        offset: row.offset,
        length: row.length,
        digest: row.digest?,
        crc32c: row.crc32c?,
    })
}

/// The wish to stop, which wakes who waits.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: AtomicBool,
    wake: Notify,
}

impl Stop {
    pub(super) fn ask(&self) {
        self.asked.store(true, Relaxed);
        self.wake.notify_one();
    }

    /// Waits, less where it is asked meanwhile.
    async fn sleep(&self, time: Duration) {
        // What nobody waited for is kept for the next one.
        let _ = tokio::time::timeout(time, self.wake.notified()).await;
    }
}

/// Publishes late pairs as they come, until it is asked to stop.
pub(super) async fn assemble(means: &Means, worker: &str, stop: &Stop) -> Result<Late, WorkError> {
    let mut late = Late::default();
    let Some(facts) = &means.facts else { return Ok(late) };
    let mut reader = facts.join(worker).await?;
    let mut campaigns: HashMap<CampaignName, Option<Arc<Apart>>> = HashMap::new();
    while !stop.asked.load(Relaxed) {
        let pairs = reader.look(PAIRS).await?;
        if pairs.is_empty() {
            stop.sleep(WAIT).await;
            continue;
        }
        if means.gathers_headers(&pairs).await? {
            reader.again().await?;
            stop.sleep(GATHER).await;
            continue;
        }
        let mut tasks = JoinSet::new();
        for pair in &pairs {
            if !campaigns.contains_key(&pair.campaign) {
                // One campaign's memory at a time.
                campaigns.clear();
                campaigns.insert(pair.campaign.clone(), means.apart(&pair.campaign).await?);
            }
            if tasks.len() >= PAIRS_AT_ONCE {
                late.count(joined(tasks.join_next().await)?);
            }
            let Some(Some(apart)) = campaigns.get(&pair.campaign) else {
                late.left += 1;
                continue;
            };
            let (apart, pair) = (Arc::clone(apart), pair.clone());
            tasks.spawn(async move {
                let (metadata, image) = (place(&pair.metadata), place(&pair.image));
                apart.publish(&pair.metadata.uid, &metadata, &image).await
            });
        }
        while let Some(assembled) = joined(tasks.join_next().await)? {
            late.count(Some(assembled));
        }
        done(&mut *reader, &pairs).await?;
    }
    reader.leave().await?;
    Ok(late)
}

impl Means {
    /// Returns what publishes pairs of a campaign; `None` where it publishes shards, each of which has
    /// all of an archive's late images: those are left to the closing.
    async fn apart(&self, campaign: &CampaignName) -> Result<Option<Arc<Apart>>, WorkError> {
        let config = self.config(campaign).await?;
        if config.publish != Publish::Instances {
            return Ok(None);
        }
        let progress = Arc::clone(&self.progress);
        Ok(Some(Arc::new(Apart::begin(&self.stores, config, progress).await?)))
    }

    /// Returns whether metadata archives of the pairs' campaigns are open: of several headers of one
    /// instance the rule by digest decides, so all that are on their way must be there.
    async fn gathers_headers(&self, pairs: &[Pair]) -> Result<bool, WorkError> {
        let depths = self.tasks.depths().await?;
        let open = |depth: &&Depth| {
            depth.stage == Stage::Metadata && depth.waiting.tasks + depth.claimed.tasks > 0
        };
        let mut open = depths.iter().filter(open);
        Ok(open.any(|depth| pairs.iter().any(|pair| pair.campaign == depth.campaign)))
    }
}

/// Says that pairs are done. Where their partitions have moved, their new owner does them again.
async fn done(
    reader: &mut dyn dcmjoin_ledger::facts::FactReader,
    pairs: &[Pair],
) -> Result<(), WorkError> {
    match reader.done(pairs).await {
        // Some may be this worker's still, or again.
        Err(dcmjoin_ledger::Error::Fenced) => Ok(reader.again().await?),
        done => Ok(done?),
    }
}

fn place(fact: &Fact) -> HalfPlace {
    HalfPlace {
        archive: fact.archive.clone(),
        version: fact.version.clone(),
        offset: fact.offset,
        length: fact.length,
        crc32c: Some(fact.crc32c),
    }
}

impl Late {
    fn count(&mut self, assembled: Option<Assembled>) {
        match assembled {
            Some(Assembled::Published | Assembled::AlreadyThere) => self.in_output += 1,
            Some(Assembled::Rejected | Assembled::Unreadable) => self.left += 1,
            None => {}
        }
    }
}
