//! The books against the truth: of data sets that know it, and of a naive join of random archives.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use crate::archive::{Place, dcmjoin, header, image, report_header};

fn synthetic(more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = dcmjoin(&[&["synth", "--instances", "400", "--out", &path("in")], more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run = dcmjoin(&[
        "run",
        "--metadata",
        &path("in/metadata"),
        "--images",
        &path("in/images"),
        "--output",
        &path("out"),
        "--json",
    ]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let truth: Value =
        serde_json::from_slice(&std::fs::read(path("in/truth.json")).unwrap()).unwrap();
    for part in ["metadata", "images", "instances"] {
        assert_eq!(report[part], truth["books"][part], "{part}");
    }
    assert_eq!(report["ignored"], truth["ignored"]);
    for broken in truth["groups"]["broken"].as_array().unwrap() {
        let reason = broken["reason"].as_str().unwrap();
        assert!(report["rejections"][reason]["count"].as_u64() > Some(0), "{reason}");
    }
}

#[test]
fn the_books_are_the_truth_of_the_data_set() {
    synthetic(&["--seed", "11"]);
}

#[test]
fn the_books_are_the_truth_when_much_is_amiss() {
    let shares =
        ["--broken", "0.2", "--conflict", "0.1", "--duplicate", "0.1", "--unpaired-images", "0.1"];
    synthetic(&[&["--seed", "12", "--compress", "zst"], &shares[..]].concat());
}

/// What a member of a random archive is.
#[derive(Debug, Clone)]
enum Part {
    Header(u8, bool),
    Report(u8),
    Image(u8, u8),
    Short(u8),
    Junk,
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => (0..12_u8, any::<bool>()).prop_map(|(n, other)| Part::Header(n, other)),
        1 => (20..23_u8).prop_map(Part::Report),
        4 => (0..14_u8, 0..2_u8).prop_map(|(n, value)| Part::Image(n, value)),
        1 => (0..14_u8).prop_map(Part::Short),
        1 => Just(Part::Junk),
    ]
}

fn member(part: &Part) -> (bool, (String, Vec<u8>)) {
    let uid = |n: u8| format!("2.25.{n}");
    match *part {
        Part::Header(n, other) => (true, header(&uid(n), if other { "A" } else { "B" })),
        Part::Report(n) => (true, report_header(&uid(n))),
        Part::Image(n, value) => (false, image(&uid(n), value)),
        Part::Short(n) => (false, (format!("{}.j2c", uid(n)), vec![1; 3])),
        Part::Junk => (false, ("README.md".to_owned(), vec![])),
    }
}

/// The join as a beginner would write it: maps of all there is.
#[derive(Default, Debug, PartialEq)]
struct Naive {
    published: BTreeSet<String>,
    rejected: u64,
    unpaired_metadata: u64,
    unpaired_images: u64,
    duplicates: u64,
}

fn naive(parts: &[Part]) -> Naive {
    let (mut headers, mut images) = (BTreeMap::new(), BTreeMap::<u8, Vec<bool>>::new());
    let mut joined = Naive::default();
    for part in parts {
        match *part {
            Part::Header(n, _) => {
                joined.duplicates += u64::from(headers.insert(n, false).is_some());
            }
            Part::Report(n) => {
                joined.duplicates += u64::from(headers.insert(n, true).is_some());
            }
            Part::Image(n, _) => images.entry(n).or_default().push(true),
            Part::Short(n) => images.entry(n).or_default().push(false),
            Part::Junk => {}
        }
    }
    for (n, whole) in &images {
        joined.duplicates += whole.len() as u64 - 1;
        match (headers.contains_key(n), whole.contains(&true)) {
            (false, _) => joined.unpaired_images += 1,
            (true, true) => {
                joined.published.insert(format!("2.25.{n}.dcm"));
            }
            (true, false) => joined.rejected += 1,
        }
    }
    for (n, complete) in headers.iter().filter(|(n, _)| !images.contains_key(n)) {
        match complete {
            true => {
                joined.published.insert(format!("2.25.{n}.dcm"));
            }
            false => joined.unpaired_metadata += 1,
        }
    }
    joined
}

fn dcmjoined(parts: &[Part], split: usize, first: &str) -> (Naive, BTreeMap<String, Vec<u8>>) {
    let place = Place::new();
    let mut archives = BTreeMap::<String, Vec<(String, Vec<u8>)>>::new();
    for side in ["metadata", "images"] {
        archives.insert(format!("{side}/0.tar"), vec![]);
    }
    for (at, part) in parts.iter().enumerate() {
        let (is_metadata, member) = member(part);
        let side = if is_metadata { "metadata" } else { "images" };
        archives.entry(format!("{side}/{}.tar", at % split)).or_default().push(member);
    }
    archives.iter().for_each(|(name, members)| place.write(name, members));
    let report = place.run(&["--first", first]);
    assert_eq!(report.code, 0, "{}", report.error);
    let count = |part: &str, field: &str| report.json[part][field].as_u64().unwrap();
    let instances = place.instances();
    let joined = Naive {
        published: instances.keys().cloned().collect(),
        rejected: count("instances", "rejected"),
        unpaired_metadata: count("metadata", "unpaired"),
        unpaired_images: count("images", "unpaired"),
        duplicates: count("metadata", "duplicate") + count("images", "duplicate"),
    };
    (joined, instances)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn random_archives_are_joined_as_a_naive_join_does(
        parts in prop::collection::vec(part(), 0..40),
        split in 1..4_usize,
    ) {
        let (joined, instances) = dcmjoined(&parts, split, "metadata");
        prop_assert_eq!(&joined, &naive(&parts));
        // The same members in another order and in other archives give the same bytes, and so does
        // the other side first.
        let reversed: Vec<_> = parts.iter().rev().cloned().collect();
        let (same, again) = dcmjoined(&reversed, 4 - split, "images");
        prop_assert_eq!(joined, same);
        prop_assert_eq!(instances, again);
    }
}
