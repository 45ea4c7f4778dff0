//! Restores from archive storage classes, as pure functions: no I/O, no clock, no runtime.
//!
//! In reading order:
//!
//! - [`moment`]: points in time as S3 writes them, and the server's clock;
//! - [`class`]: storage classes, retrieval tiers, how long a restore takes;
//! - [`status`]: the `x-amz-restore` header and `RestoreStatus` of a listing;
//! - [`answer`]: what an answer of `RestoreObject` means;
//! - [`task`]: the state machine of one archive;
//! - [`waves`]: which archives are restored together;
//! - [`rate`], [`spend`]: how fast, and for how much money;
//! - [`money`], [`prices`]: dollars, and the price file;
//! - [`plan`]: what a campaign costs and how long it takes, before it begins.
//!
//! A driver holds a [`Task`] for each archive, feeds it what happens and carries its effects out:
//!
//! ```
//! use dcmjoin_restore::answer::Answer;
//! use dcmjoin_restore::class::StorageClass;
//! use dcmjoin_restore::moment::Moment;
//! use dcmjoin_restore::task::{Effect, Input, Policy, Setting, Task};
//!
//! let policy = Policy::default();
//! let now = Moment::parse_http("Fri, 20 Nov 2026 10:00:00 GMT")?;
//! let setting = Setting { policy: &policy, now, scan_secs: 60 };
//!
//! let step = Task::new(StorageClass::Glacier).step(&setting, &Input::Start);
//! let Effect::Request { ticket, days, .. } = step.effects[0] else { panic!("no call") };
//! assert_eq!(days, Some(2));
//!
//! // Write `step.task` down, call RestoreObject, then:
//! let answer = Answer::of(202, "");
//! let step = step.task.step(&setting, &Input::Answer { ticket, answer });
//! assert_eq!(step.task.state.as_str(), "restoring");
//! # Ok::<(), dcmjoin_restore::moment::NotATime>(())
//! ```

pub mod answer;
pub mod class;
pub mod moment;
pub mod money;
pub mod plan;
pub mod prices;
pub mod rate;
pub mod spend;
pub mod status;
pub mod task;
pub mod waves;

pub use task::Task;
