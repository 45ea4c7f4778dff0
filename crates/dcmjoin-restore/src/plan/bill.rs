//! What a run costs, line by line.

use serde::Serialize;

use super::work::{self, Run, Work};
use super::{HoursRange, PlanError, Terms, asking};
use crate::class::Tier;
use crate::money::Usd;
use crate::prices::{Basis, Price};

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Retrieval, by the byte.
    Retrieval,
    /// Restore requests.
    RestoreRequests,
    /// Batch Operations jobs that ask for restores.
    BatchJobs,
    /// Restored copies in S3 Standard.
    Copies,
    /// Archives that are kept in S3 Standard: their storage, and the requests that put them there.
    Kept,
    /// GET requests.
    Get,
    /// PUT requests of instances.
    PutOutput,
    /// PUT requests of intermediate objects.
    PutRaw,
    /// Storage of intermediate objects.
    RawStorage,
    /// KMS calls.
    Kms,
    /// Events, and listings for lost ones.
    Events,
    /// Machines, while they read.
    Compute,
}

impl What {
    /// All lines, in the order of a bill.
    pub const ALL: [Self; 12] = [
        Self::Retrieval,
        Self::RestoreRequests,
        Self::BatchJobs,
        Self::Copies,
        Self::Kept,
        Self::Get,
        Self::PutOutput,
        Self::PutRaw,
        Self::RawStorage,
        Self::Kms,
        Self::Events,
        Self::Compute,
    ];

    /// Returns the words for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retrieval => "retrieval",
            Self::RestoreRequests => "restore requests",
            Self::BatchJobs => "batch jobs",
            Self::Copies => "restored copies",
            Self::Kept => "copies to keep",
            Self::Get => "GET requests",
            Self::PutOutput => "PUT of the output",
            Self::PutRaw => "PUT of raw copies, packs",
            Self::RawStorage => "storage of those",
            Self::Kms => "KMS calls",
            Self::Events => "events and listings",
            Self::Compute => "machines",
        }
    }
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What for.
    pub what: What,
    /// How much of it.
    pub count: u64,
    /// Of what.
    pub unit: &'static str,
    /// What it costs.
    pub usd: Usd,
    /// Where the price comes from.
    pub basis: Basis,
}

/// What a run costs and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// The run.
    pub run: Run,
    /// With which tier.
    pub tier: Tier,
    /// How much it does.
    pub work: Work,
    /// The lines, those that cost nothing included.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total_usd: Usd,
    /// From the first request to the last instance.
    pub hours: HoursRange,
}

impl Bill {
    /// Returns what one line costs.
    #[must_use]
    pub fn of(&self, what: What) -> Usd {
        self.lines.iter().filter(|line| line.what == what).map(|line| line.usd).sum()
    }
}

/// Returns the bill of a run.
///
/// # Errors
/// [`PlanError`] where the class has no such tier, or copies go before anything is read.
pub fn bill(terms: &Terms<'_>, run: Run, tier: Tier) -> Result<Bill, PlanError> {
    let work = work::work(terms, run, tier)?;
    let mut lines = restores(terms, tier, &work)?;
    lines.push(asking::line(terms, tier, work.busy_secs)?);
    lines.extend(requests(terms, &work));
    lines.push(kept(terms));
    lines.push(raw_storage(terms, &work));
    lines.push(events(terms, tier));
    lines.push(compute(terms, &work));
    lines.sort_by_key(|line| line.what);
    let total_usd = lines.iter().map(|line| line.usd).sum();
    Ok(Bill { run, tier, work, lines, total_usd, hours: work::hours(terms, tier, &work) })
}

fn line(what: What, count: u64, unit: &'static str, price: Price, per: u128) -> Line {
    Line { what, count, unit, usd: price.usd.for_each(count.into(), per), basis: price.basis }
}

fn restores(terms: &Terms<'_>, tier: Tier, work: &Work) -> Result<Vec<Line>, PlanError> {
    let price = terms.region.retrieval(terms.question.class, tier);
    let price = price.ok_or(PlanError::Tier { tier })?;
    let (archives, bytes) = work::archived(terms.question);
    let copies = Line {
        what: What::Copies,
        count: u64::from(work.days),
        unit: "days",
        usd: copies(terms, work.days, work.busy_secs),
        basis: storage_basis(terms),
    };
    Ok(vec![
        line(What::Retrieval, bytes, "bytes", price.gb, 1 << 30),
        line(What::RestoreRequests, archives, "requests", price.requests_1k, 1_000),
        copies,
    ])
}

/// Returns what copies of so many days cost: S3 Standard, rounded up to midnight.
pub(super) fn copies(terms: &Terms<'_>, days: u32, busy_secs: u64) -> Usd {
    let question = terms.question;
    if !question.class.copy_expires() {
        return Usd::ZERO;
    }
    let hours = u64::from(days) * 24 + question.assumptions.copy_extra_hours;
    let (_, bytes) = work::archived(question);
    // A campaign of several months has each month's first, dearest steps; restores count with it.
    storage(terms, bytes, hours, busy_secs / 3_600 + hours)
}

/// Returns what bytes cost in S3 Standard, for so many hours each, spread over so many in all.
fn storage(terms: &Terms<'_>, bytes: u64, hours: u64, spread_hours: u64) -> Usd {
    const NANOS: u128 = 1_000_000_000;
    let month_hours = terms.question.assumptions.month_hours.max(1);
    let months = u128::from(spread_hours.div_ceil(month_hours).max(1));
    let byte_hours = u128::from(bytes) * u128::from(hours);
    let nano_gb_months =
        byte_hours.saturating_mul(NANOS) / ((1_u128 << 30) * u128::from(month_hours));
    terms.region.storage(nano_gb_months.div_ceil(months)).for_each(months, 1)
}

fn storage_basis(terms: &Terms<'_>) -> Basis {
    let steps = terms.region.standard_gb_month.iter();
    steps.map(|step| step.price.basis).max().unwrap_or_default()
}

fn requests(terms: &Terms<'_>, work: &Work) -> [Line; 4] {
    let prices = &terms.region.requests;
    let calls = work.kms_calls(terms.question.kms, &terms.question.assumptions);
    [
        line(What::Get, work.gets, "requests", prices.get_1k, 1_000),
        line(What::PutOutput, work.puts_output, "requests", prices.put_1k, 1_000),
        line(What::PutRaw, work.puts_raw, "requests", prices.put_1k, 1_000),
        line(What::Kms, calls, "calls", prices.kms_10k, 10_000),
    ]
}

fn raw_storage(terms: &Terms<'_>, work: &Work) -> Line {
    let hours = terms.question.assumptions.raw_days * 24;
    Line {
        what: What::RawStorage,
        count: work.raw_bytes,
        unit: "bytes",
        usd: storage(terms, work.raw_bytes, hours, hours),
        basis: storage_basis(terms),
    }
}

/// What `--keep-copies` costs: a PUT a part and a GET to read it back, and three requests an archive to
/// begin, to end and to say that it counts.
fn kept(terms: &Terms<'_>) -> Line {
    let (question, prices) = (terms.question, &terms.region.requests);
    let (days, bytes) = (question.assumptions.keep_days, work::all_bytes(question));
    let parts = bytes.div_ceil(question.assumptions.keep_part_bytes.max(1));
    let puts = parts.saturating_add(work::all_archives(question).saturating_mul(3));
    let usd = if days == 0 {
        Usd::ZERO
    } else {
        storage(terms, bytes, days * 24, days * 24)
            + prices.put_1k.usd.for_each(puts.into(), 1_000)
            + prices.get_1k.usd.for_each(parts.into(), 1_000)
    };
    let basis = storage_basis(terms).max(prices.put_1k.basis).max(prices.get_1k.basis);
    Line { what: What::Kept, count: if days == 0 { 0 } else { bytes }, unit: "bytes", usd, basis }
}

/// SQS requests for the events of each archive, and a listing of a thousand keys each hour while they
/// are restored, for events that are lost.
fn events(terms: &Terms<'_>, tier: Tier) -> Line {
    let (archives, _) = work::archived(terms.question);
    let prices = &terms.region.requests;
    let requests = archives.saturating_mul(terms.question.assumptions.sqs_per_archive);
    let hours = work::restore_hours(terms, tier).to.0.div_ceil(3_600);
    let lists = archives.div_ceil(1_000).saturating_mul(hours);
    let usd = prices.sqs_million.usd.for_each(requests.into(), 1_000_000)
        + prices.put_1k.usd.for_each(lists.into(), 1_000);
    let basis = prices.sqs_million.basis.max(prices.put_1k.basis);
    Line { what: What::Events, count: requests.saturating_add(lists), unit: "requests", usd, basis }
}

fn compute(terms: &Terms<'_>, work: &Work) -> Line {
    Line {
        what: What::Compute,
        count: work.busy_secs,
        unit: "seconds",
        usd: work::hire(terms.question, terms.machine, work.busy_secs),
        basis: terms.machine.hour.basis,
    }
}
