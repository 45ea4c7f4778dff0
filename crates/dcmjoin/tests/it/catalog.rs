//! `dcmjoin catalog` on what real runs leave.

use std::collections::HashSet;
use std::fs;

use dcmjoin_testkit::{SeaweedFs, program};
use serde_json::{Value, json};

use crate::archive::{Place, dcmjoin, header, image};

/// A run with pairs, halves alone, and members that are rejected.
fn ran() -> Place {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("metadata/b.tar", &[("2.25.3.json".into(), b"{".to_vec())]);
    let hostile = ("\u{1b}[31mx.j2c".to_owned(), vec![1]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.4", 2), hostile]);
    place.run(&[]);
    place
}

fn out(args: &[&str]) -> String {
    let done = dcmjoin(args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn rows(place: &Place, args: &[&str]) -> Vec<Value> {
    let output = place.text("out");
    let text = out(&[&["catalog", "show", &output, "--json"], args].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn uids(rows: &[Value]) -> HashSet<&str> {
    rows.iter().filter_map(|row| row["uid"].as_str()).collect()
}

#[test]
fn rows_are_chosen_by_what_is_asked_for() {
    let place = ran();
    let all = rows(&place, &[]);
    assert_eq!(all.len(), 6);
    assert_eq!(uids(&all), HashSet::from(["2.25.1", "2.25.2", "2.25.3", "2.25.4"]));
    let one = rows(&place, &["--uid", "2.25.1"]);
    assert_eq!(one.iter().map(|row| &row["half"]).collect::<HashSet<_>>().len(), 2, "{one:?}");
    assert_eq!(uids(&rows(&place, &["--half", "image"])), HashSet::from(["2.25.1", "2.25.4"]));
    let published = rows(&place, &["--state", "published"]);
    assert_eq!(published.len(), 1);
    let size = fs::metadata(place.path("out/2.25.1.dcm")).unwrap().len();
    assert_eq!(
        (&published[0]["key"], &published[0]["bytes"]),
        (&json!("2.25.1.dcm"), &json!(size))
    );
    assert_eq!(rows(&place, &["--archive", "b.tar"])[0]["reason"], "json_syntax");
    assert_eq!(rows(&place, &["--archive", &place.text("metadata/a.tar")]).len(), 2);
    assert!(rows(&place, &["--archive", ".tar"]).is_empty());
    assert_eq!(rows(&place, &["--limit", "5"]).len(), 5);
    assert!(rows(&place, &["--uid", "2.25.404"]).is_empty());
}

#[test]
fn a_place_points_at_the_bytes() {
    let place = ran();
    for row in rows(&place, &["--half", "image", "--state", "open"]) {
        let number = |name: &str| row[name].as_u64().unwrap() as usize;
        let tar = fs::read(row["archive"].as_str().unwrap()).unwrap();
        assert_eq!(tar[number("offset")..][..number("length")], image("2.25.4", 2).1);
    }
}

#[test]
fn the_table_has_a_head_and_no_control_characters() {
    let place = ran();
    let table = out(&["catalog", "show", &place.text("out")]);
    let mut lines = table.lines();
    let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head[..3], ["half", "state", "uid"]);
    assert_eq!(lines.count(), 6);
    assert!(!table.contains('\u{1b}'));
}

#[test]
fn one_file_of_a_catalogue_can_be_named() {
    let place = ran();
    let mut rows = 0;
    for entry in fs::read_dir(place.path("out/_dcmjoin/catalog")).unwrap() {
        let file = entry.unwrap().path();
        rows += out(&["catalog", "show", file.to_str().unwrap(), "--json"]).lines().count();
    }
    assert_eq!(rows, 6);
}

#[test]
fn stats_count_every_row() {
    let place = ran();
    let output = place.text("out");
    let stats: Value =
        serde_json::from_str(&out(&["catalog", "stats", &output, "--json"])).unwrap();
    assert_eq!(stats["archives"]["metadata"]["archives"], 2);
    let size = fs::metadata(place.path("images/a.tar")).unwrap().len();
    assert_eq!(stats["archives"]["image"], json!({ "archives": 1, "bytes": size }));
    let counts: Vec<_> = stats["rows"].as_array().unwrap().iter().collect();
    assert_eq!(counts.iter().map(|row| row["rows"].as_u64().unwrap()).sum::<u64>(), 6);
    let found = counts.iter().find(|row| row["reason"] == "json_syntax").unwrap();
    assert_eq!((&found["half"], &found["rows"]), (&json!("metadata"), &json!(1)));
    let table = out(&["catalog", "stats", &output]);
    assert!(table.contains("json_syntax"), "{table}");
}

#[test]
fn exports_hold_every_row_in_every_form() {
    let place = ran();
    let output = place.text("out");
    for name in ["all.jsonl", "all.csv", "all.parquet"] {
        out(&["catalog", "export", &output, "--to", &place.text(name)]);
    }
    let jsonl = fs::read_to_string(place.path("all.jsonl")).unwrap();
    assert_eq!(jsonl, out(&["catalog", "show", &output, "--json"]));
    let csv = fs::read_to_string(place.path("all.csv")).unwrap();
    assert_eq!(csv.lines().count(), 7);
    assert!(csv.starts_with("uid,half,archive,version,offset,length,crc32c,digest,kind,state,"));
    assert_eq!(fs::read(place.path("all.parquet")).unwrap()[..4], *b"PAR1");
    let left = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".part")));
}

#[test]
fn what_is_no_catalogue_is_named_and_nothing_is_written() {
    let place = ran();
    let file = fs::read_dir(place.path("out/_dcmjoin/catalog")).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (output, target) = (place.text("out"), place.text("all.csv"));
    let check = |args: &[&str], words: &str| {
        let done = dcmjoin(args);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("2.25."), "{said}");
    };
    check(&["catalog", "export", &output, "--to", &target], "damaged");
    check(&["catalog", "stats", &output], file.to_str().unwrap());
    check(&["catalog", "show", &place.text("images")], "no catalogue");
    check(&["catalog", "show", &place.text("images/a.tar")], "not a catalogue file");
    check(&["catalog", "export", &output, "--to", "x.txt"], ".parquet, .csv or .jsonl");
    assert!(!place.path("all.csv").exists());
}

#[test]
fn a_catalogue_in_a_bucket_is_read_where_it_lies() {
    let server = SeaweedFs::start().unwrap();
    let access = server.admin();
    let bucket = access.create_bucket("catalog").unwrap();
    let place = ran();
    for entry in fs::read_dir(place.path("out/_dcmjoin/catalog")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        bucket.put(&format!("o/_dcmjoin/catalog/{name}"), fs::read(&file).unwrap()).unwrap();
    }
    let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    command.args(["catalog", "show", "s3://catalog/o", "--uid", "2.25.1", "--json"]);
    let done = access.apply(&mut command).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8(done.stdout).unwrap().lines().count(), 2);
}
