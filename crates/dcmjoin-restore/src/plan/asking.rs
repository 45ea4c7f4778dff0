//! How restores are asked for: by a call for each archive, or by S3 Batch Operations jobs.
//!
//! A job's fee and its fee for each key come on top of the restore requests, which cost the same
//! either way. What it saves is the time of a machine that makes the calls, at the rate that S3 takes
//! of an account. Expedited has no jobs.

use serde::Serialize;

use super::bill::{Line, What};
use super::work::{self, Run};
use super::{Hours, PlanError, Terms};
use crate::class::Tier;
use crate::moment::HOUR;
use crate::money::{Usd, grouped};

/// A way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A call for each archive.
    Calls,
    /// A job for each wave.
    Jobs,
}

impl By {
    /// Returns the words for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "a call an archive",
            Self::Jobs => "a job a wave",
        }
    }
}

/// A way of asking beside the other, without the restore requests themselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AskRow {
    /// Which.
    pub by: By,
    /// Calls or jobs.
    pub requests: u64,
    /// What the machines cost while they make calls, or what the jobs cost.
    pub usd: Usd,
    /// How long the machines make calls.
    pub hours: Hours,
    /// Whether it costs less than the other.
    pub pays: bool,
}

/// Both ways for the one-pass run; none where the tier has no jobs.
pub(super) fn rows(terms: &Terms<'_>, tier: Tier) -> Result<Vec<AskRow>, PlanError> {
    let (archives, _) = work::archived(terms.question);
    if tier == Tier::Expedited || archives == 0 {
        return Ok(Vec::new());
    }
    let secs = archives.div_ceil(terms.question.assumptions.restores_per_sec.max(1));
    let calls = work::hire(terms.question, terms.machine, secs);
    let busy_secs = work::work(terms, Run::OnePass, tier)?.busy_secs;
    let count = jobs(terms, tier, busy_secs)?;
    let fee = usd(terms, count, archives);
    let hours = Hours(secs);
    let row = |by, requests, usd, hours, pays| AskRow { by, requests, usd, hours, pays };
    Ok(vec![
        row(By::Calls, archives, calls, hours, calls <= fee),
        row(By::Jobs, count, fee, Hours(0), fee < calls),
    ])
}

/// Returns the jobs of a run: one a wave. A wave of several buckets has one for each, which totals
/// do not tell.
fn jobs(terms: &Terms<'_>, tier: Tier, busy_secs: u64) -> Result<u64, PlanError> {
    Ok(work::waves(terms, work::wave_bytes(terms, tier, busy_secs)?))
}

/// Returns what jobs for so many keys cost.
fn usd(terms: &Terms<'_>, jobs: u64, keys: u64) -> Usd {
    let prices = &terms.region.requests;
    prices.batch_job.usd.for_each(jobs.into(), 1)
        + prices.batch_million.usd.for_each(keys.into(), 1_000_000)
}

/// Returns the line of a bill: nothing where jobs were not asked for.
pub(super) fn line(terms: &Terms<'_>, tier: Tier, busy_secs: u64) -> Result<Line, PlanError> {
    let prices = &terms.region.requests;
    let basis = prices.batch_job.basis.max(prices.batch_million.basis);
    let (archives, _) = work::archived(terms.question);
    let by_jobs = terms.question.batch_jobs && tier != Tier::Expedited && archives > 0;
    let count = if by_jobs { jobs(terms, tier, busy_secs)? } else { 0 };
    let usd = if by_jobs { usd(terms, count, archives) } else { Usd::ZERO };
    Ok(Line { what: What::BatchJobs, count, unit: "jobs", usd, basis })
}

/// Returns which way to choose, and from how many archives jobs pay.
pub(super) fn why(terms: &Terms<'_>, rows: &[AskRow]) -> Vec<String> {
    let [calls, jobs] = rows else { return Vec::new() };
    let hours = calls.hours.hours();
    let machines = match terms.question.machines {
        1 => "the machine".to_owned(),
        number => format!("{number} machines"),
    };
    let cost = format!(
        "{} calls keep {machines} for {hours:.1} h ({}), jobs cost {}",
        grouped(calls.requests),
        calls.usd.rounded(),
        jobs.usd.rounded()
    );
    let choice = match jobs.pays {
        true => format!("ask by Batch Operations jobs: {cost}"),
        false => format!("ask by a call for each archive: {cost}, {}", from(terms)),
    };
    vec![choice]
}

/// Returns from how many archives of a wave a job pays, in words.
fn from(terms: &Terms<'_>) -> String {
    let prices = &terms.region.requests;
    let rate = terms.question.assumptions.restores_per_sec.max(1);
    // Of a million archives, so that nothing is lost by rounding.
    let million = work::hire(terms.question, terms.machine, HOUR)
        .for_each(1_000_000, u128::from(rate * HOUR));
    let saved = million.less(prices.batch_million.usd);
    match saved {
        Usd::ZERO => {
            "and do not pay with such a machine, however many archives there are".to_owned()
        }
        saved => {
            let nanos = u128::from(prices.batch_job.usd.nanos()) * 1_000_000;
            let archives = nanos.div_ceil(u128::from(saved.nanos()));
            let archives = u64::try_from(archives).unwrap_or(u64::MAX);
            format!("and pay from {} archives a wave on", grouped(archives))
        }
    }
}
