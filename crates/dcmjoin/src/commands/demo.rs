//! `dcmjoin demo`: the whole job, on a data set made for it.

use std::path::Path;

use anyhow::Context;
use dcmjoin_objects::Location;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::{IfExists, Report, RunConfig};
use dcmjoin_synth::{SynthOptions, Synthesis};

use crate::cli::{DemoArgs, Talk};
use crate::commands::{run, synth};
use crate::exit::Exit;
use crate::summary::summary;
use crate::text;

/// The demo's data set is the same everywhere.
const SEED: u64 = 1;

/// Archives of the restore part, and the virtual days that it takes.
#[cfg(feature = "cloud")]
const RESTORED_ARCHIVES: u32 = 40;
#[cfg(feature = "cloud")]
const RESTORED_DAYS: u32 = 3;

/// Makes a data set, joins it, and compares the books with the truth.
pub(crate) fn run(args: &DemoArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let archive = args.dir.join("archive");
    let out = args.dir.join("dicom");
    say(talk, "1. Making what a partner would send: headers and pixels in unrelated tars");
    if archive.exists() {
        std::fs::remove_dir_all(&archive)
            .with_context(|| format!("clear {}", archive.display()))?;
    }
    let truth = synth::make(&SynthOptions::new(args.instances, SEED), &archive, talk.quiet)?;
    say(talk, synth::said(&truth, &archive).lines().next().unwrap_or_default());
    say(talk, "\n2. Finding the halves that belong together, and writing Part 10 files");
    let source = |side: &str| Source::Location(Location::Local(archive.join(side)));
    let mut config = RunConfig::new(
        vec![source("metadata")],
        vec![source("images")],
        Location::Local(out.clone()),
    );
    config.if_exists = IfExists::Replace;
    let report = run::watched(config, talk.quiet)?;
    if talk.json {
        text::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        say(talk, &summary(&report));
    }
    compare(&report, &truth)?;
    restored(talk)?;
    say(talk, &next_steps(args, &report, &truth));
    Ok(Exit::Complete)
}

/// The restore part: a rehearsal, small enough to end in seconds.
#[cfg(feature = "cloud")]
fn restored(talk: &Talk) -> anyhow::Result<()> {
    use crate::cli::RehearseArgs;
    say(
        talk,
        "3. Bringing archives back from a Glacier that is emulated, on a clock that is moved",
    );
    let quiet = Talk { json: talk.json, quiet: true, log: talk.log, log_json: talk.log_json };
    let args = RehearseArgs {
        archives: RESTORED_ARCHIVES,
        instances: None,
        days: RESTORED_DAYS,
        tier: dcmjoin_restore::class::Tier::Standard,
    };
    let rehearsed = crate::commands::rehearse::rehearse(&args, &quiet)?;
    let hours = rehearsed.hours();
    say(
        talk,
        &format!(
            "{RESTORED_ARCHIVES} archives in {} waves took {hours:.1} virtual hours, and the books balance:\n\n{}",
            rehearsed.waves,
            rehearsed.comparison.in_words()
        ),
    );
    anyhow::ensure!(rehearsed.comparison.holds, rehearsed.comparison.off());
    Ok(())
}

#[cfg(not(feature = "cloud"))]
#[expect(clippy::unnecessary_wraps, reason = "with an emulator it can fail")]
fn restored(_: &Talk) -> anyhow::Result<()> {
    Ok(())
}

fn say(talk: &Talk, words: &str) {
    if !talk.quiet {
        text::talk(words);
    }
}

/// The data set says what a correct run must report; a run that does not is a bug.
fn compare(report: &Report, truth: &Synthesis) -> anyhow::Result<()> {
    let (got, expected) = (report.books(), truth.books);
    anyhow::ensure!(
        got == expected,
        "the books differ from the data set's truth: expected {expected:?}, got {got:?}"
    );
    Ok(())
}

fn next_steps(args: &DemoArgs, report: &Report, truth: &Synthesis) -> String {
    let dir = args.dir.display();
    let rejected = report.rejections.0.values().map(|counted| counted.count).sum::<u64>();
    let unpaired = truth.books.metadata.unpaired + truth.books.images.unpaired;
    let file = first_file(&args.dir.join("dicom"));
    // As the user called it: `cargo run` leaves it in the target folder.
    let dcmjoin = std::env::args().next().unwrap_or_else(|| "dcmjoin".to_owned());
    format!(
        "The data set holds losses on purpose ({unpaired} unpaired halves, {rejected} rejections): each was found.\n\
         \n\
         Next, look into a file (any DICOM viewer opens it), see who was rejected, and try your own archives:\n\
         \x20 {dcmjoin} inspect {dir}/dicom/{file}\n\
         \x20 less {dir}/dicom/_dcmjoin/{}/rejected.jsonl\n\
         \x20 {dcmjoin} run --metadata SRC --images SRC --output DST --dry-run\n\
         \x20 {dcmjoin} run --help",
        report.run,
    )
}

/// Returns the name of an instance to look at.
fn first_file(folder: &Path) -> String {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_file =
        |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "dcm");
    names.filter(is_file).min().unwrap_or_else(|| "UID.dcm".to_owned())
}
