//! Tiers, copies, layouts, keys and machines, each beside the others.

use serde::Serialize;

use super::bill::{self, What};
use super::work::{self, Run};
use super::{Hours, HoursRange, Kms, OutputLayout, PlanError, Terms, advice};
use crate::class::Tier;
use crate::money::Usd;
use crate::prices::Machine;

/// For how many days copies are compared.
const DAYS_COMPARED: [u32; 6] = [1, 2, 3, 5, 7, 14];

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

pub(super) fn tier_rows(terms: &Terms<'_>) -> Result<Vec<TierRow>, PlanError> {
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

pub(super) fn days_rows(terms: &Terms<'_>, tier: Tier) -> Result<Vec<DaysRow>, PlanError> {
    if !terms.question.class.copy_expires() {
        return Ok(Vec::new());
    }
    let busy_secs = work::work(terms, Run::OnePass, tier)?.busy_secs;
    let pace = work::pace_of(terms, tier, busy_secs);
    let row = |days| {
        let wave_bytes_max = pace.wave_bytes_for(days);
        let waves = wave_bytes_max.map(|bytes| work::waves(terms, bytes));
        DaysRow { days, usd: bill::copies(terms, days, busy_secs), wave_bytes_max, waves }
    };
    Ok(DAYS_COMPARED.into_iter().map(row).collect())
}

pub(super) fn layout_rows(terms: &Terms<'_>) -> Vec<LayoutRow> {
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

pub(super) fn kms_rows(terms: &Terms<'_>, tier: Tier) -> Result<Vec<KmsRow>, PlanError> {
    let work = work::work(terms, Run::OnePass, tier)?;
    let row = |kms| {
        let calls = work.kms_calls(kms, &terms.question.assumptions);
        let usd = terms.region.requests.kms_10k.usd.for_each(calls.into(), 10_000);
        KmsRow { kms, calls, usd }
    };
    Ok([Kms::None, Kms::BucketKeys, Kms::Keys].map(row).into())
}

pub(super) fn machine_rows(terms: &Terms<'_>) -> Vec<MachineRow> {
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
