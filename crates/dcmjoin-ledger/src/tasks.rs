//! Tasks: archives to be scanned, each by one worker at a time, and the closing of a campaign.
//!
//! ```text
//! waiting ──claim──▶ claimed ──complete──▶ done
//!    ▲                  │ fail, release, or the lease runs out
//!    └──── backoff ─────┤
//!                       └─ permanent, or ATTEMPTS_MAX attempts ──▶ dead ──retry──▶ waiting
//! ```
//!
//! A task is *open* while it waits or is claimed. **The order of stages:** of a campaign, a task is
//! given only while no task of an earlier [`Stage`] is open. So images are read when all headers
//! are there that anybody knows of, and a campaign is closed when all its archives are through.
//!
//! **Fencing.** Each claim of a task has a [`Claim::token`], greater than all before it. A write with
//! another token than the task's present one is refused with [`Error::Fenced`] and changes nothing.

use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_model::Half;

use crate::binding::StoreId;
use crate::campaign::{Campaign, CampaignName};
use crate::error::Error;

/// A task is tried so often: what fails five times over an hour is not the network.
pub const ATTEMPTS_MAX: u32 = 5;
/// The first wait after a failure.
pub const BACKOFF_MIN: Duration = Duration::from_secs(15);
/// The longest wait after a failure.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30 * 60);
/// A worker that was not heard of for so long has lost its tasks. It beats three times as often.
pub const LEASE: Duration = Duration::from_secs(60);
/// Most tasks that are claimed, added or beaten for at once.
pub const BATCH_MAX: usize = 1_000;

/// What a task is about; stages of a campaign follow each other in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// To scan a metadata archive.
    Metadata,
    /// To scan an image archive.
    Images,
    /// To close the campaign; there is one such task.
    Close,
}

impl Stage {
    /// All stages in their order.
    pub const ALL: [Self; 3] = [Self::Metadata, Self::Images, Self::Close];

    /// Returns the word that stores and reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Images => "images",
            Self::Close => "close",
        }
    }

    /// Returns the stage's place in the order, from 0.
    #[must_use]
    pub const fn rank(self) -> i16 {
        self as i16
    }

    /// Returns the stage of that rank.
    #[must_use]
    pub fn of_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| i64::from(stage.rank()) == rank)
    }
}

impl From<Half> for Stage {
    fn from(half: Half) -> Self {
        match half {
            Half::Metadata => Self::Metadata,
            Half::Image => Self::Images,
        }
    }
}

/// A task to be added.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTask {
    /// What is to be done.
    pub stage: Stage,
    /// The archive's URL; empty for [`Stage::Close`].
    pub url: String,
    /// The archive's size in bytes, for depths and rates.
    pub bytes: u64,
}

/// Names no key: it can tell of patients.
impl std::fmt::Debug for NewTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTask").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// A task that a worker has.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The task's number in the store.
    pub id: i64,
    /// Against writes of those who had it before.
    pub token: i64,
    /// Whose it is.
    pub campaign: CampaignName,
    /// What is to be done.
    pub stage: Stage,
    /// The archive's URL.
    pub url: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How often it was claimed, this time included.
    pub attempt: u32,
    /// Greater whenever metadata tasks of the campaign were added, retried or dropped: who made an
    /// index of the headers in another epoch must make it anew.
    pub epoch: i64,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut claim = f.debug_struct("Claim");
        claim.field("id", &self.id).field("token", &self.token).field("stage", &self.stage);
        claim.field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Who asks; for people.
    pub worker: &'a str,
    /// Of these stages.
    pub stages: &'a [Stage],
    /// Of this campaign; of any where `None`.
    pub campaign: Option<&'a CampaignName>,
    /// At most so many, and at most [`BATCH_MAX`].
    pub max: usize,
    /// For how long, unless the worker beats.
    pub lease: Duration,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A code of at most 64 bytes: `archive_unreadable`, `lease_expired`.
    pub code: String,
    /// Words for people, without key, UID or value.
    pub detail: String,
    /// Another attempt cannot help.
    pub is_permanent: bool,
}

/// What became of a task that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again after this time.
    Waits(Duration),
    /// It is a dead letter.
    Dead,
}

/// A task that was given up.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The task's number.
    pub id: i64,
    /// Whose it is.
    pub campaign: CampaignName,
    /// What was to be done.
    pub stage: Stage,
    /// The archive's URL.
    pub url: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The last failure.
    pub failure: Failure,
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut letter = f.debug_struct("DeadLetter");
        letter.field("id", &self.id).field("stage", &self.stage);
        letter.field("failure", &self.failure.code).finish_non_exhaustive()
    }
}

/// How many tasks stand where, of one stage of one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The campaign.
    pub campaign: CampaignName,
    /// The stage.
    pub stage: Stage,
    /// Those that wait, those after a failure included.
    pub waiting: Amount,
    /// Those that a worker has.
    pub claimed: Amount,
    /// Those that are done.
    pub done: Amount,
    /// Those that were given up.
    pub dead: Amount,
    /// When the first was claimed and the last was done, in seconds since 1970 by the store's clock.
    pub from_to: Option<(u64, u64)>,
}

/// Tasks, and the bytes of their archives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub tasks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Tasks that many workers share.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Returns what tells the store from all others, for as long as it is there.
    ///
    /// # Errors
    /// [`Error::Store`], here and below, where the store fails.
    async fn id(&self) -> Result<StoreId, Error>;

    /// Makes a campaign, with its one task of [`Stage::Close`]; of one that is there, priority and
    /// settings are set anew.
    ///
    /// # Errors
    /// As above.
    async fn put_campaign(&self, campaign: &Campaign) -> Result<(), Error>;

    /// Returns all campaigns by name.
    ///
    /// # Errors
    /// As above.
    async fn campaigns(&self) -> Result<Vec<Campaign>, Error>;

    /// Adds tasks; one of the same stage and URL that is there is left alone. Returns how many are
    /// new. Where some are, the closing that was done waits again.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such campaign, or for more than [`BATCH_MAX`].
    async fn add(&self, campaign: &CampaignName, tasks: &[NewTask]) -> Result<u64, Error>;

    /// Gives tasks to a worker: those of the greatest priority first, of equal ones those of the
    /// campaign that was made first, then by stage, then in the order in which they were added; those that
    /// failed before may come last. Tasks whose lease ran out are given anew, or are dead after
    /// [`ATTEMPTS_MAX`] attempts (`lease_expired`). Never waits: where nothing is to be had now, the answer is
    /// empty.
    ///
    /// # Errors
    /// As above.
    async fn claim(&self, wanted: &Wanted<'_>) -> Result<Vec<Claim>, Error>;

    /// Says that the worker of these tasks is alive. Returns those that it has lost.
    ///
    /// # Errors
    /// As above.
    async fn beat(&self, claims: &[Claim], lease: Duration) -> Result<Vec<Claim>, Error>;

    /// Says that a task is done.
    ///
    /// # Errors
    /// [`Error::Fenced`] where it was lost.
    async fn complete(&self, claim: &Claim) -> Result<(), Error>;

    /// Says that an attempt failed: the task waits for [`backoff`], or is dead.
    ///
    /// # Errors
    /// [`Error::Fenced`] where it was lost.
    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<Fate, Error>;

    /// Gives tasks back that were not tried: the attempt does not count. Those that were lost are
    /// left alone.
    ///
    /// # Errors
    /// As above.
    async fn release(&self, claims: &[Claim]) -> Result<(), Error>;

    /// Returns the depth of each stage of each campaign, by name and stage.
    ///
    /// # Errors
    /// As above.
    async fn depths(&self) -> Result<Vec<Depth>, Error>;

    /// Returns the URLs of a campaign's tasks of a stage, in their order, of those after `after`.
    /// Dropped ones are not among them.
    ///
    /// # Errors
    /// As above.
    async fn urls(
        &self,
        campaign: &CampaignName,
        stage: Stage,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<String>, Error>;

    /// Returns dead letters with numbers above `after`, in their order.
    ///
    /// # Errors
    /// As above.
    async fn dead(&self, after: i64, max: usize) -> Result<Vec<DeadLetter>, Error>;

    /// Lets dead letters wait again, as if never tried; the closing of their campaigns too. Returns how
    /// many were dead.
    ///
    /// # Errors
    /// As above.
    async fn retry(&self, ids: &[i64]) -> Result<u64, Error>;

    /// Drops dead letters: their archives are no longer the campaign's. Returns how many were dead.
    ///
    /// # Errors
    /// As above.
    async fn drop_dead(&self, ids: &[i64]) -> Result<u64, Error>;
}

/// Returns the wait after so many attempts: it doubles. Workers that fail together meet again at
/// different times because they ask at different times; the store is not asked before.
#[must_use]
pub fn backoff(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    (BACKOFF_MIN * (1 << doublings)).min(BACKOFF_MAX)
}

/// Returns what becomes of a task that failed at an attempt.
#[must_use]
pub fn fate(attempt: u32, is_permanent: bool) -> Fate {
    if is_permanent || attempt >= ATTEMPTS_MAX { Fate::Dead } else { Fate::Waits(backoff(attempt)) }
}

/// Returns the failure of a task whose worker was not heard of any more.
#[must_use]
pub fn lease_expired() -> Failure {
    Failure {
        code: "lease_expired".to_owned(),
        detail: "its workers were not heard of any more, each time".to_owned(),
        is_permanent: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let secs = [1, 2, 3, 4, 5, 20, u32::MAX].map(|attempts| backoff(attempts).as_secs());
        assert_eq!(secs, [15, 30, 60, 120, 240, 1800, 1800]);
    }

    #[test]
    fn what_cannot_be_helped_is_dead_at_once() {
        assert_eq!(fate(1, true), Fate::Dead);
        assert_eq!(fate(1, false), Fate::Waits(BACKOFF_MIN));
        assert_eq!(fate(ATTEMPTS_MAX, false), Fate::Dead);
    }

    #[test]
    fn ranks_name_their_stages() {
        for stage in Stage::ALL {
            assert_eq!(Stage::of_rank(i64::from(stage.rank())), Some(stage));
        }
        assert_eq!(Stage::of_rank(3), None);
    }
}
