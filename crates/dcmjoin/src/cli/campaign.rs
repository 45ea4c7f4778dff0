use std::path::PathBuf;

use clap::{Args, Subcommand};
use dcmjoin_objects::Location;
use dcmjoin_restore::class::Tier;

/// Where campaigns are kept.
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    /// The journal: a file, a folder with one `NAME.db` a campaign, or `postgres://user@host/database`
    #[arg(
        long,
        global = true,
        value_name = "PLACE",
        default_value = "campaign.db",
        env = "DCMJOIN_LEDGER",
        hide_env_values = true
    )]
    pub(crate) ledger: String,
}

#[derive(Debug, Args)]
pub(crate) struct CampaignArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Which campaign, where the journal is a folder or a database
    #[arg(long, global = true, value_name = "NAME", default_value = "campaign")]
    pub(crate) name: String,
    #[command(subcommand)]
    pub(crate) command: CampaignCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// Find the archives and write the journal; nothing is restored yet
    Create(Box<CreateArgs>),
    /// Run the campaign until it is done, paused or stopped; again to go on
    Start {
        #[command(flatten)]
        how: OrchestratorArgs,
    },
    /// Say where the campaign stands: each stage's depth, rate and time left
    Status {
        /// Also what the workers of this task store have of it
        #[arg(long, value_name = "STORE")]
        tasks: Option<String>,
    },
    /// Name all campaigns
    List,
    /// Restore and read no more; what is restored already goes on to cost
    Pause,
    /// Let a paused campaign go on, and change one that runs; start runs it
    Resume(ResumeArgs),
    /// Give the campaign up
    Cancel,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Metadata archives: `s3://bucket/prefix`, or @file: a list, CSV, JSON lines or an S3 Inventory;
    /// repeatable
    #[arg(long, required = true, value_name = "SRC")]
    pub(crate) metadata: Vec<String>,
    /// Image archives, likewise
    #[arg(long, required = true, value_name = "SRC")]
    pub(crate) images: Vec<String>,
    /// Where instances go
    #[arg(long, value_name = "DST")]
    pub(crate) output: Location,
    /// The region of the buckets and of the prices
    #[arg(long, value_name = "REGION", env = "AWS_REGION")]
    pub(crate) region: String,
    /// URL of the SQS queue of restore events [default: listings alone]
    #[arg(long, value_name = "URL")]
    pub(crate) queue: Option<String>,
    /// How fast: bulk, standard, expedited
    #[arg(long, value_name = "TIER", default_value_t)]
    pub(crate) tier: Tier,
    /// Days of the restored copies, at least
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) days: u32,
    /// GiB of a wave, at the most [default: a quarter of what is read while copies last]
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..1 << 30))]
    pub(crate) wave_gib: Option<u64>,
    /// How fast archives are read, in MB/s, until it is measured: by this scans are forecast
    #[arg(long, value_name = "MB", default_value_t = 50)]
    pub(crate) read_mb_per_sec: u64,
    /// The campaign pauses before it spends more, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) budget_usd: Option<f64>,
    /// Where archives are copied to while they are read: a folder, `file://` or `s3://bucket/prefix`
    #[arg(long, value_name = "DST")]
    pub(crate) keep_copies: Option<Location>,
    /// A price file [default: the shipped prices]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Ask by S3 Batch Operations jobs, as this role: `arn:aws:iam::ACCOUNT:role/NAME`
    #[arg(long, value_name = "ARN", requires = "batch_folder")]
    pub(crate) batch_role: Option<String>,
    /// Where the manifests and reports of such jobs go: `s3://bucket/prefix`
    #[arg(long, value_name = "DST", requires = "batch_role")]
    pub(crate) batch_folder: Option<String>,
}

/// What a person changes of a campaign.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// A new budget, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) budget_usd: Option<f64>,
    /// How fast from now on; restores that run are upgraded where this is faster
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<Tier>,
}

#[derive(Debug, Args)]
pub(crate) struct OrchestrateArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Campaigns that are run at the same time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) campaigns: u16,
    /// End once no campaign is active
    #[arg(long)]
    pub(crate) until_idle: bool,
    #[command(flatten)]
    pub(crate) how: OrchestratorArgs,
}

/// How an orchestrator waits and reads.
#[derive(Debug, Clone, Args)]
pub(crate) struct OrchestratorArgs {
    /// The longest wait between looks at the queue, in seconds: each look is a request
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) wait_secs: u16,
    /// Give archives to the workers of this task store (`dcmjoin work scan --wait`) instead of reading
    /// them here
    #[arg(long, value_name = "STORE")]
    pub(crate) tasks: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    /// Archives to make
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    pub(crate) archives: u32,
    /// Instances to make [default: two an archive]
    #[arg(long, value_name = "N")]
    pub(crate) instances: Option<u64>,
    /// Virtual days that the campaign is to take
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=60))]
    pub(crate) days: u32,
    /// How fast: bulk, standard, expedited
    #[arg(long, value_name = "TIER", default_value_t)]
    pub(crate) tier: Tier,
}
