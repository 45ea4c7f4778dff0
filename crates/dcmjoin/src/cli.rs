//! The arguments. One help line each, with its unit and default.

mod plan;
mod work;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dcmjoin_catalog::State;
use dcmjoin_model::Half;
use dcmjoin_objects::Location;
use dcmjoin_pipeline::config::SHARD_BYTES;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::local::Shard;
use dcmjoin_pipeline::{First, IfExists, Layout, Publish, RunConfig, Strategy};
use tracing::level_filters::LevelFilter;

pub(crate) use plan::PlanArgs;
pub(crate) use work::{
    AddArgs, DeadLettersArgs, DeadLettersCommand, LettersArgs, PurgeArgs, StatusArgs, UnpairedArgs,
    UnpairedFrom, WorkArgs, WorkCommand, WorkerArgs,
};

const EXAMPLES: &str = "\
Examples:
  dcmjoin demo
      makes a data set and runs the whole job on it
  dcmjoin run --metadata text/ --images images/ --output out/
      joins two folders of tars into Part 10 files
  dcmjoin run --metadata s3://archive/meta --images s3://archive/img --output s3://dicom/out
      the same from bucket to bucket
  dcmjoin get 2.25.1234 --catalog out/ -o one.dcm
      one instance, by what a run learnt; of its archives only the two halves are read

Exit codes: 0 done, 1 failed, 2 bad arguments, 3 done with losses under --strict, 4 output locked
by another run, 130 stopped.";

/// Turns a cold archive of headers and pixels back into DICOM.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: Talk,
}

/// How the program talks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Talk")]
pub(crate) struct Talk {
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no summary
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log level on standard error: off, error, warn, info, debug
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", env = "DCMJOIN_LOG")]
    pub(crate) log: LevelFilter,
    /// Log lines as JSON
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join metadata and image archives into Part 10 files
    Run(RunArgs),
    /// Join one instance
    Get(GetArgs),
    /// Say what a member, an archive or a Part 10 file holds
    Inspect(InspectArgs),
    /// Join as one of many workers that share a task store
    Work(WorkArgs),
    /// Tasks that were given up: look at them, try them again, drop them
    DeadLetters(DeadLettersArgs),
    /// Print or export what runs learnt of their archives
    Catalog(CatalogArgs),
    /// Say what restoring and joining costs, and how long it takes
    Plan(Box<PlanArgs>),
    /// Make a data set that looks like a partner's
    Synth(SynthArgs),
    /// Make a data set and run the whole job on it
    Demo(DemoArgs),
    /// Restore archives from Glacier in waves and join them
    #[cfg(feature = "cloud")]
    Campaign(CampaignArgs),
    /// Run all active campaigns of a journal, as a service
    #[cfg(feature = "cloud")]
    Orchestrate(OrchestrateArgs),
    /// Run a whole campaign on an emulator of S3, virtual days in seconds
    #[cfg(feature = "cloud")]
    Rehearse(RehearseArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
}

/// Where halves are read from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sources")]
pub(crate) struct Sources {
    /// Metadata archives: a folder, `file://`, `s3://bucket/prefix`, one archive, or @manifest with one
    /// archive a line; repeatable
    #[arg(long, required_unless_present_any = ["catalog", "pairs"], requires = "images", value_name = "SRC")]
    pub(crate) metadata: Vec<Source>,
    /// Image archives, likewise
    #[arg(long, required_unless_present_any = ["catalog", "pairs"], requires = "metadata", value_name = "SRC")]
    pub(crate) images: Vec<Source>,
    /// The output of an earlier run: what it learnt is used, and names the archives where no
    /// source does [default: the run's own output]
    #[arg(long, value_name = "DST")]
    pub(crate) catalog: Option<Location>,
    /// Pairs that another engine made of catalogues, in a Parquet file (of `run` alone)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["metadata", "images", "catalog"])]
    pub(crate) pairs: Option<PathBuf>,
    /// How to read halves that the catalogue knows
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) strategy: StrategyArg,
    /// Which side to read first: of headers that no image asks for, nothing is stored then
    #[arg(long, value_name = "SIDE", value_enum, default_value_t)]
    pub(crate) first: FirstArg,
    /// Read every archive again, whatever the catalogue knows of it
    #[arg(long)]
    pub(crate) rescan: bool,
}

/// Which side to read first.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FirstArg {
    /// The metadata archives
    Metadata,
    /// The image archives' UIDs, and from a store all of their bytes
    Images,
    /// The one that takes less room: the images where they have less than an eighth of the headers' bytes
    #[default]
    Auto,
}

/// How to read halves that the catalogue knows.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum StrategyArg {
    /// Whole archives
    Stream,
    /// Each half by a range of its own
    Select,
    /// Whichever costs less
    #[default]
    Auto,
}

impl Sources {
    pub(crate) fn into_config(self, output: Location) -> RunConfig {
        let mut config = RunConfig::new(self.metadata, self.images, output);
        config.catalog = self.catalog;
        config.rescan = self.rescan;
        config.first = match self.first {
            FirstArg::Metadata => First::Metadata,
            FirstArg::Images => First::Images,
            FirstArg::Auto => First::Auto,
        };
        config.strategy = match self.strategy {
            StrategyArg::Stream => Strategy::Stream,
            StrategyArg::Select => Strategy::Select,
            StrategyArg::Auto => Strategy::Auto,
        };
        config
    }
}

/// What the machine may give.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct Resources {
    /// Memory for archives and instances on their way, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(64..))]
    pub(crate) memory: u64,
    /// Archives read at the same time [default: twice the cores, 2 to 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) archives: Option<u16>,
    /// Instances published at the same time [default: 128 to a store, twice the cores to a folder]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) publishing: Option<u16>,
    /// Folder for the header store, about 2 kB an instance [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) spill: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Where instances go: a folder, `file://` or `s3://bucket/prefix`
    #[arg(long, value_name = "DST")]
    pub(crate) output: Location,
    /// Also write the report to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Only the instances of this file, one SOP Instance UID a line
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    pub(crate) only: Option<PathBuf>,
    /// Key of an instance, of {uid}, {study}, {series} and {hash} (four digits, spreads prefixes)
    #[arg(long, value_name = "TEMPLATE", default_value_t)]
    pub(crate) layout: Layout,
    #[command(flatten)]
    pub(crate) form: Form,
    /// What to do where an object stands already
    #[arg(long, value_name = "RULE", value_enum, default_value_t)]
    pub(crate) if_exists: IfExistsArg,
    /// Do all but write
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Scan only the K-th of N parts of the archives; a run without it then closes
    #[arg(long, value_name = "K/N", conflicts_with_all = ["only", "dry_run", "catalog", "pairs", "strict"])]
    pub(crate) shard: Option<Shard>,
    /// Exit with 3 where anything is unpaired, rejected or damaged
    #[arg(long)]
    pub(crate) strict: bool,
    /// Reject a header with a value that DICOM cannot hold as it is, instead of a warning
    #[arg(long)]
    pub(crate) strict_values: bool,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

/// In which form to publish instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublishArg {
    /// An object each, `.dcm`
    #[default]
    Instances,
    /// One after the other in tars, as training jobs read them
    Shards,
}

/// 1 TiB: a store takes objects of 5.
const SHARD_MIB_MAX: u64 = 1 << 20;

/// The form of an output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Form {
    /// In which form to publish instances
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    publish: PublishArg,
    /// Size of a shard, in MiB
    #[arg(long, value_name = "MIB", default_value_t = SHARD_BYTES >> 20, value_parser = clap::value_parser!(u64).range(1..=SHARD_MIB_MAX))]
    shard_size: u64,
}

impl Form {
    pub(crate) fn publish(self) -> Publish {
        match self.publish {
            PublishArg::Instances => Publish::Instances,
            PublishArg::Shards => Publish::Shards(self.shard_size << 20),
        }
    }
}

/// What to do where an object stands already.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum IfExistsArg {
    /// Compare it: the same bytes count as already there, others are rejected
    #[default]
    Skip,
    /// Overwrite it
    Replace,
    /// Reject the instance and exit with 1
    Fail,
}

impl From<IfExistsArg> for IfExists {
    fn from(rule: IfExistsArg) -> Self {
        match rule {
            IfExistsArg::Skip => Self::Skip,
            IfExistsArg::Replace => Self::Replace,
            IfExistsArg::Fail => Self::Fail,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The SOP Instance UID
    pub(crate) uid: String,
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The file to write, or - for standard output
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A .json or .j2c member, a tar archive, or a .dcm file
    pub(crate) file: PathBuf,
    /// Read a payload with the geometry of this header
    #[arg(long, value_name = "JSON")]
    pub(crate) header: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    pub(crate) command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Print rows: a table, or JSON lines with --json
    Show(CatalogShowArgs),
    /// Write all rows to one file, for other engines
    Export(CatalogExportArgs),
    /// Count rows by half, state, payload kind and reason
    Stats(CatalogStatsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CatalogShowArgs {
    /// Outputs of runs, or single files of their catalogues
    #[arg(required = true, value_name = "OUTPUT|FILE")]
    pub(crate) places: Vec<Location>,
    /// Only this instance
    #[arg(long)]
    pub(crate) uid: Option<String>,
    /// Only this side
    #[arg(long, value_enum)]
    pub(crate) half: Option<HalfArg>,
    /// Only rows in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateArg>,
    /// Only this archive: its URL, or the end of it after a slash
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogExportArgs {
    /// Outputs of runs, or single files of their catalogues
    #[arg(required = true, value_name = "OUTPUT|FILE")]
    pub(crate) places: Vec<Location>,
    /// The file to write; its ending decides: .parquet, .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogStatsArgs {
    /// Outputs of runs, or single files of their catalogues
    #[arg(required = true, value_name = "OUTPUT|FILE")]
    pub(crate) places: Vec<Location>,
}

/// A side.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum HalfArg {
    /// Headers
    Metadata,
    /// Payloads
    Image,
}

/// What became of a half.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StateArg {
    /// Good; nothing was published with it when its archive was read
    Open,
    /// Its instance is in the output
    Published,
    /// It, or its pair, cannot become a file
    Rejected,
}

#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// Instances, whole or with a half missing
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) instances: u64,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Metadata archives [default: by the number of instances]
    #[arg(long, value_name = "N", requires = "image_archives")]
    pub(crate) metadata_archives: Option<u32>,
    /// Image archives
    #[arg(long, value_name = "N", requires = "metadata_archives")]
    pub(crate) image_archives: Option<u32>,
    #[command(flatten)]
    pub(crate) shares: ShareArgs,
    /// Sizes as real devices make them (512 x 512 and more), instead of small ones
    #[arg(long)]
    pub(crate) large: bool,
    /// Compress whole archives
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) compress: Option<CompressArg>,
}

/// Parts of the instances, each from 0 to 1.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is amiss (parts of the instances, 0 to 1)")]
pub(crate) struct ShareArgs {
    /// Headers without image
    #[arg(long, value_name = "PART")]
    pub(crate) unpaired_metadata: Option<f64>,
    /// Images without header
    #[arg(long, value_name = "PART")]
    pub(crate) unpaired_images: Option<f64>,
    /// A half twice
    #[arg(long, value_name = "PART")]
    pub(crate) duplicate: Option<f64>,
    /// A half twice, with different bytes
    #[arg(long, value_name = "PART")]
    pub(crate) conflict: Option<f64>,
    /// A half that is broken
    #[arg(long, value_name = "PART")]
    pub(crate) broken: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CompressArg {
    /// .tar.gz
    Gz,
    /// .tar.zst
    Zst,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Instances to make
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) instances: u64,
    /// The folder to work in
    #[arg(long, value_name = "DIR", default_value = "dcmjoin-demo")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(feature = "cloud")]
pub(crate) use campaign::{
    CampaignArgs, CampaignCommand, CreateArgs, LedgerArgs, OrchestrateArgs, OrchestratorArgs,
    RehearseArgs, ResumeArgs,
};

/// Campaigns and their rehearsal.
#[cfg(feature = "cloud")]
mod campaign;

impl From<HalfArg> for Half {
    fn from(half: HalfArg) -> Self {
        match half {
            HalfArg::Metadata => Self::Metadata,
            HalfArg::Image => Self::Image,
        }
    }
}

impl From<StateArg> for State {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Open => Self::Open,
            StateArg::Published => Self::Published,
            StateArg::Rejected => Self::Rejected,
        }
    }
}

impl Resources {
    pub(crate) fn apply(&self, config: &mut RunConfig) {
        config.memory_bytes = self.memory << 20;
        config.archives_max = self.archives.map_or(config.archives_max, usize::from);
        config.publishing_max = self.publishing.map_or(config.publishing_max, usize::from);
        config.spill.clone_from(&self.spill);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
