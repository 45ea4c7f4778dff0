//! What came late: images whose headers were scanned after them. Both leave facts; an assemble worker
//! gets the pairs and publishes each by two ranges, before the campaign is closed.
//!
//! It records nothing: the closing looks at every late pair again, and finds its object standing. So
//! what cannot be read or published here is left to the closing, which says why.
//!
//! In a campaign with raw objects all pairs are made here, of those. What each came to is told beside them before
//! it is done in the log, and the closing takes it from there.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dcmjoin_ledger::facts::{Fact, FactReader, Pair};
use dcmjoin_ledger::tasks::{Depth, Stage};
use dcmjoin_ledger::{CampaignName, TaskStore};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::session::Means;
use super::work::WorkError;
use crate::config::Publish;
use crate::error::RunError;
use crate::local::{Apart, Assembled, HalfPlace, joined, spawn};
use crate::pair::Headers;
use crate::raw::PairRow;

/// Pairs that are asked for at once.
pub(super) const PAIRS: usize = 8_192;
/// Pairs that go to a folder in one task.
const FOLDER_PAIRS: usize = 32;
/// How long it waits at most before it looks for pairs again.
const WAIT: Duration = Duration::from_secs(1);
/// How soon it looks again after it had some: a quarter of the time for which it has had none, at least this.
const WAIT_FIRST: Duration = Duration::from_millis(20);
const IDLE_SHARE: u32 = 4;
/// How long pairs wait where more headers of their campaign are still to be scanned.
const GATHER: Duration = Duration::from_secs(2);
/// Where a look had fewer than these, it waits for more: a log's work is by the batch. A backlog gives more at once.
const BATCH_MIN: usize = PAIRS / 4;
const BATCH_WAIT: Duration = Duration::from_secs(1);

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

    fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Waits, less where it is asked meanwhile.
    async fn sleep(&self, time: Duration) {
        // What nobody waited for is kept for the next one.
        let _ = tokio::time::timeout(time, self.wake.notified()).await;
    }
}

/// Publishes late pairs as they come, until it is asked to stop.
pub(super) async fn assemble(
    means: &Means,
    worker: &str,
    lease: Duration,
    stop: &Stop,
) -> Result<Late, WorkError> {
    let Some(facts) = &means.facts else { return Ok(Late::default()) };
    let reader = facts.join(worker).await?;
    let (published, ahead, late) = (None, Vec::new(), Late::default());
    Assembler { means, lease, stop, reader, published, ahead, had: 0, late }.assemble().await
}

/// Takes pairs from the log, and publishes them. While some are published, the log hears of the ones before
/// and is asked for the next.
struct Assembler<'a> {
    means: &'a Means,
    lease: Duration,
    stop: &'a Stop,
    reader: Box<dyn FactReader>,
    /// Published, and not yet done in the log.
    published: Option<Published>,
    /// Given by the log, and not yet begun.
    ahead: Vec<Pair>,
    /// Pairs that the last look had.
    had: usize,
    late: Late,
}

/// Pairs of a campaign that are in the output.
struct Published {
    apart: Arc<Apart>,
    pairs: Arc<[Pair]>,
    /// How many of them: those that were begun when it was asked to stop.
    begun: usize,
    rows: Vec<PairRow>,
}

/// What a look at the log found.
enum Looked {
    Pairs(Vec<Pair>),
    /// Some of them wait for headers of their campaign.
    Gathering,
}

/// Whose pairs are in hand, and what publishes them.
struct Of {
    campaign: CampaignName,
    apart: Option<Arc<Apart>>,
}

impl Assembler<'_> {
    /// Goes on until it is asked to stop, or cannot; others have its partitions then.
    async fn assemble(mut self) -> Result<Late, WorkError> {
        let ended = self.go_on().await;
        let left = self.reader.leave().await;
        ended?;
        left?;
        Ok(self.late)
    }

    async fn go_on(&mut self) -> Result<(), WorkError> {
        let mut of: Option<Of> = None;
        let mut had = Instant::now();
        while !self.stop.is_asked() {
            let looked = match std::mem::take(&mut self.ahead) {
                ahead if !ahead.is_empty() => Looked::Pairs(ahead),
                _ => {
                    self.settle().await?;
                    self.means.has_pairs.send_replace(false);
                    self.wait_for_more().await;
                    self.look().await?
                }
            };
            let pairs = match looked {
                Looked::Pairs(pairs) if !pairs.is_empty() => pairs,
                Looked::Pairs(_) => {
                    let time = (had.elapsed() / IDLE_SHARE).clamp(WAIT_FIRST, WAIT);
                    self.sleep(time).await;
                    continue;
                }
                Looked::Gathering => {
                    self.stop.sleep(GATHER).await;
                    continue;
                }
            };
            self.means.has_pairs.send_replace(true);
            for pairs in by_campaign(pairs) {
                let campaign = &pairs[0].campaign;
                let held = match of.take() {
                    Some(held) if held.campaign == *campaign => held,
                    // One campaign's memory at a time.
                    _ => {
                        self.settle().await?;
                        let apart = self.means.apart(campaign).await?;
                        Of { campaign: campaign.clone(), apart }
                    }
                };
                if let Some(apart) = &held.apart {
                    self.publish(apart, &pairs).await?;
                } else {
                    self.late.left += pairs.len() as u64;
                    self.done(&pairs).await?;
                }
                of = Some(held);
            }
            had = Instant::now();
        }
        self.settle().await
    }

    /// Asks for pairs. Of several headers of one instance the rule by digest decides, so all that are on their
    /// way must be there before.
    async fn look(&mut self) -> Result<Looked, WorkError> {
        let gathering = self.means.gathering().await?;
        let pairs = self.reader.look(PAIRS).await?;
        self.had = pairs.len();
        if pairs.iter().any(|pair| gathering.contains(&pair.campaign)) {
            self.reader.again().await?;
            return Ok(Looked::Gathering);
        }
        Ok(Looked::Pairs(pairs))
    }

    /// Waits until a batch is worth it, where the last look had few.
    async fn wait_for_more(&mut self) {
        if (1..BATCH_MIN).contains(&std::mem::take(&mut self.had)) {
            self.sleep(BATCH_WAIT).await;
        }
    }

    /// Sleeps, less where this worker has appended a batch's facts or waits for the last pairs.
    async fn sleep(&mut self, time: Duration) {
        tokio::select! {
            () = self.stop.sleep(time) => {}
            () = self.means.wanted.notified() => {}
        }
    }

    /// Publishes pairs of a campaign: all, or those that were begun when it was asked to stop.
    async fn publish(&mut self, apart: &Arc<Apart>, pairs: &Arc<[Pair]>) -> Result<(), WorkError> {
        let (stop, over) = (self.stop, Notify::new());
        let scanned = self.means.scanned(&pairs[0].campaign);
        let publishing = async {
            let came = publish_all(apart, scanned.as_ref(), pairs, stop).await;
            over.notify_one();
            came
        };
        let beside = async {
            self.settle().await?;
            if self.ahead.is_empty()
                && self.had >= BATCH_MIN
                && let Looked::Pairs(pairs) = self.look().await?
            {
                self.ahead = pairs;
            }
            self.beat(&over).await
        };
        let (came, beside) = tokio::join!(publishing, beside);
        let came = came?;
        let (apart, pairs, begun) = (Arc::clone(apart), Arc::clone(pairs), came.len());
        let mut rows = Vec::with_capacity(begun);
        for (assembled, row) in came {
            self.late.count(assembled);
            rows.extend(row);
        }
        self.published = Some(Published { apart, pairs, begun, rows });
        beside
    }

    /// Gives signs of life until all is over.
    async fn beat(&mut self, over: &Notify) -> Result<(), WorkError> {
        let mut beat = tokio::time::interval(self.lease / 3);
        loop {
            tokio::select! {
                () = over.notified() => return Ok(()),
                _ = beat.tick() => { self.reader.look(0).await?; }
            }
        }
    }

    /// Says that what was published is done.
    async fn settle(&mut self) -> Result<(), WorkError> {
        let Some(Published { apart, pairs, begun, rows }) = self.published.take() else {
            return Ok(());
        };
        apart.tell(&rows).await?;
        self.done(&pairs[..begun]).await
    }

    /// Says that pairs are done. Where their partitions have moved, their new owner does them again.
    async fn done(&mut self, pairs: &[Pair]) -> Result<(), WorkError> {
        match self.reader.done(pairs).await {
            // Some may be this worker's still, or again.
            Err(dcmjoin_ledger::Error::Fenced) => {
                self.ahead.clear();
                Ok(self.reader.again().await?)
            }
            done => Ok(done?),
        }
    }
}

/// Parts pairs where another campaign's begin.
fn by_campaign(mut pairs: Vec<Pair>) -> Vec<Arc<[Pair]>> {
    let mut parts = Vec::new();
    while let Some(first) = pairs.first() {
        let same = pairs.iter().take_while(|pair| pair.campaign == first.campaign).count();
        let others = pairs.split_off(same);
        parts.push(std::mem::replace(&mut pairs, others).into());
    }
    parts
}

/// Publishes pairs, several at once; those that are not begun when it is asked to stop stay.
async fn publish_all(
    apart: &Arc<Apart>,
    scanned: Option<&Arc<Headers>>,
    pairs: &Arc<[Pair]>,
    stop: &Stop,
) -> Result<Vec<Came>, RunError> {
    let at_once = if apart.to_folder() { FOLDER_PAIRS } else { 1 };
    let mut came = Vec::with_capacity(pairs.len());
    let mut tasks: JoinSet<Result<Vec<Came>, RunError>> = JoinSet::new();
    for first in (0..pairs.len()).step_by(at_once) {
        if stop.is_asked() {
            break;
        }
        while tasks.len() >= apart.publishing_max() {
            came.extend(joined(tasks.join_next().await)?.into_iter().flatten());
        }
        let some = first..pairs.len().min(first + at_once);
        let publishing = publish(Arc::clone(apart), scanned.cloned(), Arc::clone(pairs), some);
        spawn(&mut tasks, apart.to_folder(), publishing);
    }
    while let Some(done) = tasks.join_next().await {
        came.extend(joined(Some(done))?.into_iter().flatten());
    }
    Ok(came)
}

/// What a pair came to, and its row where it is one of raw objects.
type Came = (Assembled, Option<PairRow>);

async fn publish(
    apart: Arc<Apart>,
    scanned: Option<Arc<Headers>>,
    pairs: Arc<[Pair]>,
    some: Range<usize>,
) -> Result<Vec<Came>, RunError> {
    let mut came = Vec::with_capacity(some.len());
    for pair in &pairs[some] {
        let (metadata, image) = (place(&pair.metadata), place(&pair.image));
        let (uid, scanned) = (&pair.metadata.uid, scanned.as_deref());
        came.push(apart.publish(uid, scanned, &metadata, &image).await?);
    }
    Ok(came)
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

    /// Returns the campaigns whose metadata archives are open.
    async fn gathering(&self) -> Result<HashSet<CampaignName>, WorkError> {
        let depths = self.tasks.depths().await?;
        let open = |depth: &Depth| {
            depth.stage == Stage::Metadata && depth.waiting.tasks + depth.claimed.tasks > 0
        };
        Ok(depths.into_iter().filter(open).map(|depth| depth.campaign).collect())
    }
}

fn place(fact: &Fact) -> HalfPlace<'_> {
    HalfPlace {
        archive: &fact.archive,
        version: fact.version.as_deref(),
        offset: fact.offset,
        length: fact.length,
        crc32c: Some(fact.crc32c),
        digest: Some(fact.digest),
    }
}

impl Late {
    fn count(&mut self, assembled: Assembled) {
        match assembled {
            Assembled::Published | Assembled::AlreadyThere => self.in_output += 1,
            Assembled::Rejected | Assembled::Unreadable => self.left += 1,
        }
    }
}
