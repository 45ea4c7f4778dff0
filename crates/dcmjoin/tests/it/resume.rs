//! What a run leaves for the next one: archives that are known are not read again.

use std::fs;

use serde_json::json;

use crate::archive::{Place, Report, dcmjoin, files, header, image, report_header};

fn three(place: &Place) {
    let uids = ["2.25.1", "2.25.2", "2.25.3"];
    place.write("metadata/a.tar", &uids.map(|uid| header(uid, "P")));
    place.write("images/a.tar", &uids.map(|uid| image(uid, 7)));
}

fn known(report: &Report) -> u64 {
    report.json["archives"]["known"].as_u64().unwrap()
}

/// Halves of every fate, in two archives a side.
fn of_every_fate(place: &Place) {
    let two = |uid| [header(uid, "P"), image(uid, 7)];
    let [h1, i1] = two("2.25.1");
    let [h2, i2] = two("2.25.2");
    place.write(
        "metadata/a.tar",
        &[
            h1,
            h2,
            header("2.25.3", "P"),
            ("2.25.4.json".into(), b"{".to_vec()),
            header("2.25.5", "P"),
        ],
    );
    place.write("metadata/b.tar", &[report_header("2.25.6"), header("2.25.1", "other")]);
    place.write("images/a.tar", &[i1, image("2.25.7", 1), ("2.25.5.j2c".into(), vec![1, 2, 3])]);
    place.write("images/b.tar", &[i2, image("2.25.1", 9), ("notes.txt".into(), vec![0])]);
}

#[test]
fn a_second_run_reads_no_archive_and_has_the_same_books() {
    let place = Place::new();
    of_every_fate(&place);
    let first = place.run(&[]);
    let before = place.instances();
    let second = place.run(&[]);
    assert_eq!((known(&first), known(&second)), (0, 4));
    for side in ["metadata", "images", "ignored", "conflicts", "warnings"] {
        assert_eq!(first.json[side], second.json[side], "{side}");
    }
    let counts = |report: &Report, part: &str| report.json["rejections"][part]["count"].clone();
    for reason in ["json_syntax", "payload_length"] {
        assert_eq!(counts(&first, reason), json!(1), "{}", first.json);
        assert_eq!(counts(&second, reason), json!(1), "{}", second.json);
    }
    let durable = first.json["instances"]["published"].clone();
    assert_eq!(second.json["instances"]["already_there"], durable);
    assert_eq!(place.instances(), before);
    let rows = |report, file| {
        let mut rows = place.rows(report, file);
        rows.sort_by_key(ToString::to_string);
        rows
    };
    for file in ["published.jsonl", "unpaired.jsonl", "conflicts.jsonl"] {
        assert_eq!(rows(&first, file), rows(&second, file), "{file}");
    }
}

#[test]
fn conflicts_that_are_settled_are_not_written_again() {
    let place = Place::new();
    let uids: Vec<String> = (1..9).map(|number| format!("2.25.{number}")).collect();
    let of = |value| uids.iter().map(|uid| image(uid, value)).collect::<Vec<_>>();
    place.write("metadata/a.tar", &uids.iter().map(|uid| header(uid, "P")).collect::<Vec<_>>());
    place.write("images/a.tar", &of(1));
    place.write("images/b.tar", &of(2));
    place.run(&[]).check("instances", &[("pairs", 8), ("published", 8)]);
    let before = place.instances();
    place.run(&[]).check("instances", &[("pairs", 8), ("already_there", 8)]);
    assert_eq!(place.instances(), before);
}

#[test]
fn an_archive_that_changed_is_read_again() {
    let place = Place::new();
    three(&place);
    place.run(&[]);
    place.write("images/a.tar", &[image("2.25.1", 7), image("2.25.2", 7)]);
    let report = place.run(&[]);
    assert_eq!(known(&report), 1);
    report.check("instances", &[("pairs", 2), ("already_there", 2)]);
    report.check("metadata", &[("archives", 1), ("members", 3), ("paired", 2), ("unpaired", 1)]);
}

#[test]
fn a_header_that_comes_late_is_paired_with_the_image_of_a_known_archive() {
    for strategy in ["select", "stream", "auto"] {
        let place = Place::new();
        place.write("metadata/a.tar", &[header("2.25.1", "P")]);
        place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2)]);
        place.run(&[]).check("instances", &[("pairs", 1), ("published", 1)]);
        place.write("metadata/b.tar", &[header("2.25.2", "P")]);
        let report = place.run(&["--strategy", strategy]);
        assert_eq!(known(&report), 2, "{strategy}");
        report.check("instances", &[("pairs", 2), ("published", 1), ("already_there", 1)]);
        let again = place.run(&["--strategy", strategy]);
        assert_eq!(known(&again), 3, "{strategy}");
        again.check("instances", &[("pairs", 2), ("already_there", 2)]);
        assert_eq!(place.instances().len(), 2);
    }
}

#[test]
fn a_header_that_changed_makes_its_instance_anew() {
    let place = Place::new();
    three(&place);
    place.run(&[]);
    let before = place.instances();
    place.write("metadata/a.tar", &["2.25.1", "2.25.2", "2.25.3"].map(|uid| header(uid, "Q")));
    let report = place.run(&["--if-exists", "skip", "--strategy", "select"]);
    assert_eq!(report.json["rejections"]["output_differs"]["count"], 3);
    assert_eq!(place.instances(), before);
}

#[test]
fn other_settings_and_rescan_read_everything() {
    let place = Place::new();
    three(&place);
    place.run(&[]);
    for more in [&["--strict-values"][..], &["--rescan"], &["--if-exists", "replace"]] {
        assert_eq!(known(&place.run(more)), 0, "{more:?}");
    }
}

#[test]
fn a_dry_run_and_a_cohort_leave_the_catalogue_as_it_is() {
    let place = Place::new();
    three(&place);
    fs::write(place.path("uids.txt"), "2.25.2\n").unwrap();
    let only = ["--only", &place.text("uids.txt")];
    place.run(&only).check("instances", &[("pairs", 1), ("published", 1)]);
    assert!(!place.path("out/_dcmjoin/catalog").exists());
    place.run(&[]).check("instances", &[("pairs", 3), ("published", 2), ("already_there", 1)]);
    let catalog = files(&place.path("out/_dcmjoin/catalog"), "");
    let cohort = place.run(&only);
    cohort.check("instances", &[("pairs", 1), ("already_there", 1)]);
    assert_eq!(cohort.json["ignored"]["images"]["not_wanted"], 2);
    assert_eq!(files(&place.path("out/_dcmjoin/catalog"), ""), catalog);
}

#[test]
fn what_is_damaged_is_learnt_again() {
    let place = Place::new();
    of_every_fate(&place);
    let first = place.run(&[]);
    let before = place.instances();
    for folder in ["catalog", "headers"] {
        for name in files(&place.path("out/_dcmjoin").join(folder), "").into_keys() {
            let file = place.path("out/_dcmjoin").join(folder).join(name);
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            fs::write(&file, bytes).unwrap();
        }
        let report = place.run(&[]);
        assert_eq!(known(&report), if folder == "catalog" { 0 } else { 2 });
        assert_eq!(report.json["images"], first.json["images"]);
        assert_eq!(place.instances(), before);
    }
}

#[test]
fn one_instance_and_a_cohort_need_no_source_but_the_catalogue() {
    let place = Place::new();
    three(&place);
    place.write("metadata/b.tar", &[header("2.25.4", "P")]);
    place.write("images/b.tar", &[image("2.25.4", 4)]);
    place.run(&[]);
    let expected = place.instances();
    let (catalog, one) = (place.text("out"), place.text("one.dcm"));
    for strategy in ["select", "stream", "auto"] {
        let done =
            dcmjoin(&["get", "2.25.4", "--catalog", &catalog, "-o", &one, "--strategy", strategy]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(fs::read(&one).unwrap(), expected["2.25.4.dcm"], "{strategy}");
    }
    fs::write(place.path("uids.txt"), "2.25.4\n2.25.1\n").unwrap();
    let (only, cohort) = (place.text("uids.txt"), place.text("cohort"));
    let done = dcmjoin(&[
        "run",
        "--catalog",
        &catalog,
        "--only",
        &only,
        "--output",
        &cohort,
        "--strategy",
        "select",
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["instances"]["published"], 2, "{report}");
    assert_eq!(report["archives"]["known"], 4);
    assert_eq!(fs::read(place.path("cohort/2.25.1.dcm")).unwrap(), expected["2.25.1.dcm"]);
}

#[test]
fn what_the_catalogue_does_not_know_is_told() {
    let place = Place::new();
    three(&place);
    place.run(&[]);
    let done = dcmjoin(&["get", "2.25.99", "--catalog", &place.text("out"), "-o", "-"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("catalogue") && said.contains("--metadata"), "{said}");
}

#[test]
fn members_of_a_compressed_archive_are_found_by_reading_it() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    let images = crate::archive::tar(&[image("2.25.1", 1), image("2.25.2", 2)]);
    let packed = zstd::bulk::compress(&images, 1).unwrap();
    fs::write(place.path("images/a.tar.zst"), packed).unwrap();
    place.run(&[]);
    assert_eq!(known(&place.run(&[])), 2);
    place.write("metadata/b.tar", &[header("2.25.2", "P")]);
    let report = place.run(&["--strategy", "select"]);
    assert_eq!(known(&report), 2);
    report.check("instances", &[("pairs", 2), ("published", 1), ("already_there", 1)]);
}

#[test]
fn a_known_archive_that_is_overwritten_mid_run_is_not_mixed_in() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 2)]);
    place.run(&[]);
    // The same length and another content: only the version and the checksum can tell.
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 3)]);
    place.write("metadata/b.tar", &[header("2.25.2", "P")]);
    let report = place.run(&["--strategy", "select"]);
    report.check("instances", &[("pairs", 2), ("published", 1), ("already_there", 1)]);
    let pixels = &place.instances()["2.25.2.dcm"];
    assert!(pixels.ends_with(&[3; 16]), "the new content is published");
}
