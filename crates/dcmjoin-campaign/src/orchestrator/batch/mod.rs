//! Restores asked for by S3 Batch Operations: a job for the keys of a wave, instead of a call each.
//!
//! A call stays open in the journal until the job's report answers it, or an event does. The report
//! says that a restore was asked for, never that a copy can be read. A key that it names as failed,
//! or does not name, is asked for by a call of its own. So are all keys of a job that S3 refuses to
//! make, or that is not done within [`JOB_SECS_MAX`].
//!
//! **A second run** finds the jobs in the journal: one that S3 has not named yet is asked for again
//! with its token, which makes it once; the others are looked at as before.

mod draft;

use std::collections::{BTreeMap, HashMap};

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::moment::{DAY, Moment};
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend;
use dcmjoin_restore::task::{Input, Task};

use super::{Orchestrator, PAGE};
use crate::aws::control::{Job as Request, JobState};
use crate::error::Error;
use crate::job::Job;
use crate::ledger::{Archive, Change, Select};
use crate::spec::Batch;

/// A job that is not done by then is waited for no longer, in seconds.
pub(super) const JOB_SECS_MAX: u64 = DAY;
/// A job that S3 has not named by then is given up, in seconds.
const CREATE_SECS_MAX: u64 = 15 * 60;
/// A job is looked at so often, in seconds.
const LOOK_SECS: u64 = 60;

/// A job on its way.
pub(super) struct Running {
    job: Job,
    looked: Moment,
}

/// What a job was paid for, and does not cost.
type Saved = BTreeMap<spend::Purpose, Usd>;

impl Orchestrator {
    /// Takes up the jobs of the journal; returns the calls that they are to answer.
    pub(super) fn recover_jobs(&mut self) -> Result<HashMap<i64, u32>, Error> {
        let jobs = self.world.ledger.jobs()?;
        let keys = jobs.iter().flat_map(|job| job.keys.iter().copied()).collect();
        self.jobs = jobs.into_iter().map(|job| Running { looked: job.begun, job }).collect();
        Ok(keys)
    }

    /// Has a job made that is in the journal.
    async fn create_job(&mut self, batch: &Batch, mut running: Running) -> Result<(), Error> {
        let job = &mut running.job;
        let request = Request {
            account: batch.account(),
            role: &batch.role,
            token: &job.token,
            tier: job.tier.as_aws(),
            days: job.days,
            versions: job.versions,
            bucket: &batch.bucket,
            manifest: &job.manifest,
            tag: &job.tag,
            reports: &batch.prefix,
        };
        match self.world.aws.create_job(&request).await {
            Ok(Ok(id)) => {
                job.id = Some(id);
                let counts = [("batch_jobs", 1), ("batch_keys", job.keys.len() as u64)];
                let jobs = std::slice::from_ref(&running.job);
                self.write(&Change { jobs, counts: &counts, ..Change::default() })?;
                self.jobs.push(running);
                Ok(())
            }
            Ok(Err(code)) => {
                let keys = job.keys.len();
                tracing::warn!(code, keys, "no batch job: keys are asked for one by one");
                self.end_unmade(running.job).await
            }
            Err(error) => {
                // It may have been made: only the same request, made again, tells.
                tracing::warn!(%error, "a batch job is asked for again");
                self.jobs.push(running);
                Ok(())
            }
        }
    }

    async fn end_unmade(&mut self, job: Job) -> Result<(), Error> {
        let saved = job.costs.iter().copied().collect();
        self.end(job, saved).await
    }

    /// Looks at the jobs on their way, and takes the reports of those that have ended.
    pub(super) async fn look_at_jobs(&mut self) -> Result<(), Error> {
        let Some(batch) = self.spec.batch.clone() else { return Ok(()) };
        let now = self.world.aws.now();
        for mut running in std::mem::take(&mut self.jobs) {
            if running.looked.plus(LOOK_SECS) > now {
                self.jobs.push(running);
                continue;
            }
            running.looked = now;
            self.look_at_job(&batch, running, now).await?;
        }
        Ok(())
    }

    async fn look_at_job(
        &mut self,
        batch: &Batch,
        running: Running,
        now: Moment,
    ) -> Result<(), Error> {
        let begun = running.job.begun;
        let Some(id) = running.job.id.clone() else {
            return match begun.plus(CREATE_SECS_MAX) <= now {
                true => self.end_unmade(running.job).await,
                false => self.create_job(batch, running).await,
            };
        };
        let late = begun.plus(JOB_SECS_MAX) <= now;
        match self.world.aws.job_state(batch.account(), &id).await {
            Ok(JobState::Open) | Err(_) if !late => {
                self.jobs.push(running);
                Ok(())
            }
            Ok(JobState::Complete | JobState::Failed) => {
                self.end_job(batch, &id, running.job).await
            }
            Ok(JobState::Open) | Err(_) => {
                tracing::warn!("a batch job is not done in time");
                self.count(&[("batch_jobs_late", 1)])?;
                self.end(running.job, Saved::new()).await
            }
        }
    }

    async fn end_job(&mut self, batch: &Batch, id: &str, mut job: Job) -> Result<(), Error> {
        let mut keys = std::mem::take(&mut job.keys).into_iter().collect();
        let mut saved = Saved::new();
        match self.take_report(batch, id, &mut keys, &mut saved).await {
            Ok(()) => {}
            Err(error @ Error::Service { .. }) => {
                tracing::warn!(%error, "a batch job's report cannot be read to its end");
            }
            Err(error) => return Err(error),
        }
        // What is not in the report may have been asked for: it is counted as if it had.
        job.keys = keys.into_iter().collect();
        self.end(job, saved).await
    }

    /// Has the keys of a job asked for that no report answers, and forgets it.
    async fn end(&mut self, job: Job, saved: Saved) -> Result<(), Error> {
        self.answer_rest(job.keys).await?;
        self.money.take_back(saved);
        let spend = Some(&self.money.meter);
        self.write(&Change { ended: &[&job.token], spend, ..Change::default() })
    }

    async fn take_report(
        &mut self,
        batch: &Batch,
        id: &str,
        keys: &mut HashMap<i64, u32>,
        saved: &mut Saved,
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
                        self.save(&archive, *answer, saved);
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

    /// Adds what a key was paid for, and does not cost.
    fn save(&self, archive: &Archive, answer: Answer, saved: &mut Saved) {
        let asked = archive.task.call.map(|call| call.asked);
        let tier = asked.map_or(self.spec.policy.tier, |asked| asked.tier);
        let days = asked.map_or(Some(self.spec.policy.days), |asked| asked.days);
        for (purpose, usd) in self.money.restore(archive.bytes, archive.task.class, tier, days) {
            // A copy that was there costs no retrieval.
            if answer != Answer::AlreadyRestored || purpose == spend::Purpose::Retrieval {
                *saved.entry(purpose).or_default() += usd;
            }
        }
    }

    /// Has keys asked for one by one whose call no report answers.
    async fn answer_rest(&mut self, mut ids: Vec<(i64, u32)>) -> Result<(), Error> {
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
    pub(super) async fn cancel_jobs(&mut self) -> Result<(), Error> {
        let Some(batch) = self.spec.batch.clone() else { return Ok(()) };
        for Running { job, .. } in std::mem::take(&mut self.jobs) {
            if let Some(id) = &job.id
                && let Err(error) = self.world.aws.cancel_job(batch.account(), id).await
            {
                tracing::warn!(%error, "a batch job goes on");
            }
            self.write(&Change { ended: &[&job.token], ..Change::default() })?;
        }
        Ok(())
    }
}

/// Returns whether a call still waits for its answer.
fn is_open(task: &Task, ticket: u32) -> bool {
    task.call.is_some_and(|call| call.ticket == ticket && call.again.is_none())
}

fn is_success(input: &Input) -> bool {
    matches!(input, Input::Answer { answer: Answer::Accepted | Answer::AlreadyRestored, .. })
}
