//! What a run is told: plain values, each with its reason. Nothing here reads the environment.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dcmjoin_formats::header::HeaderLimits;
use dcmjoin_formats::payload::PayloadLimits;
use dcmjoin_formats::tar::TarLimits;
use dcmjoin_model::SopInstanceUid;
use dcmjoin_objects::Location;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::raw::RawPlace;

/// What happens where an object stands in an output's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// It is compared: the same bytes count as already there, others are a rejection.
    #[default]
    Skip,
    /// It is overwritten.
    Replace,
    /// It is a rejection, and the run ends as failed.
    Fail,
}

/// In which form instances are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// An object each.
    #[default]
    Instances,
    /// One after the other in tars of about so many bytes, which training jobs read from the first
    /// byte to the last.
    Shards(u64),
}

/// 1 GiB: what one worker of a training job reads in seconds, and far from what an upload may hold.
pub const SHARD_BYTES: u64 = 1 << 30;

/// Bounds on what a run takes from archives that may be hostile.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of the tar parser.
    pub tar: TarLimits,
    /// Of the transcoder.
    pub header: HeaderLimits,
    /// Of the recogniser.
    pub payload: PayloadLimits,
    /// The largest metadata member, in bytes: real headers are 2 to 100 kB, those of enhanced
    /// multi-frame objects some MB.
    pub metadata_member_bytes_max: u64,
    /// The largest image member, in bytes. Whole slide images reach tens of gigabytes; a member that
    /// memory does not hold takes as much of the spill folder while it is assembled.
    pub image_member_bytes_max: u64,
    /// The largest ratio of plain to compressed bytes of an archive. Headers reach about 50;
    /// deflate cannot exceed 1,032.
    pub compression_ratio_max: u64,
    /// The longest time that one archive may take. A terabyte at 20 MB/s takes 14 hours; what
    /// takes a day is stuck, or made to be.
    pub archive_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tar: TarLimits::default(),
            header: HeaderLimits::default(),
            payload: PayloadLimits::default(),
            metadata_member_bytes_max: 256 << 20,
            image_member_bytes_max: 256 << 30,
            compression_ratio_max: 2_000,
            archive_time_max: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How the halves of an archive that the catalogue knows are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The whole archive, from its first byte to its last.
    Stream,
    /// Each half by a range of its own.
    Select,
    /// Whichever costs less.
    #[default]
    Auto,
}

/// A GET costs as much as streaming so many bytes, at the prices of a large machine near the
/// store: $0.0004 a thousand requests against 10 GB/s for $4 an hour.
const GET_WORTH_BYTES: u64 = 3_600_000;

impl Strategy {
    /// Returns whether so many halves of so many bytes in all are read by ranges of their own.
    #[must_use]
    pub fn selects(self, halves: u64, bytes: u64, archive_bytes: u64) -> bool {
        match self {
            Self::Stream => halves == 0,
            Self::Select => true,
            Self::Auto => {
                halves.saturating_mul(GET_WORTH_BYTES).saturating_add(bytes) <= archive_bytes
            }
        }
    }
}

/// Which side's UIDs are known before the headers are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// The headers': all of them are stored, then images stream past.
    Metadata,
    /// The images': of headers that none of them asks for, no more than the name is stored.
    Images,
    /// The images' where they take less room than the headers would.
    #[default]
    Auto,
}

/// What a header takes in the store, as a part of its JSON: 1/7 to 1/40 was measured.
const STORED_PART: u64 = 8;

impl First {
    /// Returns whether the images' side is read first, by the bytes of both sides' archives.
    #[must_use]
    pub fn is_images(self, metadata_bytes: u64, images_bytes: u64) -> bool {
        match self {
            Self::Metadata => false,
            Self::Images => true,
            Self::Auto => images_bytes < metadata_bytes / STORED_PART,
        }
    }
}

/// What a run does.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Sources of metadata archives.
    pub metadata: Vec<Source>,
    /// Sources of image archives.
    pub images: Vec<Source>,
    /// Where instances go.
    pub output: Location,
    /// How their keys are made.
    pub layout: Layout,
    /// In which form instances are published.
    pub publish: Publish,
    /// What happens where an object stands already.
    pub if_exists: IfExists,
    /// Only these instances; all where `None`.
    pub only: Option<HashSet<SopInstanceUid>>,
    /// The output whose catalogue is used; the run's own where `None`.
    pub catalog: Option<Location>,
    /// How halves that the catalogue knows are read.
    pub strategy: Strategy,
    /// Which side is read first.
    pub first: First,
    /// Read every archive, whatever the catalogue knows.
    pub rescan: bool,
    /// Do all but write.
    pub dry_run: bool,
    /// A value that cannot be kept as it was rejects its header.
    pub strict_values: bool,
    /// Archives read at the same time.
    pub archives_max: usize,
    /// Instances published at the same time.
    pub publishing_max: usize,
    /// Bytes of archives and instances in memory at the same time.
    pub memory_bytes: u64,
    /// The least bytes of a range of an archive that has as many.
    pub range_bytes: u64,
    /// Where copies of all archives are kept; none are where `None`.
    pub keep: Option<Location>,
    /// Where halves are copied one by one; none are where `None`.
    pub raw: Option<RawPlace>,
    /// The folder for headers and facts; the system's temporary folder where `None`.
    pub spill: Option<PathBuf>,
    /// Bounds on what archives may hold.
    pub limits: Limits,
}

/// A source of archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder or prefix to list, or one archive.
    Location(Location),
    /// A file that names one archive a line.
    Manifest(PathBuf),
    /// URLs of archives, as their objects tell them.
    Listed(Arc<[String]>),
}

/// 16 MiB: a GET is a ten-thousandth of the cost of the bytes, and a second's worth of a fast
/// network still fits many in memory.
pub const RANGE_BYTES: u64 = 16 << 20;

impl RunConfig {
    /// Returns a configuration with the defaults of this machine.
    #[must_use]
    pub fn new(metadata: Vec<Source>, images: Vec<Source>, output: Location) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let cloud = matches!(output, Location::Cloud(_));
        Self {
            metadata,
            images,
            output,
            layout: Layout::default(),
            publish: Publish::default(),
            if_exists: IfExists::default(),
            only: None,
            catalog: None,
            strategy: Strategy::default(),
            first: First::default(),
            rescan: false,
            dry_run: false,
            strict_values: false,
            archives_max: (2 * cores).clamp(2, 32),
            // A folder is limited by its cores; a store answers after 20 to 200 ms, whatever else
            // it does.
            publishing_max: if cloud { 128 } else { 2 * cores },
            memory_bytes: 1 << 30,
            range_bytes: RANGE_BYTES,
            keep: None,
            raw: None,
            spill: None,
            limits: Limits::default(),
        }
    }
}

impl std::str::FromStr for Source {
    type Err = dcmjoin_objects::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('@') {
            Some(file) => Ok(Self::Manifest(PathBuf::from(file))),
            None => text.parse().map(Self::Location),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Location(location) => location.fmt(f),
            Self::Manifest(file) => write!(f, "@{}", file.display()),
            Self::Listed(urls) => write!(f, "{} listed archives", urls.len()),
        }
    }
}
