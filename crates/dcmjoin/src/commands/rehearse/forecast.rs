//! What the plan foretells of a rehearsal, against what the emulator counted.

use dcmjoin_emulator::{Kind, Ledger, Tier as EmulatedTier};
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::HOUR;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::plan::{
    Assumptions, Bill, Holding, Kms, OutputLayout, Question, Run, What, plan,
};
use dcmjoin_restore::prices::{Prices, Region, SHIPPED};
use serde::Serialize;

use crate::cli::RehearseArgs;

/// Whose prices count.
pub(super) const REGION: &str = "us-east-1";
/// Days of the copies.
pub(super) const DAYS: u32 = 2;
/// How far the sums and the hours may be from the forecast, in percent.
const PERCENT: f64 = 5.0;
/// A wave is read in so many hours: its copies last twice as long.
const WAVE_HOURS: u64 = 24;
/// PUTs and LISTs of a run besides its archives': the lock, its rows, report and marker.
const RUN_PUTS: u64 = 8;

/// What was made.
pub(super) struct Made {
    /// Archives and bytes of the metadata side.
    pub(super) metadata: (u64, u64),
    /// Archives and bytes of the image side.
    pub(super) images: (u64, u64),
    /// Instances.
    pub(super) instances: u64,
}

/// What is foretold.
pub(super) struct Forecast {
    bill: Bill,
    region: Region,
    tier: Tier,
    own: Own,
    pub(super) wave_bytes: u64,
    pub(super) bytes_per_sec: u64,
}

/// What a campaign's catalogue asks for besides the plan's bill: small beside archives of a
/// gigabyte, not beside those of a rehearsal.
struct Own {
    gets: u64,
    puts: u64,
    /// Receipts of an empty queue.
    polls: u64,
}

/// One line: foretold and counted.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    what: &'static str,
    planned: u64,
    actual: u64,
    planned_usd: Usd,
    actual_usd: Usd,
}

/// The hours.
#[derive(Debug, Serialize)]
pub(super) struct Hours {
    planned_from: f64,
    planned_to: f64,
    actual: f64,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) lines: Vec<Line>,
    pub(super) hours: Hours,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a rehearsal are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Forecast {
    pub(super) fn new(args: &RehearseArgs, made: &Made) -> anyhow::Result<Self> {
        let bytes = made.metadata.1 + made.images.1;
        // The campaign ends when the first copies have come and all bytes are read.
        let restore = args.tier.takes(StorageClass::Glacier).to;
        let read_secs = (u64::from(args.days) * 24 * HOUR).saturating_sub(restore).max(HOUR);
        let bytes_per_sec = bytes.div_ceil(read_secs).max(1);
        let gbps = float(bytes_per_sec) * 8.0 / 1e9;
        // A machine as fast as this campaign is to be.
        let prices = format!(
            "{SHIPPED}\n[regions.{REGION}.machines.rehearsal]\nhour = 0\ngbps = {gbps:.12}\nmemory_gb = 1\n"
        );
        let prices = Prices::parse(&prices)?;
        let wave_bytes = bytes_per_sec * WAVE_HOURS * HOUR;
        let holding = |(archives, bytes)| Holding { archives, bytes, ..Holding::default() };
        let question = Question {
            region: REGION.to_owned(),
            class: StorageClass::Glacier,
            metadata: holding(made.metadata),
            images: holding(made.images),
            instances: made.instances,
            only: None,
            tier: Some(args.tier),
            days: DAYS,
            wave_bytes: Some(wave_bytes),
            machine: Some("rehearsal".to_owned()),
            machines: 1,
            layout: OutputLayout::Instances,
            kms: Kms::None,
            deadline_hours: None,
            assumptions: Assumptions {
                line_percent: 100,
                // Three events an archive, received and deleted ten at a time.
                sqs_per_archive: 1,
                ..Assumptions::default()
            },
        };
        let plan = plan(&question, &prices)?;
        let bill = plan.runs.into_iter().find(|bill| bill.run == Run::OnePass);
        let bill = bill.ok_or_else(|| anyhow::anyhow!("the plan has no one-pass run"))?;
        let waves = |bytes: u64| bytes.div_ceil(wave_bytes);
        Ok(Self {
            region: prices.region(REGION)?.clone(),
            tier: args.tier,
            own: Own {
                polls: bill.hours.to.0 / super::STEP_SECS,
                ..Own::of(made, waves(made.metadata.1), waves(made.images.1))
            },
            bill,
            wave_bytes,
            bytes_per_sec,
        })
    }

    pub(super) fn compare(&self, ledger: &Ledger, hours: f64) -> Comparison {
        let tier = match self.tier {
            Tier::Bulk => EmulatedTier::Bulk,
            Tier::Standard => EmulatedTier::Standard,
            Tier::Expedited => EmulatedTier::Expedited,
        };
        let retrieved = ledger.retrieved(tier);
        let prices = &self.region.requests;
        let retrieval = self.region.retrieval(StorageClass::Glacier, self.tier);
        let retrieved_usd = retrieval
            .map_or(Usd::ZERO, |price| price.gb.usd.for_each(retrieved.bytes.into(), 1 << 30));
        let asked_usd = retrieval.map_or(Usd::ZERO, |price| {
            price.requests_1k.usd.for_each(retrieved.requests.into(), 1_000)
        });
        let count = |kinds: &[Kind]| kinds.iter().map(|kind| ledger.count(*kind)).sum::<u64>();
        let gets = count(&[Kind::Get, Kind::Head]);
        let puts = count(&[
            Kind::Put,
            Kind::UploadCreate,
            Kind::UploadPart,
            Kind::UploadComplete,
            Kind::List,
        ]);
        let planned_gets = self.count(What::Get) + self.own.gets;
        let planned_puts = self.count(What::PutOutput) + self.own.puts;
        let get_usd = |count: u64| prices.get_1k.usd.for_each(count.into(), 1_000);
        let put_usd = |count: u64| prices.put_1k.usd.for_each(count.into(), 1_000);
        let queue = ledger.count(Kind::Queue);
        let queue_price = |count: u64| prices.sqs_million.usd.for_each(count.into(), 1_000_000);
        let gib_months = ledger.copy_byte_millis / (730 * 3_600_000);
        let copies_usd = self.region.storage(gib_months * 1_000_000_000 / (1 << 30));
        let byte_hours = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
        let bill = &self.bill;
        let lines = vec![
            line(
                "bytes retrieved",
                self.count(What::Retrieval),
                retrieved.bytes,
                bill.of(What::Retrieval),
                retrieved_usd,
            ),
            line(
                "restore requests",
                self.count(What::RestoreRequests),
                retrieved.requests,
                bill.of(What::RestoreRequests),
                asked_usd,
            ),
            line(
                "byte-hours of copies",
                self.copy_byte_hours(),
                byte_hours(ledger.copy_byte_millis / 3_600_000),
                bill.of(What::Copies),
                copies_usd,
            ),
            line("GET and HEAD", planned_gets, gets, get_usd(planned_gets), get_usd(gets)),
            line("PUT and LIST", planned_puts, puts, put_usd(planned_puts), put_usd(puts)),
            line(
                "queue",
                self.count(What::Events) + self.own.polls,
                queue,
                bill.of(What::Events) + queue_price(self.own.polls),
                queue_price(queue),
            ),
        ];
        Comparison { lines, hours: self.hours(hours) }
    }

    fn hours(&self, actual: f64) -> Hours {
        let planned = self.bill.hours;
        Hours { planned_from: planned.from.hours(), planned_to: planned.to.hours(), actual }
    }

    fn copy_byte_hours(&self) -> u64 {
        let hours = u64::from(self.bill.work.days) * 24 + Assumptions::default().copy_extra_hours;
        self.count(What::Retrieval) * hours
    }

    fn count(&self, what: What) -> u64 {
        self.bill.lines.iter().filter(|line| line.what == what).map(|line| line.count).sum()
    }
}

impl Own {
    /// The plan has a GET and a look for each archive. Besides, each archive is looked at once more
    /// at the end, with its file of the catalogue; a metadata archive in each wave of images, with
    /// its headers.
    fn of(made: &Made, metadata_waves: u64, image_waves: u64) -> Self {
        let runs = metadata_waves + image_waves + 1;
        let (metadata, images) = (made.metadata.0, made.images.0);
        let gets = images * 4 + metadata * (1 + 5 * (image_waves + 1));
        let lists = (metadata + images).div_ceil(1_000) * runs;
        Self { gets, puts: images + metadata * 2 + runs * RUN_PUTS + lists, polls: 0 }
    }
}

impl Comparison {
    fn sums(&self) -> [(&'static str, f64, f64); 2] {
        let usd = |pick: fn(&Line) -> Usd| self.lines.iter().map(pick).sum::<Usd>().dollars();
        let requests = |pick: fn(&Line) -> u64| {
            let counted = self.lines.iter().filter(|line| !line.what.contains("byte"));
            float(counted.map(pick).sum())
        };
        [
            ("requests", requests(|line| line.planned), requests(|line| line.actual)),
            ("dollars", usd(|line| line.planned_usd), usd(|line| line.actual_usd)),
        ]
    }

    /// Returns whether cost, requests and hours are within [`PERCENT`] of the forecast.
    pub(super) fn holds(&self) -> bool {
        let close = |planned: f64, actual: f64| percent(planned, actual).abs() <= PERCENT;
        let Hours { planned_from, planned_to, actual } = self.hours;
        let margin = PERCENT / 100.0;
        let in_time =
            actual >= planned_from * (1.0 - margin) && actual <= planned_to * (1.0 + margin);
        in_time && self.sums().iter().all(|(_, planned, actual)| close(*planned, *actual))
    }

    pub(super) fn in_words(&self) -> String {
        let mut words = format!(
            "{:<22}{:>16}{:>16}{:>14}{:>14}{:>9}\n",
            "", "planned", "actual", "planned $", "actual $", "off"
        );
        for line in &self.lines {
            let off = percent(float(line.planned), float(line.actual));
            words.push_str(&format!(
                "{:<22}{:>16}{:>16}{:>14.6}{:>14.6}{off:>8.1}%\n",
                line.what,
                line.planned,
                line.actual,
                line.planned_usd.dollars(),
                line.actual_usd.dollars(),
            ));
        }
        for (what, planned, actual) in self.sums() {
            let off = percent(planned, actual);
            words.push_str(&format!("all {what:<18}{planned:>16.4}{actual:>16.4}{off:>37.1}%\n"));
        }
        let Hours { planned_from, planned_to, actual } = self.hours;
        words.push_str(&format!(
            "{:<22}{:>16}{actual:>16.1}\n",
            "hours",
            format!("{planned_from:.1}-{planned_to:.1}")
        ));
        words.push_str(match self.holds() {
            true => "The forecast holds: cost, requests and hours are within 5 %.\n",
            false => {
                "The forecast does not hold: cost, requests or hours are off by more than 5 %.\n"
            }
        });
        words
    }
}

fn percent(planned: f64, actual: f64) -> f64 {
    (actual - planned) / planned.max(1e-12) * 100.0
}

fn line(what: &'static str, planned: u64, actual: u64, planned_usd: Usd, actual_usd: Usd) -> Line {
    Line { what, planned, actual, planned_usd, actual_usd }
}
