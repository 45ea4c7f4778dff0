//! A worker: claims tasks, does them, says what became of them, and beats meanwhile.
//!
//! **At the end.** On the first wish to stop ([`Drain`]) it claims nothing more, gives back what it has not begun, and
//! finishes the archives in hand; those that take longer than the drain time are stopped and given
//! back. A worker that is killed loses its leases, and others take its tasks.
//!
//! **Errors.** What is the archive's fault fails its task: it waits, is tried again, and ends as a dead letter.
//! What is not (the output refuses writes, the device is full, the task store fails) ends the worker
//! with its tasks given back, for its supervisor to start it again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcmjoin_ledger::tasks::{Claim, Failure, Stage, Wanted};
use dcmjoin_ledger::{CampaignName, FactLog, TaskStore};
use dcmjoin_objects::Stores;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::append::Appender;
use super::assemble::{Late, Stop, assemble};
use super::session::{Ended, Means, Session};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::local::{Scanned, archives_at_once};
use crate::progress::Progress;
use crate::report::Report;

/// How often a worker without tasks asks for some, and looks whether it is to stop.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How soon it asks again after it had one: the next stage begins, or all ends, with another's last
/// task. It waits a tenth of the time for which it has had none.
const ASK_FIRST: Duration = Duration::from_millis(20);
const IDLE_SHARE: u32 = 10;
/// How often a worker without tasks asks whether any are open.
const OPEN_EVERY: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Debug, Clone)]
pub struct WorkConfig {
    /// Its name, another one for each worker.
    pub worker: String,
    /// The stages that it claims; none for one that only assembles.
    pub stages: Vec<Stage>,
    /// Whether it assembles late pairs.
    pub assembles: bool,
    /// Only this campaign.
    pub campaign: Option<CampaignName>,
    /// Go on when no task is open.
    pub waits: bool,
    /// For how long tasks are this worker's without a sign of life; it gives three in that time.
    pub lease: Duration,
    /// How long archives in hand may take after a wish to stop.
    pub drain: Duration,
    /// What the machine may give: memory, archives and instances at once (0: as the output likes
    /// it), the spill folder.
    pub machine: RunConfig,
}

/// The wish that a worker comes to its end.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// Asks the worker to finish what it has in hand.
    pub fn ask(&self) {
        self.0.store(true, Relaxed);
    }

    /// Returns whether it was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Returns a name that no other worker has: its host, its process, and when it began.
#[must_use]
pub fn worker_name() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.subsec_nanos());
    format!("{}-{}-{nanos:08x}", crate::lock::host(), std::process::id())
}

/// What ends a worker.
#[derive(Debug, Error)]
pub enum WorkError {
    /// The task store or the fact log fails.
    #[error(transparent)]
    Ledger(#[from] dcmjoin_ledger::Error),
    /// What ends a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<dcmjoin_objects::Error> for WorkError {
    fn from(error: dcmjoin_objects::Error) -> Self {
        Self::Run(error.into())
    }
}

impl WorkError {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Run(error) => error.hint(),
        }
    }
}

/// What a worker did.
#[derive(Debug, Default)]
pub struct Worked {
    /// Archives that it committed, or found committed.
    pub archives: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Tasks that it lost to others.
    pub lost: u64,
    /// Late pairs.
    pub late: Late,
    /// Reports of the campaigns that it closed.
    pub reports: Vec<Report>,
}

/// Works until nothing is open, or until it is asked to stop.
///
/// # Errors
/// [`WorkError`] where it cannot go on; its tasks are given back.
pub async fn work(
    stores: &Arc<Stores>,
    tasks: Arc<dyn TaskStore>,
    facts: Option<Arc<dyn FactLog>>,
    config: WorkConfig,
    progress: Arc<Progress>,
    drain: Drain,
) -> Result<Worked, WorkError> {
    let machine = config.machine.clone();
    let stores = Arc::clone(stores);
    let parts_memory = config.assembles && !config.stages.is_empty();
    let lease = config.lease;
    let means = Means {
        stores,
        tasks,
        appender: facts.clone().map(Appender::new),
        facts,
        machine,
        progress,
        drain: drain.clone(),
        parts_memory,
        scanned: Mutex::default(),
        has_pairs: watch::Sender::default(),
        appended: AtomicUsize::new(0),
        wanted: Notify::new(),
    };
    let means = Arc::new(means);
    let stop = Stop::default();
    let mut worker = Worker::new(Arc::clone(&means), config, drain);
    let assembles = worker.config.assembles.then(|| worker.config.worker.clone());
    let late = async {
        let Some(name) = &assembles else { return Ok(Late::default()) };
        let ended = assemble(&means, name, lease, &stop).await;
        if ended.is_err() {
            // A closing would wait for its pairs.
            means.drain.ask();
            means.progress.stop();
        }
        ended
    };
    let scan = async {
        let ended = worker.work_off().await;
        stop.ask();
        ended
    };
    let (late, ended) = tokio::join!(late, scan);
    ended?;
    Ok(Worked { late: late?, ..worker.worked })
}

/// The claims in hand, shared with the beat.
type Held = Arc<Mutex<BTreeMap<i64, (Claim, Option<AbortHandle>)>>>;

struct Worker {
    means: Arc<Means>,
    config: WorkConfig,
    drain: Drain,
    session: Session,
    /// Claimed, and not begun.
    next: VecDeque<Claim>,
    running: JoinSet<(Claim, Result<Ended, WorkError>)>,
    held: Held,
    worked: Worked,
    asked: Option<Instant>,
    /// When it last had a task.
    had: Instant,
    /// When it looked for open tasks.
    looked: Option<Instant>,
}

impl Worker {
    fn new(means: Arc<Means>, config: WorkConfig, drain: Drain) -> Self {
        Self {
            means,
            config,
            drain,
            session: Session::None,
            next: VecDeque::new(),
            running: JoinSet::new(),
            held: Held::default(),
            worked: Worked::default(),
            asked: None,
            had: Instant::now(),
            looked: None,
        }
    }

    async fn work_off(&mut self) -> Result<(), WorkError> {
        let beating =
            tokio::spawn(beat(Arc::clone(&self.means), Arc::clone(&self.held), self.config.lease));
        let ended = self.go_on().await;
        if ended.is_err() {
            self.means.progress.stop();
        }
        let given_back = self.give_back().await;
        beating.abort();
        ended.and(given_back)
    }

    async fn go_on(&mut self) -> Result<(), WorkError> {
        let means = Arc::clone(&self.means);
        while !self.drain.is_asked() {
            self.claim().await?;
            self.begin_next().await?;
            if let Some(appender) = &means.appender {
                appender.in_hand(self.running.len());
            }
            if self.running.is_empty() && self.next.is_empty() {
                let every = OPEN_EVERY.min(self.pause() * 2);
                let looks = self.looked.is_none_or(|looked| looked.elapsed() >= every);
                if !self.config.waits && looks && !self.is_any_open().await? {
                    return Ok(());
                }
                tokio::time::sleep(self.pause()).await;
                continue;
            }
            let pause = self.pause();
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended).await?,
                () = means.has_room() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.drain().await
    }

    /// Claims as many tasks as there is room for.
    async fn claim(&mut self) -> Result<(), WorkError> {
        let waiting = self.means.appender.as_ref().map_or(0, Appender::waiting);
        let at_once = archives_at_once(&self.config.machine) + waiting;
        let room = at_once.saturating_sub(self.count());
        let too_soon = self.asked.is_some_and(|asked| asked.elapsed() < self.pause());
        if room == 0 || too_soon || self.config.stages.is_empty() {
            return Ok(());
        }
        let wanted = Wanted {
            worker: &self.config.worker,
            stages: &self.config.stages,
            campaign: self.config.campaign.as_ref(),
            max: room,
            lease: self.config.lease,
        };
        let claims = self.means.tasks.claim(&wanted).await?;
        self.asked = claims.is_empty().then(Instant::now);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for claim in claims {
            held.insert(claim.id, (claim.clone(), None));
            self.next.push_back(claim);
        }
        Ok(())
    }

    /// Returns how long it waits before it asks again.
    fn pause(&self) -> Duration {
        (self.had.elapsed() / IDLE_SHARE).clamp(ASK_FIRST, ASK_EVERY)
    }

    fn count(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Begins what fits to what is held; where nothing is in hand, holds what the next one needs.
    async fn begin_next(&mut self) -> Result<(), WorkError> {
        while let Some(claim) = self.next.front() {
            if !self.session.fits(claim) {
                if !self.running.is_empty() {
                    return Ok(());
                }
                let session = std::mem::take(&mut self.session);
                self.session = session.switch(&self.means, claim).await?;
            }
            let Some(claim) = self.next.pop_front() else { return Ok(()) };
            // It may have been lost while the headers were gathered.
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, abort)) = held.get_mut(&claim.id) else { continue };
            let work = self.session.begin(&self.means, &claim);
            *abort = Some(self.running.spawn(async move { (claim, work.await) }));
        }
        Ok(())
    }

    /// Says what became of a task.
    async fn ended(
        &mut self,
        ended: Result<(Claim, Result<Ended, WorkError>), tokio::task::JoinError>,
    ) -> Result<(), WorkError> {
        let (claim, ended) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => {
                self.worked.lost += 1;
                return Ok(());
            }
            Err(_) => return Err(RunError::Internal("a task panicked".to_owned()).into()),
        };
        // Asked again at once: the next stage may begin with this.
        (self.asked, self.had) = (None, Instant::now());
        let verdict = verdict(&claim, ended);
        let (written, error) = match verdict {
            Verdict::Done(report) => {
                self.worked.archives += u64::from(claim.stage != Stage::Close);
                self.worked.reports.extend(report.map(|report| *report));
                (self.means.tasks.complete(&claim).await, None)
            }
            Verdict::Failed(failure, error) => {
                self.worked.failed += 1;
                tracing::warn!(code = failure.code, task = claim.id, "a task failed");
                (self.means.tasks.fail(&claim, &failure).await.map(|_| ()), error)
            }
            Verdict::NotTried(error) => {
                (self.means.tasks.release(std::slice::from_ref(&claim)).await, error)
            }
        };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&claim.id);
        match (written, error) {
            (Err(dcmjoin_ledger::Error::Fenced), None) => {
                self.worked.lost += 1;
                Ok(())
            }
            (_, Some(error)) => Err(error),
            (written, None) => Ok(written?),
        }
    }

    /// Finishes what is in hand within the drain time.
    async fn drain(&mut self) -> Result<(), WorkError> {
        let unbegun: Vec<Claim> = self.next.drain(..).collect();
        for claim in &unbegun {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&claim.id);
        }
        self.means.tasks.release(&unbegun).await?;
        let until = Instant::now() + self.config.drain;
        while !self.running.is_empty() {
            if Instant::now() >= until {
                self.means.progress.stop();
            }
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended).await?,
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
        Ok(())
    }

    /// Ends what still runs, and gives back all that is held.
    async fn give_back(&mut self) -> Result<(), WorkError> {
        self.running.shutdown().await;
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        let claims: Vec<_> = held.into_values().map(|(claim, _)| claim).collect();
        Ok(self.means.tasks.release(&claims).await?)
    }

    /// Returns whether tasks of this worker's stages, or of stages before them, are open.
    async fn is_any_open(&mut self) -> Result<bool, WorkError> {
        self.looked = Some(Instant::now());
        let last = self.config.stages.iter().max();
        let depths = self.means.tasks.depths().await?;
        Ok(depths.iter().any(|depth| {
            self.config.campaign.as_ref().is_none_or(|only| *only == depth.campaign)
                && last.is_some_and(|last| depth.stage <= *last)
                && depth.waiting.tasks + depth.claimed.tasks > 0
        }))
    }
}

/// What is to be said of a task, and whether the worker ends with it.
enum Verdict {
    Done(Option<Box<Report>>),
    Failed(Failure, Option<WorkError>),
    NotTried(Option<WorkError>),
}

fn verdict(claim: &Claim, ended: Result<Ended, WorkError>) -> Verdict {
    let failure = |code: &str, detail: &str| Failure {
        code: code.to_owned(),
        detail: detail.to_owned(),
        is_permanent: false,
    };
    match ended {
        Ok(Ended::Scanned(Scanned::Committed)) => Verdict::Done(None),
        Ok(Ended::Closed(report)) => Verdict::Done(Some(report)),
        Ok(Ended::Scanned(Scanned::Unreadable)) => {
            let detail = "the store did not give all of the archive";
            Verdict::Failed(failure("archive_unreadable", detail), None)
        }
        Ok(Ended::Scanned(Scanned::Gone)) => {
            Verdict::Failed(failure("archive_gone", "there is no such object"), None)
        }
        Err(WorkError::Run(RunError::Stopped)) => Verdict::NotTried(None),
        Err(WorkError::Run(RunError::Locked { .. } | RunError::LockLost)) => {
            Verdict::Failed(failure("output_locked", "another run has the output's lock"), None)
        }
        // A bug, or a closing that cannot be: tried again a few times, and then left to a person.
        Err(error @ WorkError::Run(RunError::Internal(_) | RunError::Books(_))) => {
            Verdict::Failed(failure("internal", "a bug"), Some(error))
        }
        Err(error @ WorkError::Run(_)) if claim.stage == Stage::Close => {
            Verdict::Failed(failure("close_failed", &error.to_string()), Some(error))
        }
        Err(error) => Verdict::NotTried(Some(error)),
    }
}

/// Says that the worker is alive; ends the work on tasks that it lost.
async fn beat(means: Arc<Means>, held: Held, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        let claims: Vec<Claim> = {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.values().map(|(claim, _)| claim.clone()).collect()
        };
        for some in claims.chunks(dcmjoin_ledger::tasks::BATCH_MAX) {
            // A store that does not answer now may do so at the next beat.
            let Ok(lost) = means.tasks.beat(some, lease).await else { continue };
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            for claim in lost {
                tracing::warn!(task = claim.id, "a task was lost to another worker");
                if let Some((_, Some(abort))) = held.remove(&claim.id) {
                    abort.abort();
                }
            }
        }
    }
}
