//! Instances in shards: `run --publish shards`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use dcmjoin_testkit::{Python, SeaweedFs, program};
use serde_json::{Value, json};

use crate::archive::{Place, Report, dcmjoin, files, header, image, report_header};

const SHARDS: [&str; 4] = ["--publish", "shards", "--shard-size", "1"];

fn packed(place: &Place, more: &[&str]) -> Report {
    place.run(&[&SHARDS[..], more].concat())
}

fn synthetic(place: &Place) {
    let out = place.text("");
    let made = dcmjoin(&[
        "synth",
        "--instances",
        "300",
        "--metadata-archives",
        "3",
        "--image-archives",
        "5",
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

/// Returns the listed instances by their UIDs, as they lie in the shards.
fn listed(place: &Place, report: &Report) -> BTreeMap<String, Vec<u8>> {
    let objects = place.instances();
    let rows = place.rows(report, "published.jsonl");
    let mut found = BTreeMap::new();
    for row in &rows {
        let (offset, bytes) = (row["offset"].as_u64().unwrap(), row["bytes"].as_u64().unwrap());
        let shard = &objects[row["key"].as_str().unwrap()];
        let file = &shard[offset as usize..(offset + bytes) as usize];
        assert_eq!(row["crc32"], format!("{:08x}", crc32fast::hash(file)));
        found.insert(row["uid"].as_str().unwrap().to_owned(), file.to_vec());
    }
    assert_eq!(found.len(), rows.len(), "an instance is listed twice");
    found
}

/// Returns the names in a shard, in its order.
fn names(shard: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(shard);
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().to_str().unwrap().to_owned()).collect()
}

fn member_name(uid: &str) -> String {
    format!("{}.dcm", uid.replace('.', "_"))
}

/// Runs into objects of their own; returns the report and the files by their UIDs.
fn apart(place: &Place) -> (Value, BTreeMap<String, Vec<u8>>) {
    let (metadata, images, output) =
        (place.text("metadata"), place.text("images"), place.text("apart"));
    let args = ["run", "--metadata", &metadata, "--images", &images, "--output", &output, "--json"];
    let done = dcmjoin(&args);
    let objects = files(&place.path("apart"), "").into_iter();
    let instances =
        objects.filter_map(|(key, file)| Some((key.strip_suffix(".dcm")?.to_owned(), file)));
    (serde_json::from_slice(&done.stdout).unwrap(), instances.collect())
}

#[test]
fn shards_hold_the_same_files() {
    let place = Place::new();
    synthetic(&place);
    let (whole, expected) = apart(&place);
    let report = packed(&place, &[]);
    for part in ["metadata", "images", "instances", "ignored", "conflicts", "warnings", "complete"]
    {
        assert_eq!(report.json[part], whole[part], "{part}");
    }
    assert!(listed(&place, &report) == expected, "other files");
    let shards = place.instances();
    let mut parts: BTreeMap<&str, u32> = BTreeMap::new();
    for (key, shard) in &shards {
        let (stem, number) = key.strip_suffix(".tar").unwrap().rsplit_once('-').unwrap();
        let part = parts.entry(stem).or_default();
        assert_eq!(number, format!("{part:05}"), "{key}");
        *part += 1;
        assert!(shard.len() <= 1 << 20 || names(shard).len() == 1, "{key}: {}", shard.len());
        assert!(shard.ends_with(&[0; 1024]));
    }
    assert!(parts.values().any(|&count| count > 1), "{parts:?}");
}

#[test]
fn a_shard_has_its_archives_order() {
    let place = Place::new();
    let uids: Vec<String> = (1..100).rev().map(|number| format!("2.25.{number}")).collect();
    place.write("metadata/a.tar", &uids.iter().map(|uid| header(uid, "P")).collect::<Vec<_>>());
    place.write("images/part one.tar", &uids.iter().map(|uid| image(uid, 1)).collect::<Vec<_>>());
    packed(&place, &[]).check("instances", &[("pairs", 99), ("published", 99)]);
    let shards = place.instances();
    let (key, shard) = shards.first_key_value().unwrap();
    assert_eq!(shards.len(), 1);
    assert!(key.starts_with("shards/") && key.contains("/part_one-"), "{key}");
    assert_eq!(names(shard), uids.iter().map(|uid| member_name(uid)).collect::<Vec<_>>());
}

#[test]
fn a_long_uid_has_its_whole_name() {
    let place = Place::new();
    let uid = format!("2.25.{}", "123456789".repeat(13));
    place.write("metadata/a.tar", &[header(&uid, "P")]);
    place.write("images/a.tar", &[image(&uid, 1), image("2.25.1", 1)]);
    let report = packed(&place, &[]);
    assert_eq!(names(place.instances().values().next().unwrap()), [member_name(&uid)]);
    assert_eq!(listed(&place, &report).keys().collect::<Vec<_>>(), [&uid]);
}

#[test]
fn a_second_run_reads_nothing_and_lists_the_same() {
    let place = Place::new();
    synthetic(&place);
    let first = packed(&place, &[]);
    let (objects, rows) = (place.instances(), listed(&place, &first));
    let second = packed(&place, &[]);
    assert_eq!(second.json["archives"]["known"], 8);
    assert_eq!(second.json["instances"]["already_there"], first.json["instances"]["published"]);
    assert_eq!(second.json["conflicts"], first.json["conflicts"]);
    assert!(place.instances() == objects);
    assert!(listed(&place, &second) == rows);
    let again = packed(&place, &["--rescan"]);
    assert_eq!(again.json["instances"]["already_there"], first.json["instances"]["published"]);
    assert!(place.instances() == objects);
    assert!(listed(&place, &again) == rows);
}

#[test]
fn a_header_that_comes_late_makes_a_shard_of_its_own() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &["2.25.1", "2.25.2", "2.25.3"].map(|uid| image(uid, 1)));
    place.write("images/b.tar", &[image("2.25.2", 1)]);
    packed(&place, &[]).check("instances", &[("pairs", 1), ("published", 1)]);
    let before = place.instances();
    place.write("metadata/b.tar", &[header("2.25.2", "P")]);
    for (strategy, [new, known]) in [("select", [1, 1]), ("stream", [0, 2])] {
        let report = packed(&place, &["--strategy", strategy]);
        let counts = [("pairs", 2), ("published", new), ("already_there", known)];
        report.check("instances", &counts.into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>());
        let objects = place.instances();
        assert!(before.iter().all(|(key, shard)| objects[key] == *shard));
        let late: Vec<_> = objects.iter().filter(|(key, _)| !before.contains_key(*key)).collect();
        // Both archives have it, whichever came first.
        assert_eq!(late.len(), 2);
        for (key, shard) in late {
            assert!(key.contains("-late-"), "{key}");
            assert_eq!(names(shard), [member_name("2.25.2")]);
        }
        assert_eq!(listed(&place, &report).into_keys().collect::<Vec<_>>(), ["2.25.1", "2.25.2"]);
    }
}

#[test]
fn of_several_images_the_rule_chooses_the_one_that_is_listed() {
    for contents in [[vec![1; 16], vec![2; 16]], [vec![1; 9], vec![1; 16]]] {
        let mut chosen = BTreeSet::new();
        for names in [["a", "b"], ["b", "a"]] {
            let place = Place::new();
            place.write("metadata/a.tar", &[header("2.25.1", "P")]);
            for (name, content) in names.iter().zip(&contents) {
                let member = ("2.25.1.j2c".to_owned(), content.clone());
                place.write(&format!("images/{name}.tar"), &[member]);
            }
            for outcome in ["published", "already_there"] {
                let report = packed(&place, &["--archives", "1"]);
                report.check("instances", &[("pairs", 1), (outcome, 1)]);
                assert_eq!(report.json["conflicts"], 1);
                assert!(place.rows(&report, "rejected.jsonl").is_empty());
                assert_eq!(report.json["rejections"], json!({}));
                chosen.insert(listed(&place, &report)["2.25.1"].clone());
            }
        }
        assert_eq!(chosen.len(), 1);
    }
}

#[test]
fn when_no_image_is_whole_one_rejection_stands() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    for (name, content) in [("a", vec![1; 9]), ("b", vec![2; 8])] {
        place.write(&format!("images/{name}.tar"), &[("2.25.1.j2c".to_owned(), content)]);
    }
    let report = packed(&place, &[]);
    report.check("instances", &[("pairs", 1), ("rejected", 1)]);
    assert_eq!(place.rows(&report, "rejected.jsonl").len(), 1);
    assert!(place.instances().is_empty());
}

#[test]
fn what_stands_in_a_shards_place_is_kept() {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1), image("2.25.2", 1)]);
    packed(&place, &[]).check("instances", &[("pairs", 2), ("published", 2)]);
    let (key, shard) = place.instances().pop_first().unwrap();
    fs::remove_dir_all(place.path("out/_dcmjoin")).unwrap();
    packed(&place, &[]).check("instances", &[("pairs", 2), ("already_there", 2)]);
    fs::remove_dir_all(place.path("out/_dcmjoin")).unwrap();
    for (rule, reason) in [("skip", "output_differs"), ("fail", "output_exists")] {
        // A rule is a setting, and so part of a shard's name.
        let aside = Place::new();
        for (name, bytes) in files(place.folder.path(), "") {
            let file = aside.path(&name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        packed(&aside, &["--if-exists", rule]);
        let mine = aside.instances().into_keys().collect::<Vec<_>>();
        for key in &mine {
            fs::write(aside.path("out").join(key), "mine").unwrap();
        }
        fs::remove_dir_all(aside.path("out/_dcmjoin")).unwrap();
        let report = packed(&aside, &["--if-exists", rule]);
        report.check("instances", &[("pairs", 2), ("rejected", 2)]);
        assert_eq!(report.json["rejections"][reason]["count"], 2, "{}", report.json);
        assert!(aside.instances().values().all(|object| object == b"mine"));
    }
    assert_eq!(place.instances()[&key], shard);
}

#[test]
fn a_dry_run_writes_nothing_and_a_cohort_has_shards_of_its_own() {
    let place = Place::new();
    synthetic(&place);
    let dry = packed(&place, &["--dry-run"]);
    assert!(!place.path("out").exists());
    let report = packed(&place, &[]);
    for part in ["metadata", "images", "instances"] {
        assert_eq!(dry.json[part], report.json[part], "{part}");
    }
    let all = listed(&place, &report);
    let wanted: Vec<&String> = all.keys().step_by(7).collect();
    let text: String = wanted.iter().map(|uid| format!("{uid}\n")).collect();
    fs::write(place.path("uids.txt"), text).unwrap();
    let cohort = packed(&place, &["--only", &place.text("uids.txt")]);
    let files = listed(&place, &cohort);
    assert_eq!(files.keys().collect::<Vec<_>>(), wanted);
    assert!(files.iter().all(|(uid, file)| all[uid] == *file));
}

#[test]
fn instances_without_image_lie_in_shards_too() {
    let place = Place::new();
    let reports: Vec<String> = (1..20).map(|number| format!("2.25.{number}")).collect();
    place
        .write("metadata/a.tar", &reports.iter().map(|uid| report_header(uid)).collect::<Vec<_>>());
    place.write("images/a.tar", &[image("2.25.99", 1)]);
    for outcome in ["published", "already_there"] {
        let report = packed(&place, &[]);
        report.check("instances", &[("header_only", 19), (outcome, 19)]);
        let found = listed(&place, &report);
        assert_eq!(found.keys().collect::<BTreeSet<_>>(), reports.iter().collect());
        assert!(found.values().all(|file| &file[128..132] == b"DICM"));
    }
    assert_eq!(place.instances().len(), 1);
}

#[test]
fn parts_of_a_run_write_the_shards_of_the_whole() {
    let place = Place::new();
    synthetic(&place);
    let whole = packed(&place, &[]);
    let (objects, rows) = (place.instances(), listed(&place, &whole));
    fs::remove_dir_all(place.path("out")).unwrap();
    let children = ["1/2", "2/2"].map(|part| {
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(["run", "--metadata", &place.text("metadata"), "--json"]);
        command.args(["--images", &place.text("images"), "--output", &place.text("out")]);
        command.args(SHARDS).args(["--shard", part]).stdout(Stdio::null());
        command.spawn().unwrap()
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let last = packed(&place, &[]);
    assert_eq!(last.json["archives"]["known"], 8);
    for part in ["metadata", "images", "conflicts"] {
        assert_eq!(last.json[part], whole.json[part], "{part}");
    }
    assert!(place.instances() == objects, "other shards");
    assert!(listed(&place, &last) == rows, "other files are listed");
}

#[test]
fn workers_write_the_shards_of_a_run() {
    let place = Place::new();
    synthetic(&place);
    let whole = packed(&place, &[]);
    let (objects, rows) = (place.instances(), listed(&place, &whole));
    fs::remove_dir_all(place.path("out")).unwrap();
    let (tasks, metadata, images) =
        (place.text("tasks.db"), place.text("metadata"), place.text("images"));
    let output = place.text("out");
    let add = ["work", "--tasks", &tasks, "add", "--metadata", &metadata, "--images", &images];
    let done = dcmjoin(&[&add[..], &["--output", &output], &SHARDS].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report = place.text("report.json");
    let worker = || {
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(["work", "--tasks", &tasks, "all", "--quiet", "--report", &report]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    for mut child in [worker(), worker()] {
        assert!(child.wait().unwrap().success());
    }
    let json = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let last = Report { json, error: String::new(), code: 0 };
    assert!(place.instances() == objects, "other shards");
    assert!(listed(&place, &last) == rows, "other files are listed");
}

/// To a store shards go in parts.
#[test]
fn shards_in_a_bucket_are_those_of_a_folder() {
    let place = Place::new();
    synthetic(&place);
    let local = place.run(&["--publish", "shards", "--shard-size", "32"]);
    let server = SeaweedFs::start().unwrap();
    let admin = server.admin();
    let bucket = admin.create_bucket("target").unwrap();
    for (memory, outcome) in [("64", "published"), ("256", "already_there")] {
        let mut command: Command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(["run", "--metadata", &place.text("metadata"), "--memory", memory, "--json"]);
        command.args(["--images", &place.text("images"), "--output", "s3://target/out"]);
        command.args(["--publish", "shards", "--shard-size", "32", "--rescan"]);
        let done = admin.apply(&mut command).output().unwrap();
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        let durable = local.json["instances"]["published"].clone();
        assert_eq!(report["instances"][outcome], durable, "{report}");
        assert_eq!(report["images"], local.json["images"]);
        let keep = |(key, body): (String, Vec<u8>)| {
            let key = key.strip_prefix("out/").unwrap_or(&key).to_owned();
            key.starts_with("shards/").then_some((key, body))
        };
        let objects: BTreeMap<_, _> =
            bucket.objects("out/").unwrap().into_iter().filter_map(keep).collect();
        assert!(objects == place.instances(), "other shards");
    }
}

#[test]
fn pairs_of_another_engine_are_no_shards() {
    let place = Place::new();
    fs::write(place.path("pairs.parquet"), "").unwrap();
    let (pairs, out) = (place.text("pairs.parquet"), place.text("out"));
    let done = dcmjoin(&["run", "--pairs", &pairs, "--output", &out, "--publish", "shards"]);
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Readers that others wrote: Python's tarfile, `WebDataset`, pydicom.
#[test]
fn training_jobs_read_them() {
    let place = Place::new();
    synthetic(&place);
    let report = packed(&place, &[]);
    let expected = place.instances().values().map(|shard| names(shard).len()).sum::<usize>();
    let script = r#"
import glob, io, json, sys, tarfile
import pydicom, webdataset
shards = sorted(glob.glob(sys.argv[1] + "/shards/*/*.tar"))
seen = [sample["__key__"] for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
        if pydicom.dcmread(io.BytesIO(sample["dcm"])).SOPInstanceUID.replace(".", "_") == sample["__key__"].split("/")[-1]]
plain = [member.name for shard in shards for member in tarfile.open(shard)]
print(json.dumps([len(seen), len(plain)]))
"#;
    let said = Python::find().unwrap().run(script, &[&place.text("out")]).unwrap();
    let counts: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(counts, json!([expected, expected]));
    assert!(report.json["instances"]["published"].as_u64().unwrap() as usize <= expected);
}
