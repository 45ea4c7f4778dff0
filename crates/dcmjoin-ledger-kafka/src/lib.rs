//! Facts in Kafka (2.5 or later), for workers on many machines.
//!
//! Two topics with as many partitions, both compacted, both with what is of a fingerprint in its partition
//! (`parts`): `PREFIX.halves` has the facts, `PREFIX.pairs` the pairs that are
//! done, many in a record. What is open, and what is paired, every reader finds by itself from these two: it
//! keeps that in memory and in a file, with the offset up to which it has read; so the topics are the changelog
//! of the readers' files, and a reader that gets a partition reads it from its start.
//!
//! In reading order:
//!
//! - [`Address`]: where the brokers are; `admit`: whether they let this program in;
//! - [`Kafka`]: two topics as a log; `log` makes them;
//! - `message`: facts and pairs as records;
//! - `state`: what a reader knows of partitions; `recent`: what of it is in memory; `group`: the facts of an
//!   instance;
//! - `follower`: reads a topic's partitions up to their ends;
//! - `append`: records are sent, and waited for; `member`: the group that parts the partitions;
//! - `reader`: gives pairs of its partitions, and says what is done in a transaction; `search`: where it
//!   looks for them;
//! - `binding`: which task store the facts are of, in a topic `PREFIX.store`;
//! - `view`: what there is of a campaign, from all partitions; `forget`: ends it; `lag`: whether any is left.
//!
//! **Invariants.** Offsets are not what decides what is done; the topic of pairs is. The offsets that the
//! group commits tell how far its facts were looked at: lag is what nobody has looked at. A
//! *done* goes with the group's offsets in one transaction, so the broker refuses it of a worker that is not in
//! the group's present generation.
//!
//! A record that is not understood is passed over: it is not of this program.

mod address;
mod admit;
mod append;
mod binding;
mod follower;
mod forget;
mod group;
mod lag;
mod log;
mod member;
mod message;
mod parts;
mod reader;
mod recent;
mod search;
mod state;
mod view;

pub use address::Address;
pub use log::Kafka;
