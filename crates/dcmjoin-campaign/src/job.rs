//! A job of S3 Batch Operations, as the journal keeps it until its report is taken.

use dcmjoin_restore::class::Tier;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::spend::Purpose;
use serde::{Deserialize, Serialize};

/// A job that has not ended. It is written down before S3 is asked to make it, so that whoever goes
/// on can ask again: the same request with the same token gives the same job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What S3 knows the request by (`ClientRequestToken`); one of each job of a campaign.
    pub token: String,
    /// What S3 calls the job; `None` before its answer.
    pub id: Option<String>,
    /// How fast its keys are restored.
    pub tier: Tier,
    /// For how many days.
    pub days: Option<u32>,
    /// Whether its manifest names versions.
    pub versions: bool,
    /// The manifest's key.
    pub manifest: String,
    /// The manifest's entity tag.
    pub tag: String,
    /// When it was made.
    pub begun: Moment,
    /// What was charged for it.
    pub costs: Vec<(Purpose, Usd)>,
    /// The calls that it is to answer: numbers of archives and their tickets.
    pub keys: Vec<(i64, u32)>,
}
