//! Pairs that another engine made of two catalogues, published by `run --pairs`.

use std::collections::BTreeMap;

use dcmjoin_testkit::Python;

use crate::archive::{Place, dcmjoin, files, header, image};

const PAGE: &str = include_str!("../../../../docs/catalog.md");

/// Runs a query in a folder.
const RUN_DUCKDB: &str = r"
import duckdb, os, sys
os.chdir(sys.argv[1])
duckdb.connect().execute(sys.argv[2])
";

/// The same in the engine of `ClickHouse`, as a library.
const RUN_CLICKHOUSE: &str = r"
import chdb, os, sys
os.chdir(sys.argv[1])
chdb.query(sys.argv[2])
";

fn done(args: &[&str]) {
    let done = dcmjoin(args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Catalogues one side alone.
fn catalogued(place: &Place, option: &str, side: &str) {
    let tasks = place.text(&format!("{side}.db"));
    let output = place.text(&format!("{side}-out"));
    let sources =
        ["work", "add", "--tasks", &tasks, option, &place.text(side), "--output", &output];
    done(&sources);
    done(&["work", "all", "--tasks", &tasks, "--no-facts", "--quiet"]);
}

/// Runs the page's query for an engine in a place.
fn joined_by(engine: &str, place: &Place) {
    let (_, rest) = PAGE.split_once(&format!("<!-- pairs {engine} -->")).unwrap();
    let (_, block) = rest.split_once("```sql\n").unwrap();
    let query = block.split("```").next().unwrap();
    let (python, program) = match engine {
        "clickhouse" => (Python::find_clickhouse(), RUN_CLICKHOUSE),
        _ => (Python::find(), RUN_DUCKDB),
    };
    python.unwrap().run(program, [&place.text(""), query]).unwrap();
}

fn instances(place: &Place, output: &str) -> BTreeMap<String, Vec<u8>> {
    let all = files(&place.path(output), "");
    all.into_iter().filter(|(key, _)| !key.starts_with("_dcmjoin")).collect()
}

#[test]
fn pairs_of_duckdb_give_the_objects_of_a_run() {
    pairs_give_the_objects_of_a_run("duckdb");
}

#[test]
fn pairs_of_clickhouse_give_the_objects_of_a_run() {
    pairs_give_the_objects_of_a_run("clickhouse");
}

fn pairs_give_the_objects_of_a_run(engine: &str) {
    let place = Place::new();
    let made = ["synth", "--instances", "200", "--duplicate", "0.05", "--conflict", "0.05"];
    done(&[&made[..], &["--unpaired-images", "0.05", "--out", &place.text("")]].concat());
    place.run(&[]);
    let whole = place.instances();

    catalogued(&place, "--metadata", "metadata");
    catalogued(&place, "--images", "images");
    let (metadata, images) = (place.text("metadata-out"), place.text("images-out"));
    done(&["catalog", "export", &metadata, &images, "--to", &place.text("halves.parquet")]);
    joined_by(engine, &place);
    let run = [
        "run",
        "--pairs",
        &place.text("pairs.parquet"),
        "--output",
        &place.text("joined"),
        "--json",
    ];
    let joined = dcmjoin(&run);
    let report: serde_json::Value = serde_json::from_slice(&joined.stdout).unwrap();
    // A run publishes instances without pixels by their header alone; the pairs know nothing of them.
    let of_pairs = instances(&place, "joined");
    assert!(of_pairs.len() > 100, "{report:#}");
    for (key, body) in &of_pairs {
        assert!(whole.get(key) == Some(body), "{key}");
    }
    let only_whole = whole.len() - of_pairs.len();
    let header_only = instances(&place, "metadata-out").len();
    assert_eq!(only_whole, header_only);
    assert_eq!(report["instances"]["published"].as_u64().unwrap(), of_pairs.len() as u64);
    assert_eq!(report["images"]["paired"], report["instances"]["pairs"]);
    let again: serde_json::Value = serde_json::from_slice(&dcmjoin(&run).stdout).unwrap();
    assert_eq!(again["instances"]["already_there"], report["instances"]["published"]);
}

#[test]
fn a_pair_whose_archive_changed_is_rejected_and_the_run_is_not_committed() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    place.write("images/b.tar", &[image("2.25.2", 2)]);
    catalogued(&place, "--metadata", "metadata");
    catalogued(&place, "--images", "images");
    let (metadata, images) = (place.text("metadata-out"), place.text("images-out"));
    done(&["catalog", "export", &metadata, &images, "--to", &place.text("halves.parquet")]);
    joined_by("duckdb", &place);
    place.write("images/b.tar", &[image("2.25.2", 3)]);
    let pairs = place.text("pairs.parquet");
    let joined = dcmjoin(&["run", "--pairs", &pairs, "--output", &place.text("out"), "--json"]);
    assert_eq!(joined.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&joined.stdout).unwrap();
    assert_eq!(report["instances"]["rejected"], 1, "{report:#}");
    assert_eq!(report["rejections"]["archive_unreadable"]["count"], 1, "{report:#}");
    assert_eq!(place.instances().keys().collect::<Vec<_>>(), ["2.25.1.dcm"]);
    let run = report["run"].as_str().unwrap();
    assert!(!place.path(&format!("out/_dcmjoin/{run}/commit.json")).exists());
}

#[test]
fn a_file_that_is_no_file_of_pairs_is_told() {
    let place = Place::new();
    std::fs::write(place.path("pairs.parquet"), b"PAR1 and no more").unwrap();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    catalogued(&place, "--metadata", "metadata");
    let halves = place.text("halves.parquet");
    done(&["catalog", "export", &place.text("metadata-out"), "--to", &halves]);
    for (file, words) in [(place.text("pairs.parquet"), "Parquet"), (halves, "metadata_archive")] {
        let joined = dcmjoin(&["run", "--pairs", &file, "--output", &place.text("out")]);
        let said = String::from_utf8_lossy(&joined.stderr).into_owned();
        assert!(!joined.status.success() && said.contains(words), "{said}");
    }
}
