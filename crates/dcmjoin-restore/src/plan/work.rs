//! How much each way of running the job reads, writes and asks for, and how long that takes.

use serde::Serialize;

use super::{Assumptions, Hours, HoursRange, Kms, OutputLayout, PlanError, Question, Terms};
use crate::class::{SecsRange, Tier};
use crate::moment::HOUR;
use crate::money::{Usd, float};
use crate::prices::{Machine, Region};
use crate::waves::Pace;

/// The bytes a second at which Expedited gives large objects, at the most (S3 User Guide).
const EXPEDITED_BYTES_PER_SEC: u64 = 300_000_000;

/// A way of running the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// `dcmjoin run`: headers to a local store, then each image archive streams past once, in waves.
    OnePass,
    /// Scan both sides into maps, then GET each half by its range: all copies stay until the end.
    TwoPass,
    /// Every member is copied to an object of its own, and pairs are assembled from those.
    StagedRaw,
    /// Headers are published as packs, and each image archive streams past once, on any machine.
    StagedPacks,
}

impl Run {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::OnePass, Self::TwoPass, Self::StagedRaw, Self::StagedPacks];

    /// Returns the words for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnePass => "one pass",
            Self::TwoPass => "two passes, GET by range",
            Self::StagedRaw => "staged, raw copies",
            Self::StagedPacks => "staged, header packs",
        }
    }
}

/// How much a run does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// GET requests.
    pub gets: u64,
    /// PUT requests of instances.
    pub puts_output: u64,
    /// PUT requests of intermediate objects.
    pub puts_raw: u64,
    /// Bytes of intermediate objects.
    pub raw_bytes: u64,
    /// Days that copies are asked for.
    pub days: u32,
    /// How long machines work, in seconds.
    pub busy_secs: u64,
}

impl Work {
    /// Returns the KMS calls.
    #[must_use]
    pub fn kms_calls(&self, kms: Kms, assumptions: &Assumptions) -> u64 {
        let requests = self.gets.saturating_add(self.puts_output).saturating_add(self.puts_raw);
        match kms {
            Kms::None => 0,
            Kms::BucketKeys => {
                super::question::share(requests, assumptions.bucket_key_percent, 100)
            }
            Kms::Keys => requests,
        }
    }
}

/// Returns how much a run does.
///
/// # Errors
/// [`PlanError::Days`] where copies go before anything is read.
pub fn work(terms: &Terms<'_>, run: Run, tier: Tier) -> Result<Work, PlanError> {
    let question = terms.question;
    let work = quantities(question, run);
    let busy_secs = busy_secs(question, terms.machine, run, &work);
    let days = match run {
        // All copies stay until the last half is fetched.
        Run::TwoPass => {
            pace_of(terms, tier, busy_secs).days_for(all_bytes(question)).max(question.days)
        }
        _ => days_of(terms, tier, busy_secs)?,
    };
    Ok(Work { days, busy_secs, ..work })
}

/// Returns the requests and bytes of a run.
fn quantities(question: &Question, run: Run) -> Work {
    let scan = scan_gets(question);
    let puts_output = output_puts(question, question.layout);
    let headers = question.instances.saturating_mul(question.assumptions.header_bytes);
    let halves = question.instances.saturating_mul(2);
    match run {
        Run::OnePass => Work { gets: scan, puts_output, ..Work::default() },
        Run::TwoPass => Work { gets: scan.saturating_add(halves), puts_output, ..Work::default() },
        Run::StagedRaw => Work {
            gets: scan.saturating_add(halves),
            puts_output,
            puts_raw: halves,
            raw_bytes: all_bytes(question),
            ..Work::default()
        },
        Run::StagedPacks => Work {
            gets: scan.saturating_add(pack_gets(question, headers)),
            puts_output,
            puts_raw: headers.div_ceil(question.assumptions.pack_bytes.max(1)),
            raw_bytes: headers,
            ..Work::default()
        },
    }
}

/// Returns how long the machines work: the slowest of the network in, the network out and the rates of
/// requests, after the metadata side.
fn busy_secs(question: &Question, machine: &Machine, run: Run, work: &Work) -> u64 {
    let secs = |bytes: u64| bytes.div_ceil(rate(question, machine));
    let (metadata, images) = (question.metadata.bytes, question.images.bytes);
    let puts = put_secs(question, work.puts_output).max(put_secs(question, work.puts_raw));
    let gets = get_secs(question, work.gets);
    match run {
        // Writing goes on beside reading: a network gives its line rate in each direction.
        Run::OnePass | Run::StagedPacks => {
            secs(metadata).saturating_add(secs(images).max(puts).max(gets))
        }
        Run::StagedRaw => {
            let twice = images.saturating_mul(2);
            secs(metadata.saturating_mul(2)).saturating_add(secs(twice).max(puts).max(gets))
        }
        Run::TwoPass => {
            let pass = secs(metadata.saturating_add(images));
            pass.saturating_add(pass.max(puts).max(gets))
        }
    }
}

/// Returns how long the whole run takes, restores included.
pub(super) fn hours(terms: &Terms<'_>, tier: Tier, work: &Work) -> HoursRange {
    let restore = restore_secs(terms, tier);
    let (archives, _) = archived(terms.question);
    let asking = archives.div_ceil(terms.question.assumptions.restores_per_sec.max(1));
    HoursRange {
        from: Hours(restore.from.saturating_add(work.busy_secs)),
        to: Hours(restore.to.saturating_add(asking).saturating_add(work.busy_secs)),
    }
}

/// Returns how long it takes from a campaign's first request to its first copies. Later waves are
/// asked for while earlier ones are read.
pub(super) fn restore_hours(terms: &Terms<'_>, tier: Tier) -> HoursRange {
    let SecsRange { from, to } = restore_secs(terms, tier);
    HoursRange { from: Hours(from), to: Hours(to) }
}

fn restore_secs(terms: &Terms<'_>, tier: Tier) -> SecsRange {
    let question = terms.question;
    let SecsRange { from, to } = tier.takes(question.class);
    let (archives, bytes) = archived(question);
    if archives == 0 {
        return SecsRange { from: 0, to: 0 };
    }
    let large = match tier {
        Tier::Expedited => (bytes / archives).div_ceil(EXPEDITED_BYTES_PER_SEC),
        Tier::Bulk | Tier::Standard => 0,
    };
    SecsRange { from, to: to.saturating_add(large) }
}

/// Returns the archives and bytes of both sides that need a restore.
pub(super) fn archived(question: &Question) -> (u64, u64) {
    let (metadata, images) = (question.metadata.archived(), question.images.archived());
    (metadata.0.saturating_add(images.0), metadata.1.saturating_add(images.1))
}

pub(super) fn all_bytes(question: &Question) -> u64 {
    question.metadata.bytes.saturating_add(question.images.bytes)
}

pub(super) fn all_archives(question: &Question) -> u64 {
    question.metadata.archives.saturating_add(question.images.archives)
}

/// Returns the pace of a run that takes so long for all bytes.
pub(super) fn pace_of(terms: &Terms<'_>, tier: Tier, busy_secs: u64) -> Pace {
    Pace {
        bytes_per_sec: (all_bytes(terms.question) / busy_secs.max(1)).max(1),
        restore: restore_secs(terms, tier),
        margin_secs: terms.question.assumptions.margin_hours * HOUR,
    }
}

fn rate(question: &Question, machine: &Machine) -> u64 {
    let share = float(question.assumptions.line_percent) / 100.0;
    machine.bytes_per_sec(share).saturating_mul(u64::from(question.machines.max(1)))
}

/// Returns one read of all bytes by a machine: seconds, and dollars.
pub(super) fn pass(question: &Question, machine: &Machine) -> (u64, Usd) {
    let secs = all_bytes(question).div_ceil(rate(question, machine));
    (secs, hire(question, machine, secs))
}

/// Returns what the machines cost for so long.
pub(super) fn hire(question: &Question, machine: &Machine, secs: u64) -> Usd {
    let machine_secs = u128::from(secs) * u128::from(question.machines.max(1));
    machine.hour.usd.for_each(machine_secs, HOUR.into())
}

/// Returns whether the headers fit a machine's disks, as each machine holds all of them.
pub(super) fn fits(question: &Question, machine: &Machine) -> bool {
    let headers = question.instances.saturating_mul(question.assumptions.header_bytes);
    let disk = machine.nvme_gb.saturating_mul(1_000_000_000);
    headers <= disk.max(question.assumptions.system_disk_bytes)
}

/// Returns the machine by which the one-pass run costs least, of those that hold the headers if any.
pub(super) fn cheapest_machine(question: &Question, region: &Region) -> String {
    let one_pass = quantities(question, Run::OnePass);
    let cheapest = |only_fitting: bool| {
        region
            .machines
            .iter()
            .filter(|(_, machine)| !only_fitting || fits(question, machine))
            .min_by_key(|(_, machine)| {
                let secs = busy_secs(question, machine, Run::OnePass, &one_pass);
                (hire(question, machine, secs), secs)
            })
            .map(|(name, _)| name.clone())
    };
    // A price file has one machine at least.
    cheapest(true).or_else(|| cheapest(false)).unwrap_or_default()
}

/// Returns the bytes of a wave of a run that takes so long.
pub(super) fn wave_bytes(terms: &Terms<'_>, tier: Tier, busy_secs: u64) -> Result<u64, PlanError> {
    let question = terms.question;
    if !question.class.copy_expires() {
        return Ok(question.wave_bytes.unwrap_or(u64::MAX).min(all_bytes(question)));
    }
    let pace = pace_of(terms, tier, busy_secs);
    let most = match question.wave_bytes {
        Some(bytes) => bytes.max(1),
        None => pace.wave_bytes_for(question.days).ok_or(PlanError::Days {
            days: question.days,
            spread_hours: (pace.restore.to - pace.restore.from).div_ceil(HOUR),
            margin_hours: question.assumptions.margin_hours,
        })?,
    };
    Ok(most.min(all_bytes(question)))
}

/// Returns for how many days the copies of a wave are asked for: the days that were asked for, or
/// more where the wave takes longer.
fn days_of(terms: &Terms<'_>, tier: Tier, busy_secs: u64) -> Result<u32, PlanError> {
    let wave = wave_bytes(terms, tier, busy_secs)?;
    Ok(pace_of(terms, tier, busy_secs).days_for(wave).max(terms.question.days))
}

/// Returns the number of waves of so many bytes, of metadata and of images.
pub(super) fn waves(terms: &Terms<'_>, wave_bytes: u64) -> u64 {
    let waves = |bytes: u64| bytes.div_ceil(wave_bytes.max(1));
    waves(terms.question.metadata.bytes) + waves(terms.question.images.bytes)
}

/// Returns the GETs of one read of all archives, at the most.
fn scan_gets(question: &Question) -> u64 {
    let ranges = all_bytes(question).div_ceil(question.assumptions.range_bytes.max(1));
    ranges.saturating_add(all_archives(question))
}

/// Returns the GETs with which every machine reads all header packs once.
fn pack_gets(question: &Question, headers: u64) -> u64 {
    let ranges = headers.div_ceil(question.assumptions.range_bytes.max(1));
    ranges.saturating_mul(u64::from(question.machines.max(1)))
}

/// Returns the PUTs of a layout.
pub(super) fn output_puts(question: &Question, layout: OutputLayout) -> u64 {
    let Assumptions { part_bytes, shard_bytes, series_instances, .. } = question.assumptions;
    let bytes = question.images.bytes;
    match layout {
        OutputLayout::Instances => question.instances,
        OutputLayout::SeriesTar => {
            let series = question.instances.div_ceil(series_instances.max(1));
            uploads(series, bytes, part_bytes)
        }
        OutputLayout::Shards => uploads(bytes.div_ceil(shard_bytes.max(1)), bytes, part_bytes),
    }
}

/// Returns the requests of so many uploads of so many bytes together: one where an object is one
/// part; else its parts, the first request and the last.
fn uploads(objects: u64, bytes: u64, part_bytes: u64) -> u64 {
    let mean = bytes / objects.max(1);
    match mean.div_ceil(part_bytes.max(1)) {
        0 | 1 => objects,
        parts => objects.saturating_mul(parts.saturating_add(2)),
    }
}

/// Returns how long S3 takes for so many PUTs, in seconds.
pub(super) fn put_secs(question: &Question, puts: u64) -> u64 {
    let Assumptions { puts_per_sec, prefixes, .. } = question.assumptions;
    puts.div_ceil(puts_per_sec.saturating_mul(prefixes).max(1))
}

fn get_secs(question: &Question, gets: u64) -> u64 {
    let Assumptions { gets_per_sec, prefixes, .. } = question.assumptions;
    gets.div_ceil(gets_per_sec.saturating_mul(prefixes).max(1))
}
