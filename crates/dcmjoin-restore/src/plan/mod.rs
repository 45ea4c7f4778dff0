//! What a campaign costs and how long it takes, before it begins.
//!
//! A [`Question`] (how much, where, how) and a region's prices give a [`Plan`]: each way of running
//! the job ([`Run`]) as a bill of [`Line`]s with hours, the retrieval tiers, copies, layouts and
//! machines side by side, and a recommendation with its reasons.
//!
//! - [`assume`]: the figures that are assumed, each with its name and reason;
//! - [`work`]: how much each way of running reads, writes and asks for, and how long that takes;
//! - [`bill`]: what that costs, line by line;
//! - [`asking`]: restores asked for by calls or by jobs;
//! - [`course`]: when each wave is asked for, read and gone, where the hour is known;
//! - [`advice`]: which to choose, and why;
//! - [`chart`]: the plan as a picture.
//!
//! **Invariants.** The sum of a bill's lines is its total, to the billionth of a dollar. More bytes
//! never cost less. Nothing is assumed that the plan does not name.

pub mod advice;
pub mod asking;
pub mod assume;
pub mod bill;
pub mod chart;
pub mod course;
mod question;
mod rows;
pub mod work;

use serde::{Serialize, Serializer};

pub use advice::Recommendation;
pub use asking::{AskRow, By};
pub use assume::{Assumption, Assumptions};
pub use bill::{Bill, Line, What};
pub use question::{Holding, Kms, Only, OutputLayout, PlanError, Question};
pub use rows::{DaysRow, KmsRow, LayoutRow, MachineRow, TierRow};
pub use work::{Run, Work};

use crate::class::{StorageClass, Tier};
use crate::money::{Usd, float};
use crate::prices::{Basis, Machine, Prices, Region};

/// The form of a plan as JSON.
pub const FORMAT: &str = "dcmjoin.plan/1";

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
    /// Restores asked for by calls and by jobs, for the one-pass run.
    pub asking: Vec<AskRow>,
    /// Machines.
    pub machines: Vec<MachineRow>,
    /// What to do.
    pub recommendation: Recommendation,
    /// What is worth knowing beside.
    pub notes: Vec<String>,
    /// What was assumed.
    pub assumptions: Vec<Assumption>,
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
    question::check(&question)?;
    let machine = match &question.machine {
        Some(name) => name.clone(),
        None => work::cheapest_machine(&question, region),
    };
    let terms =
        Terms { question: &question, region, machine: region.machine(&question.region, &machine)? };
    let tiers = rows::tier_rows(&terms)?;
    let tier = question.tier.unwrap_or_else(|| advice::tier(&tiers, question.deadline_hours));
    let mut runs = Vec::new();
    for run in Run::ALL {
        runs.push(bill::bill(&terms, run, tier)?);
    }
    runs.sort_by_key(|bill| bill.total_usd);
    let asking = asking::rows(&terms, tier)?;
    let recommendation = advice::recommend(&terms, &runs, &tiers, tier, &asking);
    Ok(Plan {
        format: FORMAT,
        scope: scope(&terms, recommendation.run, tier, machine)?,
        prices: note(prices, &runs),
        copies: rows::days_rows(&terms, tier)?,
        layouts: rows::layout_rows(&terms),
        kms: rows::kms_rows(&terms, tier)?,
        asking,
        machines: rows::machine_rows(&terms),
        notes: advice::notes(&terms),
        assumptions: question.assumptions.list(&question),
        runs,
        tiers,
        recommendation,
    })
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

fn scope(terms: &Terms<'_>, run: Run, tier: Tier, machine: String) -> Result<Scope, PlanError> {
    let question = terms.question;
    let work = work::work(terms, run, tier)?;
    let wave_bytes = work::wave_bytes(terms, tier, work.busy_secs)?;
    Ok(Scope {
        region: question.region.clone(),
        class: question.class,
        metadata: question.metadata,
        images: question.images,
        instances: question.instances,
        only: question.only,
        tier,
        days: work.days,
        wave_bytes,
        waves: work::waves(terms, wave_bytes),
        machine,
        machines: question.machines,
        layout: question.layout,
        kms: question.kms,
    })
}
