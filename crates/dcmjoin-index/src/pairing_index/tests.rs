//! The index against a sorted list, in memory and on disk.

use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::page::LEAF_RECORDS;
use super::*;

/// Bytes that make the index stay in memory, or not.
const BUDGETS: [u64; 2] = [1 << 40, 0];

fn built(keys: &[u128], bytes_max: u64, headers_max: u64) -> PairingIndex {
    let spill = tempfile::tempdir().unwrap();
    let mut builder = PairingIndexBuilder::new(spill.path(), bytes_max, headers_max).unwrap();
    for (at, &key) in keys.iter().enumerate() {
        builder.push(Fingerprint(key), HeaderPlace(at as u64 * 1_000_003)).unwrap();
    }
    builder.seal().unwrap()
}

fn check_all(mut keys: Vec<u128>, probes: &[u128], headers_max: u64) {
    keys.sort_unstable();
    for bytes_max in BUDGETS {
        let index = built(&keys, bytes_max, headers_max);
        assert_eq!((index.len(), index.is_on_disk()), (keys.len(), bytes_max == 0));
        // In order, so that the slot of each key is known.
        let slots: Vec<Slot> = index.unclaimed().map(Result::unwrap).collect();
        // A page and its check are all that is compared of a fingerprint.
        let compared = |&key: &u128| page_and_check(Fingerprint(key), index.page_count);
        let fingerprints: Vec<_> =
            probes.iter().chain(&keys).map(|&key| Fingerprint(key)).collect();
        let mut found = Vec::new();
        index.probe_all(&fingerprints, &mut found).unwrap();
        for (fingerprint, found) in fingerprints.iter().zip(found) {
            let key = compared(&fingerprint.0);
            let start = keys.partition_point(|other| compared(other) < key);
            let end = keys.partition_point(|other| compared(other) <= key);
            assert_eq!(index.probe(*fingerprint).unwrap(), found);
            assert!(found.eq(slots[start..end].iter().copied()), "{key:?}");
        }
        check_claims(&index);
    }
}

/// Claims every third header; the others remain, in order.
fn check_claims(index: &PairingIndex) {
    let all: Vec<Slot> = index.unclaimed().map(Result::unwrap).collect();
    let number = |slot: Slot| (index.place(slot).unwrap().0 / 1_000_003) as usize;
    assert!(all.iter().map(|&slot| number(slot)).eq(0..index.len()));
    for &slot in all.iter().step_by(3) {
        assert!(!index.is_claimed(slot) && index.claim(slot) && !index.claim(slot));
        assert!(index.is_claimed(slot));
    }
    let left = index.unclaimed().map(|slot| number(slot.unwrap()));
    assert!(left.eq((0..index.len()).filter(|number| number % 3 != 0)));
}

fn key() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        (0..40_u128).prop_map(|key| key << 48),
        (0..40_u128).prop_map(|key| key << 80),
        (0..40_u128).prop_map(|key| key << 110),
        (0..40_u128).prop_map(|key| u128::MAX - key),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn finds_what_bisection_finds(
        keys in prop::collection::vec(key(), 0..2_000),
        probes in prop::collection::vec(key(), 0..200),
        headers_max in prop_oneof![Just(1_u64), 1..50_000_u64],
    ) {
        check_all(keys, &probes, headers_max);
    }
}

#[test]
fn crowded_pages_overflow() {
    let crowd = (0..5_000_u128).map(|key| (key / 3) << 90);
    let same = std::iter::repeat_n(7 << 120, 3_000);
    let probes = [0, 1 << 48, 7 << 120, 8 << 120, u128::MAX];
    check_all(crowd.chain(same).collect(), &probes, 1_000);
}

fn spread(count: u64) -> Vec<u128> {
    let mut keys: Vec<u128> = (0..count).map(|n| crate::digest(&n.to_le_bytes())).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn many_headers_take_sixteen_bytes_each() {
    let keys = spread(1 << 18);
    let [memory, disk] = BUDGETS.map(|bytes_max| built(&keys, bytes_max, keys.len() as u64));
    let tenths = |bytes: u64| 10 * bytes / keys.len() as u64;
    assert_eq!(tenths(memory.memory_bytes()), 162);
    assert_eq!(tenths(disk.memory_bytes()), 1);
    assert_eq!(tenths(disk.disk_bytes()), 128);
}

#[test]
fn only_the_first_claim_counts() {
    let index = built(&spread(100), 1 << 20, 100);
    let slots: Vec<Slot> = index.unclaimed().map(Result::unwrap).collect();
    let wins: usize = std::thread::scope(|scope| {
        let claim_all = || slots.iter().filter(|&&slot| index.claim(slot)).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, 100);
    assert_eq!(index.unclaimed().count(), 0);
}

fn flip_a_bit(file: &std::fs::File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_flipped_bit_on_disk_is_found() {
    let keys = spread(1_000);
    for at in [0, 700, LEAF_BYTES as u64 - 1] {
        let index = built(&keys, 0, 1_000);
        let Pages::Disk(file) = &index.pages else { panic!("expected an index on disk") };
        flip_a_bit(file, at);
        let found = |key: &u128| index.probe(Fingerprint(*key));
        assert!(matches!(found(&keys[0]), Err(Error::Damaged { offset: 0, .. })), "at {at}");
        assert_eq!(found(&keys[999]).unwrap().count(), 1);
    }
}

#[test]
fn a_flipped_bit_in_the_overflow_is_found() {
    let keys: Vec<u128> = (0..2 * LEAF_RECORDS as u128).map(|key| key << 80).collect();
    for at in [0, 5, 9, 15] {
        let index = built(&keys, 0, 1);
        let Overflow::Disk { file, len } = &index.overflow else { panic!("expected a file") };
        assert_eq!(*len, LEAF_RECORDS);
        flip_a_bit(file, at);
        let found = index.probe(Fingerprint(keys[LEAF_RECORDS]));
        assert!(matches!(found, Err(Error::Damaged { offset: 0, .. })), "at {at}");
    }
}

#[test]
fn a_spill_folder_that_is_gone_is_an_error() {
    let gone = tempfile::tempdir().unwrap().path().join("gone");
    let failed = PairingIndexBuilder::new(&gone, 0, 1_000);
    assert!(matches!(failed, Err(Error::Io { action: "create", .. })));
}

#[test]
fn a_place_beyond_its_bits_is_refused() {
    let spill = tempfile::tempdir().unwrap();
    let mut builder = PairingIndexBuilder::new(spill.path(), 1 << 20, 1).unwrap();
    let failed = builder.push(Fingerprint(1), HeaderPlace(1 << 48));
    assert!(matches!(failed, Err(Error::Limit { .. })));
}
