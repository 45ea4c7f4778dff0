//! Restores asked for by S3 Batch Operations: a job for the keys of a wave, instead of a call each.
//!
//! A call stays open in the journal until the job's report answers it, or an event does. The report
//! says that a restore was asked for, never that a copy can be read. A key that it names as failed,
//! or does not name, is asked for by a call of its own. So are all keys of a job that cannot be
//! made, is given up, or is not done within [`JOB_SECS_MAX`]; and those of a job that was on its way
//! when the orchestrator ended: the answer 409 then says that their restores run.

use std::collections::{BTreeMap, HashMap};

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::Tier;
use dcmjoin_restore::moment::{DAY, Moment};
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend;
use dcmjoin_restore::task::{Effect, Input, Purpose, Task};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::effects::Due;
use super::{Orchestrator, PAGE};
use crate::aws::control::{Job, JobState};
use crate::error::Error;
use crate::ledger::{Archive, Place, Select};
use crate::spec::Batch;
use crate::spending::Aside;

/// A job that is not done by then is waited for no longer, in seconds.
pub(super) const JOB_SECS_MAX: u64 = DAY;
/// A job is looked at so often, in seconds.
const LOOK_SECS: u64 = 60;
/// The longest manifest, in bytes; what does not fit goes into another job.
const MANIFEST_BYTES_MAX: usize = 48 << 20;

/// What stays of a key in a manifest, which is URL-encoded.
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// What all keys of a job share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    bucket: String,
    tier: Tier,
    days: Option<u32>,
    versions: bool,
}

/// A job in the making.
#[derive(Default)]
struct Draft {
    manifest: String,
    keys: HashMap<i64, u32>,
    costs: BTreeMap<spend::Purpose, Usd>,
}

/// A job on its way.
pub(super) struct Running {
    id: String,
    /// The calls that it is to answer: archives and their tickets.
    keys: HashMap<i64, u32>,
    aside: Aside,
    looked: Moment,
    begun: Moment,
}

impl Orchestrator {
    /// Asks for the restores of a wave's archives in a state.
    pub(super) async fn start_by_batch(
        &mut self,
        batch: &Batch,
        wave: u64,
        state: &str,
    ) -> Result<(), Error> {
        let mut drafts: BTreeMap<Kind, Draft> = BTreeMap::new();
        let (mut after, mut drafted) = (0, Usd::ZERO);
        while self.paused.is_none() {
            let page = self.world.ledger.page(Select::In(wave, state), after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut inputs = Vec::with_capacity(page.len());
            for archive in page {
                if !self.draws_on_budget(&archive, &mut drafted) {
                    break;
                }
                inputs.push((archive, Input::Start));
            }
            let due = self.apply(inputs)?;
            let rest = self.draft(&mut drafts, due);
            self.carry_out(rest).await?;
            let full: Vec<Kind> = drafts
                .iter()
                .filter(|(_, draft)| draft.manifest.len() >= MANIFEST_BYTES_MAX)
                .map(|(kind, _)| kind.clone())
                .collect();
            for kind in full {
                if let Some(draft) = drafts.remove(&kind) {
                    self.begin_job(batch, &kind, draft).await?;
                }
            }
        }
        for (kind, draft) in drafts {
            self.begin_job(batch, &kind, draft).await?;
        }
        self.count(&[])
    }

    /// Returns whether the budget allows an archive's restore beside those that were drafted; the
    /// campaign pauses where it does not.
    fn draws_on_budget(&mut self, archive: &Archive, drafted: &mut Usd) -> bool {
        let policy = &self.spec.policy;
        let tier = policy.tier.within(archive.task.class);
        let costs = self.money.restore(archive.bytes, archive.task.class, tier, Some(policy.days));
        let sum = *drafted + costs.iter().map(|(_, usd)| *usd).sum();
        let affords = self.money.affords(&[(spend::Purpose::Retrieval, sum)]);
        if affords {
            *drafted = sum;
        } else {
            self.paused = Some("the budget does not allow another restore".to_owned());
        }
        affords
    }

    /// Puts calls into jobs; returns what is to be done otherwise. Expedited has no jobs.
    fn draft(&mut self, drafts: &mut BTreeMap<Kind, Draft>, due: Vec<Due>) -> Vec<Due> {
        let mut rest = Vec::new();
        for (archive, effects) in due {
            let mut left = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Request { ticket, purpose: Purpose::Restore, tier, days }
                        if tier != Tier::Expedited =>
                    {
                        let kind = Kind {
                            bucket: archive.place.bucket.clone(),
                            tier,
                            days,
                            versions: archive.place.version.is_some(),
                        };
                        let costs =
                            self.money.restore(archive.bytes, archive.task.class, tier, days);
                        let draft = drafts.entry(kind).or_default();
                        draft.add(&archive, ticket, &costs);
                    }
                    other => left.push(other),
                }
            }
            if !left.is_empty() {
                rest.push((archive, left));
            }
        }
        rest
    }

    /// Makes a job; its keys are asked for one by one where that fails.
    async fn begin_job(&mut self, batch: &Batch, kind: &Kind, draft: Draft) -> Result<(), Error> {
        let Draft { manifest, keys, costs } = draft;
        let count = keys.len() as u64;
        let mut costs: Vec<_> = costs.into_iter().collect();
        costs.push((spend::Purpose::Requests, self.money.job(count)));
        let aside = match self.money.set_aside(&costs) {
            Ok(aside) => aside,
            Err(over) => {
                // The calls stay open in the journal, as those that the budget does not allow.
                self.paused = Some(over.to_string());
                return Ok(());
            }
        };
        match self.make(batch, kind, manifest).await {
            Ok(id) => {
                tracing::info!(keys = count, "a batch job begins");
                let now = self.world.aws.now();
                let job = Running { id, keys, aside, looked: now, begun: now };
                self.jobs.push(job);
                self.count(&[("batch_jobs", 1), ("batch_keys", count)])
            }
            Err(error) => {
                tracing::warn!(%error, keys = count, "no batch job: keys are asked for one by one");
                self.money.settle(aside, Answer::Refused);
                self.answer_rest(keys).await
            }
        }
    }

    async fn make(
        &mut self,
        batch: &Batch,
        kind: &Kind,
        manifest: String,
    ) -> Result<String, Error> {
        self.jobs_made += 1;
        // The time parts campaigns that share a folder.
        let now = self.world.aws.now().epoch_secs();
        let token = format!("{now}-{}-{}", self.lease.epoch, self.jobs_made);
        let key = format!("{}/manifests/{token}.csv", batch.prefix);
        let place = Place { bucket: batch.bucket.clone(), key, version: None };
        let tag = self.world.aws.put(&place, manifest.into_bytes()).await?;
        let job = Job {
            account: batch.account(),
            role: &batch.role,
            token: &token,
            tier: kind.tier.as_aws(),
            days: kind.days,
            versions: kind.versions,
            bucket: &batch.bucket,
            manifest: &place.key,
            tag: &tag,
            reports: &batch.prefix,
        };
        self.world.aws.create_job(&job).await
    }

    /// Looks at the jobs on their way, and takes the reports of those that have ended.
    pub(super) async fn look_at_jobs(&mut self) -> Result<(), Error> {
        let Some(batch) = self.spec.batch.clone() else { return Ok(()) };
        let now = self.world.aws.now();
        for mut job in std::mem::take(&mut self.jobs) {
            if job.looked.plus(LOOK_SECS) > now {
                self.jobs.push(job);
                continue;
            }
            job.looked = now;
            let state = self.world.aws.job_state(batch.account(), &job.id).await;
            let late = job.begun.plus(JOB_SECS_MAX) <= now;
            match state {
                Ok(JobState::Open) | Err(_) if !late => self.jobs.push(job),
                Ok(JobState::Complete | JobState::Failed) => self.end_job(&batch, job).await?,
                Ok(JobState::Open) | Err(_) => {
                    tracing::warn!("a batch job is not done in time");
                    self.count(&[("batch_jobs_late", 1)])?;
                    self.money.settle(job.aside, Answer::Lost);
                    self.answer_rest(job.keys).await?;
                }
            }
        }
        Ok(())
    }

    async fn end_job(&mut self, batch: &Batch, job: Running) -> Result<(), Error> {
        let Running { id, mut keys, aside, .. } = job;
        let mut refused = [Usd::ZERO; 3];
        match self.take_report(batch, &id, &mut keys, &mut refused).await {
            Ok(()) => {}
            Err(error @ Error::Service { .. }) => {
                tracing::warn!(%error, "a batch job's report cannot be read to its end");
            }
            Err(error) => return Err(error),
        }
        // What is not in the report may have been asked for: it is counted as if it had.
        self.money.settle_but(aside, refused);
        self.answer_rest(keys).await
    }

    async fn take_report(
        &mut self,
        batch: &Batch,
        id: &str,
        keys: &mut HashMap<i64, u32>,
        refused: &mut [Usd; 3],
    ) -> Result<(), Error> {
        let aws = std::sync::Arc::clone(&self.world.aws);
        let mut report = aws.report(&batch.bucket, &batch.prefix, id).await?;
        while let Some(rows) = report.next().await? {
            for rows in rows.chunks(PAGE) {
                let mut inputs = Vec::with_capacity(rows.len());
                for (place, answer) in rows {
                    let Some(archive) = self.world.ledger.find(place)? else { continue };
                    let Some(ticket) = keys.remove(&archive.id) else { continue };
                    if !matches!(answer, Answer::Accepted) {
                        self.add_costs(&archive, *answer, refused);
                    }
                    if is_open(&archive.task, ticket) {
                        inputs.push((archive, Input::Answer { ticket, answer: *answer }));
                    }
                }
                let failed = inputs.iter().filter(|(_, input)| !is_success(input)).count() as u64;
                self.count(&[("batch_keys_failed", failed)])?;
                let due = self.apply(inputs)?;
                self.carry_out(due).await?;
            }
        }
        Ok(())
    }

    /// Adds what a key was set aside for, and does not cost.
    fn add_costs(&self, archive: &Archive, answer: Answer, refused: &mut [Usd; 3]) {
        let asked = archive.task.call.map(|call| call.asked);
        let tier = asked.map_or(self.spec.policy.tier, |asked| asked.tier);
        let days = asked.map_or(Some(self.spec.policy.days), |asked| asked.days);
        let costs = self.money.restore(archive.bytes, archive.task.class, tier, days);
        for (at, (sum, (_, usd))) in refused.iter_mut().zip(costs).enumerate() {
            // A copy that was there costs no retrieval.
            if answer != Answer::AlreadyRestored || at == 0 {
                *sum += usd;
            }
        }
    }

    /// Has keys asked for one by one whose call no report answers.
    async fn answer_rest(&mut self, keys: HashMap<i64, u32>) -> Result<(), Error> {
        let mut ids: Vec<(i64, u32)> = keys.into_iter().collect();
        ids.sort_unstable();
        for ids in ids.chunks(PAGE) {
            let mut inputs = Vec::with_capacity(ids.len());
            for (id, ticket) in ids {
                // Numbers are whole: the page after the one before begins with it.
                let page = self.world.ledger.page(Select::Open, id - 1, 1)?;
                let archive = page.into_iter().find(|archive| archive.id == *id);
                if let Some(archive) = archive.filter(|found| is_open(&found.task, *ticket)) {
                    let answer = Answer::ServerError;
                    inputs.push((archive, Input::Answer { ticket: *ticket, answer }));
                }
            }
            let due = self.apply(inputs)?;
            self.carry_out(due).await?;
        }
        Ok(())
    }

    /// Asks for the jobs on their way to be given up, for a campaign that is.
    pub(super) async fn cancel_jobs(&mut self) {
        let Some(batch) = self.spec.batch.clone() else { return };
        for job in std::mem::take(&mut self.jobs) {
            if let Err(error) = self.world.aws.cancel_job(batch.account(), &job.id).await {
                tracing::warn!(%error, "a batch job goes on");
            }
            self.money.settle(job.aside, Answer::Lost);
        }
    }
}

impl Orchestrator {
    /// Leaves jobs to themselves, for an orchestrator that ends: they may do all they were made for.
    pub(super) fn leave_jobs(&mut self) -> Result<(), Error> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        for job in std::mem::take(&mut self.jobs) {
            self.money.settle(job.aside, Answer::Lost);
        }
        self.count(&[])
    }
}

/// Returns whether a call still waits for its answer.
fn is_open(task: &Task, ticket: u32) -> bool {
    task.call.is_some_and(|call| call.ticket == ticket && call.again.is_none())
}

fn is_success(input: &Input) -> bool {
    matches!(input, Input::Answer { answer: Answer::Accepted | Answer::AlreadyRestored, .. })
}

impl Draft {
    fn add(&mut self, archive: &Archive, ticket: u32, costs: &[(spend::Purpose, Usd)]) {
        let Place { bucket, key, version } = &archive.place;
        let key = utf8_percent_encode(key, KEY);
        self.manifest.push_str(&format!("{bucket},{key}"));
        if let Some(version) = version {
            self.manifest.push_str(&format!(",{version}"));
        }
        self.manifest.push('\n');
        self.keys.insert(archive.id, ticket);
        for (purpose, usd) in costs {
            let sum = self.costs.entry(*purpose).or_insert(Usd::ZERO);
            *sum += *usd;
        }
    }
}
