//! What pairs the halves: headers on local disk, a compact index of them in memory, and the facts
//! from which the books are made.
//!
//! - [`Fingerprint`]: 128 bits of a UID, by which halves are sorted and looked up. It never
//!   decides alone: two UIDs may share one, and callers compare the UIDs themselves.
//! - [`HeaderStore`]: headers, compressed, appended to a local file and read back by place.
//! - [`Fact`], [`BriefFact`], [`FactRuns`]: one fixed-size record a half that was read; partitioned
//!   on disk, sorted once into groups of one fingerprint. Facts of one side tell all that the books
//!   need; brief facts of both sides pair them without an index.
//! - [`PairingIndex`]: the sealed headers, one slot each, and which slots an image has claimed; in
//!   memory, or on disk where there are too many. A page of it is found by the fingerprint alone.
//!
//! All of it lives in a *spill folder* that goes with the run.

mod brief_fact;
mod fact;
mod fact_runs;
mod fingerprint;
mod header_store;
mod memory;
mod pairing_index;
mod record;
mod spool;

pub use brief_fact::{BriefFact, Halves};
pub use fact::{Fact, Outcome};
pub use fact_runs::{FactRuns, GROUP_FACTS_MAX, Groups};
pub use fingerprint::{Fingerprint, digest};
pub use header_store::{Frame, HeaderPlace, HeaderStore, Learnt};
pub use memory::bound_arenas;
pub use pairing_index::{PairingIndex, PairingIndexBuilder, Slot, Slots, Unclaimed};
pub use record::{Record, Relation, Words};
pub use spool::Spool;

/// Why the spill folder's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device failed or is full.
    #[error("cannot {action} the spill file: {kind}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// Bytes that are not what was written: the device or its memory is at fault.
    #[error(
        "spill file is damaged at byte {offset}: expected checksum {expected:08x}, got {got:08x}"
    )]
    Damaged {
        /// Where the record begins.
        offset: u64,
        /// The checksum written.
        expected: u32,
        /// The checksum of what was read.
        got: u32,
    },
    /// A number that does not fit its field; far beyond what one run can hold.
    #[error("more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { action, kind: error.kind() }
    }
}
