//! The index against a sorted list, in memory and on disk.

use proptest::prelude::*;

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

/// A record holds no more of a fingerprint than its upper 80 bits.
fn compared(key: u128) -> u128 {
    key >> 48
}

fn check_all(mut keys: Vec<u128>, probes: &[u128], headers_max: u64) {
    keys.sort_unstable();
    for bytes_max in BUDGETS {
        let index = built(&keys, bytes_max, headers_max);
        assert_eq!((index.len(), index.is_on_disk()), (keys.len(), bytes_max == 0));
        for &probe in probes.iter().chain(&keys) {
            let start = keys.partition_point(|&key| compared(key) < compared(probe));
            let end = keys.partition_point(|&key| compared(key) <= compared(probe));
            assert_eq!(index.probe(Fingerprint(probe)).unwrap(), start..end, "{probe:x}");
        }
        let fingerprints: Vec<_> =
            probes.iter().chain(&keys).map(|&key| Fingerprint(key)).collect();
        let mut found = Vec::new();
        index.probe_all(&fingerprints, &mut found).unwrap();
        let singly = fingerprints.iter().map(|&fingerprint| index.probe(fingerprint).unwrap());
        assert!(singly.eq(found));
        for slot in 0..keys.len() {
            assert_eq!(index.place(slot).unwrap(), HeaderPlace(slot as u64 * 1_000_003));
        }
    }
}

fn key() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        (0..40_u128).prop_map(|key| key << 48),
        (0..40_u128).prop_map(|key| key << 110),
        (0..40_u128).prop_map(|key| u128::MAX - key),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn finds_what_bisection_finds(
        keys in prop::collection::vec(key(), 0..2_000),
        probes in prop::collection::vec(key(), 0..200),
        headers_max in prop_oneof![Just(1_u64), 1..1_000_000_u64],
    ) {
        check_all(keys, &probes, headers_max);
    }
}

#[test]
fn crowded_buckets_are_bisected() {
    let crowd = (0..3 * SCAN_MAX as u128).map(|key| (key / 3) << 48);
    let same = std::iter::repeat_n(7 << 120, 2 * SCAN_MAX);
    check_all(crowd.chain(same).collect(), &[0, 1 << 48, 7 << 120, 8 << 120, u128::MAX], 100);
}

#[test]
fn many_headers_take_fifteen_bytes_each() {
    let keys: Vec<u128> = (0..1_u128 << 18).map(|key| key << 110).collect();
    let [memory, disk] = BUDGETS.map(|bytes_max| built(&keys, bytes_max, keys.len() as u64));
    let tenths = |index: &PairingIndex| 10 * index.memory_bytes() / keys.len() as u64;
    assert_eq!(tenths(&memory), 151);
    // Of which 20 are the smallest directory.
    assert_eq!(tenths(&disk), 21);
}

#[test]
fn only_the_first_claim_counts() {
    let index = built(&(0..100).collect::<Vec<u128>>(), 1 << 20, 100);
    let wins: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).filter(|&slot| index.claim(slot)).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, 100);
    assert!((0..100).all(|slot| index.is_claimed(slot)));
}

#[test]
fn a_flipped_bit_on_disk_is_found() {
    let keys: Vec<u128> = (0..100).map(|key| key << 112).collect();
    let index = built(&keys, 0, 100);
    let Records::Disk(file) = &index.records else { panic!("expected an index on disk") };
    let mut record = [0; RECORD_BYTES];
    read(file, 40, &mut record).unwrap();
    record[3] ^= 1;
    std::os::unix::fs::FileExt::write_all_at(file, &record, 40 * RECORD_BYTES as u64).unwrap();
    let probe = |slot: usize| index.probe(Fingerprint(keys[slot]));
    assert!(matches!(probe(40), Err(Error::Damaged { .. })));
    assert_eq!(probe(41).unwrap(), 41..42);
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
