//! Facts on their way to the log. Those of several archives go in one append: a log's work is by the append (a
//! commit, a part, a batch for each partition). An archive whose facts wait takes no room: the next one is scanned
//! meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dcmjoin_catalog::{Row, State};
use dcmjoin_index::Fingerprint;
use dcmjoin_ledger::facts::Fact;
use dcmjoin_ledger::{CampaignName, Error, FactLog};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::work::WorkError;
use crate::catalog::Known;
use crate::error::RunError;

/// With so many facts an append is full; an archive with more gives them in parts.
const APPEND_FACTS: usize = 50_000;
/// Facts that are held at the same time: those of an append, and of the next.
const HELD_FACTS: usize = 2 * APPEND_FACTS;
/// Archives that wait for their facts at the same time.
const WAITING_MAX: usize = 16;
/// How long an append waits for the facts of more archives.
const GATHER: Duration = Duration::from_millis(500);

/// Appends the facts of a worker's archives.
pub(super) struct Appender {
    given: mpsc::Sender<Given>,
    held: Arc<Semaphore>,
    archives: Arc<Archives>,
    /// Ends with what it works for.
    _appending: JoinSet<()>,
}

/// Facts of an archive; who gave them waits for the answer.
struct Given {
    campaign: CampaignName,
    facts: Vec<Fact>,
    answer: oneshot::Sender<Result<(), Error>>,
    _held: OwnedSemaphorePermit,
}

/// Archives that wait.
#[derive(Default)]
struct Archives {
    waiting: AtomicUsize,
    /// Told when one more waits.
    more: Notify,
    /// Told when no other will wait soon.
    all: Notify,
}

impl Appender {
    pub(super) fn new(log: Arc<dyn FactLog>) -> Self {
        let (given, taken) = mpsc::channel(WAITING_MAX);
        let (archives, mut appending) = (Arc::<Archives>::default(), JoinSet::new());
        appending.spawn(append_all(log, taken, Arc::clone(&archives)));
        let held = Arc::new(Semaphore::new(HELD_FACTS));
        Self { given, held, archives, _appending: appending }
    }

    /// Appends the halves of an archive that have no partner yet; returns how many. Those of a compressed
    /// archive cannot be read by range: they are left to the closing, unless they are `copied`.
    pub(super) async fn append_open(
        &self,
        campaign: &CampaignName,
        known: Known,
        copied: bool,
    ) -> Result<usize, WorkError> {
        if known.is_compressed() && !copied {
            return Ok(0);
        }
        let _waiting = Waiting::of(&self.archives);
        let left = usize::try_from(known.reader.len()).unwrap_or(usize::MAX);
        let (mut left, mut count) = (left, 0);
        let mut rows = known.reader.rows();
        while left > 0 {
            let held = left.min(APPEND_FACTS);
            let held = Arc::clone(&self.held).acquire_many_owned(held as u32).await;
            let held = held.map_err(|_| has_ended())?;
            let mut facts = Vec::new();
            for row in rows.by_ref().take(APPEND_FACTS) {
                facts.extend(fact_of(&known, row.map_err(RunError::from)?));
            }
            left = left.saturating_sub(APPEND_FACTS);
            if !facts.is_empty() {
                count += facts.len();
                self.append(campaign, facts, held).await?;
            }
        }
        Ok(count)
    }

    async fn append(
        &self,
        campaign: &CampaignName,
        facts: Vec<Fact>,
        held: OwnedSemaphorePermit,
    ) -> Result<(), WorkError> {
        let (answer, answered) = oneshot::channel();
        let given = Given { campaign: campaign.clone(), facts, answer, _held: held };
        self.given.send(given).await.map_err(|_| has_ended())?;
        Ok(answered.await.map_err(|_| has_ended())??)
    }

    /// Returns how many archives wait, of those that take no room.
    pub(super) fn waiting(&self) -> usize {
        self.archives.waiting.load(Relaxed).min(WAITING_MAX)
    }

    /// Returns when one more archive waits.
    pub(super) async fn one_more(&self) {
        self.archives.more.notified().await;
    }

    /// Says that so many archives are in hand: where all of them wait, their facts need not.
    pub(super) fn in_hand(&self, archives: usize) {
        if archives > 0 && archives == self.archives.waiting.load(Relaxed) {
            self.archives.all.notify_one();
        }
    }
}

/// An archive that waits.
struct Waiting<'a>(&'a Archives);

impl<'a> Waiting<'a> {
    fn of(archives: &'a Archives) -> Self {
        archives.waiting.fetch_add(1, Relaxed);
        archives.more.notify_one();
        Self(archives)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// Appends what is given, until nobody gives any more.
async fn append_all(
    log: Arc<dyn FactLog>,
    mut given: mpsc::Receiver<Given>,
    archives: Arc<Archives>,
) {
    let mut next = None;
    while let Some(first) = match next.take() {
        Some(first) => Some(first),
        None => given.recv().await,
    } {
        let mut some = vec![first];
        next = gather(&mut some, &mut given, &archives).await;
        let campaign = some[0].campaign.clone();
        let facts: Vec<Fact> = some.iter_mut().flat_map(|one| one.facts.drain(..)).collect();
        tracing::debug!(archives = some.len(), facts = facts.len(), "facts are appended");
        let appended = log.append(&campaign, &facts).await;
        for one in some {
            // Who has gone does not wait.
            let _ = one.answer.send(appended.clone());
        }
    }
}

/// Adds what else is given of the same campaign, until an append is full or the time is over; returns what is
/// given and does not go with it.
async fn gather(
    some: &mut Vec<Given>,
    given: &mut mpsc::Receiver<Given>,
    archives: &Archives,
) -> Option<Given> {
    let until = Instant::now() + GATHER;
    let mut count = some[0].facts.len();
    while count < APPEND_FACTS {
        let one = tokio::select! {
            biased;
            one = given.recv() => one?,
            () = archives.all.notified() => return None,
            () = sleep_until(until) => return None,
        };
        if one.campaign != some[0].campaign {
            return Some(one);
        }
        count += one.facts.len();
        some.push(one);
    }
    None
}

fn has_ended() -> WorkError {
    RunError::Internal("what appends facts has ended".to_owned()).into()
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

#[cfg(test)]
mod tests;
