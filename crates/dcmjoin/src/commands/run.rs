//! `dcmjoin run`: the main job.

use std::sync::Arc;

use anyhow::Context;
use dcmjoin_model::Reason;
use dcmjoin_pipeline::{Progress, Report, RunConfig, local, manifest};

use crate::cli::{RunArgs, Talk};
use crate::commands::on_runtime;
use crate::exit::Exit;
use crate::summary::summary;
use crate::text;
use crate::watch::Watch;

/// Runs the job and says how it went.
pub(crate) fn run(args: RunArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let mut config = args.sources.into_config(args.output);
    config.layout = args.layout;
    config.if_exists = args.if_exists.into();
    config.only = args.only.as_deref().map(manifest::uids).transpose()?;
    config.dry_run = args.dry_run;
    config.strict_values = args.strict_values;
    args.resources.apply(&mut config);
    let report = watched(config, talk.quiet)?;
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
