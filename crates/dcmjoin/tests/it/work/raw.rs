//! Campaigns with raw objects: every half is an object, the fact log makes the pairs, and what is left is
//! what one run leaves.

use std::process::Child;

use dcmjoin_testkit::Disk;
use serde_json::Value;

use super::scene::{
    PATIENCE, Scene, same_books, same_objects, synth, synthetic, terminate, told, until,
};
use crate::archive::{Place, header, image};

#[test]
fn killed_workers_change_nothing_over_folders() {
    let scene = Scene::folders().raw(None);
    synthetic(&scene.place);
    two_of_three_are_killed(&scene);
}

#[test]
fn killed_workers_change_nothing_over_s3() {
    let place = Place::new();
    synthetic(&place);
    two_of_three_are_killed(&Scene::buckets(place).raw(None));
}

/// Three workers, of which two are killed: one while halves are copied, one while pairs are assembled.
/// Then the raw objects are purged, and nothing but them.
pub(crate) fn two_of_three_are_killed(scene: &Scene) {
    let whole = scene.whole();
    assert_eq!(scene.add(&["metadata", "images"]), 26);
    let worker = || -> Child {
        scene.with_tasks(&["work", "all", "--archives", "2", "--lease", "3"]).spawn().unwrap()
    };
    let (mut first, mut second, third) = (worker(), worker(), worker());
    until(|| scene.status("images")["done"].as_u64() > Some(1));
    first.kill().unwrap();
    first.wait().unwrap();
    until(|| scene.count("out") > 0);
    second.kill().unwrap();
    second.wait().unwrap();
    let done = told(&third.wait_with_output().unwrap());
    let closed = &done["reports"][0];
    same_books(closed, &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
    assert_eq!(closed["archives"]["known"], 26, "the closing reads no archive");
    purged(scene);
}

/// Purges twice; returns what was removed first.
fn purged(scene: &Scene) -> Value {
    let before = scene.objects("out");
    let told_of = told(&scene.with_tasks(&["work", "purge", "--dry-run"]).output().unwrap());
    assert_eq!(scene.objects("out").len(), before.len(), "it only counts");
    let removed = told(&scene.with_tasks(&["work", "purge"]).output().unwrap());
    assert_eq!((&removed["objects"], &removed["bytes"]), (&told_of["objects"], &told_of["bytes"]));
    let mut kept = before;
    kept.retain(|key, _| !key.starts_with("_dcmjoin/raw/"));
    same_objects(&scene.objects("out"), &kept);
    let again = told(&scene.with_tasks(&["work", "purge"]).output().unwrap());
    assert_eq!(again["objects"], 0);
    removed
}

#[test]
fn pairs_come_from_raw_objects_and_the_closing_reads_neither_half() {
    let scene = Scene::folders();
    let elsewhere = scene.place.text("elsewhere");
    let scene = scene.raw(Some(&elsewhere));
    synth(&scene.place, &["--conflict", "0", "--duplicate", "0.03", "--compress", "zst"]);
    let whole = scene.whole();
    scene.add(&["metadata", "images"]);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    assert!(!scene.place.path("out").join("_dcmjoin/raw").exists());
    let refused = scene.with_tasks(&["work", "purge"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("work all"), "{said}");

    let pairs = whole["instances"]["published"].as_u64().unwrap()
        - whole["instances"]["header_only"].as_u64().unwrap();
    let mut assembling = scene.with_tasks(&["work", "assemble"]).spawn().unwrap();
    until(|| scene.count("out") as u64 == pairs);
    terminate(&assembling);
    assert_eq!(assembling.wait().unwrap().code(), Some(130));

    let done = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    let closed = &done["reports"][0];
    same_books(closed, &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
    let (read, written) = (&closed["bytes"]["read"], &whole["bytes"]["written"]);
    assert!(read.as_u64().unwrap() * 4 < written.as_u64().unwrap(), "{read} of {written}");

    std::fs::write(scene.place.path("elsewhere/_dcmjoin/raw/default/images/a.tar"), "1").unwrap();
    let removed = told(&scene.with_tasks(&["work", "purge"]).output().unwrap());
    assert_eq!(removed["left"], 1, "what has another form stays");
    let halves = ["metadata", "images"].map(|side| {
        let count = |name: &str| whole[side][name].as_u64().unwrap();
        count("members") - count("ignored") - count("rejected") - count("duplicate")
    });
    assert!(removed["objects"].as_u64().unwrap() >= halves.iter().sum::<u64>(), "{removed}");
    same_objects(&scene.instances("out"), &scene.instances("whole"));
    let again = scene.run(&["metadata", "images"], "out");
    assert_eq!(
        (&again["instances"]["published"], &again["archives"]["known"]),
        (&0.into(), &26.into())
    );
}

/// Who cannot write the output ends, and says why; what it had in hand is done by the next.
#[test]
fn a_full_output_ends_who_assembles() {
    let disk = Disk::new(256 << 20).unwrap();
    let scene = Scene::folders();
    std::fs::create_dir(disk.path().join("out")).unwrap();
    std::os::unix::fs::symlink(disk.path().join("out"), scene.place.path("out")).unwrap();
    let elsewhere = scene.place.text("elsewhere");
    let scene = scene.raw(Some(&elsewhere));
    synthetic(&scene.place);
    let whole = scene.whole();
    scene.add(&["metadata", "images"]);
    told(&scene.with_tasks(&["work", "scan"]).output().unwrap());
    disk.ballast().fill().unwrap();
    // Longer than anything here may take: partitions are given back.
    let lease = PATIENCE.as_secs() * 2;
    let lease = ["--lease".to_owned(), lease.to_string()];
    for worker in ["assemble", "all"] {
        let mut worker = scene.with_tasks(&["work", worker]).args(&lease).spawn().unwrap();
        until(|| worker.try_wait().unwrap().is_some());
        let ended = worker.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("no storage space"), "{said}");
    }
    disk.ballast().free().unwrap();
    let mut worker = scene.with_tasks(&["work", "all"]).args(&lease).spawn().unwrap();
    until(|| worker.try_wait().unwrap().is_some());
    let done = told(&worker.wait_with_output().unwrap());
    same_books(&done["reports"][0], &whole);
    same_objects(&scene.instances("out"), &scene.instances("whole"));
}

#[test]
fn a_header_that_comes_late_pairs_by_the_log() {
    let scene = Scene::folders().raw(None);
    let place = &scene.place;
    std::fs::create_dir(place.path("metadata-late")).unwrap();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2)]);
    scene.add(&["metadata", "images"]);
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    assert_eq!(closed["reports"][0]["images"]["unpaired"], 1);
    place.write("metadata-late/b.tar", &[header("2.25.2", "P")]);
    scene.add(&["metadata-late"]);
    let closed = told(&scene.with_tasks(&["work", "all"]).output().unwrap());
    assert_eq!((&closed["late_in_output"], &closed["late_left"]), (&1.into(), &0.into()));
    let report = &closed["reports"][0];
    assert_eq!((&report["images"]["paired"], &report["complete"]), (&2.into(), &true.into()));
    let removed = purged(&scene);
    // Four halves, and what two pairs came to.
    assert_eq!(removed["objects"], 6, "{removed}");
}

#[test]
fn what_raw_objects_cannot_do_is_refused() {
    let scene = Scene::folders();
    let place = &scene.place;
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    let mut shards = scene.with_tasks(&["work", "add", "--raw", "--publish", "shards"]);
    shards.args(["--metadata", &scene.source("metadata"), "--output", &scene.output("out")]);
    let said = |mut command: std::process::Command| {
        let refused = command.output().unwrap();
        assert!(!refused.status.success());
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    assert!(said(shards).contains("instances"));
    scene.add(&["metadata", "images"]);
    let purge = said(scene.with_tasks(&["work", "purge"]));
    assert!(purge.contains("no raw objects"), "{purge}");
    let scene = scene.raw(None);
    scene.add(&["metadata", "images"]);
    let without_log = said(scene.with_tasks(&["work", "all", "--no-facts"]));
    assert!(without_log.contains("fact log"), "{without_log}");
}
