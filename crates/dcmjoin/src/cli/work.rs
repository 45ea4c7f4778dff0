use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use dcmjoin_ledger::CampaignName;
use dcmjoin_objects::Location;
use dcmjoin_pipeline::Layout;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::staged::GiveUp;

use super::{Form, IfExistsArg, Resources};

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// The task store: a file, for workers of one machine, or `postgres://user@host/database`
    #[arg(
        long,
        global = true,
        value_name = "STORE",
        default_value = "tasks.db",
        env = "DCMJOIN_TASKS",
        hide_env_values = true
    )]
    pub(crate) tasks: String,
    /// The fact log, where it is not in the task store: likewise, or `kafka://[user@]host:port/topic-prefix`
    /// (its password from `KAFKA_PASSWORD`), or `clickhouse://user@host:port/database`
    #[arg(long, global = true, value_name = "LOG", env = "DCMJOIN_FACTS", hide_env_values = true)]
    pub(crate) facts: Option<String>,
    #[command(subcommand)]
    pub(crate) command: WorkCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkCommand {
    /// Add archives to a campaign; again to add those that came since
    Add(Box<AddArgs>),
    /// Scan archives: read headers, then pair images and publish
    Scan(WorkerArgs),
    /// Publish pairs whose header came late
    Assemble(WorkerArgs),
    /// Scan, assemble, and close what is through
    All(WorkerArgs),
    /// Say how many tasks stand where
    Status(StatusArgs),
    /// Print the halves that have no partner and are given up, one a line
    Unpaired(UnpairedArgs),
    /// Remove the raw objects of a campaign whose books are closed
    Purge(PurgeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The campaign
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) campaign: CampaignName,
    /// Only say how many there are
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Stands for the campaign's rule: objects of halves that wait by it are not removed
    #[arg(long, value_name = "RULE")]
    pub(crate) give_up: Option<GiveUp>,
}

#[derive(Debug, Args)]
pub(crate) struct UnpairedArgs {
    /// The campaign
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) campaign: CampaignName,
    /// Stands for the campaign's rule: watermark, age=TIME such as age=30d, or attempts=N
    #[arg(long, value_name = "RULE")]
    pub(crate) give_up: Option<GiveUp>,
    /// Also those that wait
    #[arg(long)]
    pub(crate) all: bool,
    /// Who is asked: closing, which knows all halves as they were then, or facts, for what waits in the fact log now
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    pub(crate) from: UnpairedFrom,
}

/// Who is asked for halves without partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum UnpairedFrom {
    #[default]
    Closing,
    Facts,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The campaign: letters, digits, - and _
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) campaign: CampaignName,
    /// Tasks of a greater one are done first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i32,
    /// Metadata archives: a folder, `file://`, `s3://bucket/prefix`, one archive, or @manifest with one
    /// archive a line; repeatable
    #[arg(long, value_name = "SRC", required_unless_present = "images")]
    pub(crate) metadata: Vec<Source>,
    /// Image archives, likewise
    #[arg(long, value_name = "SRC")]
    pub(crate) images: Vec<Source>,
    /// Where instances go: a folder, `file://` or `s3://bucket/prefix`
    #[arg(long, value_name = "DST")]
    pub(crate) output: Location,
    /// Key of an instance, of {uid}, {study}, {series} and {hash} (four digits, spreads prefixes)
    #[arg(long, value_name = "TEMPLATE", default_value_t)]
    pub(crate) layout: Layout,
    #[command(flatten)]
    pub(crate) form: Form,
    /// What to do where an object stands already: skip or replace
    #[arg(long, value_name = "RULE", value_enum, default_value_t)]
    pub(crate) if_exists: IfExistsArg,
    /// Reject a header with a value that DICOM cannot hold as it is, instead of a warning
    #[arg(long)]
    pub(crate) strict_values: bool,
    /// When a half without partner is given up: watermark (once all archives are through), age=TIME such as
    /// age=30d (since its archive was read), or attempts=N (closings that found no partner)
    #[arg(long, value_name = "RULE", default_value_t)]
    pub(crate) give_up: GiveUp,
    /// Copy every half to an object of its own, and assemble from those: below the output, or elsewhere
    #[arg(long, value_name = "DST", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the option may stand without a value")]
    pub(crate) raw: Option<Option<Location>>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Also count the halves that wait for their partner, and the pairs to be assembled; a server's log reads
    /// all of a campaign's facts for that
    #[arg(long)]
    pub(crate) late: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Only this campaign [default: all, by their priority]
    #[arg(long, value_name = "NAME")]
    pub(crate) campaign: Option<CampaignName>,
    /// Go on when no task is open, until a signal comes
    #[arg(long)]
    pub(crate) wait: bool,
    /// Seconds for archives in hand after a signal; those that take longer are given back
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) drain: u64,
    /// Seconds after which the tasks of a silent worker are given to others
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(3..))]
    pub(crate) lease: u64,
    /// Leave no facts of halves whose partner was not found: they pair when the campaign is closed
    #[arg(long)]
    pub(crate) no_facts: bool,
    /// Also write the report of the campaign that is closed to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    /// The task store
    #[arg(
        long,
        global = true,
        value_name = "STORE",
        default_value = "tasks.db",
        env = "DCMJOIN_TASKS",
        hide_env_values = true
    )]
    pub(crate) tasks: String,
    #[command(subcommand)]
    pub(crate) command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Print the tasks that were given up, one a line
    List,
    /// Print all that is known of one
    Show {
        /// Its number
        id: i64,
    },
    /// Let tasks be tried again; their campaign is closed again after that
    Retry(LettersArgs),
    /// Drop tasks: their archives are no longer the campaign's
    Drop(LettersArgs),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct LettersArgs {
    /// Their numbers
    #[arg(required_unless_present = "all", value_name = "ID")]
    pub(crate) ids: Vec<i64>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}
