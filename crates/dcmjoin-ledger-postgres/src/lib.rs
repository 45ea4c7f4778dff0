//! Tasks and facts in `PostgreSQL` (11 or later), for workers on many machines.
//!
//! In reading order:
//!
//! - [`Postgres`]: a database as a store; `session` has its connections, `schema` its tables;
//! - `binding`: which store it is, and which one its facts are of;
//! - `tasks`: claims in batches with `SKIP LOCKED`, leases and tokens;
//! - `facts`: facts come by `COPY`, and pairs are made by one statement for a whole batch;
//! - `reader`: leased partitions, and the pairs that wait in them;
//! - `values`: numbers as the server has them.
//!
//! **Invariants.** Times are the server's clock. Each call is one short transaction, but for an append:
//! it commits its facts, and then, in another transaction, pairs them with all that is there. Of two
//! appends that bring a half each, the later one to commit sees both, whichever way they overlap; one
//! that dies in between is made again by its caller, who has no answer. Transactions lock rows in
//! one order, by number or by fingerprint, so that none wait for each other in a ring.
//!
//! A statement that fails is not made again here: callers get [`dcmjoin_ledger::Error::Store`], and ask
//! again. A server that is away is waited for when a connection is made, for at most
//! [`session::OUTAGE_MAX`].

mod binding;
mod facts;
mod reader;
mod schema;
pub mod session;
mod tasks;
mod values;

pub use session::Postgres;
