//! How fast, and in how much memory, both halves of many instances find each other.
//!
//! `pairing_bench --pairs N [--index-bytes B] [--facts-bytes B] [--threads T] [--spill FOLDER]`
//!
//! It drives the structures that a run uses, in the order in which a run does, with text UIDs for
//! input and without archives, headers and outputs: facts of the metadata side, merge, index; for
//! each image a probe, a claim and a fact; merge. It counts, and fails where a count is wrong.
//! Probes and facts go by lots of 1,024, as for a join of facts; `probe_ns` is of single ones.
//! UIDs are made between the measured spans. Prints JSON; sizes are in bytes.

// Counts become seconds and shares: no figure here has 52 significant bits.
#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod measure;
mod side;
mod uids;

use std::env;
use std::error::Error;
use std::path::PathBuf;

use dcmjoin_index::{FactRuns, HeaderPlace, Outcome, PairingIndex, PairingIndexBuilder};
use measure::{Phases, memory_peak_bytes};
use serde_json::json;
use uids::Uids;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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

/// What the merge of the images' side counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    paired: u64,
    images_unpaired: u64,
    headers_unpaired: u64,
    duplicates: u64,
}

fn main() -> Result<()> {
    let options = Options::parse(env::args().skip(1))?;
    let uids = Uids::new(options.pairs);
    let mut phases = Phases::default();

    let headers = side::headers(&uids, &options, &mut phases)?;
    let headers_bytes = headers.disk_bytes();
    let index = phases.measure("index", || sealed(headers, &options))?;

    let images = side::images(&uids, &index, &options, &mut phases)?;
    let images_bytes = images.disk_bytes();
    let mut counts = phases.measure("settle", || counted(images))?;
    let claimed = (0..index.len()).filter(|&slot| index.is_claimed(slot)).count();
    counts.headers_unpaired = index.len() as u64 - claimed as u64;
    let peak = memory_peak_bytes();

    let expected = Counts {
        paired: uids.matches(),
        images_unpaired: options.pairs - uids.matches(),
        headers_unpaired: options.pairs - uids.matches(),
        duplicates: 0,
    };
    if counts != expected {
        return Err(format!("expected {expected:?}, got {counts:?}").into());
    }
    let (probe_ns, probe_in_lots_ns) = measure::probe_ns(&uids, &index)?;
    let headers = index.len() as f64;
    let report = json!({
        "pairs": options.pairs,
        "paired": counts.paired,
        "threads": options.threads,
        "seconds": phases.seconds(),
        "cpu_seconds": phases.cpu_seconds(),
        "phases": phases.by_name(),
        "seconds_making_uids": uids.seconds(),
        "ns_per_pair": phases.seconds() * 1e9 / options.pairs as f64,
        "cpu_ns_per_pair": phases.cpu_seconds() * 1e9 / options.pairs as f64,
        "memory_peak_bytes": peak,
        "facts_memory_bytes": options.facts_bytes,
        "index_on_disk": index.is_on_disk(),
        "index_memory_bytes_per_header": index.memory_bytes() as f64 / headers,
        "index_disk_bytes_per_header": index.disk_bytes() as f64 / headers,
        "probe_ns": probe_ns,
        "probe_in_lots_ns": probe_in_lots_ns,
        "disk_peak_bytes": headers_bytes.max(images_bytes) + index.disk_bytes(),
    });
    println!("{report:#}");
    Ok(())
}

/// Merges the facts of the metadata side into the index.
fn sealed(facts: FactRuns, options: &Options) -> Result<PairingIndex> {
    let mut builder = PairingIndexBuilder::new(&options.spill, options.index_bytes, facts.len())?;
    let (mut groups, mut group) = (facts.into_groups()?, Vec::new());
    while groups.next_group(&mut group)? {
        let first = group[0];
        builder.push(first.fingerprint, HeaderPlace(first.place))?;
    }
    Ok(builder.seal()?)
}

/// Merges the facts of the images' side.
fn counted(facts: FactRuns) -> Result<Counts> {
    let mut counts = Counts::default();
    let (mut groups, mut group) = (facts.into_groups()?, Vec::new());
    while groups.next_group(&mut group)? {
        counts.duplicates += group.len() as u64 - 1 + groups.omitted();
        if group.iter().any(|fact| fact.outcome == Outcome::Published) {
            counts.paired += 1;
        } else {
            counts.images_unpaired += 1;
        }
    }
    Ok(counts)
}
