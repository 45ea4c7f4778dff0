//! `dcmjoin work`: one of many workers, and what they share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dcmjoin_ledger::facts::FactDepth;
use dcmjoin_ledger::tasks::Stage;
use dcmjoin_ledger::{CampaignName, FactLog, Patient, TaskStore};
use dcmjoin_objects::{Location, Stores};
use dcmjoin_pipeline::raw::RawPlace;
use dcmjoin_pipeline::staged::{self, Drain, WorkConfig, Worked};
use dcmjoin_pipeline::{Progress, Publish, RunConfig};
use serde_json::{Value, json};

use crate::cli::{AddArgs, PurgeArgs, StatusArgs, Talk, WorkArgs, WorkCommand, WorkerArgs};
use crate::commands::depths;
use crate::commands::run::refuse_fail;
use crate::commands::store::{self, Store};
use crate::commands::unpaired::unpaired;
use crate::exit::Exit;
use crate::summary::summary;
use crate::text;
use crate::watch::Watch;

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Scan,
    Assemble,
    All,
}

/// Does a part of the work, or says where it stands.
pub(crate) fn run(args: WorkArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let WorkArgs { tasks, facts, command } = args;
    super::runtime()?.block_on(async {
        let store = Store::open(&tasks).await?;
        let facts = facts.as_deref();
        match command {
            WorkCommand::Add(args) => add(&*store.tasks(), *args, talk).await,
            WorkCommand::Scan(args) => work(&store, facts, Part::Scan, &args, talk).await,
            WorkCommand::Assemble(args) => work(&store, facts, Part::Assemble, &args, talk).await,
            WorkCommand::All(args) => work(&store, facts, Part::All, &args, talk).await,
            WorkCommand::Status(args) => status(&store, facts, &args, talk).await,
            WorkCommand::Unpaired(args) => unpaired(&store, facts, &args, talk).await,
            WorkCommand::Purge(args) => purge(&store, facts, &args, talk).await,
        }
    })
}

async fn add(tasks: &dyn TaskStore, args: AddArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let mut config = RunConfig::new(args.metadata, args.images, args.output);
    config.layout = args.layout;
    config.publish = args.form.publish();
    config.if_exists = args.if_exists.into();
    config.strict_values = args.strict_values;
    if let Some(place) = args.raw {
        let place = place.unwrap_or_else(|| config.output.clone());
        let campaign = args.campaign.to_string();
        config.raw = Some(RawPlace { place, campaign });
    }
    refuse_fail(&config)?;
    anyhow::ensure!(
        config.raw.is_none() || config.publish == Publish::Instances,
        "expected --publish instances with --raw: pairs are assembled one by one, in no archive's order"
    );
    anyhow::ensure!(config.output != Location::Memory, "expected an output that workers share");
    let stores = Stores::default();
    let (name, rule) = (&args.campaign, args.give_up);
    let added = staged::add(&stores, tasks, name, args.priority, &config, rule).await?;
    if talk.json {
        text::data(&format!("{}\n", json!({"campaign": args.campaign.as_str(), "added": added})))?;
    } else if !talk.quiet {
        let added = text::count(added);
        text::data(&format!("campaign {}: {added} archives added\n", args.campaign))?;
    }
    Ok(Exit::Complete)
}

async fn purge(
    store: &Store,
    facts: Option<&str>,
    args: &PurgeArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let facts = log_at(store, facts, dcmjoin_ledger::tasks::LEASE, &std::env::temp_dir()).await?;
    let (stores, tasks, name) = (Stores::default(), store.tasks(), &args.campaign);
    let rule = args.give_up;
    let removed = staged::purge(&stores, &*tasks, &*facts, name, rule, args.dry_run).await?;
    if talk.json {
        let told = json!({
            "schema": "dcmjoin.purged/1",
            "campaign": name.as_str(),
            "dry_run": args.dry_run,
            "objects": removed.objects,
            "bytes": removed.bytes,
            "left": removed.left,
        });
        text::data(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else if !talk.quiet {
        let (objects, size) = (text::count(removed.objects), text::size(removed.bytes));
        let done = if args.dry_run { "to be removed" } else { "removed" };
        text::data(&format!("campaign {name}: {objects} raw objects {done} ({size})\n"))?;
        if removed.left > 0 {
            let left = text::count(removed.left);
            text::talk(&format!("{left} objects beside them are none of the campaign's"));
        }
    }
    Ok(Exit::Complete)
}

async fn work(
    store: &Store,
    facts: Option<&str>,
    part: Part,
    args: &WorkerArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let facts = fact_log(store, facts, args).await?;
    // The sources and the output are the campaign's own.
    let mut machine = RunConfig::new(Vec::new(), Vec::new(), Location::Memory);
    machine.publishing_max = 0;
    args.resources.apply(&mut machine);
    let config = WorkConfig {
        worker: staged::worker_name(),
        stages: match part {
            Part::Scan => vec![Stage::Metadata, Stage::Images],
            Part::Assemble => Vec::new(),
            Part::All => Stage::ALL.to_vec(),
        },
        assembles: part != Part::Scan && !args.no_facts,
        campaign: args.campaign.clone(),
        // There may always be another pair.
        waits: args.wait || part == Part::Assemble,
        lease: Duration::from_secs(args.lease),
        drain: Duration::from_secs(args.drain),
        machine,
    };
    let (progress, drain) = (Arc::new(Progress::default()), Drain::default());
    let stopping = tokio::spawn(drain_on_signal(drain.clone()));
    let stores = Arc::new(Stores::default());
    let worked = {
        let _watch = Watch::begin(&progress, talk.quiet || talk.json);
        let tasks = Arc::new(Patient::new(store.tasks()));
        staged::work(&stores, tasks, facts, config, Arc::clone(&progress), drain.clone()).await
    };
    stopping.abort();
    told(&worked?, args, &drain, talk)
}

/// Returns the fact log, where one is wanted: the one of `--facts`, or the one beside the tasks.
async fn fact_log(
    store: &Store,
    place: Option<&str>,
    args: &WorkerArgs,
) -> anyhow::Result<Option<Arc<dyn FactLog>>> {
    if args.no_facts {
        return Ok(None);
    }
    let spill = args.resources.spill.clone().unwrap_or_else(std::env::temp_dir);
    log_at(store, place, Duration::from_secs(args.lease), &spill).await.map(Some)
}

pub(crate) async fn log_at(
    store: &Store,
    place: Option<&str>,
    lease: Duration,
    spill: &Path,
) -> anyhow::Result<Arc<dyn FactLog>> {
    let log = match place {
        Some(place) => store::facts(place, lease, spill).await?,
        None => store.facts(lease),
    };
    let (log, tasks) = (Patient::new(log), Patient::new(store.tasks()));
    log.bind(&tasks.id().await?).await.context("open the fact log")?;
    Ok(Arc::new(log))
}

async fn drain_on_signal(drain: Drain) {
    super::signal().await;
    text::talk("finishing the archives in hand; once more to stop at once");
    drain.ask();
    super::signal().await;
    std::process::exit(Exit::Stopped as i32);
}

fn told(worked: &Worked, args: &WorkerArgs, drain: &Drain, talk: &Talk) -> anyhow::Result<Exit> {
    if let (Some(file), Some(report)) = (&args.report, worked.reports.last()) {
        let json = serde_json::to_string_pretty(report)?;
        std::fs::write(file, json).with_context(|| format!("write {}", file.display()))?;
    }
    if talk.json {
        let told = json!({
            "schema": "dcmjoin.worked/1",
            "archives": worked.archives,
            "failed": worked.failed,
            "lost": worked.lost,
            "late_in_output": worked.late.in_output,
            "late_left": worked.late.left,
            "reports": worked.reports,
        });
        text::data(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else if !talk.quiet {
        let (archives, failed) = (text::count(worked.archives), text::count(worked.failed));
        let late = text::count(worked.late.in_output);
        let lost = text::count(worked.lost);
        text::data(&format!(
            "{archives} archives scanned, {failed} attempts failed, {lost} tasks lost, \
             {late} late pairs published\n"
        ))?;
        worked.reports.iter().try_for_each(|report| text::data(&summary(report)))?;
    }
    let unreadable = worked.reports.iter().any(|report| report.archives.unreadable > 0);
    Ok(match (drain.is_asked(), unreadable) {
        (true, _) => Exit::Stopped,
        (false, true) => Exit::Failure,
        (false, false) => Exit::Complete,
    })
}

async fn status(
    store: &Store,
    facts: Option<&str>,
    args: &StatusArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let depths = store.tasks().depths().await?;
    let late = if args.late { late_halves(store, facts).await? } else { Vec::new() };
    if talk.json {
        let stages: Vec<Value> = depths.iter().map(depths::as_json).collect();
        let mut told = json!({"schema": "dcmjoin.work-status/1", "stages": stages});
        if args.late {
            told["late"] = late
                .iter()
                .map(|(name, depth)| {
                    json!({"campaign": name.as_str(), "halves": depth.open, "pairs": depth.pairs})
                })
                .collect();
        }
        text::data(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else if !talk.quiet {
        depths.iter().try_for_each(|depth| text::data(&depths::in_words(depth)))?;
        for (name, depth) in late {
            let (halves, pairs) = (text::count(depth.open), text::count(depth.pairs));
            text::data(&format!(
                "{name} late: {halves} halves wait for a partner, {pairs} pairs to be assembled\n"
            ))?;
        }
    }
    Ok(Exit::Complete)
}

/// Counts what the fact log has of each campaign.
async fn late_halves(
    store: &Store,
    facts: Option<&str>,
) -> anyhow::Result<Vec<(CampaignName, FactDepth)>> {
    let facts = log_at(store, facts, dcmjoin_ledger::tasks::LEASE, &std::env::temp_dir()).await?;
    let mut late = Vec::new();
    for campaign in store.tasks().campaigns().await? {
        let depth = facts.depth(&campaign.name).await?;
        late.push((campaign.name, depth));
    }
    Ok(late)
}
