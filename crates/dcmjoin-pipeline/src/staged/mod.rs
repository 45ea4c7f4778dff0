//! The staged runner: drives the steps as many workers that share a task store.
//!
//! ```text
//! tasks ─ metadata archives ─ HeaderWorker ─ packs, catalogue ─┐  (order of stages: all of them)
//!         image archives ──── ImageWorker ──────────────── pair ─ assemble ─ publish, catalogue
//!         close ───────────── local::run over what is committed: books, report, marker
//! ```
//!
//! Workers do not talk to each other. What one leaves for the others is an archive's file in the
//! catalogue; what they share is who does what: a [`TaskStore`]. An archive that two workers scan
//! gives the same objects, so a task that is delivered twice costs time and nothing else.
//!
//! [`mod@work`] claims and beats, `session` holds what is needed for the tasks in hand, `append` tells a fact log what
//! is open, [`assemble`] pairs what came late, by its facts.
//!
//! A campaign may keep [raw objects](crate::raw): then scans only copy halves and leave a fact for each, all
//! pairs are assembled by the fact log, and [`purge()`] removes the copies once the books are closed.
//!
//! Halves without partner wait until the campaign's rule, [`give_up`], gives them up; [`mod@unpaired`] lists them.
//!
//! [`TaskStore`]: dcmjoin_ledger::TaskStore

mod append;
pub mod assemble;
mod closings;
pub mod give_up;
mod purge;
mod session;
pub mod settings;
pub mod unpaired;
pub mod work;

pub use assemble::Late;
pub use give_up::GiveUp;
pub use purge::purge;
pub use settings::CampaignSettings;
pub use settings::add;
pub use unpaired::{Unpaired, UnpairedList, unpaired, unpaired_facts};
pub use work::{Drain, WorkConfig, WorkError, Worked, work, worker_name};
