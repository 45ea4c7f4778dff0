//! What a run says of itself: `report.json`, and the commit marker that readers trust.
//!
//! The schema is described in `docs/report.md`; [`SCHEMA`] changes whenever a field changes its
//! meaning or goes.

use std::collections::BTreeMap;

use dcmjoin_model::{Books, Half, Ignored, Instances, Side, WarningCode};
use dcmjoin_objects::{Requests, Retries};
use serde::Serialize;

use crate::config::RunConfig;
use crate::rows::{Rejections, RowsFile};

/// The name and version of the report's schema.
pub const SCHEMA: &str = "dcmjoin.report/1";
/// The name and version of the commit marker's schema.
pub const COMMIT_SCHEMA: &str = "dcmjoin.commit/1";

/// A run's report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`]
    pub schema: &'static str,
    /// The run's name: the folder of its rows.
    pub run: String,
    /// The program's version.
    pub version: &'static str,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// When it ended, RFC 3339, UTC.
    pub finished: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether all was done but writing.
    pub dry_run: bool,
    /// Which side was read first.
    pub first: Half,
    /// Whether nothing was lost: no half unpaired or rejected, no instance rejected, no archive
    /// broken.
    pub complete: bool,
    /// The metadata archives' side.
    pub metadata: Side,
    /// The image archives' side.
    pub images: Side,
    /// The instances.
    pub instances: Instances,
    /// The parts of `ignored`.
    pub ignored: IgnoredBySide,
    /// Halves that were found several times with different bytes: rows of `conflicts.jsonl`.
    pub conflicts: u64,
    /// Archives by what was not usual with them.
    pub archives: Archives,
    /// Bytes moved, and kept.
    pub bytes: Moved,
    /// Requests made.
    pub requests: RequestCounts,
    /// Rejections by reason.
    pub rejections: Rejections,
    /// Warnings of published instances, by code.
    pub warnings: BTreeMap<WarningCode, u64>,
    /// What the run was told.
    pub settings: Settings,
}

/// The parts of `ignored`, by side.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct IgnoredBySide {
    /// Of the metadata archives.
    pub metadata: Ignored,
    /// Of the image archives.
    pub images: Ignored,
}

/// Archives by what was not usual with them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Archives {
    /// They were not read, or only by ranges: the catalogue knew them.
    pub known: u64,
    /// Their store did not give them; another run may.
    pub unreadable: u64,
    /// They are damaged or beyond a limit; what stood before the break counts.
    pub damaged: u64,
}

/// Bytes moved.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Moved {
    /// Read from stores.
    pub read: u64,
    /// Written to stores.
    pub written: u64,
    /// Taken by headers in the spill folder.
    pub headers: u64,
}

/// Requests made, by what they are billed as.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct RequestCounts {
    /// Listings.
    pub list: u64,
    /// Looks at one object.
    pub head: u64,
    /// Ranges and objects read.
    pub get: u64,
    /// Objects written.
    pub put: u64,
    /// Requests of uploads in parts.
    pub put_part: u64,
    /// Requests that were tried again.
    pub retries: u64,
    /// These, by what was wrong the time before.
    pub retries_by_cause: RetryCounts,
    /// Answers that asked for fewer requests.
    pub throttled: u64,
    /// Reads that were asked for a second time because they were late.
    pub hedges: u64,
    /// Of these, the ones whose second answer came first.
    pub hedges_won: u64,
    /// How long requests waited before they were made, summed over all.
    pub waited_seconds: f64,
}

/// Requests that were tried again, by cause.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct RetryCounts {
    /// The store asked for fewer requests.
    pub throttled: u64,
    /// It did not answer in time.
    pub timed_out: u64,
    /// It failed, or the connection did.
    pub unavailable: u64,
    /// The answer was cut short, or another one than was asked for.
    pub bad_answer: u64,
}

/// What the run was told.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Sources of metadata archives.
    pub metadata: Vec<String>,
    /// Sources of image archives.
    pub images: Vec<String>,
    /// The output.
    pub output: String,
    /// The key template.
    pub layout: String,
    /// In which form instances are published; shards with their size in bytes.
    pub publish: crate::config::Publish,
    /// The rule for objects that stand already.
    pub if_exists: crate::config::IfExists,
    /// How many instances were asked for; all where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<usize>,
    /// Whether values that cannot be kept reject their header.
    pub strict_values: bool,
}

/// The marker that is written last. Readers trust the objects that its files list, and nothing
/// else in the output.
#[derive(Debug, Clone, Serialize)]
pub struct Commit {
    /// [`COMMIT_SCHEMA`]
    pub schema: &'static str,
    /// The run's name.
    pub run: String,
    /// When the run ended, RFC 3339, UTC.
    pub finished: String,
    /// The accounts.
    #[serde(flatten)]
    pub books: Books,
    /// The files beside the marker.
    pub files: Vec<RowsFile>,
}

impl Report {
    /// Returns the accounts of the report.
    #[must_use]
    pub fn books(&self) -> Books {
        Books { metadata: self.metadata, images: self.images, instances: self.instances }
    }
}

impl Settings {
    /// Returns the settings of a run.
    #[must_use]
    pub fn of(config: &RunConfig) -> Self {
        let texts =
            |sources: &[crate::config::Source]| sources.iter().map(ToString::to_string).collect();
        Self {
            metadata: texts(&config.metadata),
            images: texts(&config.images),
            output: config.output.to_string(),
            layout: config.layout.to_string(),
            publish: config.publish,
            if_exists: config.if_exists,
            only: config.only.as_ref().map(std::collections::HashSet::len),
            strict_values: config.strict_values,
        }
    }
}

impl From<Requests> for RequestCounts {
    fn from(requests: Requests) -> Self {
        Self {
            list: requests.lists,
            head: requests.heads,
            get: requests.reads,
            put: requests.writes,
            put_part: requests.parts,
            retries: requests.retries.all(),
            retries_by_cause: requests.retries.into(),
            throttled: requests.throttled,
            hedges: requests.hedges,
            hedges_won: requests.hedges_won,
            waited_seconds: requests.waited.as_secs_f64(),
        }
    }
}

impl From<Retries> for RetryCounts {
    fn from(retries: Retries) -> Self {
        let Retries { throttled, timed_out, unavailable, bad_answer } = retries;
        Self { throttled, timed_out, unavailable, bad_answer }
    }
}
