//! A campaign: archives are restored from Glacier in waves, and each is joined while its copy lasts.
//!
//! What is decided is decided by [`dcmjoin_restore`], as pure functions; here is what they need of
//! the world. In reading order:
//!
//! - [`spec`]: what a campaign is told;
//! - [`ledger`]: the journal, as a trait; [`job`]: what it keeps of batch jobs; [`sqlite`]: in a file;
//!   [`files`]: several of them;
//! - [`holder`]: who holds a campaign;
//! - `sign`, [`aws`], `listing`: signed calls of S3 and SQS;
//! - [`event`]: messages of a queue to events of archives;
//! - [`manifest`]: sources to the archives of a campaign, in waves;
//! - [`scanner`]: batches of archives through the local runner; `verdict`: what became of each;
//!   `kept`: their copies; [`trouble`]: what keeps it from that;
//! - [`dispatch`]: batches of archives through workers;
//! - [`clockwork`]: how the orchestrator waits;
//! - [`orchestrator`]: turns of the loop; `spending` its money.
//!
//! **Invariants.** A task is in the journal before its effects are carried out. Every write bears
//! the lease's epoch, and one with an older epoch is refused. Time is the server's.

pub mod aws;
pub mod clockwork;
pub mod dispatch;
pub mod error;
pub mod event;
pub mod files;
pub mod holder;
pub mod job;
mod kept;
pub mod ledger;
mod listing;
pub mod manifest;
pub mod orchestrator;
pub mod scanner;
mod sign;
pub mod spec;
mod spending;
pub mod sqlite;
pub mod stages;
pub mod trouble;
mod verdict;

pub use error::Error;
pub use orchestrator::Orchestrator;
pub use spec::Spec;
pub use sqlite::Sqlite;
