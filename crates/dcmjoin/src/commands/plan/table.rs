//! A plan as tables for a terminal.

use std::fmt::Write as _;

use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::plan::{Bill, Holding, HoursRange, Kms, OutputLayout, Plan, Run, What};

use crate::text::{count, size};

/// Text that is written to a string: that cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{ let _ = writeln!($out, $($arg)*); }};
}

/// Returns the whole plan.
pub(super) fn of(plan: &Plan) -> String {
    let mut out = String::new();
    scope(&mut out, plan);
    runs(&mut out, plan);
    tiers(&mut out, plan);
    copies(&mut out, plan);
    choices(&mut out, plan);
    asking(&mut out, plan);
    machines(&mut out, plan);
    words(&mut out, plan);
    out
}

fn scope(out: &mut String, plan: &Plan) {
    let scope = &plan.scope;
    let side = |holding: &Holding| format!("{} ({})", count(holding.archives), size(holding.bytes));
    line!(out, "{} in {}", class(scope.class), scope.region);
    line!(out, "  image archives     {}", side(&scope.images));
    line!(out, "  metadata archives  {}", side(&scope.metadata));
    line!(out, "  instances          {}", count(scope.instances));
    let waves = match scope.class.copy_expires() {
        true => {
            format!(
                "{} of up to {}, copies for {} days",
                scope.waves,
                size(scope.wave_bytes),
                scope.days
            )
        }
        false => "one: restored objects stay".to_owned(),
    };
    line!(out, "  waves              {waves}");
    line!(out, "  machines           {} x {}", scope.machines, scope.machine);
    line!(out);
}

fn class(class: StorageClass) -> &'static str {
    match class {
        StorageClass::Glacier => "S3 Glacier Flexible Retrieval",
        StorageClass::DeepArchive => "S3 Glacier Deep Archive",
        StorageClass::IntelligentTiering(_) => "S3 Intelligent-Tiering, archived",
        StorageClass::Standard | StorageClass::GlacierIr => "S3",
    }
}

fn run(run: Run) -> [&'static str; 2] {
    match run {
        Run::OnePass => ["one", "pass"],
        Run::TwoPass => ["two passes,", "GET by range"],
        Run::StagedRaw => ["staged,", "raw copies"],
        Run::StagedPacks => ["staged,", "header packs"],
    }
}

fn runs(out: &mut String, plan: &Plan) {
    for row in 0..2 {
        let names: String =
            plan.runs.iter().map(|bill| format!("{:>14}", run(bill.run)[row])).collect();
        let title = format!("US dollars, {}", plan.scope.tier);
        line!(out, "{:<25}{names}", if row == 1 { &title } else { "" });
    }
    for what in What::ALL {
        if plan.runs.iter().all(|bill| bill.of(what) == Usd::ZERO && what != What::Retrieval) {
            continue;
        }
        row(out, what.as_str(), plan, |bill| amount(bill.of(what)));
    }
    row(out, "total", plan, |bill| amount(bill.total_usd));
    row(out, "hours", plan, |bill| hours(bill.hours));
    row(out, "days of the copies", plan, |bill| match plan.scope.class.copy_expires() {
        true => bill.work.days.to_string(),
        false => "-".to_owned(),
    });
    line!(out);
}

fn row(out: &mut String, name: &str, plan: &Plan, cell: impl Fn(&Bill) -> String) {
    let cells: String = plan.runs.iter().map(|bill| format!("{:>14}", cell(bill))).collect();
    line!(out, "  {name:<23}{cells}");
}

fn tiers(out: &mut String, plan: &Plan) {
    line!(
        out,
        "{:<25}{:>14}{:>14}{:>14}{:>14}{:>14}",
        "retrieval tiers, one pass",
        "retrieval",
        "requests",
        "restore h",
        "total",
        "total h"
    );
    for row in &plan.tiers {
        line!(
            out,
            "  {:<23}{:>14}{:>14}{:>14}{:>14}{:>14}{}",
            row.tier.as_str(),
            amount(row.retrieval_usd),
            amount(row.requests_usd),
            hours(row.restore_hours),
            amount(row.total_usd),
            hours(row.hours),
            if row.against.is_some() { "  not advised" } else { "" }
        );
    }
    line!(out);
}

fn copies(out: &mut String, plan: &Plan) {
    if plan.copies.is_empty() {
        return;
    }
    line!(
        out,
        "{:<25}{:>14}{:>14}{:>14}",
        "restored copies, days",
        "US dollars",
        "largest wave",
        "waves"
    );
    for row in &plan.copies {
        let none = || "too short".to_owned();
        line!(
            out,
            "  {:<23}{:>14}{:>14}{:>14}",
            row.days,
            amount(row.usd),
            row.wave_bytes_max.map_or_else(none, size),
            row.waves.map_or_else(String::new, count)
        );
    }
    line!(out);
}

fn choices(out: &mut String, plan: &Plan) {
    line!(out, "{:<25}{:>14}{:>14}{:>14}", "published as", "PUTs", "US dollars", "hours of PUTs");
    for row in &plan.layouts {
        let name = match row.layout {
            OutputLayout::Instances => "instances",
            OutputLayout::SeriesTar => "series-tar",
            OutputLayout::Shards => "shards",
        };
        let hours = format!("{:.1}", row.hours.hours());
        line!(out, "  {name:<23}{:>14}{:>14}{hours:>14}", count(row.puts), amount(row.usd));
    }
    line!(out);
    line!(out, "{:<25}{:>14}{:>14}", "KMS, one pass", "calls", "US dollars");
    for row in &plan.kms {
        let name = match row.kms {
            Kms::None => "none",
            Kms::BucketKeys => "bucket-keys",
            Kms::Keys => "keys",
        };
        line!(out, "  {name:<23}{:>14}{:>14}", count(row.calls), amount(row.usd));
    }
    line!(out);
}

fn asking(out: &mut String, plan: &Plan) {
    if plan.asking.is_empty() {
        return;
    }
    line!(
        out,
        "{:<25}{:>14}{:>14}{:>14}",
        "restores asked for by",
        "requests",
        "US dollars",
        "hours"
    );
    for row in &plan.asking {
        let (name, hours) = (row.by.as_str(), format!("{:.1}", row.hours.hours()));
        line!(out, "  {name:<23}{:>14}{:>14}{hours:>14}", count(row.requests), amount(row.usd));
    }
    line!(out);
}

fn machines(out: &mut String, plan: &Plan) {
    line!(
        out,
        "{:<25}{:>14}{:>14}{:>14}",
        format!("{} x, one read of all", plan.scope.machines),
        "Gb/s each",
        "hours",
        "US dollars"
    );
    for row in &plan.machines {
        line!(
            out,
            "  {:<23}{:>14}{:>14}{:>14}{}",
            row.machine,
            row.gbps,
            format!("{:.1}", row.pass_hours.hours()),
            amount(row.pass_usd),
            if row.fits { "" } else { "  headers do not fit its disks" }
        );
    }
    line!(out);
}

fn words(out: &mut String, plan: &Plan) {
    let advice = &plan.recommendation;
    let bill = plan.runs.iter().find(|bill| bill.run == advice.run);
    let hours = bill.map_or_else(String::new, |bill| hours(bill.hours));
    line!(
        out,
        "recommended: {}, {}: {} in {hours} h",
        advice.run.as_str(),
        advice.tier,
        advice.total_usd.rounded()
    );
    list(out, advice.why.iter().map(String::as_str));
    line!(out, "\nworth knowing");
    list(out, plan.notes.iter().map(String::as_str));
    line!(out, "\nassumed");
    for assumption in &plan.assumptions {
        let value = match assumption.unit {
            "bytes" if assumption.value % (1 << 20) == 0 => {
                format!("{} MiB", count(assumption.value >> 20))
            }
            unit => format!("{} {unit}", count(assumption.value)),
        };
        line!(out, "  {} = {value}: {}", assumption.name, assumption.why);
    }
    line!(out, "\nprices as of {}: {}", plan.prices.as_of, plan.prices.source);
    if !plan.prices.unread.is_empty() {
        let unread: Vec<&str> = plan.prices.unread.iter().map(|what| what.as_str()).collect();
        line!(out, "not read in a source, check before you rely on it: {}", unread.join("; "));
    }
    line!(
        out,
        "an estimate without tax, discounts and other traffic of the account; the bill is AWS's"
    );
}

fn list<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    for text in texts {
        line!(out, "  - {text}");
    }
}

/// Returns an amount: cents below a hundred dollars, thousands apart.
fn amount(usd: Usd) -> String {
    usd.rounded().trim_start_matches('$').to_owned()
}

fn hours(range: HoursRange) -> String {
    let (from, to) = (range.from.hours(), range.to.hours());
    let digits = usize::from(to < 10.0);
    format!("{from:.digits$} - {to:.digits$}")
}
