//! Jobs at work, step by step, by the clock.

use s3s::S3Result;

use super::xml::CreateJobRequest;
use super::{
    FAILING_FROM, Failure, JOBS_MAX, Job, Outcome, PREPARE, REPORT, STEP, STEP_TASKS, Status, Task,
    manifest, report,
};
use crate::class::Tier;
use crate::error;
use crate::event::uuid;
use crate::fault::Effect;
use crate::request::Kind;
use crate::restore::Ask;
use crate::restoring::Mood;
use crate::world::{Due, World};

const TOO_MANY_FAILED: Failure =
    Failure { code: "JobFailed", reason: "more than half of the tasks failed" };

impl World {
    /// Serves `CreateJob`; a token that was used before gives the job that it made.
    pub(super) fn create_job(&mut self, request: CreateJobRequest) -> S3Result<String> {
        let token = &request.client_request_token;
        let known = self.jobs.values().find(|job| job.request.client_request_token == *token);
        if let Some(job) = known {
            return if job.request == request {
                Ok(job.id.clone())
            } else {
                Err(error::bad_request("IdempotencyException", "the token was used before"))
            };
        }
        let (tier, days) = check(self, &request)?;
        if self.jobs.len() >= JOBS_MAX {
            return Err(error::bad_request("TooManyRequestsException", "too many jobs"));
        }
        let id = uuid(self.row.draw());
        let job = Job {
            id: id.clone(),
            created: self.now,
            ended: None,
            status: Status::Preparing,
            request,
            tier,
            days,
            bucket: String::new(),
            tasks: Vec::new(),
            outcomes: Vec::new(),
            failed_count: 0,
            failure: None,
            reason: None,
        };
        self.jobs.insert(id.clone(), job);
        self.book.ledger.batch_jobs += 1;
        self.agenda.add(self.now + PREPARE, Due::Job { id: id.clone() });
        Ok(id)
    }

    /// A job's next step is due.
    pub(crate) fn step_job(&mut self, id: &str) {
        let Some(mut job) = self.jobs.remove(id) else { return };
        match job.status {
            Status::Preparing => self.prepare(&mut job),
            Status::Active => self.work(&mut job),
            Status::Completing => {
                report::write(self, &job);
                let status = if job.failure.is_some() { Status::Failed } else { Status::Complete };
                self.end(&mut job, status);
            }
            Status::Suspended | Status::Complete | Status::Cancelled | Status::Failed => {}
        }
        self.jobs.insert(job.id.clone(), job);
    }

    fn prepare(&mut self, job: &mut Job) {
        match manifest::read(self, &job.request.manifest) {
            Ok(listed) => {
                (job.bucket, job.tasks) = (listed.bucket, listed.tasks);
                if job.request.confirmation_required {
                    job.status = Status::Suspended;
                } else {
                    self.activate_job(job);
                }
            }
            Err(failure) => {
                job.failure = Some(failure);
                self.end(job, Status::Failed);
            }
        }
    }

    fn activate_job(&mut self, job: &mut Job) {
        job.status = Status::Active;
        self.agenda.add(self.now + STEP, Due::Job { id: job.id.clone() });
    }

    fn work(&mut self, job: &mut Job) {
        let from = job.outcomes.len();
        let to = job.tasks.len().min(from + STEP_TASKS);
        for at in from..to {
            let outcome = self.work_on(job, &job.tasks[at]);
            job.failed_count += usize::from(!outcome.succeeded());
            job.outcomes.push(outcome);
        }
        let done = job.outcomes.len();
        if done >= FAILING_FROM && job.failed_count * 2 > done {
            job.failure = Some(TOO_MANY_FAILED);
        }
        let (status, wait) = if done == job.tasks.len() || job.failure.is_some() {
            (Status::Completing, REPORT)
        } else {
            (Status::Active, STEP)
        };
        job.status = status;
        self.agenda.add(self.now + wait, Due::Job { id: job.id.clone() });
    }

    /// Asks for one restore. What a key gets is at least one request: a fault makes it two.
    fn work_on(&mut self, job: &Job, task: &Task) -> Outcome {
        self.book.ledger.batch_tasks += 1;
        let fits = |effect: &Effect| effect.fits_task();
        let effect = self.request_faults.strike(Kind::Batch, &task.key, self.now, fits);
        if let Some(effect) = &effect {
            self.book.fault(effect.name());
        }
        if matches!(effect, Some(Effect::AccessDenied)) {
            return Outcome { status: 403, code: Some("AccessDenied".into()) };
        }
        let never_completes = matches!(effect, Some(Effect::NeverRestores));
        let mood = Mood { never_completes, unmetered: true, ..Mood::default() };
        let ask = Ask { tier: job.tier, days: job.days };
        let place = (job.bucket.as_str(), &*task.key, task.version.as_deref());
        if matches!(effect, Some(Effect::RepeatTask)) {
            // The first answer is lost with the worker that got it; the second one is reported.
            let _ = self.restore(place, ask, mood);
        }
        match self.restore(place, ask, mood) {
            Ok(accepted) => Outcome { status: if accepted { 202 } else { 200 }, code: None },
            Err(error) => {
                let status = error.status_code().map_or(500, |status| status.as_u16());
                Outcome { status, code: Some(error.code().as_str().into()) }
            }
        }
    }

    fn end(&mut self, job: &mut Job, status: Status) {
        job.status = status;
        job.ended = Some(self.now);
    }

    /// Serves `UpdateJobStatus`: a suspended job is let go, one that is not at its end cancelled.
    pub(super) fn update_job(
        &mut self,
        id: &str,
        wanted: &str,
        reason: Option<String>,
    ) -> S3Result<Status> {
        let mut job = self.jobs.remove(id).ok_or_else(error::no_such_job)?;
        let result = match (wanted, job.status) {
            ("Ready", Status::Suspended) => {
                self.activate_job(&mut job);
                Ok(Status::Active)
            }
            ("Cancelled", status) if !status.is_final() => {
                report::write(self, &job);
                self.end(&mut job, Status::Cancelled);
                Ok(Status::Cancelled)
            }
            _ => Err(error::bad_request("JobStatusException", "the job is in another state")),
        };
        if result.is_ok() {
            job.reason = reason;
        }
        self.jobs.insert(job.id.clone(), job);
        result
    }
}

/// Checks what `CreateJob` refuses at once.
fn check(world: &World, request: &CreateJobRequest) -> S3Result<(Tier, Option<u32>)> {
    let Some(restore) = &request.operation.restore else {
        return Err(error::invalid_request("only S3InitiateRestoreObject is served"));
    };
    let tier = match restore.glacier_job_tier.as_deref() {
        None | Some("STANDARD") => Tier::Standard,
        Some("BULK") => Tier::Bulk,
        Some(_) => return Err(error::invalid_request("GlacierJobTier must be BULK or STANDARD")),
    };
    if restore.expiration_in_days == Some(0) {
        return Err(error::invalid_request("ExpirationInDays must be at least 1"));
    }
    if manifest::place(&request.manifest.location.object_arn).is_none() {
        return Err(error::invalid_request("the manifest's ARN is not one of an object"));
    }
    let report = request.report.bucket.as_deref().filter(|_| request.report.enabled);
    match report {
        Some(arn) if !report::has_bucket(world, arn) => {
            Err(error::invalid_request("the report's bucket does not exist"))
        }
        None if request.report.enabled => Err(error::invalid_request("a report needs a bucket")),
        _ => Ok((tier, restore.expiration_in_days)),
    }
}
