//! The journal of campaigns in `PostgreSQL` (11 or later): orchestrators on several machines, of whom one at a
//! time holds a campaign.
//!
//! In reading order:
//!
//! - [`shelf`]: a database as a place of many journals, and its schema;
//! - [`journal`]: one campaign's journal, the same trait as in a file;
//! - `rows`: archives as rows;
//! - `session`: the connection, which is made again where it breaks, and what is asked of it again.
//!
//! **Invariants.** Every write of an orchestrator bears its lease's epoch, and is refused where the
//! campaign has a later one. Leases are judged by the database's clock alone. A write whose outcome
//! was lost with the connection is made again, and has its effect once: it bears a number.
//!
//! **The connection.** One a journal, from a thread of its own, since callers are not asynchronous;
//! they wait for the answer. An outage of [`session::OUTAGE_MAX`] is waited for: shorter than
//! a lease, so that nobody else has acted when it ends well.

pub mod journal;
mod rows;
pub mod session;
pub mod shelf;

pub use journal::Postgres;
pub use shelf::Database;
