//! An S3 server with Glacier's restores on a virtual clock, for tests and for rehearsals.
//!
//! It serves objects of all storage classes, restores archived ones as S3 documents it, sends the
//! events of restores to queues that it serves itself, and plays faults when told to. Five days
//! of a campaign take seconds: the clock stands until it is moved, or runs at a factor.
//!
//! ```
//! use dcmjoin_emulator::{Body, Emulator, Options, StorageClass};
//!
//! let emulator = Emulator::start(Options::default())?;
//! emulator.storage().create_bucket("archive")?;
//! let body = Body::Generated { length: 1 << 30, seed: 1 };
//! emulator.storage().put("archive", "a.tar", body, StorageClass::Glacier)?;
//! println!("aws --endpoint-url {} s3 ls s3://archive", emulator.endpoint());
//! # Ok::<(), dcmjoin_emulator::Error>(())
//! ```
//!
//! Modules, in reading order: [`Options`] and the handles of [`Emulator`] are what a user sees;
//! `time`, `agenda` and `world` are the clock and what it moves; `class`, `restore` and `restoring`
//! are the rules of restores; `object`, `bucket` and `body` what is stored; `front` and `s3` the
//! service; `event`, `posting`, `rule`, `queue` and `control` what happens to events; `batch` and
//! `inventory` what works on whole buckets; `fault` and `ledger`; `forward` and `admin` reach out
//! of the process.
//!
//! **Invariants.** Everything that happens, happens by the clock, at its own time, in its order.
//! The same seed and the same requests give the same answers. It binds to the loopback only.

mod admin;
mod agenda;
mod batch;
mod body;
mod bucket;
mod class;
mod control;
mod csv;
mod emulator;
mod error;
mod event;
mod fault;
mod forward;
mod front;
mod inventory;
mod ledger;
mod multipart;
mod object;
mod options;
mod posting;
mod queue;
mod random;
mod rate;
mod request;
mod restore;
mod restoring;
mod rule;
mod s3;
mod server;
mod sigv4;
mod spool;
mod storage;
mod time;
mod world;

pub use batch::ReportColumns;
pub use body::{Body, Source};
pub use class::{AccessTier, Latencies, Latency, StorageClass, Tier};
pub use emulator::{Clock, Emulator, Error, Faults, Queues};
pub use event::{EventKind, Route, Shape, Target};
pub use fault::{Effect, EventEffect, EventFault, Fault, Keys, RequestFault};
pub use inventory::FileFormat;
pub use ledger::{Ledger, Retrieved};
pub use options::{Access, KeyPair, Options, Rate, TimeKind};
pub use queue::QueueCounts;
pub use request::Kind;
pub use restore::DaysFrom;
pub use storage::Storage;
pub use time::Time;
