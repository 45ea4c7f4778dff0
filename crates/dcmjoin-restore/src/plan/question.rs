//! What is asked of a plan, and why a question may have no answer.

use serde::Serialize;
use thiserror::Error;

use super::Assumptions;
use crate::class::{StorageClass, Tier};
use crate::prices::PriceError;

/// The archives of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// How many.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are read without a restore.
    pub ready_archives: u64,
    /// The bytes of those.
    pub ready_bytes: u64,
}

/// How instances are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLayout {
    /// One object an instance.
    #[default]
    Instances,
    /// One tar a series.
    SeriesTar,
    /// Large tars with an index, as training jobs read them.
    Shards,
}

/// How objects are encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kms {
    /// Without KMS.
    None,
    /// SSE-KMS with S3 Bucket Keys.
    #[default]
    BucketKeys,
    /// SSE-KMS with a KMS call for each request.
    Keys,
}

/// A part of the image archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// So many archives.
    Archives(u64),
    /// Archives of so many bytes together.
    Bytes(u64),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub region: String,
    /// The class of the archives.
    pub class: StorageClass,
    /// The metadata side.
    pub metadata: Holding,
    /// The image side.
    pub images: Holding,
    /// Instances in all.
    pub instances: u64,
    /// Only a part of the image side.
    pub only: Option<Only>,
    /// The tier of the bills; the recommended one where `None`.
    pub tier: Option<Tier>,
    /// For how many days copies are asked for.
    pub days: u32,
    /// The bytes of a wave; as many as are read within the days where `None`.
    pub wave_bytes: Option<u64>,
    /// The machine; the cheapest that fits where `None`.
    pub machine: Option<String>,
    /// How many of them, 1 at least.
    pub machines: u32,
    /// How instances are published.
    pub layout: OutputLayout,
    /// How objects are encrypted.
    pub kms: Kms,
    /// Whether restores are asked for by S3 Batch Operations jobs.
    pub batch_jobs: bool,
    /// In how many hours all must be done; the cheapest is recommended where `None`.
    pub deadline_hours: Option<u64>,
    /// What is assumed.
    pub assumptions: Assumptions,
}

/// A question that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The price file does not say.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// Nothing to restore.
    #[error("there are no image archives to plan for")]
    Nothing,
    /// The class has no such tier.
    #[error("{tier} is no tier of this storage class")]
    Tier {
        /// What was asked for.
        tier: Tier,
    },
    /// The class is read without a restore.
    #[error("the archives are read at once: there is nothing to restore")]
    NotArchived,
    /// The copies go before anything is read.
    #[error(
        "copies of {days} days go before a wave is read: the tier's copies are {spread_hours} hours apart, and {margin_hours} hours are kept free"
    )]
    Days {
        /// What was asked for.
        days: u32,
        /// Between the first copy and the last.
        spread_hours: u64,
        /// Kept free at the end.
        margin_hours: u64,
    },
}

impl PlanError {
    /// Returns what a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Price(error) => Some(error.hint()),
            Self::Nothing => Some("give --images, or --archives and --bytes"),
            Self::Tier { .. } => Some("choose another --tier; the deep archives have no expedited"),
            Self::NotArchived => Some("`dcmjoin run` reads them as they are"),
            Self::Days { .. } => Some("choose more --days"),
        }
    }
}

impl Holding {
    /// Returns the archives that need a restore.
    #[must_use]
    pub const fn archived(&self) -> (u64, u64) {
        (
            self.archives.saturating_sub(self.ready_archives),
            self.bytes.saturating_sub(self.ready_bytes),
        )
    }

    /// Returns a part of it: `part` of `whole`, rounded up.
    #[must_use]
    fn part(&self, part: u64, whole: u64) -> Self {
        let share = |figure: u64| share(figure, part, whole);
        Self {
            archives: share(self.archives),
            bytes: share(self.bytes),
            ready_archives: share(self.ready_archives),
            ready_bytes: share(self.ready_bytes),
        }
    }
}

/// Returns a part of a figure, rounded up.
pub(super) fn share(figure: u64, part: u64, whole: u64) -> u64 {
    let shared = (u128::from(figure) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
    u64::try_from(shared).unwrap_or(u64::MAX).min(figure)
}

impl Only {
    /// Returns the part of the images that it leaves, and of the instances.
    pub(super) fn of(self, images: &Holding, instances: u64) -> (Holding, u64) {
        let (part, whole) = match self {
            Self::Archives(archives) => (archives.min(images.archives), images.archives),
            Self::Bytes(bytes) => (bytes.min(images.bytes), images.bytes),
        };
        (images.part(part, whole), share(instances, part, whole))
    }
}

/// Returns whether the question makes sense.
pub(super) fn check(question: &Question) -> Result<(), PlanError> {
    if question.images.archives == 0 || question.images.bytes == 0 {
        return Err(PlanError::Nothing);
    }
    if question.class.reads_at_once() != Some(false) {
        return Err(PlanError::NotArchived);
    }
    match question.tier {
        Some(tier) if tier.within(question.class) != tier => Err(PlanError::Tier { tier }),
        _ => Ok(()),
    }
}
