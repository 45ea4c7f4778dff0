//! How fast, and in how much memory, both halves of many instances find each other.
//!
//! `pairing_bench pairing [--pairs N] [--facts-bytes B] [--threads T] [--spill FOLDER]`
//!
//! Text UIDs of both sides become brief facts, which are sorted together and walked through once.
//! Counts pairs, unpaired halves, duplicates and conflicts, and fails where one is not as expected.
//!
//! `pairing_bench index [--pairs N] [--index-bytes B] [--facts-bytes B] [--threads T] [--spill FOLDER]`
//!
//! The facts of N headers are sorted and become an index; then it is probed, singly and in lots.
//!
//! Prints JSON; sizes are in bytes. UIDs are made between the measured spans and accounted for by
//! themselves. With one thread the process keeps to one processor.

// Counts become seconds and shares: no figure here has 52 significant bits.
#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod index;
mod intake;
mod measure;
mod pairing;
mod uids;

use std::env;
use std::error::Error;
use std::path::PathBuf;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "expected `pairing` or `index` first";

struct Options {
    pairs: u64,
    index_bytes: u64,
    facts_bytes: usize,
    threads: usize,
    spill: PathBuf,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            pairs: 1_000_000,
            index_bytes: u64::MAX,
            facts_bytes: 64 << 20,
            threads: 2,
            spill: env::temp_dir(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("expected a value of {name}"))?;
            match name.as_str() {
                "--pairs" => options.pairs = value.parse()?,
                "--index-bytes" => options.index_bytes = value.parse()?,
                "--facts-bytes" => options.facts_bytes = value.parse()?,
                "--threads" => options.threads = value.parse()?,
                "--spill" => options.spill = value.into(),
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(options)
    }
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mode = arguments.next().ok_or(USAGE)?;
    let options = Options::parse(arguments)?;
    if options.threads == 1 {
        measure::keep_to_one_processor()?;
    }
    let report = match mode.as_str() {
        "pairing" => pairing::run(&options)?,
        "index" => index::run(&options)?,
        _ => return Err(USAGE.into()),
    };
    println!("{report:#}");
    Ok(())
}
