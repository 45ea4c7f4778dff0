//! Fact runs against a sorted list.

mod both_sides;

use proptest::prelude::*;

use super::*;
use crate::fact::tests::any_fact;
use crate::{Fingerprint, Outcome};

const FACT_BYTES: usize = <Fact as Record>::Words::BYTES;

fn fact(fingerprint: u128, digest: u128, offset: u64) -> Fact {
    Fact {
        fingerprint: Fingerprint(fingerprint),
        digest,
        archive: 0,
        offset,
        length: 1,
        place: offset,
        outcome: Outcome::Open,
    }
}

/// Pushes half of the facts at once, and half singly.
fn pushed<R: Record>(facts: &[R], runs: FactRuns<R>) -> FactRuns<R> {
    let (lot, singly) = facts.split_at(facts.len() / 2);
    runs.push_all(lot).unwrap();
    singly.iter().for_each(|fact| runs.push(fact).unwrap());
    runs
}

fn groups<R: Record>(mut groups: Groups<R>) -> Result<Vec<(Vec<R>, u64)>, Error> {
    let (mut all, mut group) = (Vec::new(), Vec::new());
    while groups.next_group(&mut group)? {
        all.push((group.clone(), groups.omitted()));
    }
    Ok(all)
}

fn naive(facts: &[Fact]) -> Vec<(Vec<Fact>, u64)> {
    let mut sorted = facts.to_vec();
    sorted.sort_unstable();
    let groups = sorted.chunk_by(|a, b| a.fingerprint == b.fingerprint);
    groups.map(|group| (group.to_vec(), 0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn groups_are_the_sorted_facts(
        facts in prop::collection::vec(any_fact(), 0..2_000),
        bits in 0..7_u32,
        facts_max in 1..4_000_usize,
        sorters in 1..4_usize,
    ) {
        let spill = tempfile::tempdir().unwrap();
        let runs = FactRuns::partitioned(spill.path(), bits, facts_max * FACT_BYTES);
        let runs = pushed(&facts, runs.sorted_by(sorters));
        prop_assert_eq!(runs.len(), facts.len() as u64);
        prop_assert_eq!(groups(runs.into_groups().unwrap()).unwrap(), naive(&facts));
    }
}

#[test]
fn evenly_spread_facts_are_sorted_by_many_buckets() {
    let facts: Vec<Fact> = (0..60_000_u64)
        .map(|n| fact(crate::digest(&(n / 2).to_le_bytes()), u128::from(n), n))
        .collect();
    for bytes_max in [1 << 30, 1 << 20] {
        let spill = tempfile::tempdir().unwrap();
        let runs = pushed(&facts, FactRuns::new(spill.path(), bytes_max));
        let groups = groups(runs.into_groups().unwrap()).unwrap();
        assert!(groups == naive(&facts), "with {bytes_max} bytes");
    }
}

/// One UID again and again, as a hostile archive may hold it.
#[test]
fn a_group_without_end_is_bounded() {
    const MAX: usize = 100;
    let spill = tempfile::tempdir().unwrap();
    let same = (0..5_000).map(|offset| fact(7, 1, offset));
    let different = (0..5_000).map(|offset| fact(8, u128::from(offset), offset));
    let mut facts: Vec<Fact> = same.chain(different).collect();
    facts[4_998].outcome = Outcome::Published;
    facts[9_998].outcome = Outcome::Rejected;
    let runs = pushed(&facts, FactRuns::new(spill.path(), 64 << 10));
    let groups = groups(runs.into_groups().unwrap().with_facts_max(MAX)).unwrap();
    let [(same, same_omitted), (different, different_omitted)] = groups.as_slice() else {
        panic!("expected 2 groups, got {}", groups.len());
    };
    assert_eq!((same.len(), *same_omitted), (MAX + 1, 5_000 - MAX as u64 - 1));
    assert_eq!(same[MAX].outcome, Outcome::Published);
    assert_eq!((different.len(), *different_omitted), (2 * MAX + 1, 5_000 - 2 * MAX as u64 - 1));
    assert_eq!(different[2 * MAX].outcome, Outcome::Rejected);
    assert!(different.is_sorted());
}

#[test]
fn other_bytes_after_many_equal_ones_are_kept() {
    let spill = tempfile::tempdir().unwrap();
    let mut facts: Vec<Fact> = (0..500).map(|offset| fact(7, 1, offset)).collect();
    facts.push(fact(7, 2, 1_000));
    let runs = pushed(&facts, FactRuns::new(spill.path(), 1 << 20));
    let groups = groups(runs.into_groups().unwrap().with_facts_max(10)).unwrap();
    assert_eq!((groups[0].0.len(), groups[0].1), (11, 490));
    assert_eq!(groups[0].0[10].digest, 2);
}

#[test]
fn a_flipped_bit_on_disk_is_found() {
    for offset in [0, 70, 4_000 * FACT_BYTES as u64] {
        let spill = tempfile::tempdir().unwrap();
        let runs = FactRuns::new(spill.path(), 64 << 10);
        (0..5_000).for_each(|n| runs.push(&fact(u128::from(n), 0, n)).unwrap());
        runs.shards[0].lock().unwrap().flip_a_bit_at(offset);
        let failed = groups(runs.into_groups().unwrap());
        assert!(matches!(failed, Err(Error::Damaged { .. })), "at byte {offset}: {failed:?}");
    }
}

#[test]
fn a_spill_folder_that_is_gone_is_an_error() {
    let spill = tempfile::tempdir().unwrap();
    let gone = spill.path().join("gone");
    let runs = FactRuns::new(&gone, FACT_BYTES);
    runs.push(&fact(1, 1, 1)).unwrap();
    assert!(matches!(runs.push(&fact(2, 2, 2)), Err(Error::Io { action: "create", .. })));
}

/// At each place that writes: a lot, a single fact, and the end of the collection.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so() {
    let spill = tempfile::tempdir().unwrap();
    let on_a_full_disk = |facts: u64| {
        let runs = FactRuns::partitioned(spill.path(), 0, 100 * FACT_BYTES);
        (0..facts).for_each(|n| runs.push(&fact(1, 1, n)).unwrap());
        runs.shards[0].lock().unwrap().fill_the_disk();
        runs
    };
    let one = fact(1, 1, 1);
    for failed in [
        on_a_full_disk(100).push(&one).unwrap_err(),
        on_a_full_disk(100).push_all(&[one; 3]).unwrap_err(),
        on_a_full_disk(50).into_groups().unwrap_err(),
    ] {
        assert!(failed.to_string().starts_with("cannot append to the spill file: "), "{failed}");
        let kind = std::io::ErrorKind::StorageFull;
        assert!(matches!(failed, Error::Io { kind: k, .. } if k == kind), "{failed}");
    }
}

#[test]
fn groups_may_be_left_half_way() {
    let spill = tempfile::tempdir().unwrap();
    let facts: Vec<Fact> = (0..5_000).map(|n| fact(u128::from(n) << 110, 0, n)).collect();
    let mut groups = pushed(&facts, FactRuns::new(spill.path(), 64 << 10)).into_groups().unwrap();
    let mut group = Vec::new();
    assert!(groups.next_group(&mut group).unwrap());
    drop(groups);
}
