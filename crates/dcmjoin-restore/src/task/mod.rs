//! One archive on its way through a campaign: a pure state machine.
//!
//! ```text
//! planned ──start──► requested ──202 409──► restoring ──completed──► available ──scanner free──► scanning ──► done
//!    ▲                  │  ▲                    │                       │  ▲                        │
//!    │                  │  └─────start──── expired ◄──gone before or while it was read──────────────┤
//!    └─overwritten──────┼───────────────────────┼───────────────────────┼───────────────────────────┘
//!                       └──────────────► failed ◄───────────────────────┘
//! ```
//!
//! [`Task::step`] takes one [`Input`] and gives the next task with the [`Effect`]s that are due.
//! Whoever drives it writes the task down first, then carries the effects out, then feeds what came
//! of them. After a restart [`Task::resume`] gives the effects that may not have been carried out.
//!
//! **Invariants**, each checked over all reachable states in `tests/it/model.rs`:
//!
//! 1. A scan begins only where the copy lasts for its forecast and the margin.
//! 2. `done` is final; `failed` is left by [`Input::Retry`] alone.
//! 3. The same event twice does what it does once.
//! 4. Every count is bounded by the [`Policy`], and so is the number of calls that cost money.
//! 5. No call asks for days that would shorten the copy.
//! 6. At most one call is on its way, and an answer to an older one changes nothing but that the
//!    truth is looked up.
//! 7. From every state, a service that answers and a driver that carries effects out reach `done` or
//!    `failed`.
//!
//! What no state expects is a no-op with a [`Note`], for the driver to count. Nothing here reads a
//! clock: [`Setting::now`] is the *server's* time ([`crate::moment::ServerClock`]).

mod call;
mod input;
mod news;
mod policy;
mod step;
mod time;
mod words;

use serde::{Deserialize, Serialize};

pub use input::{Event, EventKind, Input, ScanResult, Sighting};
pub use policy::{Policy, PolicyError, Setting};

use crate::class::{StorageClass, Tier};
use crate::moment::Moment;

/// When a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Then, as S3 said.
    At(Moment),
    /// Not at all: the object is not archived, or was moved out of an archive tier.
    Forever,
}

/// Where an archive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It waits for its wave.
    Planned,
    /// A restore was asked for; whether it has begun is not known yet.
    Requested {
        /// Since when.
        since: Moment,
        /// Whether a call has been made: what may be readable as it is, is looked at first.
        #[serde(default)]
        called: bool,
    },
    /// A restore runs.
    Restoring {
        /// What this campaign asked for; `None` where somebody else did.
        asked: Option<Asked>,
        /// Since when at the earliest: events before are of an older restore.
        since: Moment,
        /// When it was known to run: sightings before say nothing.
        as_of: Moment,
    },
    /// It can be read.
    Available {
        /// When the copy goes.
        until: Until,
        /// When that was known.
        as_of: Moment,
    },
    /// It is being read.
    Scanning {
        /// When the copy goes.
        until: Until,
        /// When that was known.
        as_of: Moment,
        /// The ticket of the scan whose result counts.
        scan: u32,
    },
    /// All of it has been read, and each member has an account.
    Done,
    /// Its copy has gone before it was read to the end; it waits to be started again.
    Expired {
        /// When the copy was known to be gone.
        since: Moment,
    },
    /// It was given up.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// What a restore was asked for with. An upgrade must name the same days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// How fast.
    pub tier: Tier,
    /// For how long; `None` for Intelligent-Tiering.
    pub days: Option<u32>,
}

/// Why an archive was given up. Each has a row in `docs/restore.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No such bucket, key or version.
    NotFound,
    /// The caller may not restore it, or may not read it.
    AccessDenied,
    /// S3 refuses the request as it is.
    RequestRefused,
    /// No answer but errors and throttling, as often as the policy allows.
    NoAnswer,
    /// Answers and the object's own status contradict each other again and again.
    Contradiction,
    /// The restore did not end within the policy's time.
    NeverRestored,
    /// Its copy went before it was read, as often as the policy allows restores.
    CopyKeepsExpiring,
    /// Reading it takes longer than the longest copy the policy allows.
    ScanTooLong,
    /// Scans of it fail, as often as the policy allows.
    ScanKeepsFailing,
    /// Workers keep going away while they scan it, as often as the policy allows.
    WorkersKeepDying,
    /// It is replaced again and again while it is read.
    KeepsChanging,
    /// A person cancelled it.
    Cancelled,
}

/// What is counted, each bounded by the [`Policy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Restores that this campaign asked for.
    pub restores: u16,
    /// Calls that failed one after another.
    pub tries: u16,
    /// Extensions of the current copy.
    pub extends: u16,
    /// Scans that failed.
    pub scans: u16,
    /// Scans whose worker went away: it may have been killed, or ended by this archive.
    #[serde(default)]
    pub lost: u16,
}

/// What a call of `RestoreObject` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To have a copy made.
    Restore,
    /// To keep a copy for longer.
    Extend,
    /// To have a running restore done faster.
    Upgrade,
}

/// A call of `RestoreObject` that waits for its answer, or for being made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The number that its answer must bear.
    pub ticket: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// What it asks for.
    pub asked: Asked,
    /// When it was sent.
    pub sent: Moment,
    /// Where it has failed: when it is made again.
    pub again: Option<Moment>,
}

/// A look at the object's status, asked for or due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Look {
    /// When it is asked for, or asked for again.
    pub due: Moment,
    /// Whether it has been asked for.
    pub asked: bool,
}

/// One archive of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Where S3 keeps it, as far as it is known.
    pub class: StorageClass,
    /// The number last given to a call or a scan.
    pub ticket: u32,
    /// The call on its way.
    pub call: Option<Call>,
    /// The look on its way.
    pub look: Option<Look>,
    /// No scan before this, after one that failed.
    pub rest: Option<Moment>,
    /// What is counted.
    pub counts: Counts,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Call `RestoreObject`, or put the key into a Batch Operations job; feed [`Input::Answer`].
    Request {
        /// To be given back with the answer.
        ticket: u32,
        /// What for.
        purpose: Purpose,
        /// `GlacierJobParameters.Tier`.
        tier: Tier,
        /// `Days`; none must be sent where `None`.
        days: Option<u32>,
    },
    /// HEAD the object or list it; feed [`Input::Seen`].
    Look,
    /// Scan the archive; feed [`Input::Scan`].
    Scan {
        /// To be given back with the result: the fence against a scan that was given up.
        ticket: u32,
        /// When the copy goes.
        until: Until,
    },
    /// Stop the scan; its result no longer counts.
    StopScan {
        /// Of which scan.
        ticket: u32,
    },
    /// The archive is another than it was: what is known of it is void. Read its size and entity tag
    /// anew, and feed [`Input::Seen`].
    Forget,
    /// Feed [`Input::Tick`] then, or later.
    WaitUntil {
        /// When.
        moment: Moment,
    },
    /// The archive goes to the dead letters.
    GiveUp {
        /// Why.
        failure: Failure,
    },
}

/// Why an input changed nothing, or less than it might.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// It was known already.
    Duplicate,
    /// Something newer is known.
    Stale,
    /// An answer or a result of a call or a scan that no longer counts.
    Late,
    /// The copy does not last, or the archive rests after a failure.
    NotYet,
    /// No state of this archive expects it.
    Unexpected,
}

/// What an input led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The archive from now on.
    pub task: Task,
    /// What is to be done, in this order.
    pub effects: Vec<Effect>,
    /// What is to be counted.
    pub note: Option<Note>,
}

impl Until {
    /// Returns whether the copy is there for so many seconds from a moment on.
    #[must_use]
    pub fn lasts(self, from: Moment, secs: u64) -> bool {
        match self {
            Self::At(moment) => from.plus(secs) <= moment,
            Self::Forever => true,
        }
    }

    /// Returns whether the copy has gone.
    #[must_use]
    pub fn is_past(self, now: Moment) -> bool {
        !self.lasts(now, 1)
    }
}

impl Task {
    /// Returns an archive that waits for its wave.
    #[must_use]
    pub fn new(class: StorageClass) -> Self {
        Self {
            state: State::Planned,
            class,
            ticket: 0,
            call: None,
            look: None,
            rest: None,
            counts: Counts::default(),
        }
    }

    /// Takes one input. Never panics: what makes no sense in this state is a no-op with a note.
    #[must_use]
    pub fn step(&self, setting: &Setting<'_>, input: &Input) -> Step {
        step::step(self, setting, input)
    }

    /// Returns the effects that may not have been carried out before a restart: the call on its way,
    /// the look on its way, the wait. A scan is not among them: whether it still runs is for leases
    /// to say, and ends as [`ScanResult::Lost`] or [`ScanResult::Stopped`] where it does not.
    #[must_use]
    pub fn resume(&self, setting: &Setting<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(call) = self.call.filter(|call| call.again.is_none()) {
            effects.push(call.effect());
        }
        if self.look.is_some_and(|look| look.asked) {
            effects.push(Effect::Look);
        }
        effects.extend(self.wake(setting).map(|moment| Effect::WaitUntil { moment }));
        effects
    }

    /// Returns when a [`Input::Tick`] is next of use; `None` where time changes nothing.
    #[must_use]
    pub fn wake(&self, setting: &Setting<'_>) -> Option<Moment> {
        time::wake(self, setting)
    }
}
