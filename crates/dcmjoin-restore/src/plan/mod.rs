//! What a campaign costs and how long it takes, before it begins.
//!
//! A [`Question`] (how much, where, how) and a region's prices give a [`Plan`]: each way of running
//! the job ([`Run`]) as a bill of [`Line`]s with hours, the retrieval tiers, copies, layouts and
//! machines side by side, and a recommendation with its reasons.
//!
//! - [`assume`]: the figures that are assumed, each with its name and reason;
//! - [`work`]: how much each way of running reads, writes and asks for, and how long that takes;
//! - [`bill`]: what that costs, line by line;
//! - [`advice`]: which to choose, and why;
//! - [`chart`]: the plan as a picture.
//!
//! **Invariants.** The sum of a bill's lines is its total, to the billionth of a dollar. More bytes
//! never cost less. Nothing is assumed that the plan does not name.

pub mod advice;
pub mod assume;
pub mod bill;
pub mod chart;
pub mod work;

use serde::{Serialize, Serializer};
use thiserror::Error;

pub use advice::Recommendation;
pub use assume::{Assumption, Assumptions};
pub use bill::{Bill, Line, What};
pub use work::{Run, Work};

use crate::class::{StorageClass, Tier};
use crate::money::{Usd, float};
use crate::prices::{Basis, Machine, PriceError, Prices, Region};

/// The form of a plan as JSON.
pub const FORMAT: &str = "dcmjoin.plan/1";
/// For how many days copies are compared.
const DAYS_COMPARED: [u32; 6] = [1, 2, 3, 5, 7, 14];

/// The archives of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// How many.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are read without a restore.
    pub ready_archives: u64,
    /// The bytes of those.
    pub ready_bytes: u64,
}

/// How instances are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLayout {
    /// One object an instance.
    #[default]
    Instances,
    /// One tar a series.
    SeriesTar,
    /// Large tars with an index, as training jobs read them.
    Shards,
}

/// How objects are encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kms {
    /// Without KMS.
    None,
    /// SSE-KMS with S3 Bucket Keys.
    #[default]
    BucketKeys,
    /// SSE-KMS with a KMS call for each request.
    Keys,
}

/// A part of the image archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// So many archives.
    Archives(u64),
    /// Archives of so many bytes together.
    Bytes(u64),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub region: String,
    /// The class of the archives.
    pub class: StorageClass,
    /// The metadata side.
    pub metadata: Holding,
    /// The image side.
    pub images: Holding,
    /// Instances in all.
    pub instances: u64,
    /// Only a part of the image side.
    pub only: Option<Only>,
    /// The tier of the bills; the recommended one where `None`.
    pub tier: Option<Tier>,
    /// For how many days copies are asked for.
    pub days: u32,
    /// The bytes of a wave; as many as are read within the days where `None`.
    pub wave_bytes: Option<u64>,
    /// The machine; the cheapest that fits where `None`.
    pub machine: Option<String>,
    /// How many of them, 1 at least.
    pub machines: u32,
    /// How instances are published.
    pub layout: OutputLayout,
    /// How objects are encrypted.
    pub kms: Kms,
    /// In how many hours all must be done; the cheapest is recommended where `None`.
    pub deadline_hours: Option<u64>,
    /// What is assumed.
    pub assumptions: Assumptions,
}

/// A question that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The price file does not say.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// Nothing to restore.
    #[error("there are no image archives to plan for")]
    Nothing,
    /// The class has no such tier.
    #[error("{tier} is no tier of this storage class")]
    Tier {
        /// What was asked for.
        tier: Tier,
    },
    /// The class is read without a restore.
    #[error("the archives are read at once: there is nothing to restore")]
    NotArchived,
    /// The copies go before anything is read.
    #[error(
        "copies of {days} days go before a wave is read: the tier's copies are {spread_hours} hours apart, and {margin_hours} hours are kept free"
    )]
    Days {
        /// What was asked for.
        days: u32,
        /// Between the first copy and the last.
        spread_hours: u64,
        /// Kept free at the end.
        margin_hours: u64,
    },
}

impl PlanError {
    /// Returns what a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Price(error) => Some(error.hint()),
            Self::Nothing => Some("give --images, or --archives and --bytes"),
            Self::Tier { .. } => Some("choose another --tier; the deep archives have no expedited"),
            Self::NotArchived => Some("`dcmjoin run` reads them as they are"),
            Self::Days { .. } => Some("choose more --days"),
        }
    }
}

/// Hours, kept as whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours(pub u64);

impl Hours {
    /// Returns the hours.
    #[must_use]
    pub fn hours(self) -> f64 {
        float(self.0) / 3_600.0
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.hours() * 100.0).round() / 100.0)
    }
}

/// From the shortest to the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HoursRange {
    /// The shortest.
    pub from: Hours,
    /// The longest that is typical; sets of hundreds of terabytes may take longer.
    pub to: Hours,
}

/// A retrieval tier beside the others, for the one-pass run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierRow {
    /// Which.
    pub tier: Tier,
    /// Retrieval by the byte.
    pub retrieval_usd: Usd,
    /// Restore requests.
    pub requests_usd: Usd,
    /// From a request to its copy.
    pub restore_hours: HoursRange,
    /// The whole run with this tier.
    pub total_usd: Usd,
    /// The whole run with this tier.
    pub hours: HoursRange,
    /// Why it should not be chosen, if so.
    pub against: Option<String>,
}

/// Copies of so many days beside others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DaysRow {
    /// Days asked for.
    pub days: u32,
    /// What the copies cost.
    pub usd: Usd,
    /// The largest wave that is read in time; `None` where none is.
    pub wave_bytes_max: Option<u64>,
    /// Waves of that size.
    pub waves: Option<u64>,
}

/// An output layout beside the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayoutRow {
    /// Which.
    pub layout: OutputLayout,
    /// PUT requests.
    pub puts: u64,
    /// What they cost.
    pub usd: Usd,
    /// How long they take at S3's rate for so many prefixes.
    pub hours: Hours,
}

/// Encryption beside others, for the one-pass run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KmsRow {
    /// Which.
    pub kms: Kms,
    /// KMS calls.
    pub calls: u64,
    /// What they cost.
    pub usd: Usd,
}

/// A machine beside others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineRow {
    /// Which.
    pub machine: String,
    /// Its line rate.
    pub gbps: f64,
    /// One read of all bytes, by as many machines as asked.
    pub pass_hours: Hours,
    /// What they cost for that long.
    pub pass_usd: Usd,
    /// Whether the header store fits its local disks.
    pub fits: bool,
}

/// What the plan is for, in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scope {
    /// Where.
    pub region: String,
    /// The class of the archives.
    pub class: StorageClass,
    /// The metadata side.
    pub metadata: Holding,
    /// The image side, or the part of it that was asked for.
    pub images: Holding,
    /// Instances.
    pub instances: u64,
    /// The part of the image side that was asked for.
    pub only: Option<Only>,
    /// The tier of the bills.
    pub tier: Tier,
    /// Days of the copies.
    pub days: u32,
    /// Bytes of a wave.
    pub wave_bytes: u64,
    /// Waves.
    pub waves: u64,
    /// The machine of the bills.
    pub machine: String,
    /// How many of them.
    pub machines: u32,
    /// How instances are published.
    pub layout: OutputLayout,
    /// How objects are encrypted.
    pub kms: Kms,
}

/// Where the prices come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PriceNote {
    /// The day on which they held.
    pub as_of: String,
    /// In words.
    pub source: String,
    /// What the bills rest on that nobody has read in a source.
    pub unread: Vec<What>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: &'static str,
    /// What it is for.
    pub scope: Scope,
    /// Where the prices come from.
    pub prices: PriceNote,
    /// The ways of running the job, the recommended one first.
    pub runs: Vec<Bill>,
    /// Retrieval tiers, for the one-pass run.
    pub tiers: Vec<TierRow>,
    /// Days of the copies.
    pub copies: Vec<DaysRow>,
    /// Output layouts.
    pub layouts: Vec<LayoutRow>,
    /// Encryption.
    pub kms: Vec<KmsRow>,
    /// Machines.
    pub machines: Vec<MachineRow>,
    /// What to do.
    pub recommendation: Recommendation,
    /// What is worth knowing beside.
    pub notes: Vec<String>,
    /// What was assumed.
    pub assumptions: Vec<Assumption>,
}

impl Holding {
    /// Returns the archives that need a restore.
    #[must_use]
    pub const fn archived(&self) -> (u64, u64) {
        (
            self.archives.saturating_sub(self.ready_archives),
            self.bytes.saturating_sub(self.ready_bytes),
        )
    }

    /// Returns a part of it: `part` of `whole`, rounded up.
    #[must_use]
    fn part(&self, part: u64, whole: u64) -> Self {
        let share = |figure: u64| share(figure, part, whole);
        Self {
            archives: share(self.archives),
            bytes: share(self.bytes),
            ready_archives: share(self.ready_archives),
            ready_bytes: share(self.ready_bytes),
        }
    }
}

fn share(figure: u64, part: u64, whole: u64) -> u64 {
    let shared = (u128::from(figure) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
    u64::try_from(shared).unwrap_or(u64::MAX).min(figure)
}

impl Only {
    /// Returns the part of the images that it leaves, and of the instances.
    fn of(self, images: &Holding, instances: u64) -> (Holding, u64) {
        let (part, whole) = match self {
            Self::Archives(archives) => (archives.min(images.archives), images.archives),
            Self::Bytes(bytes) => (bytes.min(images.bytes), images.bytes),
        };
        (images.part(part, whole), share(instances, part, whole))
    }
}

/// What all bills of a plan share.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What is asked, with the part that was asked for as the images.
    pub question: &'a Question,
    /// The region's prices.
    pub region: &'a Region,
    /// The machine.
    pub machine: &'a Machine,
}

/// Answers a question by a price file.
///
/// # Errors
/// [`PlanError`] where the price file does not say, or the question makes no sense.
pub fn plan(question: &Question, prices: &Prices) -> Result<Plan, PlanError> {
    let region = prices.region(&question.region)?;
    let mut question = question.clone();
    if let Some(only) = question.only {
        (question.images, question.instances) = only.of(&question.images, question.instances);
    }
    check(&question)?;
    let machine = match &question.machine {
        Some(name) => name.clone(),
        None => work::cheapest_machine(&question, region),
    };
    let terms =
        Terms { question: &question, region, machine: region.machine(&question.region, &machine)? };
    let tiers = tier_rows(&terms)?;
    let tier = question.tier.unwrap_or_else(|| advice::tier(&tiers, question.deadline_hours));
    let mut runs = Vec::new();
    for run in Run::ALL {
        runs.push(bill::bill(&terms, run, tier)?);
    }
    runs.sort_by_key(|bill| bill.total_usd);
    let recommendation = advice::recommend(&terms, &runs, &tiers, tier);
    Ok(Plan {
        format: FORMAT,
        scope: scope(&terms, tier, machine)?,
        prices: note(prices, &runs),
        copies: days_rows(&terms, tier),
        layouts: layout_rows(&terms),
        kms: kms_rows(&terms, tier)?,
        machines: machine_rows(&terms),
        notes: advice::notes(&terms, tier),
        assumptions: question.assumptions.list(&question),
        runs,
        tiers,
        recommendation,
    })
}

fn check(question: &Question) -> Result<(), PlanError> {
    if question.images.archives == 0 || question.images.bytes == 0 {
        return Err(PlanError::Nothing);
    }
    if question.class.reads_at_once() != Some(false) {
        return Err(PlanError::NotArchived);
    }
    match question.tier {
        Some(tier) if tier.within(question.class) != tier => Err(PlanError::Tier { tier }),
        _ => Ok(()),
    }
}

fn note(prices: &Prices, runs: &[Bill]) -> PriceNote {
    let mut unread: Vec<What> = runs
        .iter()
        .flat_map(|bill| &bill.lines)
        .filter(|line| line.basis >= Basis::Derived && line.usd > Usd::ZERO)
        .map(|line| line.what)
        .collect();
    unread.sort_unstable();
    unread.dedup();
    PriceNote { as_of: prices.as_of.clone(), source: prices.source.clone(), unread }
}

fn scope(terms: &Terms<'_>, tier: Tier, machine: String) -> Result<Scope, PlanError> {
    let question = terms.question;
    let wave_bytes = work::wave_bytes(terms, tier)?;
    Ok(Scope {
        region: question.region.clone(),
        class: question.class,
        metadata: question.metadata,
        images: question.images,
        instances: question.instances,
        only: question.only,
        tier,
        days: work::days(terms, tier)?,
        wave_bytes,
        waves: work::waves(terms, wave_bytes),
        machine,
        machines: question.machines,
        layout: question.layout,
        kms: question.kms,
    })
}

fn tier_rows(terms: &Terms<'_>) -> Result<Vec<TierRow>, PlanError> {
    let class = terms.question.class;
    let mut rows = Vec::new();
    for tier in Tier::ALL {
        if terms.region.retrieval(class, tier).is_none() {
            continue;
        }
        let bill = bill::bill(terms, Run::OnePass, tier)?;
        rows.push(TierRow {
            tier,
            retrieval_usd: bill.of(What::Retrieval),
            requests_usd: bill.of(What::RestoreRequests),
            restore_hours: work::restore_hours(terms, tier),
            total_usd: bill.total_usd,
            hours: bill.hours,
            against: advice::against(terms, tier),
        });
    }
    Ok(rows)
}

fn days_rows(terms: &Terms<'_>, tier: Tier) -> Vec<DaysRow> {
    if !terms.question.class.copy_expires() {
        return Vec::new();
    }
    let row = |days| {
        let wave_bytes_max = work::pace(terms, tier).wave_bytes_for(days);
        let waves = wave_bytes_max.map(|bytes| work::waves(terms, bytes));
        DaysRow { days, usd: bill::copies(terms, tier, days), wave_bytes_max, waves }
    };
    DAYS_COMPARED.into_iter().map(row).collect()
}

fn layout_rows(terms: &Terms<'_>) -> Vec<LayoutRow> {
    let price = terms.region.requests.put_1k.usd;
    [OutputLayout::Instances, OutputLayout::SeriesTar, OutputLayout::Shards]
        .into_iter()
        .map(|layout| {
            let puts = work::output_puts(terms.question, layout);
            let hours = Hours(work::put_secs(terms.question, puts));
            let usd = price.for_each(puts.into(), 1_000);
            LayoutRow { layout, puts, usd, hours }
        })
        .collect()
}

fn kms_rows(terms: &Terms<'_>, tier: Tier) -> Result<Vec<KmsRow>, PlanError> {
    let work = work::work(terms, Run::OnePass, tier)?;
    let row = |kms| {
        let calls = work.kms_calls(kms, &terms.question.assumptions);
        let usd = terms.region.requests.kms_10k.usd.for_each(calls.into(), 10_000);
        KmsRow { kms, calls, usd }
    };
    Ok([Kms::None, Kms::BucketKeys, Kms::Keys].map(row).into())
}

fn machine_rows(terms: &Terms<'_>) -> Vec<MachineRow> {
    let row = |(name, machine): (&String, &Machine)| {
        let (secs, usd) = work::pass(terms.question, machine);
        MachineRow {
            machine: name.clone(),
            gbps: machine.gbps,
            pass_hours: Hours(secs),
            pass_usd: usd,
            fits: work::fits(terms.question, machine),
        }
    };
    let mut rows: Vec<MachineRow> = terms.region.machines.iter().map(row).collect();
    rows.sort_by_key(|row| row.pass_usd);
    rows
}
