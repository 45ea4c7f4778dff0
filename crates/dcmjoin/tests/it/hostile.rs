//! Archives that are damaged or mean harm: the good prefix counts, the rest is told, nothing else
//! is touched.

use std::fs;
use std::path::PathBuf;

use crate::archive::{Place, files, header, image, tar};

fn one() -> Place {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place
}

#[test]
fn a_truncated_archive_loses_its_last_member_alone() {
    let place = one();
    let whole = tar(&[image("2.25.1", 1), image("2.25.2", 2)]);
    fs::write(place.path("images/a.tar"), &whole[..512 * 3 + 7]).unwrap();
    let report = place.run(&["--strict"]);
    assert_eq!(report.code, 3);
    report.check("images", &[("archives", 1), ("members", 2), ("paired", 1), ("rejected", 1)]);
    report.check("metadata", &[("archives", 1), ("members", 2), ("paired", 1), ("unpaired", 1)]);
    let rows = place.rows(&report, "rejected.jsonl");
    assert_eq!(rows[0]["reason"], "member_truncated");
    assert_eq!(rows[0]["detail"], "expected 16 bytes, got 7");
    assert_eq!(rows[0]["image"]["offset"], 1536);
    assert_eq!(
        (&rows[1]["reason"], &rows[1]["scope"]),
        (&"archive_damaged".into(), &"archive".into())
    );
    assert_eq!(report.json["archives"]["damaged"], 1);
}

#[test]
fn a_header_that_is_noise_ends_its_archive_and_no_other() {
    let place = one();
    let mut noise = tar(&[image("2.25.1", 1), image("2.25.2", 2)]);
    noise[1024..1536].fill(0xa5);
    fs::write(place.path("images/a.tar"), noise).unwrap();
    place.write("images/b.tar", &[image("2.25.2", 2)]);
    let report = place.run(&[]);
    report.check("instances", &[("pairs", 2), ("published", 2)]);
    let row = &place.rows(&report, "rejected.jsonl")[0];
    assert!(row["detail"].as_str().unwrap().contains("byte 1024"), "{row}");
}

#[test]
fn what_is_no_archive_is_told() {
    let place = one();
    fs::write(place.path("images/a.tar"), "this is no archive, whatever its name says").unwrap();
    fs::write(place.path("images/b.tar"), "").unwrap();
    let report = place.run(&[]);
    assert_eq!(report.json["archives"]["damaged"], 1, "an empty object is an empty archive");
    report.check("images", &[("archives", 2)]);
}

#[test]
fn names_are_never_paths() {
    let place = one();
    let evil = |name: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(16);
        header.set_cksum();
        [header.as_bytes().as_slice(), &[9; 16], &[0; 496]].concat()
    };
    let names = ["../../2.25.1.j2c", "/etc/2.25.2.j2c", "../../evil.j2c", "..\\..\\x.j2c"];
    let archive: Vec<u8> = names.iter().flat_map(|name| evil(name)).chain([0; 1024]).collect();
    fs::write(place.path("images/a.tar"), archive).unwrap();
    let before = files(place.folder.path(), "").into_keys().collect::<Vec<_>>();
    let report = place.run(&[]);
    report.check("images", &[("archives", 1), ("members", 4), ("paired", 2), ("rejected", 2)]);
    let after: Vec<_> =
        files(place.folder.path(), "").into_keys().filter(|key| !key.starts_with("out/")).collect();
    assert_eq!(before, after);
    assert_eq!(place.instances().into_keys().collect::<Vec<_>>(), ["2.25.1.dcm", "2.25.2.dcm"]);
}

#[test]
fn a_smuggled_member_is_not_read() {
    let place = one();
    let hostile = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/sample/hostile/pax-size.tar");
    fs::copy(hostile, place.path("metadata/hostile.tar")).unwrap();
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    let report = place.run(&[]);
    assert_eq!(report.json["metadata"]["members"], 4, "two here, two there: the third is content");
}

#[test]
fn a_bomb_is_stopped_at_its_ratio() {
    let place = one();
    let bomb = tar(&[("2.25.1.j2c".to_owned(), vec![0; 1 << 20])]);
    let zst = {
        let mut child = std::process::Command::new("gzip")
            .args(["-9nc"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), &bomb).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    fs::write(place.path("images/a.tar.gz"), zst).unwrap();
    // A lawful ratio, but not the length of the header's pixels.
    let report = place.run(&[]);
    assert_eq!(report.json["rejections"]["payload_length"]["count"], 1, "{:#}", report.json);
}

#[test]
fn errors_and_logs_tell_no_uid_and_no_value() {
    let place = Place::new();
    let (name, mut json) = header("2.25.987654321", "SECRET-PATIENT");
    json.truncate(json.len() - 40);
    place.write("metadata/a.tar", &[(name, json), header("2.25.11111", "OTHER-PATIENT")]);
    place.write("images/a.tar", &[image("2.25.987654321", 1), image("2.25.11111", 1)]);
    let report = place.run(&["--log", "debug"]);
    assert_eq!(report.json["metadata"]["rejected"], 1);
    for private in ["987654321", "11111", "SECRET", "OTHER-PATIENT"] {
        assert!(!report.error.contains(private), "{private} in {}", report.error);
    }
}
