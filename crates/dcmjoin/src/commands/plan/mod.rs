//! `dcmjoin plan`: what a campaign costs and how long it takes, before it begins.

mod holdings;
mod table;

use std::path::Path;

use anyhow::{Context, anyhow};
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::plan::{Assumptions, Plan, Question, assume, chart, plan};
use dcmjoin_restore::prices::{PRICE_FILE_BYTES_MAX, Prices, SHIPPED};

use self::holdings::Holdings;
use crate::cli::{PlanArgs, Talk};
use crate::exit::Exit;
use crate::text::{self, Hinted};

/// Answers what the arguments ask.
pub(crate) fn run(args: &PlanArgs, talk: &Talk) -> anyhow::Result<Exit> {
    if args.prices.show_prices {
        text::data(SHIPPED)?;
        return Ok(Exit::Complete);
    }
    let prices = prices(args.prices.prices.as_deref())?;
    let region = args.prices.region.clone().unwrap_or_default();
    // Before a million rows are read for nothing.
    prices.region(&region).map_err(|error| Hinted::of(&error, Some(error.hint())))?;
    let holdings = holdings::of(args)?;
    let question = question(args, region, &holdings);
    let mut answer = plan(&question, &prices).map_err(|error| Hinted::of(&error, error.hint()))?;
    answer.notes.extend(holdings.notes);
    if let Some(file) = &args.chart {
        draw(&answer, file)?;
    }
    if talk.json {
        text::data(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?;
    } else if !talk.quiet {
        text::data(&table::of(&answer))?;
    }
    Ok(Exit::Complete)
}

fn prices(file: Option<&Path>) -> anyhow::Result<Prices> {
    let Some(file) = file else { return Ok(Prices::shipped()) };
    let context = || format!("read {}", file.display());
    let bytes = std::fs::metadata(file).with_context(context)?.len();
    if bytes > PRICE_FILE_BYTES_MAX as u64 {
        return Err(anyhow!("{} is longer than {PRICE_FILE_BYTES_MAX} bytes", file.display()));
    }
    let text = std::fs::read_to_string(file).with_context(context)?;
    Ok(Prices::parse(&text).map_err(|error| Hinted::of(&error, Some(error.hint())))?)
}

fn question(args: &PlanArgs, region: String, holdings: &Holdings) -> Question {
    let instance_bytes = args.totals.instance_bytes.unwrap_or(assume::INSTANCE_BYTES).max(1);
    let assumed = holdings.images.bytes.div_ceil(instance_bytes);
    let assumptions = Assumptions {
        instance_bytes: args.totals.instances.is_none().then_some(instance_bytes),
        metadata_percent: holdings.metadata_assumed.then_some(assume::METADATA_PERCENT),
        prefixes: args.run.prefixes,
        series_instances: args.run.series_instances,
        raw_days: args.run.raw_days,
        keep_days: args.run.keep_days,
        line_percent: args.run.line_percent,
        ..Assumptions::default()
    };
    Question {
        region,
        class: holdings.class.unwrap_or(StorageClass::Glacier),
        metadata: holdings.metadata,
        images: holdings.images,
        instances: args.totals.instances.unwrap_or(assumed),
        only: args.sources.only,
        tier: args.restore.tier,
        days: args.restore.days,
        wave_bytes: args.restore.wave_bytes,
        machine: args.run.machine.clone(),
        machines: args.run.machines,
        layout: args.run.publish.into(),
        kms: args.run.kms.into(),
        batch_jobs: args.restore.batch_jobs,
        deadline_hours: args.restore.deadline_hours,
        assumptions,
    }
}

fn draw(plan: &Plan, file: &Path) -> anyhow::Result<()> {
    let picture = match file.extension().is_some_and(|ending| ending == "html") {
        true => chart::html(plan),
        false => chart::svg(plan),
    };
    std::fs::write(file, picture).with_context(|| format!("write {}", file.display()))
}
