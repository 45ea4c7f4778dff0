//! What is foretold of a rehearsal: the plan's bill, and the course of its waves.

use dcmjoin_model::Half;
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::{HOUR, Moment};
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::plan::course::{Course, Pacing, Polling};
use dcmjoin_restore::plan::{
    Assumptions, Bill, Holding, Kms, OutputLayout, Question, Run, What, plan,
};
use dcmjoin_restore::prices::{Prices, Region, SHIPPED};
use dcmjoin_restore::task::Policy;
use dcmjoin_restore::waves::{Wave, WaveCutter};

/// Whose prices count.
pub(super) const REGION: &str = "us-east-1";
/// Days of the copies.
pub(super) const DAYS: u32 = 2;
/// A wave is read in so many hours: its copies last twice as long.
const WAVE_HOURS: u64 = 24;
/// Waves on their way: one is read while the next one is restored. What is foretold must not depend on
/// what is measured.
pub(super) const WAVES_AHEAD: u64 = 2;
/// PUTs and LISTs of a run besides its archives': the lock, its rows, report and marker.
const RUN_PUTS: u64 = 8;
/// Messages of a receipt, and of a deletion (SQS API).
const MESSAGES_MAX: u64 = 10;

/// What was made: the bytes of each archive, in the order of its key.
pub(super) struct Made {
    pub(super) metadata: Vec<u64>,
    pub(super) images: Vec<u64>,
    /// Instances.
    pub(super) instances: u64,
}

/// How the rehearsal is to go.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) begin: Moment,
    /// Days that it is to take.
    pub(super) days: u32,
    pub(super) tier: Tier,
    /// How often the queue is looked at, in seconds.
    pub(super) look_secs: u64,
}

/// What is foretold.
pub(super) struct Forecast {
    bill: Bill,
    course: Course,
    pub(super) region: Region,
    pub(super) tier: Tier,
    pub(super) begin: Moment,
    own: Own,
    queue: u64,
    pub(super) wave_bytes: u64,
    pub(super) bytes_per_sec: u64,
}

/// What a campaign's catalogue asks for besides the plan's bill: small beside archives of a
/// gigabyte, not beside those of a rehearsal.
struct Own {
    gets: u64,
    puts: u64,
}

fn sum(bytes: &[u64]) -> u64 {
    bytes.iter().sum()
}

fn holding(bytes: &[u64]) -> Holding {
    Holding { archives: bytes.len() as u64, bytes: sum(bytes), ..Holding::default() }
}

impl Forecast {
    pub(super) fn new(pace: &Pace, made: &Made) -> anyhow::Result<Self> {
        let bytes = sum(&made.metadata) + sum(&made.images);
        // The campaign ends when the first copies have come and all bytes are read.
        let restore = pace.tier.takes(StorageClass::Glacier);
        let read_secs = (u64::from(pace.days) * 24 * HOUR).saturating_sub(restore.to).max(HOUR);
        let bytes_per_sec = bytes.div_ceil(read_secs).max(1);
        let wave_bytes = bytes_per_sec * WAVE_HOURS * HOUR;
        let prices = prices(bytes_per_sec)?;
        let bill = bill(pace, made, wave_bytes, &prices)?;
        let pacing = Pacing {
            begin: pace.begin,
            restore,
            bytes_per_sec,
            margin_secs: Policy::default().margin_secs,
            days: DAYS,
            waves_ahead: usize::try_from(WAVES_AHEAD)?,
        };
        let waves = waves(made, wave_bytes)?;
        let course = Course::of(&pacing, &waves);
        let polling = Polling { every_secs: pace.look_secs, messages_max: MESSAGES_MAX };
        let of = |half| waves.iter().filter(|wave| wave.half == half).count() as u64;
        Ok(Self {
            queue: whole(course.queue_requests(&pacing, &polling)),
            region: prices.region(REGION)?.clone(),
            tier: pace.tier,
            begin: pace.begin,
            own: Own::of(made, of(Half::Metadata), of(Half::Image)),
            bill,
            course,
            wave_bytes,
            bytes_per_sec,
        })
    }

    pub(super) fn waves(&self) -> usize {
        self.course.legs.len()
    }

    pub(super) fn retrieved_bytes(&self) -> u64 {
        self.count(What::Retrieval)
    }

    pub(super) fn archives(&self) -> u64 {
        self.count(What::RestoreRequests)
    }

    /// One for each archive, and one for each copy that is kept for longer.
    pub(super) fn restore_requests(&self) -> u64 {
        let extends = self.course.legs.iter().map(|leg| leg.extends).sum::<u64>();
        self.archives() + extends
    }

    pub(super) fn gets(&self) -> u64 {
        self.count(What::Get) + self.own.gets
    }

    pub(super) fn puts(&self) -> u64 {
        self.count(What::PutOutput) + self.own.puts
    }

    pub(super) fn queue_requests(&self) -> u64 {
        self.queue
    }

    /// Bytes of the copies times the hours that they are there.
    pub(super) fn copy_byte_hours(&self) -> u64 {
        u64::try_from(self.course.copy_byte_secs() / u128::from(HOUR)).unwrap_or(u64::MAX)
    }

    pub(super) fn secs(&self) -> u64 {
        self.course.end().map_or(0, |end| self.begin.secs_until(end))
    }

    pub(super) fn usd(&self, what: What) -> Usd {
        self.bill.of(what)
    }

    fn count(&self, what: What) -> u64 {
        self.bill.lines.iter().filter(|line| line.what == what).map(|line| line.count).sum()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of requests is positive, and far below 2^53"
)]
fn whole(mean: f64) -> u64 {
    mean.round() as u64
}

/// Returns the shipped prices with a machine as fast as this campaign is to be.
fn prices(bytes_per_sec: u64) -> anyhow::Result<Prices> {
    let bits = u128::from(bytes_per_sec) * 8;
    let gbps = format!("{}.{:09}", bits / 1_000_000_000, bits % 1_000_000_000);
    let machine =
        format!("[regions.{REGION}.machines.rehearsal]\nhour = 0\ngbps = {gbps}\nmemory_gb = 1\n");
    Ok(Prices::parse(&format!("{SHIPPED}\n{machine}"))?)
}

fn bill(pace: &Pace, made: &Made, wave_bytes: u64, prices: &Prices) -> anyhow::Result<Bill> {
    let question = Question {
        region: REGION.to_owned(),
        class: StorageClass::Glacier,
        metadata: holding(&made.metadata),
        images: holding(&made.images),
        instances: made.instances,
        only: None,
        tier: Some(pace.tier),
        days: DAYS,
        wave_bytes: Some(wave_bytes),
        machine: Some("rehearsal".to_owned()),
        machines: 1,
        layout: OutputLayout::Instances,
        kms: Kms::None,
        batch_jobs: false,
        deadline_hours: None,
        assumptions: Assumptions { line_percent: 100, ..Assumptions::default() },
    };
    let bill = plan(&question, prices)?.runs.into_iter().find(|bill| bill.run == Run::OnePass);
    bill.ok_or_else(|| anyhow::anyhow!("the plan has no one-pass run"))
}

/// Returns the waves that the campaign will cut.
fn waves(made: &Made, wave_bytes: u64) -> anyhow::Result<Vec<Wave>> {
    let mut cutter = WaveCutter::new(wave_bytes);
    let mut waves = Vec::new();
    for (half, sizes) in [(Half::Metadata, &made.metadata), (Half::Image, &made.images)] {
        for bytes in sizes {
            waves.extend(cutter.push(half, *bytes)?.1);
        }
    }
    waves.extend(cutter.finish());
    Ok(waves)
}

impl Own {
    /// The plan has a GET and a look for each archive. Besides, each archive is looked at once more
    /// at the end, with its file of the catalogue; a metadata archive in each wave of images, with
    /// its headers.
    fn of(made: &Made, metadata_waves: u64, image_waves: u64) -> Self {
        let runs = metadata_waves + image_waves + 1;
        let (metadata, images) = (made.metadata.len() as u64, made.images.len() as u64);
        let gets = images * 4 + metadata * (1 + 5 * (image_waves + 1));
        let lists = (metadata + images).div_ceil(1_000) * runs;
        Self { gets, puts: images + metadata * 2 + runs * RUN_PUTS + lists }
    }
}
