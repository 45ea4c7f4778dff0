//! `dcmjoin get`: one instance, with the same bytes as `dcmjoin run` gives it.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use dcmjoin_model::SopInstanceUid;
use dcmjoin_objects::{Location, Stores};
use dcmjoin_pipeline::{Progress, Report, RunConfig, RunError, local};

use crate::cli::{GetArgs, Talk};
use crate::commands::on_runtime;
use crate::exit::Exit;
use crate::part::Part;
use crate::text;
use crate::watch::Watch;

/// Joins one instance.
pub(crate) fn run(args: GetArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let uid = SopInstanceUid::parse(&args.uid)
        .with_context(|| format!("read {:?} as a UID", args.uid))?;
    if args.sources.pairs.is_some() {
        bail!("expected sources or a catalogue, got --pairs: that is for `dcmjoin run`");
    }
    let mut config = args.sources.into_config(Location::Memory);
    config.only = Some(HashSet::from([uid.clone()]));
    args.resources.apply(&mut config);
    let progress = Arc::new(Progress::default());
    let (report, file) = on_runtime(&progress, async {
        let _watch = Watch::begin(&progress, talk.quiet);
        joined(config, &uid, Arc::clone(&progress)).await
    })?;
    let Some(file) = file else { bail!(why_not(&report)) };
    write(&args.out, &file)?;
    if talk.json {
        let json = serde_json::to_string_pretty(&report)?;
        text::talk(&json);
    } else if !talk.quiet {
        text::talk(&format!("{} written to {}", text::size(file.len() as u64), args.out.display()));
    }
    Ok(Exit::Complete)
}

/// Runs the job for one instance, in memory: the same steps, and so the same bytes.
async fn joined(
    config: RunConfig,
    uid: &SopInstanceUid,
    progress: Arc<Progress>,
) -> Result<(Report, Option<Bytes>), RunError> {
    let stores = Stores::default();
    let (report, output) = local::run_on(&stores, config, progress).await?;
    let file = match output.object(&format!("{uid}.dcm")).await? {
        Some(object) => Some(object.read(0..object.size()).await?),
        None => None,
    };
    Ok((report, file))
}

fn why_not(report: &Report) -> String {
    if let Some((reason, counted)) = report.rejections.0.iter().next() {
        return format!(
            "{reason}: {} (see docs/dead-letters.md)",
            counted.example.rejection.detail
        );
    }
    match (report.metadata.unpaired, report.images.unpaired) {
        (1.., _) => "only the metadata half is in the archives".to_owned(),
        (_, 1..) => "only the image half is in the archives".to_owned(),
        _ => "neither half is in the archives".to_owned(),
    }
}

/// Writes all of the file or nothing.
fn write(out: &Path, file: &[u8]) -> anyhow::Result<()> {
    if out == Path::new("-") {
        return text::bytes(file);
    }
    let part = Part::create(out)?;
    part.file().write_all(file).with_context(|| format!("write {}", out.display()))?;
    part.commit()
}
