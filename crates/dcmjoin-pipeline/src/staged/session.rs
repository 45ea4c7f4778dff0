//! What a worker holds for the tasks in hand: the headers of one campaign, while they are gathered or
//! once they are sealed. Another campaign's, or another epoch's, take their place when nothing is in
//! hand any more, so that memory is parted once.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcmjoin_ledger::tasks::{Claim, Stage};
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::Stores;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::append::Appender;
use super::assemble::{PAIRS, is_late};
use super::closings::closed;
use super::settings::CampaignSettings;
use super::work::{Drain, WorkError};
use crate::config::{RunConfig, Source};
use crate::error::RunError;
use crate::local::{self, HeaderWorker, ImageWorker, Scanned};
use crate::pair::Headers;
use crate::progress::Progress;
use crate::report::Report;

/// URLs that are asked for at once.
const PAGE: usize = 10_000;

/// How often a closing asks whether pairs are left.
const PAIRS_EVERY: Duration = Duration::from_millis(20);
/// The longest time between two such questions.
const PAIRS_EVERY_MAX: Duration = Duration::from_secs(60);
/// Asking takes at the most one part of so many of the time.
const ASK_SHARE: u32 = 4;

/// What sessions are made of.
pub(super) struct Means {
    pub(super) stores: Arc<Stores>,
    pub(super) tasks: Arc<dyn TaskStore>,
    pub(super) facts: Option<Arc<dyn FactLog>>,
    /// Appends to it.
    pub(super) appender: Option<Appender>,
    pub(super) machine: RunConfig,
    pub(super) progress: Arc<Progress>,
    pub(super) drain: Drain,
    /// Whether this worker both scans and assembles.
    pub(super) parts_memory: bool,
    /// Of a campaign with raw objects, the headers that this worker scanned itself.
    pub(super) scanned: Mutex<Option<(CampaignName, Arc<Headers>)>>,
    /// Whether this worker has pairs in hand.
    pub(super) has_pairs: watch::Sender<bool>,
    /// Facts of images that this worker has appended since it was last told that pairs are wanted.
    pub(super) appended: AtomicUsize,
    /// Told when this worker is to look for pairs now: a batch of them may be there, or a closing waits for the last.
    pub(super) wanted: Notify,
}

/// What is held.
#[derive(Default)]
pub(super) enum Session {
    /// Nothing.
    #[default]
    None,
    /// Headers that are being gathered.
    Headers { campaign: CampaignName, worker: Arc<HeaderWorker>, leaves_facts: bool },
    /// Headers of an epoch.
    Images { campaign: CampaignName, epoch: i64, worker: Arc<ImageWorker> },
    /// What a closing needs it makes itself.
    Close,
}

/// What a task came to.
pub(super) enum Ended {
    Scanned(Scanned),
    Closed(Box<Report>),
}

impl Session {
    /// Returns whether a task can be done with what is held.
    pub(super) fn fits(&self, claim: &Claim) -> bool {
        match (self, claim.stage) {
            (Self::Headers { campaign, .. }, Stage::Metadata) => *campaign == claim.campaign,
            (Self::Images { campaign, epoch, .. }, Stage::Images) => {
                (campaign, *epoch) == (&claim.campaign, claim.epoch)
            }
            // A closing wants all of the memory.
            _ => false,
        }
    }

    /// Returns what a task needs; takes what is held where that serves.
    pub(super) async fn switch(self, means: &Means, claim: &Claim) -> Result<Self, WorkError> {
        let campaign = claim.campaign.clone();
        match claim.stage {
            Stage::Close => Ok(Self::Close),
            Stage::Metadata => {
                drop(self);
                means.set_scanned(None);
                let worker = Arc::new(means.headers(&campaign).await?);
                let leaves_facts = worker.copies() || is_late(&*means.tasks, &campaign).await?;
                Ok(Self::Headers { campaign, worker, leaves_facts })
            }
            Stage::Images => {
                let gathered = match self {
                    Self::Headers { campaign: of, worker, .. } if of == campaign => {
                        Arc::into_inner(worker)
                    }
                    _ => None,
                };
                let gathered = match gathered {
                    Some(gathered) => gathered,
                    None => means.headers(&campaign).await?,
                };
                // Of raw objects the fact log finds the pairs: no other headers are needed.
                let copies = gathered.copies();
                let urls = match copies {
                    true => Vec::new(),
                    false => means.urls(&campaign, Stage::Metadata).await?,
                };
                let worker = Arc::new(gathered.seal(&urls).await?);
                if copies && means.parts_memory {
                    means.set_scanned(Some((campaign.clone(), worker.headers())));
                }
                Ok(Self::Images { campaign, epoch: claim.epoch, worker })
            }
        }
    }

    /// Returns the work of a task that fits.
    pub(super) fn begin(
        &self,
        means: &Arc<Means>,
        claim: &Claim,
    ) -> impl Future<Output = Result<Ended, WorkError>> + Send + 'static {
        let (means, claim) = (Arc::clone(means), claim.clone());
        let held = match self {
            Self::Headers { worker, leaves_facts, .. } => {
                Held::Headers(Arc::clone(worker), *leaves_facts)
            }
            Self::Images { worker, .. } => Held::Images(Arc::clone(worker)),
            Self::None | Self::Close => Held::Nothing,
        };
        async move {
            let copies = held.copies();
            let (scanned, known) = match held {
                Held::Nothing => return means.close(&claim.campaign).await.map(Ended::Closed),
                Held::Headers(worker, leaves_facts) => {
                    let scanned = worker.scan(&claim.url).await?;
                    let wanted = leaves_facts && means.appender.is_some();
                    (scanned, if wanted { worker.known(&claim.url).await? } else { None })
                }
                Held::Images(worker) => {
                    let scanned = worker.scan(&claim.url).await?;
                    let wanted = means.appender.is_some();
                    (scanned, if wanted { worker.known(&claim.url).await? } else { None })
                }
            };
            if let (Some(appender), Some(known)) = (&means.appender, known) {
                let count = appender.append_open(&claim.campaign, known, copies).await?;
                if claim.stage == Stage::Images {
                    means.has_appended(count);
                }
            }
            Ok(Ended::Scanned(scanned))
        }
    }
}

enum Held {
    Headers(Arc<HeaderWorker>, bool),
    Images(Arc<ImageWorker>),
    Nothing,
}

impl Held {
    /// Returns whether the halves of the task's archive are copied.
    fn copies(&self) -> bool {
        match self {
            Self::Headers(worker, _) => worker.copies(),
            Self::Images(worker) => worker.copies(),
            Self::Nothing => false,
        }
    }
}

impl Means {
    async fn headers(&self, campaign: &CampaignName) -> Result<HeaderWorker, WorkError> {
        let config = self.config(campaign).await?;
        Ok(HeaderWorker::begin(&self.stores, config, Arc::clone(&self.progress)).await?)
    }

    /// Returns when an archive takes no room any more, since its facts wait.
    pub(super) async fn has_room(&self) {
        match &self.appender {
            Some(appender) => appender.one_more().await,
            None => std::future::pending().await,
        }
    }

    fn has_appended(&self, images: usize) {
        if self.appended.fetch_add(images, Relaxed) + images >= PAIRS {
            self.appended.store(0, Relaxed);
            self.wanted.notify_one();
        }
    }

    fn set_scanned(&self, scanned: Option<(CampaignName, Arc<Headers>)>) {
        *self.scanned.lock().unwrap_or_else(PoisonError::into_inner) = scanned;
    }

    /// Returns the headers of a campaign that this worker scanned itself, where it still has them.
    pub(super) fn scanned(&self, campaign: &CampaignName) -> Option<Arc<Headers>> {
        let scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        scanned.as_ref().filter(|(of, _)| of == campaign).map(|(_, headers)| Arc::clone(headers))
    }

    /// Returns the configuration of a campaign on this machine.
    pub(super) async fn config(&self, campaign: &CampaignName) -> Result<RunConfig, WorkError> {
        let mut config = self.whole_config(campaign).await?;
        if config.raw.is_some() && self.parts_memory {
            // Scanning and assembling go on side by side.
            config.memory_bytes /= 2;
        }
        Ok(config)
    }

    async fn whole_config(&self, campaign: &CampaignName) -> Result<RunConfig, WorkError> {
        let settings = CampaignSettings::find(&*self.tasks, campaign).await?;
        let config = settings.on(&self.machine, campaign)?;
        if config.raw.is_some() && self.facts.is_none() {
            return Err(RunError::Invalid {
                place: format!("campaign {campaign}"),
                detail: "expected a fact log, which pairs its raw objects, got --no-facts"
                    .to_owned(),
            }
            .into());
        }
        Ok(config)
    }

    async fn urls(&self, campaign: &CampaignName, stage: Stage) -> Result<Vec<String>, WorkError> {
        let mut urls = Vec::new();
        loop {
            let after = urls.last().map(String::as_str);
            let some = self.tasks.urls(campaign, stage, after, PAGE).await?;
            let is_last = some.len() < PAGE;
            urls.extend(some);
            if is_last {
                return Ok(urls);
            }
        }
    }

    /// Accounts for a campaign: a run over all its archives, which finds them committed.
    ///
    /// Of raw objects all pairs are assembled first: what the closing found open it would read from
    /// the archives.
    async fn close(&self, campaign: &CampaignName) -> Result<Box<Report>, WorkError> {
        let mut config = self.whole_config(campaign).await?;
        if config.raw.is_some() {
            self.wait_for_pairs(campaign).await?;
            self.set_scanned(None);
        }
        let listed = |urls: Vec<String>| match urls.is_empty() {
            true => Vec::new(),
            false => vec![Source::Listed(urls.into())],
        };
        config.metadata = listed(self.urls(campaign, Stage::Metadata).await?);
        config.images = listed(self.urls(campaign, Stage::Images).await?);
        let progress = Arc::clone(&self.progress);
        let (report, output) = local::run_on(&self.stores, config, progress).await?;
        closed(&output, campaign, &self.tasks.id().await?, &report).await?;
        Ok(Box::new(report))
    }

    /// Waits until nobody has a pair in hand. While this worker has, nobody need be asked; and to ask may cost the
    /// log more than an answer is worth, so it is asked less often the longer it takes to answer.
    async fn wait_for_pairs(&self, campaign: &CampaignName) -> Result<(), WorkError> {
        let Some(facts) = &self.facts else { return Ok(()) };
        loop {
            let asked = Instant::now();
            if !facts.has_pairs(campaign).await? {
                return Ok(());
            }
            self.wanted.notify_one();
            let wait = (asked.elapsed() * ASK_SHARE).clamp(PAIRS_EVERY, PAIRS_EVERY_MAX);
            self.wait_while(false, wait).await?;
            self.wait_while(true, PAIRS_EVERY_MAX).await?;
        }
    }

    /// Waits while this worker has pairs in hand, or has none; no longer than a time.
    async fn wait_while(&self, has_pairs: bool, time: Duration) -> Result<(), WorkError> {
        let (mut has, until) = (self.has_pairs.subscribe(), Instant::now() + time);
        while *has.borrow_and_update() == has_pairs && Instant::now() < until {
            if self.drain.is_asked() || self.progress.is_stopped() {
                return Err(RunError::Stopped.into());
            }
            let _ = timeout(PAIRS_EVERY, has.changed()).await;
        }
        Ok(())
    }
}
