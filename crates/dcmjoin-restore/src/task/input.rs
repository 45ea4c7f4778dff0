//! What an archive's state machine is fed.

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::class::{StorageClass, Tier};
use crate::moment::Moment;
use crate::status::RestoreStatus;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// Its wave begins: restore it.
    Start,
    /// `RestoreObject` answered.
    Answer {
        /// Of which call.
        ticket: u32,
        /// What.
        answer: Answer,
    },
    /// An event came, perhaps late, twice, or before others.
    Event(Event),
    /// The object was looked at: a HEAD, or the reconciler's listing.
    Seen(Sighting),
    /// Time has passed.
    Tick,
    /// There is room for one more scan.
    ScannerFree,
    /// A scan ended.
    Scan {
        /// Which.
        ticket: u32,
        /// How.
        result: ScanResult,
    },
    /// A person wants the running restore done faster.
    Upgrade {
        /// How fast.
        tier: Tier,
    },
    /// A person wants it no more.
    Cancel,
    /// A person wants a failed archive tried again, with fresh counts.
    Retry,
}

/// An event of `EventBridge`, SQS or SNS, whatever its shape was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// When, by the service's own clock (`time`, `eventTime`).
    pub time: Moment,
}

/// `Object Restore Initiated`, `Completed`, `Expired`; `s3:ObjectRestore:Post`, `Completed`,
/// `Delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A restore has begun.
    Initiated,
    /// The copy is there.
    Completed {
        /// `restore-expiry-time`, `lifecycleRestorationExpiryTime`; not every service sends it.
        expiry: Option<Moment>,
    },
    /// A copy has gone: this one, or that of an older restore.
    Expired,
}

/// What S3 said of the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// Its storage class.
    pub class: StorageClass,
    /// Its copy; `None` where there is none.
    pub status: Option<RestoreStatus>,
    /// When, by the answer's `Date`.
    pub at: Moment,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanResult {
    /// All was read, and each member has an account.
    Done,
    /// 403 `InvalidObjectState`: the copy has gone.
    CopyGone,
    /// 412: the archive was replaced by another.
    Overwritten,
    /// 403 `AccessDenied`.
    Denied,
    /// It failed for another cause.
    Broke,
    /// Its worker is gone, or its lease.
    Lost,
    /// It was stopped on purpose, to go on later.
    Stopped,
}

impl ScanResult {
    /// All results.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::CopyGone,
        Self::Overwritten,
        Self::Denied,
        Self::Broke,
        Self::Lost,
        Self::Stopped,
    ];
}
