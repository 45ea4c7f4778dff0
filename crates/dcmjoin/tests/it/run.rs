//! The main job on folders.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::archive::{Place, files, header, image, report_header};

fn three(place: &Place) {
    let uids = ["2.25.1", "2.25.2", "2.25.3"];
    place.write("metadata/a.tar", &uids.map(|uid| header(uid, "P")));
    place.write("images/a.tar", &uids.map(|uid| image(uid, 7)));
}

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sample")
}

#[test]
fn the_sample_is_joined_whole() {
    let place = Place::new();
    for (side, from) in [("metadata", "text"), ("images", "images")] {
        for (name, content) in files(&sample().join(from), "") {
            fs::write(place.path(&format!("{side}/{name}")), content).unwrap();
        }
    }
    let report = place.run(&["--strict"]);
    assert_eq!(report.code, 0, "{}", report.error);
    report.check("metadata", &[("archives", 3), ("members", 20), ("paired", 20)]);
    report.check("images", &[("archives", 3), ("members", 20), ("paired", 20)]);
    report.check("instances", &[("pairs", 20), ("published", 20)]);
    assert_eq!(report.json["complete"], true);
    assert_eq!(place.instances().len(), 20);
}

#[test]
fn the_marker_covers_what_was_published() {
    let place = Place::new();
    three(&place);
    let report = place.run(&[]);
    let run = report.json["run"].as_str().unwrap();
    let folder = place.path(&format!("out/_dcmjoin/{run}"));
    let commit: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("commit.json")).unwrap()).unwrap();
    assert_eq!(commit["schema"], "dcmjoin.commit/1");
    assert_eq!(commit["instances"]["published"], 3);
    for file in commit["files"].as_array().unwrap() {
        let content = fs::read(folder.join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(file["bytes"], content.len());
        assert_eq!(file["crc32"], format!("{:08x}", crc32fast::hash(&content)));
    }
    let instances = place.instances();
    let rows = place.rows(&report, "published.jsonl");
    assert_eq!(rows.len(), instances.len());
    for row in rows {
        let file = &instances[row["key"].as_str().unwrap()];
        assert_eq!(row["bytes"], file.len());
        assert_eq!(row["crc32"], format!("{:08x}", crc32fast::hash(file)));
    }
    assert!(!place.path("out/_dcmjoin/lock.json").exists(), "the lock is let go");
}

#[test]
fn a_second_run_finds_everything_there() {
    let place = Place::new();
    three(&place);
    place.run(&[]);
    let before = place.instances();
    let again = place.run(&[]);
    again.check("instances", &[("pairs", 3), ("already_there", 3)]);
    assert_eq!(place.instances(), before);
}

#[test]
fn an_object_with_other_bytes_is_kept_replaced_or_a_failure() {
    let place = Place::new();
    three(&place);
    fs::create_dir(place.path("out")).unwrap();
    fs::write(place.path("out/2.25.1.dcm"), "mine").unwrap();
    let skip = place.run(&[]);
    skip.check("instances", &[("pairs", 3), ("published", 2), ("rejected", 1)]);
    assert_eq!(place.rows(&skip, "rejected.jsonl")[0]["reason"], "output_differs");
    assert_eq!(place.instances()["2.25.1.dcm"], b"mine");
    let fail = place.run(&["--if-exists", "fail"]);
    assert_eq!(fail.code, 1);
    assert_eq!(fail.json["rejections"]["output_exists"]["count"], 3);
    let replace = place.run(&["--if-exists", "replace"]);
    replace.check("instances", &[("pairs", 3), ("published", 3)]);
    assert_ne!(place.instances()["2.25.1.dcm"], b"mine");
}

#[test]
fn an_instance_that_memory_does_not_hold_has_the_same_bytes() {
    let side = 9000;
    let pixels: Vec<u8> = (0..side * side).map(|at| (at % 251) as u8).collect();
    let mut files = Vec::new();
    for memory in ["64", "1024"] {
        let place = Place::new();
        place.write("metadata/a.tar", &[crate::archive::header_of("2.25.1", "P", side)]);
        place.write("images/a.tar", &[("2.25.1.j2c".into(), pixels.clone()), image("2.25.2", 1)]);
        let report = place.run(&["--memory", memory]);
        report.check("instances", &[("pairs", 1), ("published", 1)]);
        // Once more by its range, from the catalogue, to another output.
        let (out, again) = (place.text("out"), place.text("again.dcm"));
        let got = crate::archive::dcmjoin(&[
            "get",
            "2.25.1",
            "--catalog",
            &out,
            "--strategy",
            "select",
            "--memory",
            memory,
            "-o",
            &again,
        ]);
        assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
        files.push(place.instances().remove("2.25.1.dcm").unwrap());
        files.push(fs::read(again).unwrap());
    }
    assert!(files[0].windows(16).any(|window| window == &pixels[..16]));
    assert!(files.iter().all(|file| *file == files[0]));
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_be() {
    let place = Place::new();
    three(&place);
    let report = place.run(&["--dry-run"]);
    report.check("instances", &[("pairs", 3), ("published", 3)]);
    assert_eq!(report.json["dry_run"], true);
    assert!(!place.path("out").exists());
}

#[test]
fn only_the_wanted_are_joined() {
    let place = Place::new();
    three(&place);
    fs::write(place.path("uids.txt"), "# wanted\n2.25.2\n2.25.99\n").unwrap();
    let report = place.run(&["--only", &place.text("uids.txt")]);
    report.check("metadata", &[("archives", 1), ("members", 3), ("paired", 1), ("ignored", 2)]);
    assert_eq!(report.json["ignored"]["images"]["not_wanted"], 2);
    assert_eq!(place.instances().into_keys().collect::<Vec<_>>(), ["2.25.2.dcm"]);
}

#[test]
fn layouts_make_keys_and_miss_what_headers_lack() {
    let place = Place::new();
    three(&place);
    place.write("metadata/b.tar", &[report_header("2.25.9")]);
    let report = place.run(&["--layout", "{study}/{series}/{uid}.dcm"]);
    let keys: Vec<_> = place.instances().into_keys().collect();
    assert_eq!(
        keys,
        ["1.2.3/1.2.3.4/2.25.1.dcm", "1.2.3/1.2.3.4/2.25.2.dcm", "1.2.3/1.2.3.4/2.25.3.dcm"]
    );
    assert_eq!(report.json["rejections"]["layout_field"]["count"], 1);
    fs::remove_dir_all(place.path("out")).unwrap();
    place.run(&["--layout", "{hash}/{uid}"]);
    assert!(place.instances().keys().all(|key| key.as_bytes()[4] == b'/'));
}

#[test]
fn losses_end_with_3_only_when_asked() {
    let place = Place::new();
    three(&place);
    place.write("images/b.tar", &[image("2.25.4", 1)]);
    assert_eq!(place.run(&[]).code, 0);
    let strict = place.run(&["--strict"]);
    assert_eq!(strict.code, 3);
    assert_eq!(strict.json["complete"], false);
    let row = &place.rows(&strict, "unpaired.jsonl")[0];
    assert_eq!((&row["half"], &row["uid"]), (&json!("image"), &json!("2.25.4")));
}

#[test]
fn the_report_goes_to_a_file_too() {
    let place = Place::new();
    three(&place);
    let report = place.run(&["--report", &place.text("report.json")]);
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("report.json")).unwrap()).unwrap();
    assert_eq!(file, report.json);
    assert_eq!(file["schema"], "dcmjoin.report/1");
}

#[test]
fn gz_and_zst_archives_and_members_give_the_same_bytes() {
    let plain = Place::new();
    three(&plain);
    plain.run(&[]);
    let packed = Place::new();
    let gz = |bytes: &[u8]| {
        let mut child = std::process::Command::new("gzip")
            .args(["-nc"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), bytes).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    let metadata = fs::read(plain.path("metadata/a.tar")).unwrap();
    fs::write(packed.path("metadata/a.tar.gz"), gz(&metadata)).unwrap();
    let members = ["2.25.1", "2.25.2", "2.25.3"].map(|uid| {
        let (name, content) = image(uid, 7);
        (format!("{name}.gz"), gz(&content))
    });
    packed.write("images/a.tar", &members);
    let report = packed.run(&[]);
    assert_eq!(report.json["warnings"]["payload_compressed"], 3);
    assert_eq!(packed.instances(), plain.instances());
}

#[test]
fn a_manifest_names_archives() {
    let place = Place::new();
    three(&place);
    fs::write(place.path("list"), place.text("images/a.tar")).unwrap();
    let done = crate::archive::dcmjoin(&[
        "run",
        "--metadata",
        &place.text("metadata/a.tar"),
        "--images",
        &format!("@{}", place.text("list")),
        "--output",
        &format!("file://{}", place.text("out")),
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stdout).contains("3 instances published"));
    assert_eq!(place.instances().len(), 3);
}

#[test]
fn an_output_locked_by_a_live_run_ends_with_4() {
    let place = Place::new();
    three(&place);
    fs::create_dir_all(place.path("out/_dcmjoin")).unwrap();
    let lock = place.path("out/_dcmjoin/lock.json");
    let holder = |turn: u32| {
        format!(r#"{{"run":"other","host":"elsewhere","process":1,"renewed":"{turn}"}}"#)
    };
    fs::write(&lock, holder(0)).unwrap();
    let renewing = std::thread::spawn({
        let lock = lock.clone();
        move || {
            for turn in 1..20 {
                std::thread::sleep(std::time::Duration::from_millis(500));
                // As a run does it: the lock is never half there.
                let next = lock.with_extension("next");
                fs::write(&next, holder(turn)).unwrap();
                fs::rename(&next, &lock).unwrap();
            }
        }
    });
    let report = place.run(&[]);
    assert_eq!(report.code, 4, "{}", report.error);
    assert!(report.error.contains("locked by run other"), "{}", report.error);
    renewing.join().unwrap();
    assert!(lock.exists(), "another run's lock is left alone");
}

#[test]
fn the_demo_ends_with_commands_that_work() {
    let place = Place::new();
    let done =
        crate::archive::dcmjoin(&["demo", "--instances", "60", "--dir", &place.text("demo")]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(said.contains("archives in 4 waves") && said.contains("The forecast holds"), "{said}");
    let inspect = said.lines().find(|line| line.contains(" inspect ")).unwrap();
    let file = inspect.split_whitespace().last().unwrap();
    let looked = crate::archive::dcmjoin(&["inspect", file]);
    assert!(String::from_utf8_lossy(&looked.stdout).contains("Part 10 file"));
}
