//! The arguments of `dcmjoin plan`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use dcmjoin_pipeline::config::Source;
use dcmjoin_restore::class::{AccessTier, StorageClass, Tier};
use dcmjoin_restore::plan::{Kms, Only, OutputLayout};

const EXAMPLES: &str = "\
Examples:
  dcmjoin plan --region us-east-1 --archives 1000000 --bytes 1PiB --instances 1000000000
      from totals
  dcmjoin plan --region us-east-1 --metadata @meta.csv --images @images.csv --chart plan.svg
      from manifests with sizes, with a chart for a proposal
  dcmjoin plan --region us-east-1 --metadata @manifest.json --metadata-prefix meta/ \\
      --images @manifest.json --images-prefix img/ --only 500 --deadline-hours 6
      from an S3 Inventory, for 500 archives that are needed within six hours
  dcmjoin plan --show-prices > prices.toml
      a price file to edit, for --prices";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) sources: PlanSources,
    #[command(flatten)]
    pub(crate) totals: Totals,
    #[command(flatten)]
    pub(crate) prices: PriceArgs,
    #[command(flatten)]
    pub(crate) restore: RestoreArgs,
    #[command(flatten)]
    pub(crate) run: RunChoice,
    /// Draw a chart: .svg, or .html with all figures
    #[arg(long, value_name = "FILE", value_parser = chart_file)]
    pub(crate) chart: Option<PathBuf>,
}

/// What to plan for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Archives, by manifest or folder")]
pub(crate) struct PlanSources {
    /// Metadata archives: @manifest with sizes (.csv, .jsonl, inventory manifest.json), a folder or
    /// prefix to list; repeatable
    #[arg(long, value_name = "SRC", requires = "images")]
    pub(crate) metadata: Vec<Source>,
    /// Image archives, likewise
    #[arg(long, value_name = "SRC")]
    pub(crate) images: Vec<Source>,
    /// Of the metadata manifests, only keys that begin with this
    #[arg(long, value_name = "PREFIX", requires = "metadata")]
    pub(crate) metadata_prefix: Option<String>,
    /// Of the image manifests, only keys that begin with this
    #[arg(long, value_name = "PREFIX", requires = "images")]
    pub(crate) images_prefix: Option<String>,
    /// Only some image archives: so many, or so many bytes with a unit (500, 20TB)
    #[arg(long, value_name = "N|SIZE", value_parser = only)]
    pub(crate) only: Option<Only>,
    /// Storage class [default: the manifest's, or glacier]
    #[arg(long, value_name = "CLASS", value_enum)]
    pub(crate) class: Option<ClassArg>,
}

/// Totals, where there is no manifest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Archives, by totals")]
pub(crate) struct Totals {
    /// Image archives
    #[arg(long, value_name = "N", conflicts_with = "images", requires = "bytes")]
    pub(crate) archives: Option<u64>,
    /// Bytes of the image archives (1PiB, 300TB)
    #[arg(long, value_name = "SIZE", conflicts_with = "images", requires = "archives", value_parser = size)]
    pub(crate) bytes: Option<u64>,
    /// Metadata archives [default: 1 % of the image archives]
    #[arg(long, value_name = "N", conflicts_with = "metadata")]
    pub(crate) metadata_archives: Option<u64>,
    /// Bytes of the metadata archives [default: 1 % of the image bytes]
    #[arg(long, value_name = "SIZE", conflicts_with = "metadata", value_parser = size)]
    pub(crate) metadata_bytes: Option<u64>,
    /// Instances [default: by --instance-bytes]
    #[arg(long, value_name = "N")]
    pub(crate) instances: Option<u64>,
    /// Bytes of an instance, to work the instances out [default: 1 MiB]
    #[arg(long, value_name = "SIZE", conflicts_with = "instances", value_parser = size)]
    pub(crate) instance_bytes: Option<u64>,
}

/// Where, and at which prices.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prices")]
pub(crate) struct PriceArgs {
    /// The region of the archives
    #[arg(
        long,
        value_name = "REGION",
        env = "AWS_REGION",
        required_unless_present = "show_prices"
    )]
    pub(crate) region: Option<String>,
    /// A price file instead of the shipped one
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Print the shipped price file and end
    #[arg(long)]
    pub(crate) show_prices: bool,
}

/// How archives are restored.
#[derive(Debug, Args)]
#[command(next_help_heading = "Restore")]
pub(crate) struct RestoreArgs {
    /// Retrieval tier: bulk, standard, expedited [default: the cheapest that is in time]
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<Tier>,
    /// Days that restored copies are asked for, at least
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub(crate) days: u32,
    /// Bytes of a wave [default: what is read within the days]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) wave_bytes: Option<u64>,
    /// Ask for restores by S3 Batch Operations jobs, one a wave, instead of a call an archive
    #[arg(long)]
    pub(crate) batch_jobs: bool,
    /// Hours in which all must be done
    #[arg(long, value_name = "H")]
    pub(crate) deadline_hours: Option<u64>,
}

/// How the job is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunChoice {
    /// Machine, by its name in the price file [default: the cheapest that holds the headers]
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    /// Machines at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) machines: u32,
    /// How instances are published
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(crate) publish: PublishArg,
    /// Encryption by KMS
    #[arg(long, value_name = "KEYS", value_enum, default_value_t)]
    pub(crate) kms: KmsArg,
    /// Prefixes that requests are spread over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) prefixes: u64,
    /// Instances of a series
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) series_instances: u64,
    /// Days that raw copies and header packs stay
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) raw_days: u64,
    /// Days that copies of all archives are kept (`campaign create --keep-copies`); none by default
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3650))]
    pub(crate) keep_days: u64,
    /// Part of its line rate that a machine reads at, in percent
    #[arg(long, value_name = "N", default_value_t = 85, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) line_percent: u64,
}

/// A storage class that is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassArg {
    /// GLACIER: Flexible Retrieval
    Glacier,
    /// `DEEP_ARCHIVE`
    DeepArchive,
    /// `INTELLIGENT_TIERING`, Archive Access
    IntelligentTiering,
    /// `INTELLIGENT_TIERING`, Deep Archive Access
    IntelligentTieringDeep,
}

impl From<ClassArg> for StorageClass {
    fn from(class: ClassArg) -> Self {
        match class {
            ClassArg::Glacier => Self::Glacier,
            ClassArg::DeepArchive => Self::DeepArchive,
            ClassArg::IntelligentTiering => Self::IntelligentTiering(AccessTier::Archive),
            ClassArg::IntelligentTieringDeep => Self::IntelligentTiering(AccessTier::DeepArchive),
        }
    }
}

/// How instances are published.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum PublishArg {
    /// One object an instance
    #[default]
    Instances,
    /// One tar a series
    SeriesTar,
    /// Large tars with an index
    Shards,
}

impl From<PublishArg> for OutputLayout {
    fn from(form: PublishArg) -> Self {
        match form {
            PublishArg::Instances => Self::Instances,
            PublishArg::SeriesTar => Self::SeriesTar,
            PublishArg::Shards => Self::Shards,
        }
    }
}

/// Encryption by KMS.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum KmsArg {
    /// Without
    None,
    /// With bucket keys
    #[default]
    BucketKeys,
    /// A call for each request
    Keys,
}

impl From<KmsArg> for Kms {
    fn from(keys: KmsArg) -> Self {
        match keys {
            KmsArg::None => Self::None,
            KmsArg::BucketKeys => Self::BucketKeys,
            KmsArg::Keys => Self::Keys,
        }
    }
}

/// Reads a size: a number, with a unit of powers of 1,000 (kB, MB …) or 1,024 (KiB, MiB …).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 13] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("pib", 1 << 50),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("pb", 1_000_000_000_000_000),
        ("eb", 1_000_000_000_000_000_000),
        ("b", 1),
        ("", 1),
    ];
    let wrong = || "expected a size, as 16MiB, 1.5TB or 1048576".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let found = UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = found.ok_or_else(wrong)?;
    let number = number.trim().replace('_', "");
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || part.len() > 9 {
        return Err(wrong());
    }
    let digits = u128::from_str(&format!("{whole}{part}")).map_err(|_| wrong())?;
    let value = digits.checked_mul(u128::from(bytes)).ok_or_else(wrong)?;
    let value = value / 10_u128.pow(u32::try_from(part.len()).unwrap_or(0));
    u64::try_from(value).map_err(|_| wrong())
}

fn only(text: &str) -> Result<Only, String> {
    let archives = text.replace(['_', ','], "").parse::<u64>();
    let only = match archives {
        Ok(archives) => Only::Archives(archives),
        Err(_) => Only::Bytes(
            size(text)
                .map_err(|_| "expected a number of archives, or a size as 20TB".to_owned())?,
        ),
    };
    match only {
        Only::Archives(0) | Only::Bytes(0) => Err("expected more than none".to_owned()),
        only => Ok(only),
    }
}

fn chart_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let ending = path.extension().unwrap_or_default();
    match ending == "svg" || ending == "html" {
        true => Ok(path),
        false => Err("expected a file that ends in .svg or .html".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("1PiB", 1 << 50),
            ("1.5 TB", 1_500_000_000_000),
            ("0.5KiB", 512),
            ("1_000 b", 1_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "TB", "-1", "1XB", "1.2.3", "99999999999EB", ".5GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_is_archives_or_bytes() {
        assert_eq!(only("500"), Ok(Only::Archives(500)));
        assert_eq!(only("20TB"), Ok(Only::Bytes(20_000_000_000_000)));
        assert!(only("0").is_err() && only("all").is_err());
    }
}
