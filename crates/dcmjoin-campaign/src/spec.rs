//! What a campaign is told: plain values, kept in its journal.

use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::moment::DAY;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::task::Policy;
use dcmjoin_restore::waves::Pace;
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
    /// How many waves are on their way at the same time; where `None`, by how fast archives turn out
    /// to be read ([`Pace::ahead`]).
    pub waves_ahead: Option<u64>,
    /// How fast archives are forecast to be read, in bytes a second, until it is measured.
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

/// A forecast that a laptop reaches; a large machine near the bucket reads fifty times as fast.
pub const BYTES_PER_SEC: u64 = 50_000_000;
/// What takes less than a minute says little about the next terabyte.
const MEASURED_SECS_MIN: u64 = 60;
/// A wave takes this share of what can be read before its copies go, so that several can be on their
/// way: one is read while the next ones are restored.
const WAVE_SHARE: u64 = 4;

/// Returns how large waves are cut where nobody says.
#[must_use]
pub fn wave_bytes(bytes_per_sec: u64, policy: &Policy) -> u64 {
    let pace = pace(bytes_per_sec, policy);
    let most = pace.wave_bytes_for(policy.days).unwrap_or(bytes_per_sec.saturating_mul(DAY));
    (most / WAVE_SHARE).max(1)
}

fn pace(bytes_per_sec: u64, policy: &Policy) -> Pace {
    let restore = policy.tier.takes(StorageClass::Glacier);
    Pace { bytes_per_sec, restore, margin_secs: policy.margin_secs }
}

impl Spec {
    /// Returns how waves are paced.
    #[must_use]
    pub fn pace(&self) -> Pace {
        pace(self.bytes_per_sec, &self.policy)
    }

    /// Takes up how long reading so many bytes took: forecasts go half the way from what they were.
    pub(crate) fn measured(&mut self, bytes: u64, secs: u64) {
        if secs < MEASURED_SECS_MIN || bytes == 0 {
            return;
        }
        let measured = bytes.saturating_add(secs / 2) / secs;
        self.bytes_per_sec = self.bytes_per_sec.saturating_add(measured).div_ceil(2).max(1);
        tracing::info!(measured, forecast = self.bytes_per_sec, "bytes read a second");
    }

    /// Returns how long reading so many bytes is forecast to take, in seconds.
    #[must_use]
    pub fn read_secs(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes_per_sec.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_a_quarter_of_what_copies_allow() {
        let policy = Policy { days: 2, ..Policy::default() };
        // 48 h, less 7 h between a wave's first copy and its last, less a margin of 2 h.
        assert_eq!(wave_bytes(1_000, &policy), 1_000 * 39 * 3_600 / 4);
    }

    #[test]
    fn forecasts_go_half_the_way_to_what_was_measured() {
        let mut spec: Spec = serde_json::from_value(serde_json::json!({
            "metadata": [], "images": [], "output": "out", "region": "us-east-1", "queue": null,
            "policy": Policy::default(), "wave_bytes": 1, "waves_ahead": null,
            "bytes_per_sec": 1_000, "restores_per_sec": 1, "budget": null, "prices": null,
        }))
        .unwrap();
        spec.measured(300_000, 100);
        assert_eq!(spec.bytes_per_sec, 2_000);
        spec.measured(1_000_000, 59);
        spec.measured(0, 100);
        assert_eq!(spec.bytes_per_sec, 2_000, "too short, or nothing read");
        spec.measured(60_000_000_000, 60);
        assert_eq!(spec.read_secs(500_001_000), 1);
    }
}
