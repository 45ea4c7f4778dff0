//! The journal of a campaign: what it was told, where each archive stands, what was spent.
//!
//! **Fencing.** An orchestrator takes a [`Lease`] and beats; each of its writes bears the lease's
//! epoch. Who takes the campaign over raises the epoch, and the former holder's next write is
//! refused with [`Error::Fenced`]. Leases are judged by the database's clock alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcmjoin_model::Half;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend::SpendMeter;
use dcmjoin_restore::task::{State, Task};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::job::Job;
use crate::spec::Spec;

/// A lease whose holder was not heard of for so long is taken over, in seconds.
pub const LEASE_SECS: u64 = 60;

/// Which object an archive is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key, not encoded.
    pub key: String,
    /// The version; the current one where `None`.
    pub version: Option<String>,
}

impl std::fmt::Debug for Place {
    /// Keys can tell of patients.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// An archive of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its number in the journal; 0 before it is there.
    pub id: i64,
    /// Its side.
    pub half: Half,
    /// Its wave.
    pub wave: u64,
    /// Which object it is.
    pub place: Place,
    /// Its length.
    pub bytes: u64,
    /// Where it stands.
    pub task: Task,
}

impl Archive {
    /// Returns whether a call, a look or a scan is on its way ([`Select::Open`]).
    #[must_use]
    pub fn is_open(&self) -> bool {
        let task = &self.task;
        task.call.is_some_and(|call| call.again.is_none())
            || task.look.is_some_and(|look| look.asked)
            || matches!(task.state, State::Scanning { .. })
    }

    /// Returns the code of what it was given up for.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        match self.task.state {
            State::Failed { failure } => Some(failure.code()),
            _ => None,
        }
    }
}

/// Whether a campaign goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its archives are still being found; where that did not come to its end, it is made anew.
    Draft,
    /// It goes on where an orchestrator runs.
    Active,
    /// No restore is asked for and no scan begins.
    Paused,
    /// It is given up.
    Cancelled,
    /// Nothing is left to do.
    Done,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 5] =
        [Self::Draft, Self::Active, Self::Paused, Self::Cancelled, Self::Done];

    /// Returns the word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| Error::Journal(format!("unknown mode {text:?}")))
    }
}

/// The right to act for a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which; a later one is greater.
    pub epoch: i64,
}

/// Archives and bytes of one wave in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One wave: archives by the word of their state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveTally {
    /// Which.
    pub wave: u64,
    /// Of which side.
    pub half: Half,
    /// By [`dcmjoin_restore::task::State::as_str`].
    pub states: BTreeMap<String, Tally>,
}

/// What is written down at once.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// Archives as they are from now on, and when each is of interest next.
    pub archives: &'a [(Archive, Option<Moment>)],
    /// What is spent. The budget stays as the journal has it: a person may have changed it meanwhile.
    pub spend: Option<&'a SpendMeter>,
    /// Batch jobs that are new, or of which more is known.
    pub jobs: &'a [Job],
    /// Tokens of batch jobs whose report was taken, or that are waited for no longer.
    pub ended: &'a [&'a str],
    /// What is counted besides: names of at most a few dozen kinds.
    pub counts: &'a [(&'static str, u64)],
}

/// Where a campaign stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whether it goes on.
    pub mode: Mode,
    /// Why not.
    pub reason: Option<String>,
    /// What is spent.
    pub spend: SpendMeter,
    /// The holder and the seconds since its last heartbeat, where a lease is held.
    pub holder: Option<(String, u64)>,
    /// The waves in their order.
    pub waves: Vec<WaveTally>,
    /// Archives that were given up, by the failure's code.
    pub failures: BTreeMap<String, u64>,
    /// What else was counted.
    pub counts: BTreeMap<String, u64>,
}

/// Which archives are asked for, in pages of rising numbers.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a> {
    /// Those that time concerns by then.
    Due(Moment),
    /// Those with a call, a look or a scan on its way.
    Open,
    /// Those of a wave in a state.
    In(u64, &'a str),
    /// Those in a state.
    State(&'a str),
    /// Of one side, all.
    Half(Half),
}

/// Where journals are kept: a file for one campaign, a folder of files, a database.
pub trait Shelf: Send + Sync {
    /// Returns all campaigns by their names, in the order of these.
    ///
    /// # Errors
    /// [`Error::Journal`] where the shelf cannot be read.
    fn campaigns(&self) -> Result<Vec<(String, Mode)>, Error>;

    /// Opens the journal of a campaign.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none, or it is of a form that this program does not know.
    fn open(&self, name: &str) -> Result<Arc<dyn Ledger>, Error>;

    /// Makes a journal, in the mode [`Mode::Draft`]; a draft of that name is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is a campaign of that name that is no draft.
    fn create(&self, name: &str, spec: &Spec) -> Result<Arc<dyn Ledger>, Error>;
}

/// A journal.
pub trait Ledger: Send + Sync {
    /// Returns what the campaign was told.
    ///
    /// # Errors
    /// [`Error::Journal`], here and below, where the database fails.
    fn spec(&self) -> Result<Spec, Error>;

    /// Changes what the campaign is told: its tier, by now. It counts from the orchestrator's next
    /// round.
    ///
    /// # Errors
    /// As above.
    fn set_spec(&self, spec: &Spec) -> Result<(), Error>;

    /// Adds archives; those that are there already are left alone.
    ///
    /// # Errors
    /// As above.
    fn add(&self, archives: &[Archive]) -> Result<(), Error>;

    /// Takes the campaign.
    ///
    /// # Errors
    /// [`Error::Held`] where another holder was heard of within [`LEASE_SECS`].
    fn take(&self, holder: &str) -> Result<Lease, Error>;

    /// Says that the holder is alive.
    ///
    /// # Errors
    /// [`Error::Fenced`] where the campaign was taken over.
    fn beat(&self, lease: Lease) -> Result<(), Error>;

    /// Gives the campaign back; nothing happens where it was taken over.
    ///
    /// # Errors
    /// As above.
    fn release(&self, lease: Lease) -> Result<(), Error>;

    /// Takes the lease from a holder that is known to be gone, before it ends by itself; nothing
    /// happens where another one holds the campaign. It is fenced where it was not gone after all.
    ///
    /// # Errors
    /// As above.
    fn evict(&self, holder: &str) -> Result<(), Error>;

    /// Writes down what happened, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Fenced`] where the campaign was taken over.
    fn commit(&self, lease: Lease, change: &Change<'_>) -> Result<(), Error>;

    /// Changes the mode, for a person or an orchestrator.
    ///
    /// # Errors
    /// As above.
    fn set_mode(&self, mode: Mode, reason: Option<&str>) -> Result<(), Error>;

    /// Returns the mode.
    ///
    /// # Errors
    /// As above.
    fn mode(&self) -> Result<Mode, Error>;

    /// Changes the budget.
    ///
    /// # Errors
    /// As above.
    fn set_budget(&self, budget: Option<Usd>) -> Result<(), Error>;

    /// Returns the budget.
    ///
    /// # Errors
    /// As above.
    fn budget(&self) -> Result<Option<Usd>, Error>;

    /// Returns the batch jobs that have not ended, by their tokens.
    ///
    /// # Errors
    /// As above.
    fn jobs(&self) -> Result<Vec<Job>, Error>;

    /// Returns a page of archives whose numbers are above `after`, in their order.
    ///
    /// # Errors
    /// As above.
    fn page(&self, select: Select<'_>, after: i64, limit: usize) -> Result<Vec<Archive>, Error>;

    /// Returns the archive that an object is; without a version the one of the current version.
    ///
    /// # Errors
    /// As above.
    fn find(&self, place: &Place) -> Result<Option<Archive>, Error>;

    /// Returns when time next concerns an archive.
    ///
    /// # Errors
    /// As above.
    fn next_due(&self) -> Result<Option<Moment>, Error>;

    /// Returns the waves.
    ///
    /// # Errors
    /// As above.
    fn waves(&self) -> Result<Vec<WaveTally>, Error>;

    /// Returns where the campaign stands.
    ///
    /// # Errors
    /// As above.
    fn standing(&self) -> Result<Standing, Error>;
}
