//! Runs that are killed at random, again and again: the last one ends as if nothing had happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dcmjoin_testkit::{SeaweedFs, program};
use serde_json::Value;

use crate::archive::{dcmjoin, files};

const KILLS: u32 = 50;
/// Into shards, where all but the output is the same.
const KILLS_INTO_SHARDS: u32 = 20;
/// More, where none of them came after a commit.
const KILLS_MAX: u32 = 4 * KILLS;
/// Kills in a row before a run is let go to its end.
const KILLS_IN_A_ROUND: u32 = 5;
/// How often a run that is to be killed is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Objects = BTreeMap<String, Vec<u8>>;

/// Numbers that look random, and are the same each time: a failure can be looked into.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        end.mul_f64(f64::from((self.0 >> 40) as u32) / f64::from(1_u32 << 24))
    }
}

/// Kills runs at random; returns the reports of those that were let go, each with the number of
/// archives that they found committed.
fn kill_loop(
    kills_min: u32,
    mut start: impl FnMut() -> Child,
    mut clear: impl FnMut(),
    mut objects: impl FnMut() -> Objects,
) {
    let began = Instant::now();
    let whole = report(start());
    let (expected, mut time) = (objects(), began.elapsed());
    let (mut dice, mut kills, mut resumed) = (Dice(7), 0, 0);
    // Where the machine got slower meanwhile, kills may all come before the first commit.
    while kills < kills_min || (resumed == 0 && kills < KILLS_MAX) {
        clear();
        for _ in 0..KILLS_IN_A_ROUND {
            kills += u32::from(kill_after(start(), dice.below(time)));
        }
        let began = Instant::now();
        let last = report(start());
        // Neither one slow run nor one that had little left tells how long the next one takes.
        time = (time + began.elapsed()) / 2;
        resumed += last["archives"]["known"].as_u64().unwrap();
        compare(&objects(), &expected, kills);
        for side in ["metadata", "images"] {
            assert_eq!(last[side], whole[side], "{side} after {kills} kills");
        }
        let durable = |report: &Value| {
            let count = |name: &str| report["instances"][name].as_u64().unwrap();
            (count("published") + count("already_there"), count("rejected"), count("pairs"))
        };
        assert_eq!(durable(&last), durable(&whole));
    }
    assert!(
        resumed > 0,
        "after {kills} kills: no run found anything committed; one takes {time:?}"
    );
}

/// Kills a run, where it has not ended by then; returns whether it had not.
fn kill_after(mut child: Child, time: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(LOOK_EVERY.min(time.saturating_sub(began.elapsed())));
    }
    let is_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    is_running
}

fn compare(got: &Objects, expected: &Objects, kills: u32) {
    let differ: Vec<_> = expected
        .keys()
        .chain(got.keys())
        .filter(|key| got.get(*key) != expected.get(*key))
        .map(|key| (key, got.get(key).map(Vec::len), expected.get(key).map(Vec::len)))
        .collect();
    assert!(differ.is_empty(), "after {kills} kills: key, bytes got, bytes expected: {differ:?}");
}

fn report(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn synthetic(folder: &Path) {
    let out = folder.to_str().unwrap();
    let made = dcmjoin(&[
        "synth",
        "--instances",
        "300",
        "--metadata-archives",
        "4",
        "--image-archives",
        "10",
        "--duplicate",
        "0.02",
        "--conflict",
        "0.02",
        "--broken",
        "0.02",
        "--out",
        out,
    ]);
    assert!(made.status.success());
}

fn run(metadata: &str, images: &str, output: &str) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    command
        .args(["run", "--metadata", metadata, "--images", images, "--output", output, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn instances(objects: Objects) -> Objects {
    objects.into_iter().filter(|(key, _)| !key.contains("_dcmjoin/")).collect()
}

#[test]
fn fifty_kills_over_folders_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    synthetic(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    kill_loop(
        KILLS,
        || run(&at("metadata"), &at("images"), &at("out")).spawn().unwrap(),
        || std::fs::remove_dir_all(at("out")).unwrap(),
        || instances(files(&folder.path().join("out"), "")),
    );
}

/// What a dead run left there, no list tells of.
#[test]
fn kills_into_shards_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    synthetic(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    kill_loop(
        KILLS_INTO_SHARDS,
        || {
            let mut command = run(&at("metadata"), &at("images"), &at("out"));
            command.args(["--publish", "shards", "--shard-size", "1"]).spawn().unwrap()
        },
        || std::fs::remove_dir_all(at("out")).unwrap(),
        || instances(files(&folder.path().join("out"), "")),
    );
}

#[test]
fn fifty_kills_over_s3_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    synthetic(folder.path());
    let server = SeaweedFs::start().unwrap();
    let admin = server.admin();
    let source = admin.create_bucket("source").unwrap();
    for side in ["metadata", "images"] {
        for (name, body) in files(&folder.path().join(side), "") {
            source.put(&format!("{side}/{name}"), body).unwrap();
        }
    }
    let target = admin.create_bucket("target").unwrap();
    let (round, runs) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let prefix = || format!("out{}", round.get());
    kill_loop(
        KILLS,
        || {
            let output = format!("s3://target/{}", prefix());
            let mut command = run("s3://source/metadata", "s3://source/images", &output);
            // Whichever side the dead one read first.
            runs.set(runs.get() + 1);
            command.args(["--first", ["metadata", "images"][runs.get() % 2]]);
            admin.apply(&mut command).spawn().unwrap()
        },
        || round.set(round.get() + 1),
        || {
            let (prefix, objects) =
                (format!("{}/", prefix()), target.objects(&format!("{}/", prefix())));
            let strip = |(key, body): (String, Vec<u8>)| (key[prefix.len()..].to_owned(), body);
            instances(objects.unwrap().into_iter().map(strip).collect())
        },
    );
}
