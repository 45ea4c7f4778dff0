//! Whichever side is read first, the output is the same; what lies in the spill folder is not.

use std::collections::BTreeMap;
use std::fs;

use dcmjoin_testkit::{Disk, Fault, FaultProxy, SeaweedFs};
use serde_json::Value;

use crate::archive::{Place, Report, dcmjoin, header, image, report_header};
use crate::s3::{instances, run, text, upload};

const ORDERS: [&str; 2] = ["metadata", "images"];

/// Returns all that a report counts of halves and instances.
fn books(report: &Report) -> Vec<Value> {
    ["metadata", "images", "instances", "ignored", "conflicts", "warnings", "complete"]
        .map(|part| report.json[part].clone())
        .into()
}

fn rows(place: &Place, report: &Report) -> BTreeMap<&'static str, Vec<String>> {
    let files = ["published.jsonl", "rejected.jsonl", "unpaired.jsonl", "conflicts.jsonl"];
    let sorted = |file| {
        let mut rows = place.rows(report, file);
        for row in &mut rows {
            // Each run is the first that reads the archives.
            row.as_object_mut().unwrap().remove("since");
        }
        let mut rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
        rows.sort_unstable();
        (file, rows)
    };
    files.map(sorted).into()
}

/// Returns a place with a data set in which much is amiss.
fn much_amiss(compress: &str) -> Place {
    let place = Place::new();
    let shares =
        ["--broken", "0.1", "--conflict", "0.1", "--duplicate", "0.1", "--unpaired-images", "0.1"];
    let more = ["--unpaired-metadata", "0.3", "--seed", "5", "--instances", "400"];
    let out = place.text(".");
    let made =
        dcmjoin(&[&["synth", "--out", &out, "--compress", compress], &shares[..], &more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    place
}

#[test]
fn the_output_is_the_same_whichever_side_is_first() {
    let place = much_amiss("zst");
    let mut outcomes = Vec::new();
    for first in ORDERS {
        let report = place.run(&["--first", first]);
        assert_eq!(report.code, 0, "{}", report.error);
        assert_eq!(report.json["first"], first.trim_end_matches('s'), "{}", report.json);
        assert!(report.json["conflicts"].as_u64() > Some(0));
        assert!(report.json["metadata"]["unpaired"].as_u64() > Some(0));
        assert!(report.json["metadata"]["header_only"].as_u64() > Some(0));
        // What each run learnt serves the other.
        for then in ORDERS {
            let again = place.run(&["--first", then]);
            for part in ["metadata", "images", "ignored", "conflicts"] {
                assert_eq!(again.json[part], report.json[part], "{first}, then {then}: {part}");
            }
            assert_eq!(again.json["instances"]["published"], 0);
        }
        outcomes.push((books(&report), rows(&place, &report), place.instances()));
        fs::remove_dir_all(place.path("out")).unwrap();
    }
    let (a, b) = (&outcomes[0], &outcomes[1]);
    assert_eq!(a.0, b.0);
    assert_eq!(a.1, b.1);
    assert!(a.2 == b.2, "other instances");
}

#[test]
fn an_image_that_comes_late_finds_the_header_that_nobody_asked_for() {
    for [first, then] in [["images", "images"], ["images", "metadata"], ["metadata", "images"]] {
        let place = Place::new();
        let uids: Vec<_> = (1..=9).map(|number| format!("2.25.{number}")).collect();
        let headers: Vec<_> = uids.iter().map(|uid| header(uid, "P")).collect();
        place.write("metadata/a.tar", &headers);
        place.write("metadata/b.tar", &[report_header("2.25.20")]);
        place.write("images/a.tar", &[image("2.25.1", 1)]);
        let report = place.run(&["--first", first]);
        report.check("instances", &[("pairs", 1), ("header_only", 1), ("published", 2)]);
        assert_eq!(place.rows(&report, "unpaired.jsonl").len(), 8);

        place.write("images/b.tar", &[image("2.25.5", 5), image("2.25.30", 3)]);
        let report = place.run(&["--first", then]);
        // No metadata archive is read again.
        assert_eq!(report.json["archives"]["known"], 3, "{}", report.json);
        report.check(
            "instances",
            &[("pairs", 2), ("header_only", 1), ("published", 1), ("already_there", 2)],
        );
        assert_eq!(place.rows(&report, "unpaired.jsonl").len(), 8);
        assert!(place.instances().contains_key("2.25.5.dcm"));
    }
}

#[test]
fn the_images_come_first_where_they_take_less_room() {
    let place = Place::new();
    let uids: Vec<_> = (0..200).map(|number| format!("2.25.{number}")).collect();
    place.write("metadata/a.tar", &uids.iter().map(|uid| header(uid, "P")).collect::<Vec<_>>());
    place.write("images/a.tar", &[image("2.25.7", 1)]);
    assert_eq!(place.run(&["--dry-run"]).json["first"], "image");
    place.write("images/b.tar", &uids.iter().map(|uid| image(uid, 1)).collect::<Vec<_>>());
    assert_eq!(place.run(&["--dry-run"]).json["first"], "metadata");
}

/// Headers of 3 kB that do not compress: 6 MB of them.
fn long_headers(place: &Place) {
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:08x}", seed >> 32)
    };
    for archive in 0..40 {
        let members: Vec<_> = (0..50)
            .map(|number| {
                let long: String = (0..375).map(|_| noise()).collect();
                header(&format!("2.25.{}", 1 + archive * 50 + number), &long)
            })
            .collect();
        place.write(&format!("metadata/{archive}.tar"), &members);
    }
}

#[test]
fn a_disk_that_all_headers_would_fill_is_large_enough_for_those_that_are_asked_for() {
    let place = Place::new();
    long_headers(&place);
    let images: Vec<_> =
        (1..=20).map(|number| image(&format!("2.25.{}", number * 99), 1)).collect();
    place.write("images/a.tar", &images);
    let disk = Disk::new(2 << 20).unwrap();
    let spill = disk.path().to_str().unwrap().to_owned();

    // Without the packs of archives that wait to be committed, which are there in either order.
    let full = place.run(&["--first", "metadata", "--spill", &spill, "--dry-run"]);
    assert_eq!(full.code, 1);
    assert!(full.error.contains("no storage space"), "{}", full.error);

    let report = place.run(&["--spill", &spill, "--dry-run"]);
    assert_eq!(report.code, 0, "{}", report.error);
    assert_eq!(report.json["first"], "image");
    assert!(report.json["bytes"]["headers"].as_u64() < Some(512 << 10), "{}", report.json["bytes"]);
    report.check(
        "metadata",
        &[("archives", 40), ("members", 2000), ("paired", 20), ("unpaired", 1980)],
    );
}

#[test]
fn a_store_is_asked_for_each_image_archive_once() {
    let place = much_amiss("gz");
    let server = SeaweedFs::start().unwrap();
    upload(place.folder.path(), &server.admin().create_bucket("source").unwrap());
    let mut outcomes = Vec::new();
    for first in ORDERS {
        let target = server.admin().create_bucket(first).unwrap();
        let output = format!("s3://{first}");
        let mut command = run("s3://source/in/metadata", "s3://source/in/images", &output);
        command.args(["--first", first, "--json"]);
        let done = server.admin().apply(&mut command).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report["first"], first.trim_end_matches('s'));
        let asked = ["requests", "bytes"].map(|part| {
            report[part][if part == "bytes" { "read" } else { "get" }].as_u64().unwrap()
        });
        outcomes.push((asked, instances(target.objects("").unwrap())));
    }
    let [(metadata, before), (images, after)] = &outcomes[..] else { panic!("two orders") };
    assert!(before == after, "other instances");
    // Conflicts are settled by reading again: of images that are here, without a request.
    assert!(images.iter().zip(metadata).all(|(images, metadata)| images <= metadata));
}

#[test]
fn where_an_archive_does_not_give_its_uids_all_headers_are_stored() {
    let place = much_amiss("zst");
    let expected = {
        place.run(&["--first", "metadata"]);
        place.instances()
    };
    let server = SeaweedFs::start().unwrap();
    upload(place.folder.path(), &server.admin().create_bucket("source").unwrap());
    let target = server.admin().create_bucket("target").unwrap();
    let proxy = FaultProxy::start(&server.admin()).unwrap();
    // The first try, for its UIDs; then it is there.
    proxy.on("GET", "/source/in/images/").take(1).does(Fault::Archived);
    let mut command = run("s3://source/in/metadata", "s3://source/in/images", "s3://target");
    command.args(["--first", "images"]);
    let done = proxy.access(&server.admin()).apply(&mut command).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("all headers are stored"), "{}", text(&done));
    assert!(instances(target.objects("").unwrap()) == expected, "other instances");
}

/// The catalogue tells the UIDs of an archive that is read again for another output.
#[test]
fn an_archive_that_is_another_one_by_now_ends_the_run() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    place.run(&[]).check("instances", &[("pairs", 1), ("published", 1)]);
    // In its place, with as many bytes and the same time: nothing else tells of it.
    let archive = place.path("images/a.tar");
    let then = fs::metadata(&archive).unwrap().modified().unwrap();
    place.write("images/a.tar", &[image("2.25.2", 1)]);
    fs::File::options().write(true).open(&archive).unwrap().set_modified(then).unwrap();

    let [metadata, images, catalog] = ["metadata", "images", "out"].map(|name| place.text(name));
    let other = place.text("other");
    let done = |first| {
        let sources = ["run", "--metadata", &metadata, "--images", &images, "--output", &other];
        dcmjoin(&[&sources[..], &["--catalog", &catalog, "--first", first]].concat())
    };
    let refused = done("images");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("expected the images whose UIDs"), "{}", text(&refused));
    let keys = crate::archive::files(&place.path("other"), "").into_keys();
    assert_eq!(keys.filter(|key| !key.starts_with("_dcmjoin/")).count(), 0);
    assert!(done("metadata").status.success());
    assert!(place.path("other/2.25.2.dcm").exists());
}
