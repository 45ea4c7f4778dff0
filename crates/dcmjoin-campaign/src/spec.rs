//! What a campaign is told: plain values, kept in its journal.

use dcmjoin_restore::money::Usd;
use dcmjoin_restore::task::Policy;
use serde::{Deserialize, Serialize};

/// What a campaign is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Sources of metadata archives: `s3://bucket/prefix`, or `@file`.
    pub metadata: Vec<String>,
    /// Sources of image archives.
    pub images: Vec<String>,
    /// Where instances go.
    pub output: String,
    /// The region whose prices count.
    pub region: String,
    /// The SQS queue of restore events; without one only listings tell.
    pub queue: Option<String>,
    /// The rules for each archive.
    pub policy: Policy,
    /// The bytes of a wave, at the most.
    pub wave_bytes: u64,
    /// How many waves are on their way at the same time.
    pub waves_ahead: u64,
    /// How fast archives are forecast to be read, in bytes a second.
    pub bytes_per_sec: u64,
    /// Restore requests a second.
    pub restores_per_sec: u32,
    /// What may be spent; anything where `None`.
    pub budget: Option<Usd>,
    /// The price file's text; the shipped prices where `None`.
    pub prices: Option<String>,
    /// Ask by S3 Batch Operations jobs, a wave at a time; key by key where `None`.
    #[serde(default)]
    pub batch: Option<Batch>,
    /// Where copies of all archives are kept; none are where `None`.
    #[serde(default)]
    pub keep: Option<String>,
}

/// How restores are asked for by S3 Batch Operations jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The role that jobs act as: `arn:aws:iam::ACCOUNT:role/NAME`.
    pub role: String,
    /// The bucket of manifests and reports, in the region of the archives.
    pub bucket: String,
    /// Below which key they stand.
    pub prefix: String,
}

impl Batch {
    /// Returns how to ask, from a role and `s3://bucket/prefix`; `None` where these are none.
    #[must_use]
    pub fn new(role: &str, folder: &str) -> Option<Self> {
        let (bucket, prefix) = folder.strip_prefix("s3://")?.split_once('/')?;
        let prefix = prefix.trim_matches('/');
        let batch =
            Self { role: role.to_owned(), bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        let digits = |account: &str| account.bytes().all(|byte| byte.is_ascii_digit());
        let account = Some(batch.account()).filter(|account| account.len() == 12);
        (account.is_some_and(digits) && !bucket.is_empty() && !prefix.is_empty()).then_some(batch)
    }

    /// Returns the account's number, which the role's name holds.
    #[must_use]
    pub fn account(&self) -> &str {
        self.role.split(':').nth(4).unwrap_or_default()
    }
}

/// Waves on their way: one is read while the next one is restored.
pub const WAVES_AHEAD: u64 = 2;
/// A forecast that a laptop reaches; a large machine near the bucket reads fifty times as fast.
pub const BYTES_PER_SEC: u64 = 50_000_000;
/// A wave that is read in a day at [`BYTES_PER_SEC`].
pub const WAVE_BYTES: u64 = 4 << 40;

impl Spec {
    /// Returns how long reading so many bytes is forecast to take, in seconds.
    #[must_use]
    pub fn read_secs(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes_per_sec.max(1))
    }
}
