//! A shard: one of several runs that part the image archives, on machines that know nothing of each
//! other. It scans and publishes, and accounts for nothing: a run without shard does that at the end,
//! and finds all archives committed.
//!
//! Of the headers each shard needs all. It reads its own part of the metadata archives first; of the
//! others it takes the packs that the other shards have committed by then, and reads what is missing.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use dcmjoin_model::Side;
use dcmjoin_objects::{PutMode, Stores};
use serde::Serialize;

use super::{Part, Run, intake, stream};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::lock::Lock;
use crate::progress::Progress;
use crate::report::Archives;

/// The name and version of a shard's report.
const SCHEMA: &str = "dcmjoin.shard/1";
/// Most shards of a run: each reads all header packs.
const SHARDS_MAX: u32 = 10_000;

/// Which part of the archives: every N-th of them in the order of their URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Returns whether an archive is of this shard, by its number on its side's list.
    #[must_use]
    pub fn has(self, archive: u32) -> bool {
        archive % self.of == self.number - 1
    }

    fn lock_key(self) -> String {
        format!("_dcmjoin/lock-shard-{}-of-{}.json", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = RunError;

    fn from_str(text: &str) -> Result<Self, RunError> {
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) && of <= SHARDS_MAX => {
                Ok(Self { number, of })
            }
            _ => Err(RunError::Invalid {
                place: "--shard".to_owned(),
                detail: format!("expected K/N with 1 <= K <= N <= {SHARDS_MAX}, got {text}"),
            }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// What a shard did. Members, rejected and ignored of the images' side add up over all shards to
/// those of the run that accounts for them.
#[derive(Debug, Clone, Serialize)]
pub struct ShardReport {
    /// `dcmjoin.shard/1`
    pub schema: &'static str,
    /// The run's name.
    pub run: String,
    /// Which part: `2/4`.
    pub shard: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The metadata archives' side: all of them. Only `archives`, `members`, `rejected` and `ignored`
    /// are counted.
    pub metadata: Side,
    /// The image archives of this shard, likewise.
    pub images: Side,
    /// Archives by what was not usual with them.
    pub archives: Archives,
    /// Instances that this shard published, or found standing.
    pub in_output: u64,
    /// Bytes of those.
    pub in_output_bytes: u64,
}

/// Runs one shard of a configuration.
///
/// # Errors
/// [`RunError`] for what ends a run.
pub async fn shard(
    config: RunConfig,
    shard: Shard,
    progress: Arc<Progress>,
) -> Result<ShardReport, RunError> {
    let stores = Stores::default();
    let run = Arc::new(Run::begin(&stores, config, Part::Shard(shard), progress).await?);
    let lock = Lock::take(&run.output, &shard.lock_key(), &run.name).await?;
    let scanned = scan(&run, &lock).await;
    let report = run.shard_report(shard);
    lock.release().await?;
    scanned?;
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|error| RunError::Internal(error.to_string()))?;
    let key = format!("_dcmjoin/{}/shard.json", run.name);
    run.output.put(&key, vec![json.into()], PutMode::Replace).await?;
    Ok(report)
}

async fn scan(run: &Arc<Run>, lock: &Lock) -> Result<(), RunError> {
    let (headers, _) = intake::read(run).await?;
    lock.check()?;
    stream::read(run, &headers, None).await?;
    lock.check()
}

impl Run {
    fn shard_report(&self, shard: Shard) -> ShardReport {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        ShardReport {
            schema: SCHEMA,
            run: self.name.clone(),
            shard: shard.to_string(),
            started: humantime::format_rfc3339_millis(self.started).to_string(),
            seconds: self.clock.elapsed().as_secs_f64(),
            metadata: tallies.metadata,
            images: tallies.images,
            archives: tallies.archives,
            in_output: self.progress.published.load(Relaxed),
            in_output_bytes: self.progress.published_bytes.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_archive_is_of_one_shard() {
        for of in [1, 3, 7] {
            let shards: Vec<Shard> =
                (1..=of).map(|number| format!("{number}/{of}").parse().unwrap()).collect();
            for archive in 0..50 {
                assert_eq!(shards.iter().filter(|shard| shard.has(archive)).count(), 1);
            }
        }
        for bad in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/10001"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
