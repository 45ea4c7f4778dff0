//! `dcmjoin synth`: a data set that looks like a partner's.

use std::path::Path;
use std::time::{Duration, Instant};

use dcmjoin_synth::{ArchiveCompression, Archives, Preset, SynthOptions, Synthesis, synthesize};

use crate::cli::{CompressArg, SynthArgs, Talk};
use crate::exit::Exit;
use crate::text::{self, count, size};

/// How often a line says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Makes the data set.
pub(crate) fn run(args: &SynthArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let made = make(&options(args), &args.out, talk.quiet)?;
    if talk.json {
        text::data(&format!("{}\n", serde_json::to_string_pretty(&made)?))?;
    } else if !talk.quiet {
        text::data(&said(&made, &args.out))?;
    }
    Ok(Exit::Complete)
}

fn options(args: &SynthArgs) -> SynthOptions {
    let mut options = SynthOptions::new(args.instances, args.seed);
    let archives = args.metadata_archives.zip(args.image_archives);
    options.archives = archives.map(|(metadata, images)| Archives { metadata, images });
    let (shares, asked) = (&mut options.shares, &args.shares);
    for (share, asked) in [
        (&mut shares.unpaired_metadata, asked.unpaired_metadata),
        (&mut shares.unpaired_images, asked.unpaired_images),
        (&mut shares.duplicate, asked.duplicate),
        (&mut shares.conflict, asked.conflict),
        (&mut shares.broken, asked.broken),
    ] {
        *share = asked.unwrap_or(*share);
    }
    if args.large {
        options.preset = Preset::Full;
    }
    options.compress = args.compress.map(|compress| match compress {
        CompressArg::Gz => ArchiveCompression::Gz,
        CompressArg::Zst => ArchiveCompression::Zst,
    });
    options
}

/// Makes a data set and says how far it is.
pub(crate) fn make(options: &SynthOptions, out: &Path, quiet: bool) -> anyhow::Result<Synthesis> {
    let mut said = Instant::now();
    let made = synthesize(options, out, &mut |progress| {
        if !quiet && said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            text::talk(&format!(
                "synth: {}/{} members, {}",
                count(progress.members),
                count(progress.members_total),
                size(progress.bytes)
            ));
        }
    })?;
    Ok(made)
}

/// Returns what was made, in words.
pub(crate) fn said(made: &Synthesis, out: &Path) -> String {
    let books = &made.books;
    format!(
        "{} instances in {}: {} metadata archives with {} members, {} image archives with {}\n\
         what a correct run must report is in {}/truth.json\n",
        count(made.options.instances),
        out.display(),
        count(books.metadata.archives),
        count(books.metadata.members),
        count(books.images.archives),
        count(books.images.members),
        out.display(),
    )
}
