//! The same half twice: duplicates, conflicts, and the rule that knows neither time nor names.

use std::fs;

use crate::archive::{Place, header, header_of, image};

/// Two contents of one image, in two archives, and their names either way round.
fn conflicting(names: [&str; 2], contents: [Vec<u8>; 2]) -> Place {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    for (name, content) in names.iter().zip(contents) {
        place.write(&format!("images/{name}.tar"), &[("2.25.1.j2c".to_owned(), content)]);
    }
    place
}

#[test]
fn equal_halves_are_duplicates() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("metadata/b.tar", &[header("2.25.1", "P")]);
    place.write(
        "images/a.tar",
        &[image("2.25.1", 1), image("2.25.1", 1), image("2.25.2", 5), image("2.25.2", 5)],
    );
    let report = place.run(&[]);
    report.check("metadata", &[("archives", 2), ("members", 2), ("paired", 1), ("duplicate", 1)]);
    report.check(
        "images",
        &[("archives", 1), ("members", 4), ("paired", 1), ("unpaired", 1), ("duplicate", 2)],
    );
    assert_eq!(report.json["conflicts"], 0);
    assert_eq!(place.rows(&report, "conflicts.jsonl").len(), 0);
}

#[test]
fn the_order_of_archives_does_not_decide() {
    let mut outputs = Vec::new();
    for names in [["a", "b"], ["b", "a"]] {
        for publishing in ["1", "8"] {
            let place = conflicting(names, [vec![1; 16], vec![2; 16]]);
            let report = place.run(&["--publishing", publishing, "--archives", publishing]);
            report.check(
                "images",
                &[("archives", 2), ("members", 2), ("paired", 1), ("duplicate", 1)],
            );
            report.check("instances", &[("pairs", 1), ("published", 1)]);
            assert_eq!(report.json["conflicts"], 1);
            assert_eq!(
                place.rows(&report, "conflicts.jsonl")[0]["dropped"].as_array().unwrap().len(),
                1
            );
            let published = &place.rows(&report, "published.jsonl")[0];
            let file = &place.instances()["2.25.1.dcm"];
            assert_eq!(published["crc32"], format!("{:08x}", crc32fast::hash(file)));
            outputs.push(place.instances());
        }
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}

#[test]
fn a_whole_image_wins_over_a_broken_one() {
    for contents in [[vec![1; 16], vec![1; 9]], [vec![1; 9], vec![1; 16]]] {
        let place = conflicting(["a", "b"], contents);
        let report = place.run(&[]);
        report.check("instances", &[("pairs", 1), ("published", 1)]);
        assert!(place.rows(&report, "rejected.jsonl").is_empty());
        assert_eq!(report.json["rejections"].as_object().unwrap().len(), 0);
        assert!(place.instances()["2.25.1.dcm"].ends_with(&[1; 16]));
    }
}

#[test]
fn when_all_are_broken_one_rejection_stands_for_all() {
    let mut details = Vec::new();
    for contents in [[vec![1; 9], vec![2; 8]], [vec![2; 8], vec![1; 9]]] {
        let place = conflicting(["a", "b"], contents);
        let report = place.run(&[]);
        report.check("instances", &[("pairs", 1), ("rejected", 1)]);
        let rows = place.rows(&report, "rejected.jsonl");
        assert_eq!(rows.len(), 1);
        details.push(rows[0]["detail"].clone());
    }
    assert_eq!(details[0], details[1]);
}

/// An earlier run may have died after it published the image that loses.
#[test]
fn what_a_dead_run_left_is_put_right() {
    let clean = conflicting(["a", "b"], [vec![1; 16], vec![2; 16]]);
    clean.run(&[]);
    for left in [vec![1; 16], vec![2; 16]] {
        let place = conflicting(["a", "b"], [left.clone(), left]);
        place.run(&[]);
        for (name, content) in [("a", [1; 16]), ("b", [2; 16])] {
            place.write(
                &format!("images/{name}.tar"),
                &[("2.25.1.j2c".to_owned(), content.to_vec())],
            );
        }
        let report = place.run(&[]);
        assert_eq!(report.json["instances"]["rejected"], 0, "{:#}", report.json);
        assert_eq!(place.instances(), clean.instances());
    }
}

#[test]
fn an_object_that_is_nobodys_is_kept_even_in_a_conflict() {
    let place = conflicting(["a", "b"], [vec![1; 16], vec![2; 16]]);
    fs::create_dir(place.path("out")).unwrap();
    fs::write(place.path("out/2.25.1.dcm"), "mine").unwrap();
    let report = place.run(&[]);
    report.check("instances", &[("pairs", 1), ("rejected", 1)]);
    assert_eq!(place.rows(&report, "rejected.jsonl")[0]["reason"], "output_differs");
    assert_eq!(place.instances()["2.25.1.dcm"], b"mine");
}

#[test]
fn conflicting_headers_are_settled_by_their_bytes() {
    let mut outputs = Vec::new();
    for names in [["a", "b"], ["b", "a"]] {
        let place = Place::new();
        place.write(&format!("metadata/{}.tar", names[0]), &[header("2.25.1", "ONE")]);
        place.write(&format!("metadata/{}.tar", names[1]), &[header("2.25.1", "TWO")]);
        place.write("images/a.tar", &[image("2.25.1", 1)]);
        let report = place.run(&[]);
        report
            .check("metadata", &[("archives", 2), ("members", 2), ("paired", 1), ("duplicate", 1)]);
        assert_eq!(place.rows(&report, "conflicts.jsonl")[0]["half"], "metadata");
        outputs.push(place.instances());
    }
    assert_eq!(outputs[0], outputs[1]);
}

/// An archive that is compressed cannot be range-read: the loser's place is streamed to.
#[test]
fn conflicts_in_compressed_archives_are_settled_too() {
    let plain = conflicting(["a", "b"], [vec![1; 16], vec![2; 16]]);
    plain.run(&[]);
    let packed = conflicting(["a", "b"], [vec![1; 16], vec![2; 16]]);
    for name in ["a", "b"] {
        let done = std::process::Command::new("gzip")
            .arg(packed.path(&format!("images/{name}.tar")))
            .status();
        assert!(done.unwrap().success());
    }
    let report = packed.run(&[]);
    report.check("instances", &[("pairs", 1), ("published", 1)]);
    assert_eq!(packed.instances(), plain.instances());
}

#[test]
fn a_header_that_fits_no_image_rejects_the_pair() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header_of("2.25.1", "P", 5)]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    let report = place.run(&[]);
    report.check("instances", &[("pairs", 1), ("rejected", 1)]);
    let row = &place.rows(&report, "rejected.jsonl")[0];
    assert_eq!((&row["reason"], &row["scope"]), (&"payload_length".into(), &"instance".into()));
    assert!(row["detail"].as_str().unwrap().contains("25"), "{row}");
}
