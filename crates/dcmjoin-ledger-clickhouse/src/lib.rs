//! Facts in `ClickHouse` (23.3 or later), for workers on many machines.
//!
//! In reading order:
//!
//! - [`ClickHouse`]: a database as a log; `log` has its tables and its settings;
//! - `facts`: facts are inserted as they come, and counted and listed once each;
//! - `reader`: a worker's partitions; `pass`: their pairs, by one grouped read of some at a time;
//! - `finished`: whether all pairs are done.
//!
//! **Invariants.** Rows are only ever added, but for a campaign that is forgotten. Readers have no locks:
//! each takes its part by a rule over those that were heard of. Where one comes or goes, two
//! may have a partition for a short while, and give the same pairs; since the same pair gives the
//! same bytes, it does no harm. Nobody is kept from saying *done*: whoever says so has published.
//!
//! A statement that fails is not made again here: callers get [`dcmjoin_ledger::Error::Store`], and ask
//! again. Times are the server's clock.

mod facts;
mod finished;
mod log;
mod pass;
mod reader;

pub use log::ClickHouse;
