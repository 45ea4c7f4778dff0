//! A report as a newcomer reads it.

use std::fmt::Write;

use dcmjoin_model::Side;
use dcmjoin_pipeline::Report;

use crate::text::{count, duration, size};

/// Returns the summary of a run.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

fn write_summary(out: &mut String, report: &Report) -> std::fmt::Result {
    let instances = &report.instances;
    let done = instances.published + instances.already_there;
    let verb = if report.dry_run { "would be published" } else { "published" };
    #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a rate for people")]
    let rate = |amount: u64| (amount as f64 / report.seconds.max(0.001)) as u64;
    writeln!(
        out,
        "{} instances {verb} in {} ({}/s); {} read, {} written",
        count(instances.published),
        duration(report.seconds),
        count(rate(done)),
        size(report.bytes.read),
        size(report.bytes.written),
    )?;
    if instances.already_there > 0 {
        writeln!(out, "{} were there already with the same bytes", count(instances.already_there))?;
    }
    writeln!(out, "\nThe books balance: every member of every archive is in one column.")?;
    writeln!(
        out,
        "  {:<9} {:>8} {:>10} {:>10} {:>11} {:>9} {:>9} {:>9} {:>8}",
        "",
        "archives",
        "members",
        "paired",
        "header-only",
        "unpaired",
        "duplicate",
        "rejected",
        "ignored"
    )?;
    side(out, "metadata", &report.metadata)?;
    side(out, "images", &report.images)?;
    writeln!(
        out,
        "  instances: {} pairs + {} header-only = {} published + {} already there + {} rejected",
        count(instances.pairs),
        count(instances.header_only),
        count(instances.published),
        count(instances.already_there),
        count(instances.rejected),
    )?;
    losses(out, report)?;
    warnings(out, report)?;
    whereabouts(out, report)
}

fn side(out: &mut String, name: &str, side: &Side) -> std::fmt::Result {
    let columns = [
        side.archives,
        side.members,
        side.paired,
        side.header_only,
        side.unpaired,
        side.duplicate,
        side.rejected,
        side.ignored,
    ]
    .map(count);
    let [archives, members, paired, header_only, unpaired, duplicate, rejected, ignored] = columns;
    writeln!(
        out,
        "  {name:<9} {archives:>8} {members:>10} {paired:>10} {header_only:>11} {unpaired:>9} \
         {duplicate:>9} {rejected:>9} {ignored:>8}",
    )
}

fn losses(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.complete {
        writeln!(out, "\nNothing was lost.")?;
    }
    if !report.rejections.0.is_empty() {
        writeln!(out, "\nRejected, by reason (docs/dead-letters.md says what to do about each):")?;
        for (reason, counted) in &report.rejections.0 {
            let detail = &counted.example.rejection.detail;
            writeln!(out, "  {:>8} {:<22} e.g. {detail}", count(counted.count), reason.code())?;
        }
    }
    if report.conflicts > 0 {
        writeln!(
            out,
            "\n{} instances had a half more than once with different bytes; a fixed rule chose one.",
            count(report.conflicts)
        )?;
    }
    if report.archives.unreadable > 0 {
        writeln!(
            out,
            "\n{} archives could not be read: the run is not committed; run it again once they can be.",
            count(report.archives.unreadable)
        )?;
    }
    Ok(())
}

fn warnings(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nRepaired or noted in published instances (docs/warnings.md):")?;
    for (code, &times) in &report.warnings {
        writeln!(out, "  {:>8} {}", count(times), code.code())?;
    }
    Ok(())
}

fn whereabouts(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.dry_run {
        return writeln!(out, "\nNothing was written (--dry-run).");
    }
    let folder =
        format!("{}/_dcmjoin/{}", report.settings.output.trim_end_matches('/'), report.run);
    writeln!(out, "\nInstances: {}", report.settings.output)?;
    writeln!(
        out,
        "Report:    {folder}/report.json, and who was rejected, unpaired or in conflict beside it"
    )
}
