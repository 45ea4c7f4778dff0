//! `dcmjoin rehearse`: a whole campaign on this machine, virtual days in seconds, and how well the
//! plan foretold it.

mod compare;
mod forecast;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use dcmjoin_campaign::aws::{Aws, Credentials};
use dcmjoin_campaign::clockwork::{Clockwork, ScanEnd};
use dcmjoin_campaign::ledger::Ledger;
use dcmjoin_campaign::orchestrator::{Outcome, World};
use dcmjoin_campaign::scanner::LocalScanner;
use dcmjoin_campaign::{Orchestrator, Spec, Sqlite, manifest};
use dcmjoin_emulator::{Body, Clock, Emulator, Options, Route, Shape, StorageClass, Time};
use dcmjoin_pipeline::{Report, RunConfig};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::Policy;
use dcmjoin_synth::{Archives, Shares, SynthOptions};
use serde_json::json;

use self::compare::Comparison;
use self::forecast::{Forecast, Made, Pace};
use crate::cli::{RehearseArgs, Talk};
use crate::commands::synth;
use crate::exit::Exit;
use crate::text;

/// The rehearsal's data set and its emulator are the same everywhere.
const SEED: u64 = 1;
/// Instances an archive, in the mean.
const INSTANCES: u64 = 2;
/// Instances in the emulator's memory; an archive of ten thousand takes a fifth of it.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// One archive of so many is of metadata.
const METADATA_SHARE: u32 = 50;
/// How far the virtual clock is moved at the most: events are taken that often.
const STEP_SECS: u64 = 600;
/// No copy lasts for so long after a campaign: `Policy::days_max`, and up to midnight.
const COPIES_GONE: Duration = Duration::from_secs(31 * 86_400);
/// A morning, so that no day's end is near at the start.
const START: &str = "2026-03-10T09:30:00Z";

/// Rehearses a campaign; ends as a failure where the books or the forecast are wrong.
pub(crate) fn run(args: &RehearseArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let rehearsed = rehearse(args, talk)?;
    tell(&rehearsed, talk)?;
    if rehearsed.comparison.holds {
        return Ok(Exit::Complete);
    }
    text::talk(&format!("error: the forecast does not hold: {}", rehearsed.comparison.off()));
    text::talk(
        "hint: requests that were made again, on a machine that is very busy, are counted; rehearse \
         once more, and report what stays off",
    );
    Ok(Exit::Failure)
}

/// A rehearsal that has come to its end with balanced books.
pub(crate) struct Rehearsed {
    pub(crate) comparison: Comparison,
    pub(crate) report: Report,
    /// Waves of the campaign.
    pub(crate) waves: usize,
    /// Virtual seconds that it took.
    secs: u64,
}

impl Rehearsed {
    /// Returns the virtual hours that it took.
    pub(crate) fn hours(&self) -> f64 {
        Duration::from_secs(self.secs).as_secs_f64() / 3_600.0
    }
}

/// Rehearses a campaign.
pub(crate) fn rehearse(args: &RehearseArgs, talk: &Talk) -> anyhow::Result<Rehearsed> {
    let folder = tempfile::Builder::new().prefix("dcmjoin-rehearsal-").tempdir()?;
    let say = |words: &str| {
        if !talk.quiet {
            text::talk(words);
        }
    };
    say("1. Making an archive, and putting it into an emulated Glacier");
    let metadata = (args.archives / METADATA_SHARE).max(1);
    let set = SynthOptions {
        archives: Some(Archives { metadata, images: args.archives - metadata }),
        shares: Shares::CLEAN,
        ..SynthOptions::new(args.instances.unwrap_or(INSTANCES * u64::from(args.archives)), SEED)
    };
    let emulator = emulator(folder.path())?;
    let made = make(&set, folder.path(), &emulator, talk)?;
    let begin = Moment::parse_iso(START)?;
    let pace = Pace { begin, days: args.days, tier: args.tier, look_secs: STEP_SECS };
    let forecast = Forecast::new(&pace, &made)?;
    say("2. Restoring it in waves, and joining each while its copies last");
    let watch = Instant::now();
    let spec = spec(args, &emulator, &forecast);
    let report = runtime()?.block_on(campaign(folder.path(), &emulator, &spec))?;
    report.books().check()?;
    let published = report.instances.published + report.instances.already_there;
    anyhow::ensure!(
        published == set.instances,
        "{published} instances of {} were published",
        set.instances
    );
    say(&format!("   took {:.1} s", watch.elapsed().as_secs_f64()));
    let secs = emulator.clock().now().since(start()?).as_secs();
    // Copies that are still there go on to cost: the bill is whole when the last one has gone.
    emulator.clock().advance(COPIES_GONE);
    let comparison = forecast.compare(&emulator.ledger(), secs);
    Ok(Rehearsed { comparison, report, waves: forecast.waves(), secs })
}

fn start() -> anyhow::Result<Time> {
    Ok(Time::parse(START)?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn emulator(folder: &Path) -> anyhow::Result<Emulator> {
    let spool = folder.join("spool");
    std::fs::create_dir(&spool)?;
    let options = Options {
        start: start()?,
        seed: SEED,
        spool: Some(spool),
        memory_bytes_max: MEMORY_BYTES_MAX,
        ..Options::default()
    };
    let emulator = Emulator::start(options)?;
    let storage = emulator.storage();
    storage.create_bucket("archive")?;
    storage.create_bucket("output")?;
    emulator.queues().create("restores");
    storage.add_route("archive", Route::to_queue(Shape::EventBridge, "restores"))?;
    Ok(emulator)
}

fn make(
    set: &SynthOptions,
    folder: &Path,
    emulator: &Emulator,
    talk: &Talk,
) -> anyhow::Result<Made> {
    let archive = folder.join("archive");
    synth::make(set, &archive, talk.quiet)?;
    let mut sides = [Vec::new(), Vec::new()];
    for (sizes, side) in sides.iter_mut().zip(["metadata", "images"]) {
        let entries = std::fs::read_dir(archive.join(side))?;
        let mut paths: Vec<_> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
            let body = Body::file(&path)?;
            sizes.push(body.length());
            let key = format!("{side}/{name}");
            emulator.storage().put("archive", &key, body, StorageClass::Glacier)?;
        }
    }
    let [metadata, images] = sides;
    Ok(Made { metadata, images, instances: set.instances })
}

fn spec(args: &RehearseArgs, emulator: &Emulator, forecast: &Forecast) -> Spec {
    Spec {
        metadata: vec!["s3://archive/metadata/".to_owned()],
        images: vec!["s3://archive/images/".to_owned()],
        output: "s3://output/dicom".to_owned(),
        region: forecast::REGION.to_owned(),
        queue: Some(format!("{}/111122223333/restores", emulator.endpoint())),
        policy: Policy { tier: args.tier, days: forecast::DAYS, ..Policy::default() },
        wave_bytes: forecast.wave_bytes,
        waves_ahead: Some(forecast::WAVES_AHEAD),
        bytes_per_sec: forecast.bytes_per_sec,
        restores_per_sec: 1_000,
        budget: None,
        prices: None,
        batch: None,
        keep: None,
    }
}

async fn campaign(folder: &Path, emulator: &Emulator, spec: &Spec) -> anyhow::Result<Report> {
    let endpoint = emulator.endpoint();
    let key = Credentials {
        access_key: "test-key".to_owned(),
        secret_key: "test-secret".to_owned(),
        session_token: None,
    };
    let variables: HashMap<String, String> = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &key.access_key),
        ("AWS_SECRET_ACCESS_KEY", &key.secret_key),
        ("AWS_REGION", forecast::REGION),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let provider = Arc::new(move || Some(key.clone()));
    let aws = Arc::new(Aws::new(Some(&endpoint), forecast::REGION, provider)?);
    let ledger = Arc::new(Sqlite::create(&folder.join("campaign.db"), spec)?);
    manifest::fill(ledger.as_ref() as &dyn Ledger, &aws, spec).await?;
    let config = RunConfig::new(Vec::new(), Vec::new(), spec.output.parse()?);
    let world = World {
        ledger,
        aws,
        scanner: Arc::new(LocalScanner::new(config, Some(variables))),
        clockwork: Arc::new(VirtualTime(emulator.clock())),
        stop: Arc::new(AtomicBool::new(false)),
    };
    match Orchestrator::take(world, "rehearsal")?.run().await? {
        Outcome::Done(Some(report)) => Ok(*report),
        other => anyhow::bail!("the campaign ended otherwise than it should: {other:?}"),
    }
}

/// The emulator's clock: waiting moves it, and a scan takes as long as it is forecast to.
struct VirtualTime(Clock);

#[async_trait]
impl Clockwork for VirtualTime {
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>) {
        if let Some(mut scan) = scan {
            // A sender that is gone has ended too.
            let _ = scan.wait_for(|ended| *ended).await;
        }
        let step = now.plus(STEP_SECS);
        let until = wake.unwrap_or(step).min(step).max(now.plus(1));
        self.0.advance(Duration::from_secs(now.secs_until(until)));
    }

    fn scan_counts_from(&self, begun: Moment, secs: u64) -> Option<Moment> {
        Some(begun.plus(secs))
    }
}

fn tell(rehearsed: &Rehearsed, talk: &Talk) -> anyhow::Result<()> {
    if !talk.json {
        return text::data(&rehearsed.comparison.in_words());
    }
    let document = json!({
        "schema": "dcmjoin.rehearsal/1",
        "holds": rehearsed.comparison.holds,
        "lines": rehearsed.comparison.lines,
        "waves": rehearsed.waves,
        "books": rehearsed.report.books(),
    });
    text::data(&format!("{}\n", serde_json::to_string_pretty(&document)?))
}
