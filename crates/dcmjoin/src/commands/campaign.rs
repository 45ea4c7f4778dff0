//! `dcmjoin campaign`: archives from Glacier to instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use dcmjoin_campaign::aws::{Aws, from_environment};
use dcmjoin_campaign::clockwork::RealTime;
use dcmjoin_campaign::dispatch::TaskScanner;
use dcmjoin_campaign::holder::this_process;
use dcmjoin_campaign::ledger::{Ledger, Mode, Shelf, Standing};
use dcmjoin_campaign::orchestrator::{Outcome, World};
use dcmjoin_campaign::scanner::{LocalScanner, Scanner};
use dcmjoin_campaign::stages::{Stage, stages};
use dcmjoin_campaign::{Orchestrator, Spec, manifest, spec};
use dcmjoin_ledger::tasks::Depth;
use dcmjoin_objects::Location;
use dcmjoin_pipeline::RunConfig;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::rate::RESTORE_REQUESTS_PER_SECOND;
use dcmjoin_restore::task::Policy;
use serde_json::{Value, json};

use crate::cli::{CampaignArgs, CampaignCommand, CreateArgs, OrchestratorArgs, ResumeArgs, Talk};
use crate::commands::depths;
use crate::commands::ledger::{journal, shelf};
use crate::commands::store::Store;
use crate::exit::Exit;
use crate::text;

/// Runs a command about a campaign.
pub(crate) fn run(args: CampaignArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let CampaignArgs { ledger, name, command } = args;
    let open = || journal(&ledger, &name);
    match command {
        CampaignCommand::Create(create) => create_one(&*shelf(&ledger)?, &name, &create, talk),
        CampaignCommand::Start { how } => start(&open()?, &name, &how, talk),
        CampaignCommand::Status { tasks } => {
            let depths = tasks.map(|tasks| depths_of(&tasks, &name)).transpose()?;
            status(&*open()?, &depths.unwrap_or_default(), talk)
        }
        CampaignCommand::List => list(&*shelf(&ledger)?, talk),
        CampaignCommand::Pause => set_mode(&*open()?, Mode::Paused),
        CampaignCommand::Cancel => set_mode(&*open()?, Mode::Cancelled),
        CampaignCommand::Resume(change) => resume(&*open()?, &change),
    }
}

fn resume(ledger: &dyn Ledger, change: &ResumeArgs) -> anyhow::Result<Exit> {
    may_become(ledger, Mode::Active)?;
    if change.budget_usd.is_some() {
        ledger.set_budget(usd(change.budget_usd)?)?;
    }
    if let Some(tier) = change.tier {
        let mut spec = ledger.spec()?;
        spec.policy.tier = tier;
        ledger.set_spec(&spec)?;
    }
    set_mode(ledger, Mode::Active)
}

fn set_mode(ledger: &dyn Ledger, mode: Mode) -> anyhow::Result<Exit> {
    may_become(ledger, mode)?;
    ledger.set_mode(mode, None)?;
    Ok(Exit::Complete)
}

fn may_become(ledger: &dyn Ledger, mode: Mode) -> anyhow::Result<()> {
    match (ledger.mode()?, mode) {
        (Mode::Done, _) => anyhow::bail!("the campaign is done"),
        (Mode::Draft, _) => anyhow::bail!("the campaign's archives are not all found yet"),
        (Mode::Cancelled, Mode::Active | Mode::Paused) => {
            anyhow::bail!("the campaign is cancelled; create another one")
        }
        _ => Ok(()),
    }
}

fn list(shelf: &dyn Shelf, talk: &Talk) -> anyhow::Result<Exit> {
    let campaigns = shelf.campaigns()?;
    let lines = match talk.json {
        true => {
            let row = |(name, mode): &(String, Mode)| json!({"name": name, "mode": mode.as_str()});
            let rows: Vec<Value> = campaigns.iter().map(row).collect();
            format!("{}\n", serde_json::to_string_pretty(&rows)?)
        }
        false => {
            campaigns.iter().map(|(name, mode)| format!("{name}: {}\n", mode.as_str())).collect()
        }
    };
    text::data(&lines)?;
    Ok(Exit::Complete)
}

fn usd(dollars: Option<f64>) -> anyhow::Result<Option<Usd>> {
    let amount = |dollars| Usd::from_dollars(dollars).context("the budget is no amount of dollars");
    dollars.map(amount).transpose()
}

fn create_one(
    shelf: &dyn Shelf,
    name: &str,
    args: &CreateArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let prices = args.prices.as_ref().map(std::fs::read_to_string).transpose()?;
    let policy = Policy { tier: args.tier, days: args.days, ..Policy::default() }.checked()?;
    let bytes_per_sec = args.read_mb_per_sec * 1_000_000;
    let sized = || spec::wave_bytes(bytes_per_sec, &policy);
    let wave_bytes = args.wave_gib.map_or_else(sized, |gib| gib << 30);
    let spec = Spec {
        metadata: args.metadata.clone(),
        images: args.images.clone(),
        output: args.output.to_string(),
        region: args.region.clone(),
        queue: args.queue.clone(),
        policy,
        wave_bytes,
        waves_ahead: None,
        bytes_per_sec,
        restores_per_sec: RESTORE_REQUESTS_PER_SECOND,
        budget: usd(args.budget_usd)?,
        prices,
        batch: batch(args)?,
        keep: args.keep_copies.as_ref().map(absolute),
    };
    refuse_shared_queue(shelf, name, &spec)?;
    let aws = aws(&spec)?;
    let ledger = shelf.create(name, &spec)?;
    // Where this fails it stays a draft, which nobody starts.
    super::runtime()?.block_on(manifest::fill(&*ledger, &aws, &spec))?;
    status(&*ledger, &[], talk)
}

/// Refuses a queue that another campaign listens to: each would delete the other's messages.
fn refuse_shared_queue(shelf: &dyn Shelf, name: &str, spec: &Spec) -> anyhow::Result<()> {
    // A journal that is not there yet, or cannot be read, is the next step's matter.
    let (Some(queue), Ok(others)) = (&spec.queue, shelf.campaigns()) else { return Ok(()) };
    for (other, mode) in others {
        let runs = matches!(mode, Mode::Active | Mode::Paused);
        if runs && other != name && shelf.open(&other)?.spec()?.queue.as_ref() == Some(queue) {
            let message = format!("the queue is that of the campaign {other}");
            return Err(text::Hinted::new(message, "give each campaign a queue of its own").into());
        }
    }
    Ok(())
}

/// Returns a place as orchestrators in other folders name it.
fn absolute(place: &Location) -> String {
    match place {
        Location::Local(path) => std::path::absolute(path)
            .map_or_else(|_| place.to_string(), |path| path.display().to_string()),
        Location::Memory | Location::Cloud(_) => place.to_string(),
    }
}

fn batch(args: &CreateArgs) -> anyhow::Result<Option<spec::Batch>> {
    let (Some(role), Some(folder)) = (&args.batch_role, &args.batch_folder) else {
        return Ok(None);
    };
    let batch = spec::Batch::new(role, folder);
    let hint = "a role is arn:aws:iam::111122223333:role/NAME, a folder s3://bucket/prefix";
    let wrong = || text::Hinted::new("--batch-role or --batch-folder makes no sense", hint);
    Ok(Some(batch.ok_or_else(wrong)?))
}

fn aws(spec: &Spec) -> anyhow::Result<Arc<Aws>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    Ok(Arc::new(Aws::new(endpoint.as_deref(), &spec.region, from_environment()?)?))
}

/// Returns what an orchestrator of a campaign acts on and by.
pub(crate) async fn world(
    ledger: Arc<dyn Ledger>,
    name: &str,
    stop: Arc<AtomicBool>,
    how: &OrchestratorArgs,
) -> anyhow::Result<World> {
    let spec = ledger.spec()?;
    let mut config = RunConfig::new(Vec::new(), Vec::new(), spec.output.parse()?);
    config.keep = spec.keep.as_deref().map(str::parse).transpose()?;
    let local = LocalScanner::new(config, None);
    let scanner: Arc<dyn Scanner> = match &how.tasks {
        None => Arc::new(local),
        Some(place) => {
            let tasks = Store::open(place).await?.tasks();
            Arc::new(TaskScanner::new(local, tasks, name.parse()?))
        }
    };
    Ok(World {
        ledger,
        aws: aws(&spec)?,
        scanner,
        clockwork: Arc::new(RealTime { wait_max: Duration::from_secs(how.wait_secs.into()) }),
        stop,
    })
}

fn start(
    ledger: &Arc<dyn Ledger>,
    name: &str,
    how: &OrchestratorArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = super::runtime()?.block_on(async move {
        let world = world(Arc::clone(ledger), name, Arc::clone(&stop), how).await?;
        let asked = tokio::spawn(async move {
            super::signal().await;
            text::talk("stopping after the instances on their way");
            stop.store(true, Ordering::Relaxed);
        });
        let outcome = Orchestrator::take(world, &this_process())?.run().await;
        asked.abort();
        anyhow::Ok(outcome?)
    })?;
    status(&**ledger, &[], talk)?;
    Ok(match outcome {
        Outcome::Done(_) => Exit::Complete,
        Outcome::Paused(reason) => {
            text::talk(&format!("paused: {reason}"));
            Exit::Failure
        }
        Outcome::Cancelled | Outcome::Stopped => Exit::Stopped,
    })
}

/// Returns what the workers of a task store have of a campaign.
fn depths_of(tasks: &str, name: &str) -> anyhow::Result<Vec<Depth>> {
    super::runtime()?.block_on(async {
        let mut depths = Store::open(tasks).await?.tasks().depths().await?;
        depths.retain(|depth| depth.campaign.as_str() == name);
        Ok(depths)
    })
}

fn status(ledger: &dyn Ledger, depths: &[Depth], talk: &Talk) -> anyhow::Result<Exit> {
    let standing = ledger.standing()?;
    let stages = stages(&standing, &ledger.spec()?);
    if talk.json {
        let mut told = as_json(&standing, &stages);
        if !depths.is_empty() {
            told["work"] = depths.iter().map(depths::as_json).collect();
        }
        text::data(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else if !talk.quiet {
        text::data(&in_words(&standing, &stages))?;
        depths.iter().try_for_each(|depth| text::data(&depths::in_words(depth)))?;
    }
    Ok(Exit::Complete)
}

fn as_json(standing: &Standing, stages: &[Stage]) -> Value {
    let waves = standing.waves.iter().map(|wave| {
        let tallies = wave.states.iter().map(|(state, tally)| {
            (state.clone(), json!({"archives": tally.archives, "bytes": tally.bytes}))
        });
        let tallies: serde_json::Map<String, Value> = tallies.collect();
        json!({"wave": wave.wave, "half": wave.half.as_str(), "states": tallies})
    });
    json!({
        "schema": "dcmjoin.campaign/1",
        "mode": standing.mode.as_str(),
        "reason": standing.reason,
        "holder": standing.holder.as_ref().map(|(holder, _)| holder),
        "spent_usd": standing.spend.spent().dollars(),
        "left_usd": standing.spend.left().map(Usd::dollars),
        "spend": standing.spend.by_purpose(),
        "stages": stages,
        "waves": waves.collect::<Vec<_>>(),
        "failures": standing.failures,
        "counts": standing.counts,
    })
}

fn in_words(standing: &Standing, stages: &[Stage]) -> String {
    let mut words = format!("campaign: {}", standing.mode.as_str());
    words.extend(standing.reason.iter().map(|reason| format!(" ({reason})")));
    words.push_str(&format!("\nspent: {}\n", standing.spend.spent()));
    words.extend(stages.iter().filter(|stage| stage.archives > 0).map(stage_in_words));
    for wave in &standing.waves {
        words.push_str(&format!("wave {} ({}):", wave.wave, wave.half));
        for (state, tally) in &wave.states {
            let size = text::size(tally.bytes);
            words.push_str(&format!(" {} {state} ({size})", text::count(tally.archives)));
        }
        words.push('\n');
    }
    for (failure, count) in &standing.failures {
        words.push_str(&format!("given up, {failure}: {}\n", text::count(*count)));
    }
    words
}

fn stage_in_words(stage: &Stage) -> String {
    let (left, of) = (text::count(stage.archives), text::count(stage.of_archives));
    let size = text::size(stage.bytes);
    let pace = match (stage.bytes_per_sec, stage.is_measured) {
        (None, _) => String::new(),
        (Some(rate), true) => format!(", {}/s", text::size(rate)),
        (Some(rate), false) => format!(", {}/s forecast", text::size(rate)),
    };
    #[expect(clippy::cast_precision_loss, reason = "a forecast for people")]
    let time = text::duration(stage.seconds_left as f64);
    format!("{}: {left} of {of} archives left ({size}{pace}), within {time}\n", stage.stage)
}
