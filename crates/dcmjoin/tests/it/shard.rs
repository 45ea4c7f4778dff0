//! Shards: parts of the archives on machines that know nothing of each other.

use std::process::{Command, Stdio};

use dcmjoin_testkit::program;
use serde_json::Value;

use crate::archive::{Place, dcmjoin, header, image, reasons};

fn synthetic(place: &Place) {
    let out = place.text("");
    let made = dcmjoin(&[
        "synth",
        "--instances",
        "300",
        "--metadata-archives",
        "5",
        "--image-archives",
        "11",
        "--duplicate",
        "0.05",
        "--conflict",
        "0.05",
        "--broken",
        "0.02",
        "--out",
        &out,
    ]);
    assert!(made.status.success());
}

fn command(place: &Place, output: &str, more: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    command.args(["run", "--json", "--metadata", &place.text("metadata")]);
    command.args(["--images", &place.text("images"), "--output", &place.text(output)]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &Place, output: &str, more: &[&str]) -> Value {
    let done = command(place, output, more).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn count(report: &Value, part: &str, name: &str) -> u64 {
    report[part][name].as_u64().unwrap()
}

#[test]
fn shards_at_once_and_a_last_run_give_what_one_run_gives() {
    for rule in ["skip", "replace"] {
        let place = Place::new();
        synthetic(&place);
        let whole = run(&place, "whole", &["--if-exists", rule]);
        let shards: Vec<_> = ["1/3", "2/3", "3/3"]
            .map(|shard| {
                // One of them reads its images first.
                let first = if shard == "2/3" { "images" } else { "auto" };
                let more = ["--shard", shard, "--if-exists", rule, "--first", first];
                command(&place, "out", &more).spawn().unwrap()
            })
            .into_iter()
            .map(|child| child.wait_with_output().unwrap())
            .map(|done| {
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                serde_json::from_slice::<Value>(&done.stdout)
                    .unwrap_or_else(|error| panic!("{error}: {said}"))
            })
            .collect();
        let last = run(&place, "out", &["--if-exists", rule]);
        assert_eq!(count(&last, "archives", "known"), 16, "all are committed");
        for side in ["metadata", "images", "ignored"] {
            assert_eq!(last[side], whole[side], "{side}");
        }
        assert_eq!(last["conflicts"], whole["conflicts"]);
        assert_eq!(reasons(&last), reasons(&whole));
        assert_eq!(last["warnings"], whole["warnings"]);
        for name in ["members", "rejected", "ignored", "archives"] {
            let sum: u64 = shards.iter().map(|shard| count(shard, "images", name)).sum();
            assert_eq!(sum, count(&whole, "images", name), "{name} add up");
        }
        let instances = |output: &str| -> std::collections::BTreeMap<_, _> {
            let all = crate::archive::files(&place.path(output), "");
            all.into_iter().filter(|(key, _)| !key.starts_with("_dcmjoin")).collect()
        };
        assert!(instances("whole") == instances("out"), "other objects");
    }
}

#[test]
fn a_shard_reads_its_part_and_leaves_the_rest() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    place.write("images/b.tar", &[image("2.25.2", 2)]);
    let report = run(&place, "out", &["--shard", "2/2"]);
    assert_eq!((count(&report, "images", "archives"), &report["in_output"]), (1, &Value::from(1)));
    assert_eq!(place.instances().keys().collect::<Vec<_>>(), ["2.25.2.dcm"]);
    let again = run(&place, "out", &["--shard", "2/2"]);
    assert_eq!(count(&again, "archives", "known"), 2);
}

#[test]
fn what_makes_no_sense_for_a_shard_is_refused() {
    let place = Place::new();
    for more in [
        &["--shard", "3/2"][..],
        &["--shard", "1/2", "--if-exists", "fail"],
        &["--shard", "1/2", "--dry-run"],
    ] {
        let done = command(&place, "out", more).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{more:?}");
    }
}
