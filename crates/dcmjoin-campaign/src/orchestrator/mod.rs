//! The loop: events in, effects out, waves started and read, until every archive is done or given up.
//!
//! ```text
//! turn: events ─► time ─► scan's results ─► waves started ─► next scan ─► wait
//! ```
//!
//! Each step is written down before its effects are carried out (`effects`). After a restart
//! [`Orchestrator::run`] begins with what was open, and goes on.

mod batch;
mod effects;
mod waves;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dcmjoin_pipeline::{Report, RunError};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::rate::TokenBucket;
use dcmjoin_restore::task::{Effect, Input, ScanResult, State};
use tokio::task::JoinHandle;

use crate::aws::Aws;
use crate::clockwork::{Clockwork, ScanEnd};
use crate::error::Error;
use crate::event;
use crate::holder;
use crate::ledger::{Archive, LEASE_SECS, Lease, Ledger, Mode, Place, Select};
use crate::scanner::{Asked, Scanned, Scanner};
use crate::spec::Spec;
use crate::spending::Money;
use crate::trouble::Trouble;

/// Archives in memory at the same time, but for those of a scan.
const PAGE: usize = 1_000;
/// How often it is looked whether somebody has asked to stop.
const STOP_POLL: Duration = Duration::from_millis(200);
/// Troubles in a row that may pass before the campaign pauses: two hours.
const TROUBLES_MAX: u16 = 16;
/// The shortest rest of the runner, in seconds.
const REST_SECS_MIN: u64 = 60;
/// Receipts of a turn: a thousand messages.
const RECEIPTS_MAX: usize = 100;

/// What an orchestrator acts on and by.
#[derive(Clone)]
pub struct World {
    /// The journal.
    pub ledger: Arc<dyn Ledger>,
    /// S3 and SQS.
    pub aws: Arc<Aws>,
    /// The runner.
    pub scanner: Arc<dyn Scanner>,
    /// How to wait.
    pub clockwork: Arc<dyn Clockwork>,
    /// Set to ask it to stop.
    pub stop: Arc<AtomicBool>,
}

/// How an orchestrator ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every archive is done or given up; the report is over all that were read.
    Done(Option<Box<Report>>),
    /// The campaign is paused, by a person or its budget.
    Paused(String),
    /// The campaign is cancelled.
    Cancelled,
    /// It was asked to stop; the campaign goes on when it is started again.
    Stopped,
}

/// Drives one campaign.
pub struct Orchestrator {
    world: World,
    spec: Spec,
    lease: Lease,
    money: Money,
    tokens: TokenBucket,
    begun: Instant,
    scan: Option<Running>,
    /// Bytes of each wave, by which a scan's time is forecast.
    wave_bytes: HashMap<u64, u64>,
    /// When the first archive of a wave was seen to be available.
    first_copy: HashMap<u64, Moment>,
    /// Batch Operations jobs on their way, and how many were made.
    jobs: Vec<batch::Running>,
    jobs_made: u32,
    paused: Option<String>,
    rest: Rest,
    _beats: Beats,
}

/// The runner's rest after trouble that may pass.
#[derive(Debug, Default)]
struct Rest {
    /// Troubles in a row.
    troubles: u16,
    /// No scan begins before.
    until: Option<Moment>,
}

struct Running {
    archives: Vec<(Archive, u32)>,
    begun: Moment,
    handle: JoinHandle<Scanned>,
    end: ScanEnd,
    counts_from: Option<Moment>,
}

/// The heartbeat, which ends with the orchestrator.
struct Beats(JoinHandle<()>);

impl Drop for Beats {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Orchestrator {
    /// Takes a campaign.
    ///
    /// # Errors
    /// [`Error::Held`] where another orchestrator holds it; [`Error::Invalid`] where it has ended.
    pub fn take(world: World, holder: &str) -> Result<Self, Error> {
        let mut spec = world.ledger.spec()?;
        if world.ledger.mode()? == Mode::Draft {
            return Err(Error::Invalid(
                "the campaign's archives were not all found; create it again".to_owned(),
            ));
        }
        if spec.batch.is_some() {
            // A call waits for its job's report.
            spec.policy.answer_secs_max = spec.policy.answer_secs_max.max(batch::JOB_SECS_MAX);
        }
        let lease = match world.ledger.take(holder) {
            // Nobody waits a minute for a process that was killed on this machine.
            Err(Error::Held { holder: other, .. }) if holder::is_gone(&other) => {
                world.ledger.evict(&other)?;
                world.ledger.take(holder)
            }
            taken => taken,
        }?;
        let standing = world.ledger.standing()?;
        let money = Money::new(&spec, standing.spend)?;
        let bytes = |wave: &crate::ledger::WaveTally| {
            (wave.wave, wave.states.values().map(|tally| tally.bytes).sum())
        };
        let wave_bytes = standing.waves.iter().map(bytes).collect();
        let ledger = Arc::clone(&world.ledger);
        let beats = Beats(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(LEASE_SECS / 4)).await;
                if ledger.beat(lease).is_err() {
                    return;
                }
            }
        }));
        Ok(Self {
            tokens: TokenBucket::new(spec.restores_per_sec, spec.restores_per_sec),
            begun: Instant::now(),
            world,
            spec,
            lease,
            money,
            scan: None,
            wave_bytes,
            first_copy: HashMap::new(),
            jobs: Vec::new(),
            jobs_made: 0,
            paused: None,
            rest: Rest::default(),
            _beats: beats,
        })
    }

    /// Runs the campaign to its end, or until it is paused, cancelled or asked to stop.
    ///
    /// # Errors
    /// [`Error::Fenced`] where the campaign was taken over; [`Error::Journal`], [`Error::Service`].
    pub async fn run(mut self) -> Result<Outcome, Error> {
        let outcome = self.until_its_end().await;
        if let (Err(_), Some(scan)) = (&outcome, self.scan.take()) {
            // Its result no longer counts, but it must not go on beside that of who comes next.
            self.world.scanner.stop();
            let _ = scan.handle.await;
        }
        let released = self.world.ledger.release(self.lease);
        // Where both fail, the first one is the cause.
        outcome.and_then(|outcome| released.map(|()| outcome))
    }

    async fn until_its_end(&mut self) -> Result<Outcome, Error> {
        self.read_clock().await?;
        self.recover().await?;
        loop {
            if let Some(outcome) = self.asked_to_end().await? {
                return Ok(outcome);
            }
            let more = self.events().await?;
            self.look_at_jobs().await?;
            self.time().await?;
            self.scan_ended().await?;
            let waves = self.world.ledger.waves()?;
            if waves.iter().all(waves::is_finished) && self.scan.is_none() {
                if let Some(outcome) = self.close().await? {
                    return Ok(outcome);
                }
            } else {
                self.start_waves(&waves).await?;
                self.begin_scan(&waves).await?;
            }
            if !more && self.paused.is_none() {
                self.wait().await?;
            }
        }
    }

    /// Learns the server's time before anything is judged by it.
    async fn read_clock(&self) -> Result<(), Error> {
        if let Some(archive) =
            self.world.ledger.page(Select::Half(dcmjoin_model::Half::Image), 0, 1)?.first()
        {
            let place = &archive.place;
            self.world.aws.list(&place.bucket, &place.key, crate::aws::From::Begin).await?;
        }
        Ok(())
    }

    /// Goes on with what was on its way when the last orchestrator ended. Calls that a job is to
    /// answer are left to it.
    async fn recover(&mut self) -> Result<(), Error> {
        let of_jobs = self.recover_jobs()?;
        let mut after = 0;
        loop {
            let page = self.world.ledger.page(Select::Open, after, PAGE)?;
            // A tier that was changed meanwhile, or that not all were upgraded to.
            let Some(newest) = page.last() else { return self.hurry().await };
            after = newest.id;
            let (mut lost, mut due) = (Vec::new(), Vec::new());
            for archive in page {
                if let State::Scanning { scan, .. } = archive.task.state {
                    let result = match self.world.scanner.outlives() {
                        true => ScanResult::Stopped,
                        false => ScanResult::Lost,
                    };
                    let input = Input::Scan { ticket: scan, result };
                    lost.push((archive, input));
                } else {
                    let mut effects = archive.task.resume(&self.setting(&archive));
                    let answers = of_jobs.get(&archive.id);
                    effects.retain(|effect| match effect {
                        Effect::Request { ticket, .. } => answers != Some(ticket),
                        _ => true,
                    });
                    due.push((archive, effects));
                }
            }
            due.extend(self.apply(lost)?);
            self.carry_out(due).await?;
        }
    }

    /// Returns how to end, where a person or the budget wants it.
    async fn asked_to_end(&mut self) -> Result<Option<Outcome>, Error> {
        if let Some(reason) = self.paused.clone() {
            self.end_scan().await?;
            self.world.ledger.set_mode(Mode::Paused, Some(&reason))?;
            return Ok(Some(Outcome::Paused(reason)));
        }
        if self.world.stop.load(Ordering::Relaxed) {
            self.end_scan().await?;
            return Ok(Some(Outcome::Stopped));
        }
        self.follow().await?;
        // A person may have changed it.
        self.money.meter.set_budget(self.world.ledger.budget()?);
        match self.world.ledger.mode()? {
            Mode::Active => Ok(None),
            Mode::Paused => {
                self.end_scan().await?;
                Ok(Some(Outcome::Paused("asked for".to_owned())))
            }
            Mode::Cancelled => {
                self.end_scan().await?;
                self.cancel_jobs().await?;
                self.cancel().await?;
                Ok(Some(Outcome::Cancelled))
            }
            // A draft took this campaign's place: there is nothing to do here.
            Mode::Draft | Mode::Done => Ok(Some(Outcome::Done(None))),
        }
    }

    /// Takes up what a person has changed: the tier.
    async fn follow(&mut self) -> Result<(), Error> {
        let tier = self.world.ledger.spec()?.policy.tier;
        if tier == self.spec.policy.tier {
            return Ok(());
        }
        self.spec.policy.tier = tier;
        self.hurry().await
    }

    /// Has restores upgraded that run, and are slower than the tier.
    async fn hurry(&mut self) -> Result<(), Error> {
        let tier = self.spec.policy.tier;
        let slower = |archive: &Archive| match archive.task.state {
            State::Restoring { asked: Some(asked), .. } => {
                archive.task.call.is_none() && tier.within(archive.task.class) > asked.tier
            }
            _ => false,
        };
        let mut after = 0;
        loop {
            let page = self.world.ledger.page(Select::State("restoring"), after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let slow = page.into_iter().filter(slower);
            let effects =
                self.apply(slow.map(|archive| (archive, Input::Upgrade { tier })).collect())?;
            self.carry_out(effects).await?;
        }
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        for state in State::WORDS.into_iter().filter(|word| !matches!(*word, "done" | "failed")) {
            loop {
                let page = self.world.ledger.page(Select::State(state), 0, PAGE)?;
                if page.is_empty() {
                    break;
                }
                let inputs = page.into_iter().map(|archive| (archive, Input::Cancel)).collect();
                let effects = self.apply(inputs)?;
                self.carry_out(effects).await?;
            }
        }
        Ok(())
    }

    /// Takes the queue's messages; returns whether there may be more.
    async fn events(&mut self) -> Result<bool, Error> {
        let Some(queue) = self.spec.queue.clone() else { return Ok(false) };
        for _ in 0..RECEIPTS_MAX {
            let messages = match self.world.aws.receive(&queue, 0).await {
                Ok(messages) => messages,
                Err(error) => {
                    // Listings find what events would have told.
                    tracing::warn!(%error, "the queue does not answer");
                    return Ok(false);
                }
            };
            if messages.is_empty() {
                return Ok(false);
            }
            self.take_messages(&messages).await?;
            if let Err(error) = self.world.aws.delete(&queue, &messages).await {
                tracing::warn!(%error, "messages stay in the queue, and come again");
            }
        }
        Ok(true)
    }

    async fn take_messages(&mut self, messages: &[crate::aws::Message]) -> Result<(), Error> {
        let (mut inputs, mut odd, mut unknown) = (Vec::new(), 0, 0);
        for message in messages {
            let events = event::read(&message.body);
            odd += u64::from(events.is_empty());
            for (place, event) in events {
                match self.world.ledger.find(&place)? {
                    Some(archive) => inputs.push((archive, Input::Event(event))),
                    None => unknown += 1,
                }
            }
        }
        let counts = [("events_unreadable", odd), ("events_unknown", unknown)];
        self.count(&counts)?;
        let effects = self.apply(inputs)?;
        self.carry_out(effects).await
    }

    /// Lets time pass for those that it concerns.
    async fn time(&mut self) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = self.world.ledger.page(Select::Due(self.world.aws.now()), after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let inputs = page.into_iter().map(|archive| (archive, Input::Tick)).collect();
            let effects = self.apply(inputs)?;
            self.carry_out(effects).await?;
        }
    }

    async fn wait(&mut self) -> Result<(), Error> {
        let due = self.world.ledger.next_due()?;
        let counts = self.scan.as_ref().and_then(|scan| scan.counts_from);
        let wake = [due, counts, self.rest.until].into_iter().flatten().min();
        let end = self.scan.as_ref().map(|scan| scan.end.clone());
        let waited = self.world.clockwork.wait(self.world.aws.now(), wake, end);
        tokio::select! {
            () = waited => {}
            () = asked_to_stop(&self.world.stop) => return Ok(()),
        }
        // Without a queue that answers, a listing brings the server's time.
        if self.spec.queue.is_none() { self.read_clock().await } else { Ok(()) }
    }

    /// Lets the runner rest after trouble, or pauses the campaign where that does not help.
    fn troubled(&mut self, trouble: Trouble) {
        let Trouble { reason, passes } = trouble;
        self.rest.troubles += 1;
        if !passes || self.rest.troubles >= TROUBLES_MAX {
            self.paused = Some(reason);
            return;
        }
        let wait = self.spec.policy.wait_after(self.rest.troubles).max(REST_SECS_MIN);
        tracing::warn!(reason, seconds = wait, "the runner rests");
        self.rest.until = Some(self.world.aws.now().plus(wait));
    }

    fn rests(&self) -> bool {
        self.rest.until.is_some_and(|until| until > self.world.aws.now())
    }

    /// Accounts for everything together, and marks the campaign as done; later where that meets
    /// trouble.
    async fn close(&mut self) -> Result<Option<Outcome>, Error> {
        if self.rests() {
            return Ok(None);
        }
        let (metadata, images) =
            (self.done(dcmjoin_model::Half::Metadata)?, self.done(dcmjoin_model::Half::Image)?);
        let report = if metadata.is_empty() || images.is_empty() {
            None
        } else {
            match self.close_books(&metadata, &images).await {
                Ok((report, asked)) => {
                    self.money.count_scan(asked);
                    Some(Box::new(report))
                }
                Err(Error::Run(RunError::Stopped)) => return Ok(None),
                Err(Error::Run(error)) => {
                    let trouble = Trouble::of(&error).ok_or(error)?;
                    self.troubled(trouble);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        };
        self.count(&[])?;
        self.world.ledger.set_mode(Mode::Done, None)?;
        Ok(Some(Outcome::Done(report)))
    }

    /// Runs over everything once more, unless it is asked to stop.
    async fn close_books(
        &self,
        metadata: &[Place],
        images: &[Place],
    ) -> Result<(Report, Asked), Error> {
        let scanner = &self.world.scanner;
        let mut closing = scanner.close(metadata, images);
        tokio::select! {
            closed = &mut closing => closed,
            () = asked_to_stop(&self.world.stop) => {
                scanner.stop();
                closing.await
            }
        }
    }
}

/// Returns once somebody has asked to stop.
async fn asked_to_stop(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(STOP_POLL).await;
    }
}
