//! Other engines read the catalogue: the queries of `docs/catalog.md`, run by `DuckDB`, and the
//! columns as pyarrow sees them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use dcmjoin_catalog::{Archive, Row, SCHEMA, State, Writer};
use dcmjoin_model::{Half, PayloadKind, Reason, Uid, WarningCode};
use dcmjoin_testkit::Python;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::archive::dcmjoin;

const PAGE: &str = include_str!("../../../../docs/catalog.md");

/// Runs queries in a folder; prints their rows by the queries' names.
const RUN_QUERIES: &str = r"
import duckdb, json, os, sys
os.chdir(sys.argv[1])
answers = {}
for name, query in json.loads(sys.argv[2]).items():
    answers[name] = duckdb.connect().execute(query).fetchall()
print(json.dumps(answers))
";

/// Prints the columns of a file with their types, and its rows.
const READ_FILE: &str = r"
import json, sys
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
rows = [{name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
        for row in table.to_pylist()]
print(json.dumps({'types': {field.name: str(field.type) for field in table.schema}, 'rows': rows}))
";

fn archive(half: Half, url: &str) -> Archive {
    Archive {
        schema: SCHEMA.to_owned(),
        half,
        url: url.to_owned(),
        version: Some(format!("\"etag of {url}\"")),
        size: 10_240,
        compressed: false,
        program: "0.1.0".to_owned(),
        settings: "5f1d".to_owned(),
        output: "out".to_owned(),
        extra: Value::Null,
    }
}

fn open(uid: &str, offset: u64, digest: u128) -> Row {
    let uid = Some(Uid::parse(uid).unwrap());
    Row { uid, length: 100, digest: Some(digest), ..Row::at(offset, State::Open) }
}

fn published(uid: &str, offset: u64, digest: u128) -> Row {
    Row {
        kind: Some(PayloadKind::Native),
        state: State::Published,
        header_digest: Some(1),
        key: Some(format!("{uid}.dcm")),
        bytes: Some(900),
        crc32: Some(u32::MAX),
        ..open(uid, offset, digest)
    }
}

fn rejected(row: Row, reason: Reason) -> Row {
    let detail = Some("expected one thing, got another".to_owned());
    Row { state: State::Rejected, reason: Some(reason), detail, ..row }
}

fn write(folder: &Path, half: Half, url: &str, rows: impl IntoIterator<Item = Row>) {
    fs::create_dir_all(folder).unwrap();
    let file = File::create(folder.join(format!("{half}-{url}.parquet"))).unwrap();
    let mut writer = Writer::create(file, &archive(half, url)).unwrap();
    rows.into_iter().for_each(|row| writer.push(row).unwrap());
    writer.finish(json!({ "members": 4 })).unwrap();
}

/// Two archives a side: a duplicate, a conflict, halves alone, members and a pair rejected.
fn catalogue() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("out/_dcmjoin/catalog");
    let nameless = Row { length: 7, ..Row::at(2_560, State::Open) };
    let broken = Row { digest: None, ..open("2.25.9", 4_096, 0) };
    write(
        &folder,
        Half::Metadata,
        "m1.tar",
        [
            open("2.25.1", 512, 11),
            open("2.25.2", 1_536, 12),
            open("2.25.3", 2_560, 13),
            open("2.25.4", 3_584, 14),
            rejected(broken, Reason::JsonSyntax),
        ],
    );
    let metadata = [open("2.25.1", 512, 11), open("2.25.2", 1_536, 99)];
    write(&folder, Half::Metadata, "m2.tar", metadata);
    let pair = Row { header_digest: Some(14), ..open("2.25.4", 1_536, 24) };
    write(
        &folder,
        Half::Image,
        "i1.tar",
        [
            published("2.25.1", 512, 21),
            rejected(pair, Reason::PayloadLength),
            rejected(nameless, Reason::MemberName),
            open("2.25.5", 3_584, 25),
        ],
    );
    write(&folder, Half::Image, "i2.tar", [published("2.25.2", 5 << 30, 22)]);
    place
}

/// Returns what stands in the fenced blocks after lines that begin with `mark`, by the mark's word.
fn blocks(mark: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for part in PAGE.split(mark).skip(1) {
        let (name, rest) = part.split_once("-->").unwrap();
        let (_, block) = rest.split_once("```").unwrap();
        let (_, block) = block.split_once('\n').unwrap();
        found.insert(name.trim().to_owned(), block.split("```").next().unwrap().to_owned());
    }
    found
}

fn expected() -> BTreeMap<&'static str, Value> {
    let (m1, m2, i1, i2) = ("m1.tar", "m2.tar", "i1.tar", "i2.tar");
    let etag = |url: &str| format!("\"etag of {url}\"");
    let pair = |uid: &str, header: (&str, u64), image: (&str, u64)| {
        json!([uid, header.0, header.1, 100, image.0, image.1, 100])
    };
    BTreeMap::from([
        (
            "states",
            json!([
                ["image", i1, "open", 1, 100],
                ["image", i1, "published", 1, 100],
                ["image", i1, "rejected", 2, 107],
                ["image", i2, "published", 1, 100],
                ["metadata", m1, "open", 4, 400],
                ["metadata", m1, "rejected", 1, 100],
                ["metadata", m2, "open", 2, 200],
            ]),
        ),
        (
            "where",
            json!([
                ["image", i1, 1_536, 100, "rejected", null],
                ["metadata", m1, 3_584, 100, "open", null],
            ]),
        ),
        ("unpaired", json!([["image", i1, 1], ["metadata", m1, 1]])),
        (
            "pairs",
            json!([
                pair("2.25.1", (m1, 512), (i1, 512)),
                pair("2.25.1", (m2, 512), (i1, 512)),
                pair("2.25.2", (m1, 1_536), (i2, 5 << 30)),
                pair("2.25.2", (m2, 1_536), (i2, 5 << 30)),
                pair("2.25.4", (m1, 3_584), (i1, 1_536)),
            ]),
        ),
        (
            "duplicates",
            json!(
                [["2.25.1", "metadata", 2, 1, [m1, m2]], ["2.25.2", "metadata", 2, 2, [m1, m2]],]
            ),
        ),
        (
            "reasons",
            json!([
                ["image", "member_name", 1, "expected one thing, got another"],
                ["image", "payload_length", 1, "expected one thing, got another"],
                ["metadata", "json_syntax", 1, "expected one thing, got another"],
            ]),
        ),
        (
            "archives",
            json!([
                ["image", i1, 10_240, etag(i1)],
                ["image", i2, 10_240, etag(i2)],
                ["metadata", m1, 10_240, etag(m1)],
                ["metadata", m2, 10_240, etag(m2)],
            ]),
        ),
        ("signed", json!([[12]])),
    ])
}

#[test]
fn the_pages_queries_give_what_they_say() {
    let place = catalogue();
    let text = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let export = ["catalog", "export", &text("out"), "--to", &text("catalog.parquet")];
    assert!(dcmjoin(&export).status.success());
    let queries = blocks("<!-- query ");
    let folder = place.path().to_str().unwrap();
    let queries_json = serde_json::to_string(&queries).unwrap();
    let answers = Python::find().unwrap().run(RUN_QUERIES, [folder, &queries_json]).unwrap();
    let answers: BTreeMap<String, Value> = serde_json::from_str(&answers).unwrap();
    let expected = expected();
    assert!(answers.keys().eq(expected.keys()), "{:?}", answers.keys());
    for (name, rows) in expected {
        assert_eq!(answers[name], rows, "{name}");
    }
    let read = |file: &str| -> Value {
        let printed = Python::find().unwrap().run(READ_FILE, [text(file)]).unwrap();
        serde_json::from_str(&printed).unwrap()
    };
    let signed = read("catalog-signed.parquet");
    assert_eq!(signed["types"]["offset"], "int64");
    assert_eq!(signed["rows"], read("catalog.parquet")["rows"]);
}

#[test]
fn the_pages_python_runs() {
    let place = catalogue();
    let script = blocks("<!-- python").remove("").unwrap();
    let script = format!("import os, sys; os.chdir(sys.argv[1])\n{script}");
    let printed = Python::find().unwrap().run(&script, [place.path()]).unwrap();
    assert_eq!(printed, "1\n");
}

#[test]
fn pyarrow_sees_every_value_and_its_type() {
    let place = tempfile::tempdir().unwrap();
    let mut full = Row {
        length: u64::MAX,
        crc32c: Some(u32::MAX),
        member: Some("a\"b.j2c".to_owned()),
        key_offset: Some(1 << 63),
        ..rejected(published("2.25.7", 1 << 63, 0xfe), Reason::FrameCount)
    };
    full.warnings.add(WarningCode::PlanarMissing, 2);
    write(place.path(), Half::Image, "i.tar", [Row::at(0, State::Open), full]);
    let file = place.path().join("image-i.tar.parquet");
    let read = Python::find().unwrap().run(READ_FILE, [file]).unwrap();
    let read: Value = serde_json::from_str(&read).unwrap();
    for (column, kind) in [
        ("uid", "string"),
        ("half", "string"),
        ("offset", "uint64"),
        ("crc32c", "uint32"),
        ("digest", "fixed_size_binary[16]"),
        ("bytes", "uint64"),
    ] {
        assert_eq!(read["types"][column], kind, "{column}");
    }
    let empty = &read["rows"][0];
    let filled = ["half", "archive", "version", "offset", "length", "state"];
    let not_null = empty.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    assert_eq!(not_null.count(), filled.len(), "{empty}");
    let expected = json!({
        "uid": "2.25.7", "half": "image", "archive": "i.tar", "version": "\"etag of i.tar\"",
        "offset": 1_u64 << 63, "length": u64::MAX, "crc32c": u32::MAX,
        "digest": format!("{:032x}", 0xfe), "kind": "native", "state": "rejected",
        "reason": "frame_count", "detail": "expected one thing, got another",
        "member": "a\"b.j2c", "header_digest": format!("{:032x}", 1), "key": "2.25.7.dcm",
        "key_offset": 1_u64 << 63, "bytes": 900, "crc32": u32::MAX, "warnings": "{\"planar_missing\":2}",
    });
    assert_eq!(read["rows"][1], expected);
}
