//! `dcmjoin run`: the main job.

use std::sync::Arc;

use anyhow::Context;
use dcmjoin_model::Reason;
use dcmjoin_pipeline::local::{Shard, ShardReport};
use dcmjoin_pipeline::{IfExists, Progress, Report, RunConfig, RunError, local, manifest};

use crate::cli::{RunArgs, Talk};
use crate::commands::on_runtime;
use crate::exit::Exit;
use crate::summary::summary;
use crate::text;
use crate::watch::Watch;

/// Runs the job and says how it went.
pub(crate) fn run(args: RunArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let pairs = args.sources.pairs.clone();
    let mut config = args.sources.into_config(args.output);
    config.layout = args.layout;
    config.publish = args.form.publish();
    config.if_exists = args.if_exists.into();
    config.only = args.only.as_deref().map(manifest::uids).transpose()?;
    config.dry_run = args.dry_run;
    config.strict_values = args.strict_values;
    args.resources.apply(&mut config);
    if let Some(part) = args.shard {
        return shard(config, part, args.report.as_deref(), talk);
    }
    let report = match pairs {
        Some(file) => published(config, &file, talk.quiet)?,
        None => watched(config, talk.quiet)?,
    };
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &args.report {
        std::fs::write(file, &json).with_context(|| format!("write {}", file.display()))?;
    }
    if talk.json {
        text::data(&format!("{json}\n"))?;
    } else if !talk.quiet {
        text::data(&summary(&report))?;
    }
    Ok(exit(&report, args.strict))
}

/// Runs one part of the archives; a run without shard accounts for all of them later.
fn shard(
    config: RunConfig,
    part: Shard,
    file: Option<&std::path::Path>,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    refuse_fail(&config)?;
    let progress = Arc::new(Progress::default());
    let report = on_runtime(&progress, async {
        let _watch = Watch::begin(&progress, talk.quiet);
        local::shard(config, part, Arc::clone(&progress)).await
    })?;
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(file) = file {
        std::fs::write(file, &json).with_context(|| format!("write {}", file.display()))?;
    }
    if talk.json {
        text::data(&format!("{json}\n"))?;
    } else if !talk.quiet {
        text::data(&in_words(&report))?;
    }
    Ok(if report.archives.unreadable > 0 { Exit::Failure } else { Exit::Complete })
}

/// Of those who write to one output at once, none can tell its own objects from others'.
pub(crate) fn refuse_fail(config: &RunConfig) -> Result<(), RunError> {
    if config.if_exists != IfExists::Fail {
        return Ok(());
    }
    Err(RunError::Invalid {
        place: "--if-exists".to_owned(),
        detail: "expected skip or replace where several write to one output, got fail".to_owned(),
    })
}

fn in_words(report: &ShardReport) -> String {
    format!(
        "shard {}: {} image archives ({} known, {} unreadable), {} members, {} instances in the output\n\
         run again without --shard once all shards are through\n",
        report.shard,
        text::count(report.images.archives),
        text::count(report.archives.known),
        text::count(report.archives.unreadable),
        text::count(report.images.members),
        text::count(report.in_output),
    )
}

/// Publishes the pairs of a file under the user's eyes.
fn published(config: RunConfig, file: &std::path::Path, quiet: bool) -> anyhow::Result<Report> {
    let progress = Arc::new(Progress::default());
    on_runtime(&progress, async {
        let _watch = Watch::begin(&progress, quiet);
        local::pairs(config, file, Arc::clone(&progress)).await
    })
}

/// Runs a configuration under the user's eyes.
pub(crate) fn watched(config: RunConfig, quiet: bool) -> anyhow::Result<Report> {
    let progress = Arc::new(Progress::default());
    on_runtime(&progress, async {
        let _watch = Watch::begin(&progress, quiet);
        local::run(config, Arc::clone(&progress)).await
    })
}

fn exit(report: &Report, strict: bool) -> Exit {
    let stood = report.rejections.0.contains_key(&Reason::OutputExists);
    if report.archives.unreadable > 0 || stood {
        Exit::Failure
    } else if strict && !report.complete {
        Exit::Losses
    } else {
        Exit::Complete
    }
}
