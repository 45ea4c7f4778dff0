//! Storage classes, retrieval tiers, and how long a restore takes (S3 User Guide, "Archive
//! retrieval options").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::moment::HOUR;

/// How fast, and at which price, an archived object is restored.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The slowest; free of charge from Flexible Retrieval.
    #[default]
    Bulk,
    /// Hours.
    Standard,
    /// Minutes, for up to hundreds of objects, as long as there is capacity.
    Expedited,
}

/// Which archive tier of Intelligent-Tiering an object is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTier {
    /// A tier that is read at once.
    Active,
    /// Archive Access.
    Archive,
    /// Deep Archive Access.
    DeepArchive,
    /// A listing names the class alone; a HEAD has `x-amz-archive-status`.
    Unknown,
}

/// Where S3 keeps an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageClass {
    /// `STANDARD`, and the other classes that are read at once and whose differences do not matter
    /// here: `STANDARD_IA`, `ONEZONE_IA`, `REDUCED_REDUNDANCY`, `EXPRESS_ONEZONE`.
    Standard,
    /// `GLACIER_IR`: an archive by its price, read at once.
    GlacierIr,
    /// `GLACIER`: Flexible Retrieval.
    Glacier,
    /// `DEEP_ARCHIVE`.
    DeepArchive,
    /// `INTELLIGENT_TIERING`.
    IntelligentTiering(AccessTier),
}

/// A text is none of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected one of {expected}")]
pub struct UnknownWord {
    expected: &'static str,
}

/// A documented range of times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecsRange {
    /// The shortest that is documented.
    pub from: u64,
    /// The longest that is documented as typical.
    pub to: u64,
}

impl Tier {
    /// All tiers, the slowest first.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Standard, Self::Expedited];

    /// Returns the word of `GlacierJobParameters.Tier`.
    #[must_use]
    pub const fn as_aws(self) -> &'static str {
        match self {
            Self::Bulk => "Bulk",
            Self::Standard => "Standard",
            Self::Expedited => "Expedited",
        }
    }

    /// Returns the word that commands and reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Standard => "standard",
            Self::Expedited => "expedited",
        }
    }

    /// Returns this tier, or the fastest that the class has: the deep archives have no Expedited.
    #[must_use]
    pub const fn within(self, class: StorageClass) -> Self {
        match (self, class.is_deep()) {
            (Self::Expedited, true) => Self::Standard,
            _ => self,
        }
    }

    /// Returns how long a restore typically takes. Sets of hundreds of terabytes may take longer.
    #[must_use]
    pub const fn takes(self, class: StorageClass) -> SecsRange {
        let (from, to) = match (self.within(class), class.is_deep()) {
            (Self::Expedited, _) => (60, 300),
            (Self::Standard, false) => (3 * HOUR, 5 * HOUR),
            (Self::Bulk, false) => (5 * HOUR, 12 * HOUR),
            // Only upper ends are documented for the deep archives.
            (Self::Standard, true) => (9 * HOUR, 12 * HOUR),
            (Self::Bulk, true) => (12 * HOUR, 48 * HOUR),
        };
        SecsRange { from, to }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownWord { expected: "bulk, standard, expedited" })
    }
}

impl StorageClass {
    /// Reads the word of the S3 API; listings and inventories name no access tier.
    ///
    /// # Errors
    /// [`UnknownWord`] for a class that is none of S3's.
    pub fn from_aws(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "" | "STANDARD" | "STANDARD_IA" | "ONEZONE_IA" | "REDUCED_REDUNDANCY"
            | "EXPRESS_ONEZONE" => Ok(Self::Standard),
            "GLACIER_IR" => Ok(Self::GlacierIr),
            "GLACIER" => Ok(Self::Glacier),
            "DEEP_ARCHIVE" => Ok(Self::DeepArchive),
            "INTELLIGENT_TIERING" => Ok(Self::IntelligentTiering(AccessTier::Unknown)),
            _ => Err(UnknownWord { expected: "the storage classes of the S3 API" }),
        }
    }

    /// Returns the class with what a HEAD's `x-amz-archive-status` says of it, if anything.
    #[must_use]
    pub fn with_archive_status(self, status: Option<&str>) -> Self {
        match (self, status) {
            (Self::IntelligentTiering(_), None) => Self::IntelligentTiering(AccessTier::Active),
            (Self::IntelligentTiering(_), Some("ARCHIVE_ACCESS")) => {
                Self::IntelligentTiering(AccessTier::Archive)
            }
            (Self::IntelligentTiering(_), Some("DEEP_ARCHIVE_ACCESS")) => {
                Self::IntelligentTiering(AccessTier::DeepArchive)
            }
            _ => self,
        }
    }

    /// Returns whether an object of this class is read without a restore; `None` where the class
    /// does not tell.
    #[must_use]
    pub const fn reads_at_once(self) -> Option<bool> {
        match self {
            Self::Standard | Self::GlacierIr | Self::IntelligentTiering(AccessTier::Active) => {
                Some(true)
            }
            Self::IntelligentTiering(AccessTier::Unknown) => None,
            Self::Glacier | Self::DeepArchive | Self::IntelligentTiering(_) => Some(false),
        }
    }

    /// Returns whether a restore makes a copy that expires. `Days` is mandatory then, and forbidden
    /// otherwise: from Intelligent-Tiering an object moves to the frequent tier and stays.
    #[must_use]
    pub const fn copy_expires(self) -> bool {
        !matches!(self, Self::IntelligentTiering(_))
    }

    const fn is_deep(self) -> bool {
        matches!(self, Self::DeepArchive | Self::IntelligentTiering(AccessTier::DeepArchive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        assert_eq!("Bulk".parse(), Ok(Tier::Bulk));
        assert!("fast".parse::<Tier>().unwrap_err().to_string().contains("expedited"));
        assert_eq!(StorageClass::from_aws("GLACIER"), Ok(StorageClass::Glacier));
        assert!(StorageClass::from_aws("glacier").is_err());
    }

    #[test]
    fn the_access_tier_comes_from_a_head() {
        let listed = StorageClass::from_aws("INTELLIGENT_TIERING").unwrap();
        assert_eq!(listed.reads_at_once(), None);
        let reads = |status| listed.with_archive_status(status).reads_at_once();
        assert_eq!(reads(None), Some(true));
        assert_eq!(reads(Some("ARCHIVE_ACCESS")), Some(false));
        assert_eq!(StorageClass::Glacier.with_archive_status(None), StorageClass::Glacier);
    }

    #[test]
    fn the_deep_archives_have_no_expedited() {
        assert_eq!(Tier::Expedited.within(StorageClass::DeepArchive), Tier::Standard);
        assert_eq!(Tier::Expedited.within(StorageClass::Glacier), Tier::Expedited);
        assert_eq!(Tier::Bulk.takes(StorageClass::DeepArchive).to, 48 * HOUR);
        assert_eq!(Tier::Bulk.takes(StorageClass::Glacier).to, 12 * HOUR);
    }
}
