//! Tasks and facts in `PostgreSQL` (11 or later), for workers on many machines.
//!
//! In reading order:
//!
//! - [`Postgres`]: a database as a store; `session` has its connections, `schema` its tables;
//! - `binding`: which store it is, and which one its facts are of;
//! - `tasks`: claims in batches with `SKIP LOCKED`, leases and tokens;
//! - `facts`: facts come by `COPY`, and with them what tells readers to look;
//! - `lease`: partitions that workers hold; `look`: the pairs of what arrived in them;
//! - `reader`: gives them, and says what is done;
//! - `values`: numbers as the server has them.
//!
//! **Invariants.** Times are the server's clock. Each change is one short transaction. An append brings its
//! facts and their arrivals together. Who looks at an arrival sees all facts that were there before it: of
//! two appends that bring a half each, the arrivals of the later one to commit give the pair, whichever
//! way they overlap. An arrival leaves the log when its pairs are done, or are of another arrival that
//! its partition's one holder has looked at. Transactions lock rows in one order, by number or by
//! fingerprint, so that none wait for each other in a ring.
//!
//! A statement that fails is not made again here: callers get [`dcmjoin_ledger::Error::Store`], and ask
//! again. A server that is away is waited for when a connection is made, for at most
//! [`session::OUTAGE_MAX`].

mod binding;
mod facts;
mod lease;
mod look;
mod reader;
mod schema;
pub mod session;
mod tasks;
mod values;

pub use session::Postgres;
