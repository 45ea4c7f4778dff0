//! Which tier and which run to choose, and why, in words with figures.

use std::cmp::Ordering;

use serde::Serialize;

use super::work::{self, Run};
use super::{AskRow, Bill, OutputLayout, Terms, TierRow, asking};
use crate::class::Tier;
use crate::money::{Usd, float, grouped};

/// Expedited is "for occasional urgent requests for up to hundreds of objects" (S3 User Guide).
const EXPEDITED_ARCHIVES_MAX: u64 = 999;
/// From here on restores "could take longer than typical" (S3 User Guide): hundreds of terabytes.
const LARGE_BYTES: u64 = 100_000_000_000_000;

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// The run.
    pub run: Run,
    /// The tier.
    pub tier: Tier,
    /// What it costs.
    pub total_usd: Usd,
    /// Why, a sentence each.
    pub why: Vec<String>,
}

/// Returns why a tier should not be chosen, if so.
pub(super) fn against(terms: &Terms<'_>, tier: Tier) -> Option<String> {
    let (archives, _) = work::archived(terms.question);
    (tier == Tier::Expedited && archives > EXPEDITED_ARCHIVES_MAX).then(|| {
        format!(
            "{} archives: it is meant for up to hundreds, and refuses where there is no capacity",
            grouped(archives)
        )
    })
}

/// Returns the cheapest tier that is done in time; the fastest that is advisable where none is.
pub(super) fn tier(rows: &[TierRow], deadline_hours: Option<u64>) -> Tier {
    let advisable = || rows.iter().filter(|row| row.against.is_none());
    let in_time =
        |row: &&TierRow| deadline_hours.is_none_or(|hours| row.hours.to.0 <= hours * 3_600);
    advisable()
        .filter(in_time)
        .min_by_key(|row| (row.total_usd, row.hours.to))
        .or_else(|| advisable().min_by_key(|row| row.hours.to))
        .map_or(Tier::Bulk, |row| row.tier)
}

/// Returns what to do. `runs` begins with the cheapest.
pub(super) fn recommend(
    terms: &Terms<'_>,
    runs: &[Bill],
    tiers: &[TierRow],
    tier: Tier,
    asking: &[AskRow],
) -> Recommendation {
    let best = chosen(terms, runs);
    let why = [
        vec![why_run(best, runs)],
        why_tier(terms, tiers, tier),
        asking::why(terms, asking),
        why_deadline(terms, best),
        largest_line(best),
    ];
    Recommendation {
        run: best.run,
        tier,
        total_usd: best.total_usd,
        why: why.into_iter().flatten().collect(),
    }
}

/// Returns the cheapest run that is done in time, the cheapest of all where none is.
fn chosen<'a>(terms: &Terms<'_>, runs: &'a [Bill]) -> &'a Bill {
    let hours = terms.question.deadline_hours;
    let in_time = |bill: &&Bill| hours.is_none_or(|hours| bill.hours.to.0 <= hours * 3_600);
    runs.iter().find(in_time).unwrap_or(&runs[0])
}

fn why_run(best: &Bill, runs: &[Bill]) -> String {
    let against = |bill: &Bill| {
        let (run, more) = (bill.run.as_str(), bill.total_usd.less(best.total_usd).rounded());
        match bill.total_usd >= best.total_usd {
            true => format!("{run} costs {more} more"),
            false => format!("{run} costs less, but is not done in time"),
        }
    };
    let others: Vec<String> =
        runs.iter().filter(|bill| bill.run != best.run).map(against).collect();
    let reason = match best.run {
        Run::OnePass => "images are read once, and no half is copied or fetched by itself",
        Run::TwoPass => "fetching each half by itself is cheapest here",
        Run::StagedRaw => "copying each half is cheapest here",
        Run::StagedPacks => "images are read once, on as many machines as there are",
    };
    format!("{}: {reason}; {}", best.run.as_str(), others.join("; "))
}

fn why_tier(terms: &Terms<'_>, tiers: &[TierRow], tier: Tier) -> Vec<String> {
    let Some(chosen) = tiers.iter().find(|row| row.tier == tier) else { return Vec::new() };
    let mut why = Vec::new();
    for row in tiers.iter().filter(|row| row.tier != tier) {
        let text = match &row.against {
            Some(against) => format!("not {}: {against}", row.tier),
            None => format!("{} would cost {}", row.tier, compared(row, chosen)),
        };
        why.push(text);
    }
    if terms.question.tier.is_some() {
        why.push(format!("{tier} was asked for"));
    }
    why
}

/// Returns how much more or less a tier costs than another, and how much sooner or later it is done.
fn compared(row: &TierRow, other: &TierRow) -> String {
    let money = match row.total_usd.cmp(&other.total_usd) {
        Ordering::Greater => format!("{} more", row.total_usd.less(other.total_usd).rounded()),
        Ordering::Equal => "the same".to_owned(),
        Ordering::Less => format!("{} less", other.total_usd.less(row.total_usd).rounded()),
    };
    let hours = row.hours.to.hours() - other.hours.to.hours();
    let when = if hours > 0.0 { "later" } else { "sooner" };
    format!("{money} and be done {:.1} h {when}", hours.abs())
}

fn why_deadline(terms: &Terms<'_>, best: &Bill) -> Vec<String> {
    let Some(hours) = terms.question.deadline_hours else { return Vec::new() };
    let to = best.hours.to.hours();
    vec![match best.hours.to.0 <= hours * 3_600 {
        true => format!("done in {to:.1} h, within the {hours} h asked for"),
        false => format!(
            "nothing is done within {hours} h: {to:.1} h at best; more --machines read faster"
        ),
    }]
}

fn largest_line(best: &Bill) -> Vec<String> {
    let largest = best.lines.iter().max_by_key(|line| line.usd);
    let Some(line) = largest.filter(|line| line.usd > Usd::ZERO) else { return Vec::new() };
    let percent = line.usd.dollars() / best.total_usd.dollars().max(1e-9) * 100.0;
    vec![format!(
        "the largest part is {}: {} ({percent:.0} %)",
        line.what.as_str(),
        line.usd.rounded()
    )]
}

/// Returns what is worth knowing beside the bills.
pub(super) fn notes(terms: &Terms<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let (_, bytes) = work::archived(terms.question);
    if bytes >= LARGE_BYTES {
        notes.push(
            "sets of hundreds of terabytes may take longer to restore than the hours shown".into(),
        );
    }
    notes.extend(output_note(terms));
    notes.extend(put_note(terms));
    notes.push(maps_note(terms));
    let prices = &terms.region.requests;
    let gb = u128::from(work::all_bytes(terms.question));
    notes.push(format!(
        "through a NAT gateway instead of an S3 gateway endpoint the bytes read would cost {} more",
        prices.nat_gb.usd.for_each(gb, 1 << 30).rounded()
    ));
    if terms.question.only.is_some() {
        notes.push("of a part of the images all metadata archives are read: which hold its headers is not known before".into());
    }
    if !terms.question.class.copy_expires() {
        notes.push("restored objects stay in the frequent tier of Intelligent-Tiering, at its price, and go back after 90 days".into());
    }
    notes
}

fn output_note(terms: &Terms<'_>) -> Option<String> {
    let bytes = u128::from(terms.question.images.bytes);
    let month = terms.region.storage((bytes * 1_000_000_000) >> 30);
    (month > Usd::ZERO).then(|| {
        format!("the output costs about {} a month in S3 Standard; no bill has it", month.rounded())
    })
}

/// What the two-pass run keeps in memory.
fn maps_note(terms: &Terms<'_>) -> String {
    let question = terms.question;
    let bytes = question.instances.saturating_mul(2).saturating_mul(question.assumptions.map_bytes);
    format!(
        "{} keeps a map of each side in memory: {} GB",
        Run::TwoPass.as_str(),
        grouped(bytes.div_ceil(1_000_000_000))
    )
}

/// Where PUTs at S3's rate take longer than the network.
fn put_note(terms: &Terms<'_>) -> Option<String> {
    let question = terms.question;
    let puts = work::output_puts(question, question.layout);
    let secs = work::put_secs(question, puts);
    let (pass, _) = work::pass(question, terms.machine);
    if secs <= pass || question.layout != OutputLayout::Instances {
        return None;
    }
    Some(format!(
        "{} PUTs take {:.0} h at S3's rate for so many prefixes ({}), longer than the network: spread keys by {{hash}} in --layout, or publish shards",
        grouped(puts),
        float(secs) / 3_600.0,
        question.assumptions.prefixes
    ))
}
