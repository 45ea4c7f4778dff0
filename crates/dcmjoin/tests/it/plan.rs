//! What a campaign costs: the figures, where they come from, and what is refused.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use dcmjoin_testkit::{Python, program};
use serde_json::Value;
use tempfile::TempDir;

use crate::archive::dcmjoin;

const RECKONING: &str = include_str!("plan_reckoning.py");
/// Memory that a million rows may take beyond what a thousand take, in kB.
const MORE_KB_MAX: u64 = 16 << 10;

fn plan(args: &[&str]) -> Value {
    let done = dcmjoin(&[&["plan", "--region", "us-east-1", "--json"][..], args].concat());
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {error}");
    let plan: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(plan["format"], "dcmjoin.plan/1");
    plan
}

#[track_caller]
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let done = dcmjoin(&[&["plan"][..], args].concat());
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{args:?}: {error}");
    for words in words {
        assert!(error.contains(words), "{args:?}: expected {words:?} in {error}");
    }
}

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn at(folder: &TempDir, name: &str) -> String {
    format!("@{}", folder.path().join(name).display())
}

#[test]
fn figures_agree_with_a_second_reckoning() {
    let python = Python::find().unwrap();
    let folder = folder(&[]);
    let prices = folder.path().join("prices.toml");
    fs::write(&prices, dcmjoin(&["plan", "--show-prices"]).stdout).unwrap();
    let sizes = ["--archives", "1000000", "--bytes", "1PiB", "--instances", "1000000000"];
    for more in [
        &["--region", "us-east-1", "--tier", "standard", "--kms", "keys"][..],
        &["--region", "ap-southeast-2", "--days", "5", "--publish", "shards", "--machines", "4"],
        &["--region", "us-east-1", "--class", "deep-archive", "--publish", "series-tar"],
        &["--region", "ap-southeast-2", "--only", "300", "--tier", "expedited", "--kms", "none"],
        &[
            "--region",
            "us-east-1",
            "--metadata-bytes",
            "30TB",
            "--prefixes",
            "16",
            "--raw-days",
            "90",
            "--batch-jobs",
            "--keep-days",
            "400",
        ],
        &["--region", "us-east-1", "--machine", "r6g.12xlarge", "--line-percent", "50"],
    ] {
        let args = [&["plan", "--json", "--prices", prices.to_str().unwrap()], &sizes[..], more];
        let done = dcmjoin(&args.concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let answer = folder.path().join("plan.json");
        fs::write(&answer, &done.stdout).unwrap();
        let differences = python.run(RECKONING, [&prices, &answer]).unwrap();
        assert_eq!(differences, "", "{more:?}");
    }
}

#[test]
fn manifests_of_each_form_give_the_same_plan() {
    let inventory = r#"{"sourceBucket":"b","fileFormat":"CSV","fileSchema":"Bucket, Key, Size, StorageClass","files":[{"key":"x/data/1.csv","size":150}]}"#;
    let rows: String =
        [("meta/1.tar", 5_000_000), ("img/1.tar", 70_000_000), ("img/2.tar", 80_000_000)]
            .map(|(key, bytes)| format!("\"b\",\"{key}\",\"{bytes}\",\"GLACIER\"\n"))
            .concat();
    let folder = folder(&[
        ("1.csv", &rows),
        ("manifest.json", &inventory.replace("150", &rows.len().to_string())),
        ("meta.csv", "b,meta/1.tar,5000000\n"),
        ("img.csv", "bucket,key,size\nb,img/1.tar,70000000\nb,img/2.tar,80000000\n"),
        (
            "all.jsonl",
            "{\"url\":\"s3://b/meta/1.tar\",\"size\":5000000}\n{\"bucket\":\"b\",\"key\":\"img/1.tar\",\"size\":70000000}\n{\"bucket\":\"b\",\"key\":\"img/2.tar\",\"size\":80000000}\n",
        ),
    ]);
    let csv = plan(&["--metadata", &at(&folder, "meta.csv"), "--images", &at(&folder, "img.csv")]);
    assert_eq!(csv["scope"]["images"]["archives"], 2);
    assert_eq!(csv["scope"]["images"]["bytes"], 150_000_000);
    for (name, metadata, images) in
        [("manifest.json", "meta/", "img/"), ("all.jsonl", "s3://b/meta/", "s3://b/img/")]
    {
        let file = at(&folder, name);
        let other = plan(&[
            "--metadata",
            &file,
            "--images",
            &file,
            "--metadata-prefix",
            metadata,
            "--images-prefix",
            images,
        ]);
        assert_eq!(other, csv, "{name}");
    }
    let totals = plan(&[
        "--archives",
        "2",
        "--bytes",
        "150MB",
        "--metadata-archives",
        "1",
        "--metadata-bytes",
        "5MB",
    ]);
    assert_eq!(totals, csv);
}

/// What pyarrow writes in the form of S3's own files, gives the plan that the same rows give as CSV.
#[test]
fn an_inventory_in_parquet_gives_the_same_plan() {
    let folder = folder(&[(
        "img.csv",
        "bucket,key,size,storageclass\nb,img%2F1+a.tar,70000000,GLACIER\nb,img%2F2.tar,80000000,GLACIER\n",
    )]);
    let script = r#"import datetime, json, os, sys, pyarrow, pyarrow.parquet as parquet
now = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
def row(key, size, latest=True, marker=False, klass="GLACIER"):
    return dict(bucket="b", key=key, version_id="v", is_latest=latest, is_delete_marker=marker,
        size=size, last_modified_date=now, e_tag="e", storage_class=klass, is_multipart_uploaded=False)
parts = [[row("img/1 a.tar", 70000000), row("img/1 a.tar", 5, latest=False)],
    [row("gone.tar", None, marker=True, klass=None), row("img/2.tar", 80000000)]]
schema = pyarrow.schema([("bucket", pyarrow.string(), False), ("key", pyarrow.string(), False),
    ("version_id", pyarrow.string()), ("is_latest", pyarrow.bool_()), ("is_delete_marker", pyarrow.bool_()),
    ("size", pyarrow.int64()), ("last_modified_date", pyarrow.timestamp("ms", "UTC")), ("e_tag", pyarrow.string()),
    ("storage_class", pyarrow.string()), ("is_multipart_uploaded", pyarrow.bool_())])
files = []
for at, part in enumerate(parts):
    path = os.path.join(sys.argv[1], f"{at}.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(part, schema), path, compression="snappy")
    files.append({"key": f"x/b/all/data/{at}.parquet", "size": os.path.getsize(path), "MD5checksum": ""})
manifest = {"sourceBucket": "b", "destinationBucket": "arn:aws:s3:::lists", "version": "2016-11-30",
    "fileFormat": "Parquet", "fileSchema": "message s3.inventory {}", "files": files}
json.dump(manifest, open(os.path.join(sys.argv[1], "manifest.json"), "w"))"#;
    Python::find().unwrap().run(script, [folder.path()]).unwrap();
    let csv = plan(&["--images", &at(&folder, "img.csv")]);
    assert_eq!(csv["scope"]["images"]["bytes"], 150_000_000);
    let mut inventory = plan(&["--images", &at(&folder, "manifest.json")]);
    let left_out = inventory["notes"].as_array_mut().unwrap().pop().unwrap();
    assert!(left_out.as_str().unwrap().starts_with("2 rows of an inventory"), "{left_out}");
    assert_eq!(inventory, csv);
    let one = plan(&["--images", &at(&folder, "0.parquet")]);
    assert_eq!(one["scope"]["images"]["archives"], 1);
}

#[test]
fn a_folder_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    assert!(dcmjoin(&["synth", "--instances", "50", "--out", out]).status.success());
    let side = |name: &str| format!("{out}/{name}");
    let plan = plan(&["--metadata", &side("metadata"), "--images", &side("images")]);
    let bytes: u64 = fs::read_dir(side("images"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(plan["scope"]["images"]["bytes"], bytes);
}

#[test]
fn unknown_sizes_are_refused_with_a_hint() {
    let folder = folder(&[
        ("list", "s3://b/1.tar\ns3://b/2.tar\n"),
        ("batch.csv", "b,1.tar\nb,2.tar\n"),
        ("bad.csv", "b,1.tar,5\nb,secret.tar,x\n"),
        ("mixed.csv", "bucket,key,size,storageclass\nb,1.tar,5,GLACIER\nb,2.tar,5,DEEP_ARCHIVE\n"),
    ]);
    let images =
        |name: &str| ["--region", "us-east-1", "--images", &at(&folder, name)].map(str::to_owned);
    for (name, words) in [
        ("list", &["2 archives without a size", "hint: ", "--bytes"][..]),
        ("batch.csv", &["2 archives without a size"]),
        ("bad.csv", &["bad.csv:2", "size in bytes"]),
        ("mixed.csv", &["several storage classes", "--class"]),
    ] {
        let args = images(name);
        refused(&args.each_ref().map(String::as_str), 2, words);
    }
    let args = images("bad.csv").map(|arg| arg.replace("bad.csv", "none.csv"));
    refused(&args.each_ref().map(String::as_str), 1, &["none.csv", "not found"]);
}

#[test]
fn a_class_is_planned_by_itself_and_what_needs_no_restore_costs_none() {
    let folder = folder(&[(
        "img.csv",
        "bucket,key,size,storageclass\nb,1,1073741824,GLACIER\nb,2,1073741824,DEEP_ARCHIVE\nb,3,1073741824,STANDARD\n",
    )]);
    let images = at(&folder, "img.csv");
    let plan = plan(&[
        "--images",
        &images,
        "--class",
        "deep-archive",
        "--tier",
        "standard",
        "--metadata-bytes",
        "0",
    ]);
    assert_eq!(plan["scope"]["class"], "deep_archive");
    assert_eq!(plan["scope"]["images"]["archives"], 2);
    assert_eq!(plan["scope"]["images"]["ready_archives"], 1);
    assert_eq!(plan["tiers"][1]["retrieval_usd"], 0.02);
    let notes = plan["notes"].to_string();
    assert!(notes.contains("1 archives are of another storage class"), "{notes}");
}

#[test]
fn questions_without_an_answer_end_with_2() {
    let totals = ["--archives", "10", "--bytes", "10GB"];
    let with = |more: &[&'static str]| [&totals[..], more].concat();
    refused(&with(&["--region", "mars-north-1"]), 2, &["mars-north-1", "us-east-1", "hint: "]);
    refused(&totals, 2, &["--region"]);
    refused(
        &with(&["--region", "us-east-1", "--machine", "abacus"]),
        2,
        &["abacus", "c6gn.16xlarge"],
    );
    refused(
        &with(&["--region", "us-east-1", "--class", "deep-archive", "--tier", "expedited"]),
        2,
        &["no tier"],
    );
    refused(
        &with(&["--region", "us-east-1", "--class", "deep-archive", "--days", "1"]),
        2,
        &["copies of 1 days", "--days"],
    );
    refused(&with(&["--region", "us-east-1", "--chart", "plan.png"]), 2, &[".svg or .html"]);
    refused(&["--region", "us-east-1"], 2, &["no image archives", "--archives"]);
    refused(&["--region", "us-east-1", "--archives", "5"], 2, &["--bytes"]);
    let folder = folder(&[("prices.toml", "format = \"dcmjoin.prices/1\"\n")]);
    let prices = folder.path().join("prices.toml");
    let args = ["--region", "us-east-1", "--prices", prices.to_str().unwrap()];
    refused(&[&totals[..], &args].concat(), 2, &["price file", "--show-prices"]);
}

#[test]
fn the_table_says_what_the_json_says() {
    let args = ["plan", "--region", "us-east-1", "--archives", "1000000", "--bytes", "1PiB"];
    let table = String::from_utf8(dcmjoin(&args).stdout).unwrap();
    for words in [
        "recommended: one pass, bulk",
        "PUT of the output",
        "retrieval tiers",
        "not advised",
        "instance_bytes = 1 MiB",
        "prices as of 2026-11-22",
        "check before you rely on it",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let widest = table.lines().take_while(|line| !line.starts_with("recommended")).map(str::len);
    assert!(widest.max().unwrap() <= 110, "{table}");
}

#[test]
fn the_page_shows_what_the_program_prints() {
    let page = include_str!("../../../../docs/plan.md");
    let sizes = ["--archives", "20000", "--bytes", "20TiB", "--instances", "20000000"];
    let done = dcmjoin(&[&["plan", "--region", "us-east-1"], &sizes[..]].concat());
    let table = String::from_utf8(done.stdout).unwrap();
    assert!(table.contains("recommended") && page.contains(&table), "{table}");
}

/// Well-formed, and nothing to fetch from anywhere.
#[test]
fn charts_are_whole_and_need_nothing_from_elsewhere() {
    let python = Python::find().unwrap();
    let folder = folder(&[]);
    let check = "import sys, xml.etree.ElementTree as tree
text = open(sys.argv[1], encoding='utf-8').read()
start = text.index('<svg')
root = tree.fromstring(text[start:text.index('</svg>') + 6])
ns = '{http://www.w3.org/2000/svg}'
assert root.tag == ns + 'svg', root.tag
width = float(root.get('width'))
for bar in root.iter(ns + 'rect'):
    assert 0 <= float(bar.get('x', 0)) + float(bar.get('width')) <= width, bar.attrib
for bad in ('href', 'src=', 'url(', '<script', '@import'):
    assert bad not in text, bad
print(sum(1 for _ in root.iter(ns + 'text')))";
    for name in ["plan.svg", "plan.html"] {
        let file = folder.path().join(name);
        plan(&["--archives", "1000", "--bytes", "1TiB", "--chart", file.to_str().unwrap()]);
        let texts = python.run(check, [&file]).unwrap();
        assert!(texts.trim().parse::<u32>().unwrap() > 25, "{name}: {texts}");
    }
}

/// A million rows take the memory of a thousand.
#[test]
fn a_million_rows_are_planned_in_flat_memory() {
    let folder = folder(&[]);
    let peak = |rows: u32| {
        let file = folder.path().join(format!("{rows}.csv"));
        write_rows(&file, rows);
        peak_kb(&file, rows)
    };
    let (few, many) = (peak(1_000), peak(1_000_000));
    assert!(many < few + MORE_KB_MAX, "{few} kB for a thousand rows, {many} kB for a million");
}

fn write_rows(file: &Path, rows: u32) {
    let mut out = std::io::BufWriter::new(fs::File::create(file).unwrap());
    for row in 0..rows {
        let key =
            format!("images%2F2019/{:08x}/archive+{row}.tar", row.wrapping_mul(2_654_435_761));
        writeln!(out, "partner-archive,{key},1073741824").unwrap();
    }
    out.flush().unwrap();
}

/// Returns the peak resident memory of a plan, in kB, as the system counted it.
fn peak_kb(file: &Path, rows: u32) -> u64 {
    let script = "import json, resource, subprocess, sys
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, check=True)
assert json.loads(done.stdout)['scope']['images']['archives'] == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    let images = format!("@{}", file.display());
    let rows = rows.to_string();
    let args = ["plan", "--json", "--region", "us-east-1", "--images", &images];
    let program = command.get_program().to_str().unwrap();
    let args = [&[rows.as_str(), program][..], &args].concat();
    Python::find().unwrap().run(script, args).unwrap().trim().parse().unwrap()
}
