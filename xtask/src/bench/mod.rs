//! `cargo xtask bench`: how fast and in how much memory, against others in the same run.
//!
//! Each bench takes turns between its variants and repeats that, so that what disturbs one
//! disturbs the other; figures are medians of ratios. Raw rows come first (`record`), and all
//! tables and plots are made of them (`summary`, `svg`). No timing is ever a test.

// Counts become rates and places of a plot: no figure here has 52 significant bits.
#![allow(clippy::cast_precision_loss)]

mod data;
mod facts;
mod limits;
mod local;
mod machine;
mod measure;
mod parts;
mod record;
mod store;
mod summary;
mod svg;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::steps::Context;
use data::Bench;
use record::Book;

/// A benchmark: its name, what it measures, and the function that adds its rows.
struct Entry {
    name: &'static str,
    about: &'static str,
    run: fn(&Bench<'_>, &mut Book) -> Result<()>,
}

const ENTRIES: &[Entry] = &[
    Entry { name: "header", about: "DICOM JSON to data set, against peers", run: parts::header },
    Entry { name: "large-header", about: "the same of 48 kB", run: parts::large_header },
    Entry { name: "tar", about: "the tar parser against the tar crate", run: parts::tar },
    Entry { name: "index", about: "the index in memory: bytes and probes", run: parts::index },
    Entry { name: "pairing", about: "pairs from UIDs, and memory", run: parts::pairing },
    Entry { name: "folders", about: "folder to folder, against peers", run: local::folders },
    Entry { name: "tmpfs", about: "the same on tmpfs", run: local::tmpfs },
    Entry { name: "scaling", about: "one thread and two", run: local::scaling },
    Entry { name: "staged", about: "workers against one run", run: local::staged },
    Entry { name: "raw", about: "raw objects on each log, against one run", run: facts::raw },
    Entry { name: "memory", about: "a whole run's peak memory", run: local::memory },
    Entry { name: "first", about: "a few images among all headers", run: local::first },
    Entry { name: "s3", about: "S3 to S3, against rclone", run: store::s3 },
    Entry { name: "requests", about: "GETs against bytes read", run: store::requests },
    Entry { name: "facts", about: "fact logs against their servers", run: facts::facts },
    Entry { name: "facts-memory", about: "a worker's memory, by facts", run: facts::memory },
];

/// What the command line says.
pub(crate) struct Options {
    names: Vec<String>,
    /// Of `pairing`: so many pairs instead of the default sizes.
    pub(crate) pairs: Option<u64>,
    pub(crate) repeats: u32,
    out: Option<PathBuf>,
    /// Nothing is run: the summary is made again of the rows that are there.
    summary: bool,
    /// Where data and outputs lie: a folder on the disk to measure, or on tmpfs.
    work: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            names: Vec::new(),
            pairs: None,
            repeats: 5,
            out: None,
            summary: false,
            work: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--pairs" => options.pairs = Some(value()?.parse().context("--pairs")?),
                "--repeats" => options.repeats = value()?.parse().context("--repeats")?,
                "--out" => options.out = Some(value()?.into()),
                "--summary" => options.summary = true,
                "--work" => options.work = Some(value()?.into()),
                name if ENTRIES.iter().any(|entry| entry.name == name) => {
                    options.names.push(name.to_owned());
                }
                other => bail!("no bench or option `{other}`; --list shows the benches"),
            }
        }
        if options.repeats == 0 {
            bail!("--repeats must be at least 1");
        }
        Ok(options)
    }
}

fn list() -> String {
    let lines = ENTRIES.iter().map(|entry| format!("{:<12} {}", entry.name, entry.about));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Runs the named benches, or all.
pub(crate) fn run(context: &Context, args: &[String]) -> Result<ExitCode> {
    if args.iter().any(|arg| arg == "--list") {
        print!("{}", list());
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(args)?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => context.root.join("docs/benchmarks").join(machine::folder_name()?),
    };
    if options.summary {
        summary::write(context, &Book::open(&out)?, options.out.is_none())?;
        return Ok(ExitCode::SUCCESS);
    }
    let bench = Bench::prepare(context, &options, options.work.clone())?;
    let is_chosen = |entry: &&Entry| {
        options.names.is_empty() || options.names.iter().any(|name| name == entry.name)
    };
    // Those of the fact logs build what they need by themselves.
    if ENTRIES.iter().filter(is_chosen).any(|entry| !entry.name.starts_with("facts")) {
        bench.build()?;
    }
    let mut book = Book::open(&out)?;
    let mut failed = false;
    for entry in ENTRIES.iter().filter(is_chosen) {
        println!("\n=== {}: {}", entry.name, entry.about);
        // One size that is asked for stands beside the others.
        let size = options.pairs.filter(|_| entry.name == "pairing");
        let variant = size.map(|size| size.to_string());
        book.begin(entry.name, variant.as_deref(), &machine::describe(context, bench.work())?);
        if let Err(error) = (entry.run)(&bench, &mut book) {
            println!("error: {}: {error:#}", entry.name);
            failed = true;
        }
        book.save()?;
        summary::write(context, &book, options.out.is_none())?;
    }
    println!("\n{}", summary::table(&book));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_bench_is_listed_and_can_be_named() {
        let list = list();
        assert_eq!(list.lines().count(), ENTRIES.len());
        for line in list.lines() {
            let name = line.split(' ').next().unwrap();
            assert_eq!(parsed(name).unwrap().names, [name]);
        }
    }

    #[test]
    fn names_and_options_are_told_apart() {
        let options = parsed("tar --pairs 7 index --repeats 3").unwrap();
        assert_eq!(options.names, ["tar", "index"]);
        assert_eq!((options.pairs, options.repeats), (Some(7), 3));
        assert!(parsed("nothing").is_err());
        assert!(parsed("--summary").unwrap().summary);
        assert!(parsed("tar --repeats 0").is_err());
    }
}
