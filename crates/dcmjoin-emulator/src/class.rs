//! Storage classes, retrieval tiers, and how long a retrieval takes.

use std::time::Duration;

use crate::random;

/// What an object is stored as (`x-amz-storage-class`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageClass {
    /// `STANDARD`: read at once.
    Standard,
    /// `STANDARD_IA`: read at once.
    StandardIa,
    /// `GLACIER_IR`, Instant Retrieval: read at once.
    GlacierIr,
    /// `GLACIER`, Flexible Retrieval: restored first.
    Glacier,
    /// `DEEP_ARCHIVE`: restored first.
    DeepArchive,
    /// `INTELLIGENT_TIERING`, in one of its tiers.
    IntelligentTiering(AccessTier),
}

/// Where Intelligent-Tiering keeps an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessTier {
    /// A tier that is read at once.
    Frequent,
    /// `ARCHIVE_ACCESS`: restored first.
    Archive,
    /// `DEEP_ARCHIVE_ACCESS`: restored first.
    DeepArchive,
}

impl StorageClass {
    /// Returns S3's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::IntelligentTiering(_) => "INTELLIGENT_TIERING",
        }
    }

    /// Reads S3's name. What is put as Intelligent-Tiering starts in its frequent tier.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "STANDARD" => Self::Standard,
            "STANDARD_IA" => Self::StandardIa,
            "GLACIER_IR" => Self::GlacierIr,
            "GLACIER" => Self::Glacier,
            "DEEP_ARCHIVE" => Self::DeepArchive,
            "INTELLIGENT_TIERING" => Self::IntelligentTiering(AccessTier::Frequent),
            _ => return None,
        })
    }

    /// Returns the kind of archive that the object must be restored from, if any.
    pub(crate) const fn archive(self) -> Option<Archive> {
        match self {
            Self::Glacier => Some(Archive::Flexible),
            Self::DeepArchive => Some(Archive::Deep),
            Self::IntelligentTiering(AccessTier::Archive) => Some(Archive::TieredFlexible),
            Self::IntelligentTiering(AccessTier::DeepArchive) => Some(Archive::TieredDeep),
            Self::Standard
            | Self::StandardIa
            | Self::GlacierIr
            | Self::IntelligentTiering(AccessTier::Frequent) => None,
        }
    }

    /// Returns the name of the tier, where it is one of Intelligent-Tiering's archives.
    pub(crate) const fn archive_tier(self) -> Option<&'static str> {
        match self {
            Self::IntelligentTiering(AccessTier::Archive) => Some("ARCHIVE_ACCESS"),
            Self::IntelligentTiering(AccessTier::DeepArchive) => Some("DEEP_ARCHIVE_ACCESS"),
            _ => None,
        }
    }
}

/// The kinds of archives: two speeds, and with or without a copy that expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archive {
    Flexible,
    Deep,
    TieredFlexible,
    TieredDeep,
}

impl Archive {
    const fn is_deep(self) -> bool {
        matches!(self, Self::Deep | Self::TieredDeep)
    }

    /// Returns true where the object itself moves, instead of a copy being made for some days.
    pub(crate) const fn moves(self) -> bool {
        matches!(self, Self::TieredFlexible | Self::TieredDeep)
    }

    pub(crate) fn serves(self, tier: Tier) -> bool {
        !(self.is_deep() && tier == Tier::Expedited)
    }
}

/// How fast a restore is asked for; later ones are faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// `Bulk`.
    Bulk,
    /// `Standard`.
    Standard,
    /// `Expedited`.
    Expedited,
}

impl Tier {
    /// All tiers, from slow to fast.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Standard, Self::Expedited];

    /// Returns S3's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "Bulk",
            Self::Standard => "Standard",
            Self::Expedited => "Expedited",
        }
    }

    /// Reads S3's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

/// The shortest and the longest time that a retrieval takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// No retrieval is faster.
    pub least: Duration,
    /// No retrieval is slower.
    pub most: Duration,
}

impl Latency {
    /// Returns a latency between two numbers of minutes.
    #[must_use]
    pub const fn minutes(least: u64, most: u64) -> Self {
        Self { least: Duration::from_mins(least), most: Duration::from_mins(most) }
    }

    const fn hours(least: u64, most: u64) -> Self {
        Self::minutes(least * 60, most * 60)
    }
}

/// How long retrievals take, by archive and tier.
///
/// The defaults are those of the S3 user guide, "Understanding archive retrieval options". It
/// gives Deep Archive upper bounds only ("within 12 hours", "within 48 hours"); the lower ones
/// are this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// Expedited, of objects below 250 MB.
    pub expedited: Latency,
    /// Standard, of Flexible Retrieval and Archive Access.
    pub standard: Latency,
    /// Bulk, of Flexible Retrieval and Archive Access.
    pub bulk: Latency,
    /// Standard, of Deep Archive.
    pub deep_standard: Latency,
    /// Bulk, of Deep Archive.
    pub deep_bulk: Latency,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            expedited: Latency::minutes(1, 5),
            standard: Latency::hours(3, 5),
            bulk: Latency::hours(5, 12),
            deep_standard: Latency::hours(9, 12),
            deep_bulk: Latency::hours(36, 48),
        }
    }
}

impl Latencies {
    pub(crate) fn draw(&self, archive: Archive, tier: Tier, number: u64) -> Duration {
        let latency = match (tier, archive.is_deep()) {
            (Tier::Expedited, _) => self.expedited,
            (Tier::Standard, false) => self.standard,
            (Tier::Bulk, false) => self.bulk,
            (Tier::Standard, true) => self.deep_standard,
            (Tier::Bulk, true) => self.deep_bulk,
        };
        random::between(number, latency.least, latency.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for name in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] {
            assert_eq!(StorageClass::from_name(name).unwrap().name(), name);
        }
        assert_eq!(StorageClass::from_name("GLACIAL"), None);
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
    }

    #[test]
    fn faster_tiers_are_greater() {
        assert!(Tier::Bulk < Tier::Standard && Tier::Standard < Tier::Expedited);
    }

    #[test]
    fn draws_lie_within_the_tier() {
        let latencies = Latencies::default();
        for number in 0..100 {
            let hours = latencies.draw(Archive::Flexible, Tier::Bulk, number * 7919).as_secs() / 60;
            assert!((5 * 60..=12 * 60).contains(&hours));
            let deep = latencies.draw(Archive::TieredDeep, Tier::Standard, number);
            assert!(deep <= Duration::from_hours(12));
        }
    }
}
