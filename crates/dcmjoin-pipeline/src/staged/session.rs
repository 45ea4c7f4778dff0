//! What a worker holds for the tasks in hand: the headers of one campaign, while they are gathered or
//! once they are sealed. Another campaign's, or another epoch's, take their place when nothing is in
//! hand any more, so that memory is parted once.

use std::sync::Arc;

use dcmjoin_ledger::tasks::{Claim, Stage};
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::Stores;

use super::assemble::{append_open, is_late};
use super::settings::CampaignSettings;
use super::work::WorkError;
use crate::config::{RunConfig, Source};
use crate::error::RunError;
use crate::local::{self, HeaderWorker, ImageWorker, Scanned};
use crate::progress::Progress;
use crate::report::Report;

/// URLs that are asked for at once.
const PAGE: usize = 10_000;

/// What sessions are made of.
pub(super) struct Means {
    pub(super) stores: Arc<Stores>,
    pub(super) tasks: Arc<dyn TaskStore>,
    pub(super) facts: Option<Arc<dyn FactLog>>,
    pub(super) machine: RunConfig,
    pub(super) progress: Arc<Progress>,
}

/// What is held.
#[derive(Default)]
pub(super) enum Session {
    /// Nothing.
    #[default]
    None,
    /// Headers that are being gathered.
    Headers { campaign: CampaignName, worker: Arc<HeaderWorker>, is_late: bool },
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
                let worker = Arc::new(means.headers(&campaign).await?);
                let is_late = is_late(&*means.tasks, &campaign).await?;
                Ok(Self::Headers { campaign, worker, is_late })
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
                let urls = means.urls(&campaign, Stage::Metadata).await?;
                let worker = Arc::new(gathered.seal(&urls).await?);
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
            Self::Headers { worker, is_late, .. } => Held::Headers(Arc::clone(worker), *is_late),
            Self::Images { worker, .. } => Held::Images(Arc::clone(worker)),
            Self::None | Self::Close => Held::Nothing,
        };
        async move {
            let (scanned, known) = match held {
                Held::Nothing => return means.close(&claim.campaign).await.map(Ended::Closed),
                Held::Headers(worker, is_late) => {
                    let scanned = worker.scan(&claim.url).await?;
                    let wanted = is_late && means.facts.is_some();
                    (scanned, if wanted { worker.known(&claim.url).await? } else { None })
                }
                Held::Images(worker) => {
                    let scanned = worker.scan(&claim.url).await?;
                    let wanted = means.facts.is_some();
                    (scanned, if wanted { worker.known(&claim.url).await? } else { None })
                }
            };
            if let (Some(facts), Some(known)) = (&means.facts, known) {
                append_open(&**facts, &claim.campaign, &known).await?;
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

impl Means {
    async fn headers(&self, campaign: &CampaignName) -> Result<HeaderWorker, WorkError> {
        let config = self.config(campaign).await?;
        Ok(HeaderWorker::begin(&self.stores, config, Arc::clone(&self.progress)).await?)
    }

    /// Returns the configuration of a campaign on this machine.
    pub(super) async fn config(&self, campaign: &CampaignName) -> Result<RunConfig, WorkError> {
        let campaigns = self.tasks.campaigns().await?;
        let found = campaigns.iter().find(|found| found.name == *campaign);
        let gone = || RunError::Internal("a task's campaign is not there".to_owned());
        Ok(CampaignSettings::read(found.ok_or_else(gone)?)?.on(&self.machine)?)
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
    async fn close(&self, campaign: &CampaignName) -> Result<Box<Report>, WorkError> {
        let mut config = self.config(campaign).await?;
        let listed = |urls: Vec<String>| match urls.is_empty() {
            true => Vec::new(),
            false => vec![Source::Listed(urls.into())],
        };
        config.metadata = listed(self.urls(campaign, Stage::Metadata).await?);
        config.images = listed(self.urls(campaign, Stage::Images).await?);
        let progress = Arc::clone(&self.progress);
        let (report, _) = local::run_on(&self.stores, config, progress).await?;
        Ok(Box::new(report))
    }
}
