//! Both sides' facts, sorted together: the pairs come out of one walk.

use dcmjoin_index::{BriefFact, FactRuns, Fingerprint, Halves};
use dcmjoin_model::Half;
use serde_json::{Value, json};

use super::measure::{self, Spent, memory_peak_bytes};
use super::uids::{Counts, Population};
use super::{Options, Result, intake};

pub(crate) fn run(options: &Options) -> Result<Value> {
    let population = Population::new(options.pairs);
    let sides = [Half::Metadata, Half::Image];
    let (facts, intake) = intake::read(&sides, &population, options, |half, seen| {
        BriefFact::new(Fingerprint::of(&seen.uid), half, seen.digest, seen.instance)
    })?;
    let (pushed, memory_pushed) = (facts.len(), memory_peak_bytes());
    let (merged, merging) = measure::process(|| counted(facts));
    let ((counts, disk_bytes), expected) = (merged?, population.expected());
    if counts != expected {
        return Err(format!("expected {expected:?}, got {counts:?}").into());
    }
    let mut pairing = Spent::default();
    pairing.add(intake.pushing);
    pairing.add(merging);
    let mut with_uids = pairing;
    with_uids.add(intake.making);
    let each = |seconds: f64| seconds * 1e9 / options.pairs as f64;
    Ok(json!({
        "mode": "pairing",
        "pairs": options.pairs,
        "threads": options.threads,
        "counts": {
            "paired": counts.paired,
            "headers_unpaired": counts.headers_unpaired,
            "images_unpaired": counts.images_unpaired,
            "headers_duplicate": counts.headers_duplicate,
            "images_duplicate": counts.images_duplicate,
            "conflicts": counts.conflicts,
        },
        "ns_per_pair": each(pairing.wall.as_secs_f64()),
        "cpu_ns_per_pair": each(pairing.cpu.as_secs_f64()),
        "ns_per_pair_with_uids": each(with_uids.wall.as_secs_f64()),
        "seconds": pairing.wall.as_secs_f64(),
        "seconds_with_uids": with_uids.wall.as_secs_f64(),
        "phases": {
            "making_uids": intake.making.json(),
            "pushing": intake.pushing.json(),
            "merging": merging.json(),
        },
        "facts_memory_bytes": options.facts_bytes,
        "memory_peak_bytes_pushing": memory_pushed,
        "memory_peak_bytes": memory_pushed.max(memory_peak_bytes()),
        "disk_peak_bytes": disk_bytes,
        "disk_bytes_per_fact": disk_bytes as f64 / pushed as f64,
        "load": measure::load(),
    }))
}

/// Walks through the facts; returns what it counts, and the bytes that they took on disk.
fn counted(facts: FactRuns<BriefFact>) -> Result<(Counts, u64)> {
    let mut counts = Counts::default();
    let (mut groups, mut group) = (facts.into_groups()?, Vec::new());
    while groups.next_group(&mut group)? {
        let halves = Halves::of(&group);
        let beyond_first = |side: &[BriefFact]| side.len().saturating_sub(1) as u64;
        counts.headers_duplicate +=
            beyond_first(halves.headers) + groups.omitted_of(Half::Metadata);
        counts.images_duplicate += beyond_first(halves.images) + groups.omitted_of(Half::Image);
        counts.conflicts += u64::from(halves.is_conflict());
        match (halves.headers.first(), halves.images.first()) {
            (Some(header), Some(image)) if header.place() == image.place() => counts.paired += 1,
            // Stands for the comparison of UIDs, which needs the halves themselves.
            (Some(_), Some(_)) => return Err("two instances share a fingerprint".into()),
            (Some(_), None) => counts.headers_unpaired += 1,
            (None, _) => counts.images_unpaired += 1,
        }
    }
    Ok((counts, groups.disk_bytes()))
}
