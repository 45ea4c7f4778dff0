//! The index of one side's headers: how long it takes to make, how large it is, and what a probe
//! takes.

use std::hint::black_box;
use std::time::Duration;

use dcmjoin_index::{
    Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, PairingIndex, PairingIndexBuilder,
};
use dcmjoin_model::Half;
use serde_json::{Value, json};

use super::measure::{self, memory_peak_bytes};
use super::uids::{Population, Seen, mixed};
use super::{Options, Result, intake};

/// Lots of probes that are measured, and probes in a lot.
const PROBE_LOTS: (u64, u64) = (512, 1 << 12);

/// Reads that are measured to know how long memory takes.
const WAITS: u64 = 1 << 21;

pub(crate) fn run(options: &Options) -> Result<Value> {
    let population = Population::new(options.pairs);
    let (facts, intake) =
        intake::read(&[Half::Metadata], &population, options, |_, seen| Ok(fact(seen)))?;
    let (index, building) = measure::process(|| sealed(facts, options));
    let (index, facts_disk_bytes) = index?;
    let (singly, in_lots) = probed(&population, &index)?;
    let headers = index.len() as f64;
    let each = |seconds: f64| seconds * 1e9 / headers;
    Ok(json!({
        "mode": "index",
        "headers": index.len(),
        "threads": options.threads,
        "is_on_disk": index.is_on_disk(),
        "build_ns_per_header": each(building.wall.as_secs_f64()),
        "build_cpu_ns_per_header": each(building.cpu.as_secs_f64()),
        "memory_bytes_per_header": index.memory_bytes() as f64 / headers,
        "disk_bytes_per_header": index.disk_bytes() as f64 / headers,
        "probe_ns": singly,
        "probe_in_lots_ns": in_lots,
        "memory_wait_ns": memory_wait_ns(index.memory_bytes()),
        "phases": {
            "making_uids": intake.making.json(),
            "pushing": intake.pushing.json(),
            "building": building.json(),
        },
        "facts_memory_bytes": options.facts_bytes,
        "memory_peak_bytes": memory_peak_bytes(),
        "disk_peak_bytes": facts_disk_bytes + index.disk_bytes(),
        "load": measure::load(),
    }))
}

fn fact(seen: &Seen) -> Fact {
    let number = seen.instance;
    Fact {
        fingerprint: Fingerprint::of(&seen.uid),
        digest: seen.digest,
        archive: (number >> 13) as u32,
        offset: (number & 0x1fff) << 16,
        length: 5_000 + number % 512,
        place: number,
        outcome: Outcome::Open,
    }
}

/// Merges the facts into the index: of each UID the first one. Returns the bytes that the facts took
/// on disk, too.
fn sealed(facts: FactRuns, options: &Options) -> Result<(PairingIndex, u64)> {
    let mut builder = PairingIndexBuilder::new(&options.spill, options.index_bytes, facts.len())?;
    let (mut groups, mut group) = (facts.into_groups()?, Vec::new());
    while groups.next_group(&mut group)? {
        builder.push(group[0].fingerprint, HeaderPlace(group[0].place))?;
    }
    Ok((builder.seal()?, groups.disk_bytes()))
}

/// Returns the nanoseconds of a probe by a random fingerprint of the index, on one thread: one
/// after the other, and in lots: processor time, which includes waiting for memory and no other
/// program, of the lot in the middle.
/// Fails where a header is not found.
fn probed(population: &Population, index: &PairingIndex) -> Result<(f64, f64)> {
    let (mut singly, mut in_lots) = (Vec::new(), Vec::new());
    let (lots, probes) = PROBE_LOTS;
    let mut found = Vec::new();
    for lot in 0..lots {
        let numbers = (0..2 * probes).map(|n| mixed(2 * lot * probes + n) % population.pairs());
        let seen: Vec<Seen> = numbers.map(|at| population.at(Half::Metadata, at)).collect();
        let keys: Vec<_> = seen.iter().map(|seen| Fingerprint::of(&seen.uid)).collect();
        // Different halves, so that neither finds in the cache what the other fetched.
        let (one, other) = keys.split_at(probes as usize);
        let (done, spent) = measure::thread(|| {
            one.iter().try_for_each(|&key| {
                black_box(index.probe(key)?);
                Ok::<(), dcmjoin_index::Error>(())
            })
        });
        done?;
        singly.push(spent.cpu);
        let (done, spent) = measure::thread(|| index.probe_all(other, &mut found));
        done?;
        in_lots.push(spent.cpu);
        for (seen, slots) in seen[probes as usize..].iter().zip(&found) {
            let mut places = slots.clone().map(|slot| index.place(slot));
            if !places.any(|place| place.is_ok_and(|place| place.0 == seen.instance)) {
                return Err("a header is not found".into());
            }
        }
    }
    let each = |mut spent: Vec<Duration>| {
        spent.sort_unstable();
        spent[spent.len() / 2].as_secs_f64() * 1e9 / probes as f64
    };
    Ok((each(singly), each(in_lots)))
}

/// Returns the nanoseconds of one read of a random line of as much memory as the index takes, each
/// read knowing its place only from the one before: the floor of a single probe.
fn memory_wait_ns(bytes: u64) -> f64 {
    let lines: Vec<[u64; 8]> = (0..bytes.div_ceil(64)).map(|n| [mixed(n); 8]).collect();
    let mut at = 0;
    let ((), spent) = measure::thread(|| {
        for step in 0..WAITS {
            at = (lines[at as usize][0] ^ step) % lines.len() as u64;
        }
    });
    black_box(at);
    spent.cpu.as_secs_f64() * 1e9 / WAITS as f64
}
