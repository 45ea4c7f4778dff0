//! Batches of archives through workers: each becomes a task of the store that they share.
//!
//! ```text
//! batch ─► tasks ─► `dcmjoin work` ─► catalogue ─► results
//! ```
//!
//! The store tells when none of the batch's side is open any more; what became of each archive tell the
//! output's catalogue and the archive's own store, as after a run of this process. What no worker has
//! read though it can be read is read here: its task was done before, for other bytes; it is a dead
//! letter; or no URL names it, as those with a version.
//!
//! **A second time.** A task that is there is left alone, so that an orchestrator that goes on waits
//! for the tasks of the one before. Workers do not notice that it was away.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dcmjoin_ledger::tasks::{BATCH_MAX, NewTask, Stage};
use dcmjoin_ledger::{Campaign, CampaignName, TaskStore};
use dcmjoin_model::Half;
use dcmjoin_pipeline::Report;
use dcmjoin_pipeline::config::RANGE_BYTES;
use dcmjoin_pipeline::staged::CampaignSettings;
use dcmjoin_restore::task::ScanResult;

use crate::error::Error;
use crate::kept;
use crate::ledger::{Archive, Place};
use crate::scanner::{Asked, Batch, LocalScanner, Scanned, Scanner, asked};
use crate::trouble::Trouble;
use crate::verdict::{Verdict, weigh};

/// How often the store is asked whether a batch is through.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is told that no worker takes what waits.
const TELL_EVERY: Duration = Duration::from_secs(600);

/// What is asked for an archive besides its ranges: its head, and its file in the catalogue.
const GETS_AN_ARCHIVE: u64 = 4;

/// Workers that share a task store.
pub struct TaskScanner {
    local: LocalScanner,
    tasks: Arc<dyn TaskStore>,
    name: CampaignName,
    stopped: AtomicBool,
}

impl TaskScanner {
    /// Returns a scanner that gives archives to workers, and to `local` what they leave.
    #[must_use]
    pub fn new(local: LocalScanner, tasks: Arc<dyn TaskStore>, name: CampaignName) -> Self {
        Self { local, tasks, name, stopped: AtomicBool::new(false) }
    }

    /// Puts tasks for a batch into the store, those that were given up before once more.
    async fn put(&self, stage: Stage, archives: &[Archive]) -> Result<(), dcmjoin_ledger::Error> {
        let settings = serde_json::to_string(&CampaignSettings::of(self.local.config()));
        let settings =
            settings.map_err(|error| dcmjoin_ledger::Error::Invalid(error.to_string()))?;
        let there = self.tasks.campaigns().await?;
        let is_there =
            |campaign: &Campaign| campaign.name == self.name && campaign.settings == settings;
        if !there.iter().any(is_there) {
            // A priority that a person has set stays.
            let known = there.iter().find(|campaign| campaign.name == self.name);
            let priority = known.map_or(0, |campaign| campaign.priority);
            let campaign = Campaign { name: self.name.clone(), priority, settings };
            self.tasks.put_campaign(&campaign).await?;
        }
        for some in archives.chunks(BATCH_MAX) {
            let task = |archive: &Archive| NewTask {
                stage,
                url: url(&archive.place),
                bytes: archive.bytes,
            };
            let named = |archive: &&Archive| is_plain(&archive.place);
            let tasks: Vec<NewTask> = some.iter().filter(named).map(task).collect();
            self.tasks.add(&self.name, &tasks).await?;
        }
        self.retry_dead(stage, archives).await
    }

    async fn retry_dead(
        &self,
        stage: Stage,
        archives: &[Archive],
    ) -> Result<(), dcmjoin_ledger::Error> {
        let wanted: HashSet<String> = archives.iter().map(|archive| url(&archive.place)).collect();
        let mut after = 0;
        loop {
            let dead = self.tasks.dead(after, BATCH_MAX).await?;
            let Some(last) = dead.last() else { return Ok(()) };
            after = last.id;
            let ours = dead.iter().filter(|letter| {
                letter.campaign == self.name
                    && letter.stage == stage
                    && wanted.contains(&letter.url)
            });
            let ids: Vec<i64> = ours.map(|letter| letter.id).collect();
            if !ids.is_empty() {
                self.tasks.retry(&ids).await?;
            }
        }
    }

    /// Waits until no task of a stage is open, or somebody asks to stop.
    async fn wait(&self, stage: Stage) -> Result<(), dcmjoin_ledger::Error> {
        let mut told = Instant::now();
        while !self.stopped.load(Ordering::Relaxed) {
            let depths = self.tasks.depths().await?;
            let depth = depths
                .into_iter()
                .find(|depth| (&depth.campaign, depth.stage) == (&self.name, stage));
            let (waiting, claimed) =
                depth.map_or((0, 0), |depth| (depth.waiting.tasks, depth.claimed.tasks));
            if waiting + claimed == 0 {
                return Ok(());
            }
            if claimed > 0 {
                told = Instant::now();
            } else if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tracing::warn!(waiting, "no worker takes tasks: start `dcmjoin work scan --wait`");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Returns what became of a batch that workers are through with; reads what they left.
    async fn results(&self, batch: &Batch) -> Scanned {
        let stores = self.local.stores();
        let archives = &batch.archives;
        let verdicts = match self.local.verdicts(&stores, archives).await {
            Ok(verdicts) => verdicts,
            Err(trouble) => return stopped(archives.len(), Some(trouble)),
        };
        let (mut results, mut trouble) = weigh(&verdicts, None);
        if let Some(place) = &self.local.config().keep {
            let keeps = kept::see_to(&stores, place, archives, &mut results).await;
            trouble = trouble.or(keeps);
        }
        let left: Vec<usize> =
            (0..archives.len()).filter(|at| verdicts[*at] == Verdict::Unread).collect();
        let mut asked = asked(&stores);
        archives
            .iter()
            .zip(&verdicts)
            .map(|(archive, verdict)| of_worker(archive.half, *verdict))
            .for_each(|of_worker| asked.add(of_worker));
        if self.stopped.load(Ordering::Relaxed) {
            left.iter().for_each(|at| results[*at] = ScanResult::Stopped);
        } else if !left.is_empty() {
            let archives = left.iter().map(|at| archives[*at].clone()).collect();
            tracing::warn!(
                archives = left.len(),
                "workers have not read all: the rest is read here"
            );
            let read = self.local.scan(Batch { archives, metadata: batch.metadata.clone() }).await;
            left.iter().zip(read.results).for_each(|(at, result)| results[*at] = result);
            asked.add(read.asked);
            trouble = trouble.or(read.trouble);
        }
        Scanned { results, asked, trouble }
    }
}

#[async_trait]
impl Scanner for TaskScanner {
    async fn scan(&self, batch: Batch) -> Scanned {
        self.stopped.store(false, Ordering::Relaxed);
        let Some(first) = batch.archives.first() else { return stopped(0, None) };
        let stage = Stage::from(first.half);
        let through = match self.put(stage, &batch.archives).await {
            Ok(()) => self.wait(stage).await,
            Err(error) => Err(error),
        };
        match through {
            Ok(()) => self.results(&batch).await,
            Err(error) => {
                let trouble = Trouble { reason: format!("the task store: {error}"), passes: true };
                stopped(batch.archives.len(), Some(trouble))
            }
        }
    }

    async fn close(&self, metadata: &[Place], images: &[Place]) -> Result<(Report, Asked), Error> {
        self.local.close(metadata, images).await
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.local.stop();
    }

    fn outlives(&self) -> bool {
        true
    }
}

fn stopped(archives: usize, trouble: Option<Trouble>) -> Scanned {
    let results = vec![ScanResult::Stopped; archives];
    Scanned { results, asked: Asked::default(), trouble }
}

/// Returns what a worker asked of stores for an archive. Workers do not tell: it is taken for a GET a
/// range, and what a run asks besides; and for a PUT an instance, though some may have been there.
fn of_worker(half: Half, verdict: Verdict) -> Asked {
    let Verdict::Read { bytes, halves } = verdict else { return Asked::default() };
    let ranges = (bytes / RANGE_BYTES).max(1);
    match half {
        // A file of the catalogue and a header pack, which is read again for the images.
        Half::Metadata => Asked { gets: ranges + GETS_AN_ARCHIVE, puts: 2 },
        Half::Image => Asked { gets: ranges + GETS_AN_ARCHIVE, puts: halves + 1 },
    }
}

/// Returns a place as workers name it ([`dcmjoin_objects::Object::url`]).
fn url(place: &Place) -> String {
    format!("s3://{}/{}", place.bucket, place.key)
}

/// Returns whether a URL names a place as it is: no version, and nothing in its key that a URL would
/// encode.
fn is_plain(place: &Place) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~=,@:+".contains(&byte);
    place.version.is_none() && place.key.bytes().all(plain)
}
