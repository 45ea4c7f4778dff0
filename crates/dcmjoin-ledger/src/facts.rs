//! The fact log: halves whose partner was not found while their archive streamed past.
//!
//! ```text
//! scan workers ──append──▶ partitions by fingerprint ──next──▶ pairs ──▶ assemble workers
//!                                    ▲                                       │
//!                                    └──────────────── done ─────────────────┘
//! ```
//!
//! A pair is given once both halves of a UID are in the log, whichever came first and however long
//! it took. Nobody asks for halves that are not there: [`FactReader::next`] answers from what has
//! come, or waits.
//!
//! **Promises that hold on every backend.** A fact is durable once [`FactLog::append`] returns. The same
//! fact, appended again, changes nothing: facts are the same where campaign, UID, half, archive and offset
//! are. A pair is given at least once, until somebody says that it is done; who publishes it twice
//! must publish the same bytes. Of several facts of one half, any may stand in the pair: conflicts
//! are settled when the campaign is closed. A fingerprint never decides alone: both halves
//! of a pair have the same UID. What differs, [`Capabilities`] declares.

use std::time::Duration;

use async_trait::async_trait;
use dcmjoin_model::{Half, SopInstanceUid};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::binding::StoreId;
use crate::campaign::CampaignName;
use crate::error::Error;

/// Partitions of every log: enough for as many workers, and few enough to list.
pub const PARTITIONS: u16 = 64;
/// Most facts of one append, and most pairs of one answer.
pub const FACTS_MAX: usize = 100_000;

/// How often a reader that waits looks: one short query for all of its partitions.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Checks that facts are few enough for one append.
///
/// # Errors
/// [`Error::Invalid`] where they are more than [`FACTS_MAX`].
pub fn few_enough(facts: &[Fact]) -> Result<(), Error> {
    match facts.len() {
        0..=FACTS_MAX => Ok(()),
        got => Err(Error::Invalid(format!("expected at most {FACTS_MAX} facts, got {got}"))),
    }
}

/// What is known of a half that waits for its partner.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// 128 bits of the UID, made by the caller, the same for the same UID.
    pub fingerprint: u128,
    /// The instance.
    pub uid: SopInstanceUid,
    /// Which half.
    pub half: Half,
    /// URL of the archive.
    pub archive: String,
    /// The archive's version (`ETag`), where the store gives one.
    pub version: Option<String>,
    /// First byte of the member in the plain tar.
    pub offset: u64,
    /// Bytes of the member.
    pub length: u64,
    /// XXH3-128 of the member's bytes.
    pub digest: u128,
    /// CRC-32C of the member's bytes.
    pub crc32c: u32,
}

/// Names neither key nor UID.
impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fact = f.debug_struct("Fact");
        fact.field("fingerprint", &format_args!("{:032x}", self.fingerprint));
        fact.field("half", &self.half).finish_non_exhaustive()
    }
}

/// Returns the partition of a fingerprint: its highest bits, so that a partition is a range.
#[must_use]
pub fn partition(fingerprint: u128) -> u16 {
    const SHIFT: u32 = 128 - PARTITIONS.ilog2();
    (fingerprint >> SHIFT) as u16
}

/// Both halves of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Whose they are.
    pub campaign: CampaignName,
    /// The header.
    pub metadata: Fact,
    /// The payload.
    pub image: Fact,
    /// What the backend needs to know the pair again: an offset, a row's number.
    pub receipt: i64,
}

impl Pair {
    /// Returns the pair's partition.
    #[must_use]
    pub fn partition(&self) -> u16 {
        partition(self.metadata.fingerprint)
    }
}

/// Which halves without partner are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Those that were appended by now: for a campaign whose last archive is through.
    Now,
    /// Those that have waited so long by the log's clock.
    Waited(Duration),
}

/// How much is in a log, of one campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactDepth {
    /// Facts, each counted once.
    pub facts: u64,
    /// Those whose partner has not come.
    pub open: u64,
    /// Pairs of which nobody has said that they are done.
    pub pairs: u64,
}

/// When a log answers that facts are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// On this machine's device.
    Device,
    /// On the server's device.
    Server,
    /// On as many brokers as the topic's `min.insync.replicas` says.
    Replicas,
}

/// How facts that come again are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedup {
    /// The log never holds a fact twice.
    OnAppend,
    /// It may hold it twice, and counts and gives it once.
    OnRead,
}

/// How a worker that lost a partition is kept from saying *done*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// The log refuses it.
    Refused,
    /// The log cannot tell; since the same pair gives the same bytes, it does no harm.
    Harmless,
}

/// How pairs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// When the second half is appended, or at the next look.
    Continuous,
    /// By one join of a partition at each look.
    Join,
}

/// How partitions come to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// A worker leases free partitions; those of a dead worker are free after its lease.
    Lease,
    /// The broker parts them over the group's members, anew where one comes or goes.
    Group,
    /// Workers part them by a rule over those that were heard of; where one comes or goes, two may
    /// have the same for a short while, and give the same pairs.
    Rule,
}

/// What a backend promises beyond what all promise; asserted by the conformance suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The backend's word in documents: `embedded`, `postgres`, `kafka`, `clickhouse`.
    pub name: &'static str,
    /// When a fact is durable.
    pub durable: Durable,
    /// How a fact that comes again is known.
    pub dedup: Dedup,
    /// How zombies are kept out.
    pub fencing: Fencing,
    /// How pairs are made.
    pub pairing: Pairing,
    /// How partitions come to workers.
    pub assignment: Assignment,
    /// Whether workers of several machines can use it.
    pub is_shared: bool,
}

/// A log of facts.
#[async_trait]
pub trait FactLog: Send + Sync {
    /// Returns what the backend promises.
    fn capabilities(&self) -> Capabilities;

    /// Keeps the facts for one task store: the first that the log was used with.
    ///
    /// # Errors
    /// [`Error::Bound`] where that is another one; [`Error::Store`], here and below, where the log fails.
    async fn bind(&self, store: &StoreId) -> Result<(), Error>;

    /// Appends facts of a campaign, at most [`FACTS_MAX`]; waits where the log is slow.
    ///
    /// # Errors
    /// As above; then a part of the facts may be in the log, and the same append again completes it.
    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error>;

    /// Lets a worker take part in assembling: it gets partitions as they become free.
    ///
    /// # Errors
    /// As above.
    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error>;

    /// Returns halves of a campaign without partner, in the order of fingerprint, UID, half, archive and
    /// offset, of those that come after a fact; at most [`FACTS_MAX`]. A half that is listed still
    /// pairs when its partner comes.
    ///
    /// # Errors
    /// As above.
    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error>;

    /// Returns how much there is of a campaign.
    ///
    /// # Errors
    /// As above.
    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error>;

    /// Returns whether there are pairs of a campaign of which nobody has said that they are done, more cheaply
    /// than [`FactLog::depth`] counts them. Where readers have not looked at all that was appended, it may be
    /// true although there are none.
    ///
    /// # Errors
    /// As above.
    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        Ok(self.depth(campaign).await?.pairs > 0)
    }

    /// Forgets a campaign's facts.
    ///
    /// # Errors
    /// As above.
    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error>;
}

/// A worker's part of a log: it owns partitions, and they may change.
#[async_trait]
pub trait FactReader: Send {
    /// Returns pairs of partitions that this worker owns and that nobody has said are done, at most
    /// `max`; none where there is none now. A pair that was given to this reader is not given to it
    /// again before [`FactReader::again`]. Looking counts as a sign of life.
    ///
    /// # Errors
    /// As above.
    async fn look(&mut self, max: usize) -> Result<Vec<Pair>, Error>;

    /// Looks until there are pairs, for at most `wait`.
    ///
    /// # Errors
    /// As above.
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Pair>, Error> {
        let until = Instant::now() + wait;
        loop {
            let pairs = self.look(max).await?;
            let now = Instant::now();
            if !pairs.is_empty() || now >= until {
                return Ok(pairs);
            }
            tokio::time::sleep(LOOK_EVERY.min(until - now)).await;
        }
    }

    /// Says that what follows from pairs is durable.
    ///
    /// # Errors
    /// [`Error::Fenced`] where one of their partitions is another worker's by now, and the backend
    /// can tell: then none is done.
    async fn done(&mut self, pairs: &[Pair]) -> Result<(), Error>;

    /// Lets pairs that were given and are not done be given again.
    ///
    /// # Errors
    /// As above.
    async fn again(&mut self) -> Result<(), Error>;

    /// Returns the partitions that this worker owns at present.
    fn partitions(&self) -> Vec<u16>;

    /// Gives the partitions back.
    ///
    /// # Errors
    /// As above.
    async fn leave(self: Box<Self>) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_ranges_of_fingerprints() {
        assert_eq!(partition(0), 0);
        assert_eq!(partition(u128::MAX), PARTITIONS - 1);
        assert_eq!(partition(1 << 122), 1);
        assert_eq!(partition((1 << 122) - 1), 0);
    }

    #[test]
    fn debug_names_no_instance() {
        let fact = Fact {
            fingerprint: 7,
            uid: SopInstanceUid::parse("2.25.99").unwrap(),
            half: Half::Image,
            archive: "s3://secret/key".to_owned(),
            version: None,
            offset: 0,
            length: 0,
            digest: 0,
            crc32c: 0,
        };
        let said = format!("{fact:?}");
        assert!(!said.contains("2.25.99") && !said.contains("secret"), "{said}");
    }
}
