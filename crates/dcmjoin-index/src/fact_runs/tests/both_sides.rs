//! Brief facts of both sides against maps by UID.

use std::collections::{BTreeSet, HashMap};

use dcmjoin_model::Half;

use super::*;
use crate::{BriefFact, Halves};

const BRIEF_BYTES: usize = <BriefFact as Record>::Words::BYTES;

/// A half that was read: its UID by number, which half, which of a few contents, and its place.
type Seen = (u16, bool, u8, u64);

/// What a join of both sides counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    paired: u64,
    /// Without a partner, by side.
    unpaired: [u64; SIDES],
    /// Beyond the first, by side.
    duplicates: [u64; SIDES],
    conflicts: u64,
}

const SIDES: usize = crate::record::SIDES;

fn brief(&(uid, is_image, content, place): &Seen) -> BriefFact {
    let half = if is_image { Half::Image } else { Half::Metadata };
    let fingerprint = Fingerprint(crate::digest(&uid.to_le_bytes()));
    BriefFact::new(fingerprint, half, crate::digest(&[content]), place).unwrap()
}

fn naive(seen: &[Seen]) -> (Counts, BTreeSet<(u64, u64)>) {
    let mut by_uid: HashMap<u16, [Vec<(u128, u64)>; SIDES]> = HashMap::new();
    for &(uid, is_image, content, place) in seen {
        let side = &mut by_uid.entry(uid).or_default()[usize::from(is_image)];
        side.push((crate::digest(&[content]), place));
    }
    let (mut counts, mut pairs) = (Counts::default(), BTreeSet::new());
    for mut sides in by_uid.into_values() {
        sides.iter_mut().for_each(|side| side.sort_unstable());
        for (number, side) in sides.iter().enumerate() {
            counts.duplicates[number] += side.len().saturating_sub(1) as u64;
            let is_alone = sides[1 - number].is_empty();
            counts.unpaired[number] += u64::from(!side.is_empty() && is_alone);
        }
        let differs = |side: &Vec<(u128, u64)>| side.iter().any(|half| half.0 != side[0].0);
        counts.conflicts += u64::from(sides.iter().any(differs));
        if let [Some(header), Some(image)] = sides.each_ref().map(|side| side.first()) {
            counts.paired += 1;
            pairs.insert((header.1, image.1));
        }
    }
    (counts, pairs)
}

fn joined(mut groups: Groups<BriefFact>) -> (Counts, BTreeSet<(u64, u64)>) {
    let (mut counts, mut pairs, mut group) = (Counts::default(), BTreeSet::new(), Vec::new());
    while groups.next_group(&mut group).unwrap() {
        let halves = Halves::of(&group);
        for (number, (side, half)) in
            [(halves.headers, Half::Metadata), (halves.images, Half::Image)].iter().enumerate()
        {
            assert!(side.iter().all(|fact| fact.half() == *half));
            counts.duplicates[number] +=
                side.len().saturating_sub(1) as u64 + groups.omitted_of(*half);
            counts.unpaired[number] += u64::from(!side.is_empty() && !halves.is_paired());
        }
        counts.conflicts += u64::from(halves.is_conflict());
        if halves.is_paired() {
            counts.paired += 1;
            pairs.insert((halves.headers[0].place(), halves.images[0].place()));
        }
    }
    (counts, pairs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn both_sides_join_as_maps_do(
        seen in prop::collection::vec((0..700_u16, any::<bool>(), 0..2_u8), 0..2_000),
        bits in 0..7_u32,
        facts_max in 1..4_000_usize,
    ) {
        let seen: Vec<Seen> = seen
            .into_iter()
            .enumerate()
            .map(|(at, (uid, is_image, content))| (uid, is_image, content, at as u64))
            .collect();
        let facts: Vec<BriefFact> = seen.iter().map(brief).collect();
        let spill = tempfile::tempdir().unwrap();
        let runs = FactRuns::partitioned(spill.path(), bits, facts_max * BRIEF_BYTES);
        let runs = pushed(&facts, runs);
        prop_assert_eq!(runs.len(), facts.len() as u64);
        prop_assert_eq!(joined(runs.into_groups().unwrap()), naive(&seen));
    }
}

#[test]
fn threads_may_push_at_the_same_time() {
    const EACH: u64 = 20_000;
    let spill = tempfile::tempdir().unwrap();
    let runs: FactRuns<BriefFact> = FactRuns::new(spill.path(), 1 << 20);
    let seen = |is_image: bool| (0..EACH).map(move |n| (n as u16, is_image, 0, n));
    std::thread::scope(|scope| {
        for is_image in [false, true] {
            let runs = &runs;
            scope.spawn(move || {
                let facts: Vec<BriefFact> = seen(is_image).map(|seen| brief(&seen)).collect();
                facts.chunks(777).try_for_each(|lot| runs.push_all(lot)).unwrap();
            });
        }
    });
    let all: Vec<Seen> = seen(false).chain(seen(true)).collect();
    assert!(joined(runs.into_groups().unwrap()) == naive(&all));
}

/// A header without end does not crowd its image out.
#[test]
fn each_side_of_a_group_is_bounded_by_itself() {
    const MAX: usize = 100;
    let spill = tempfile::tempdir().unwrap();
    let headers = (0..3_000).map(|place| (7, false, (place % 200) as u8, place));
    let images = (0..1_000).map(|place| (7, true, 1, place));
    let facts: Vec<BriefFact> = headers.chain(images).map(|seen| brief(&seen)).collect();
    let runs = pushed(&facts, FactRuns::new(spill.path(), 16 << 10));
    let mut groups = runs.into_groups().unwrap().with_facts_max(MAX);
    let mut group = Vec::new();
    assert!(groups.next_group(&mut group).unwrap());
    let halves = Halves::of(&group);
    assert!((MAX..=2 * MAX).contains(&halves.headers.len()));
    assert_eq!(halves.images.len(), MAX);
    assert!(halves.is_conflict() && group.is_sorted());
    assert_eq!(groups.omitted_of(Half::Metadata), 3_000 - halves.headers.len() as u64);
    assert_eq!(groups.omitted_of(Half::Image), 1_000 - MAX as u64);
    assert!(!groups.next_group(&mut group).unwrap());
}

#[test]
fn a_flipped_bit_on_disk_is_found() {
    for bytes_max in [64 << 10, 8 << 10] {
        let spill = tempfile::tempdir().unwrap();
        let seen = (0..20_000).map(|n| (n, false, 0, u64::from(n)));
        let facts: Vec<BriefFact> = seen.map(|seen| brief(&seen)).collect();
        let runs = pushed(&facts, FactRuns::new(spill.path(), bytes_max));
        runs.shards[0].lock().unwrap().flip_a_bit_at(1_000);
        let failed = groups(runs.into_groups().unwrap());
        assert!(matches!(failed, Err(Error::Damaged { .. })), "with {bytes_max} bytes");
    }
}
