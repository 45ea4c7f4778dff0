//! Buckets as sources and destinations, on a real S3 server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dcmjoin_testkit::{Access, Bucket, SeaweedFs, program};
use tempfile::TempDir;

const INSTANCES: usize = 100;
/// Where a run puts its own records, with times in them.
const RECORDS: &str = "_dcmjoin/";

pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

fn dcmjoin(args: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
    command.args(args);
    command
}

pub(crate) fn run(metadata: &str, images: &str, output: &str) -> Command {
    dcmjoin(&["run", "--metadata", metadata, "--images", images, "--output", output])
}

pub(crate) fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, text(&output));
}

/// Returns a folder with `metadata` and `images`.
pub(crate) fn synthetic() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let count = INSTANCES.to_string();
    succeed(&mut dcmjoin(&["synth", "--instances", &count, "--out", out, "--seed", "7"]));
    folder
}

/// Returns the files of a folder and of those in it, by their paths with `/`.
pub(crate) fn files(folder: &Path) -> Objects {
    let mut found = Objects::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(
                files(&path).into_iter().map(|(key, body)| (format!("{name}/{key}"), body)),
            );
        } else {
            found.insert(name.into(), fs::read(&path).unwrap());
        }
    }
    found
}

pub(crate) fn upload(folder: &Path, bucket: &Bucket) {
    for side in ["metadata", "images"] {
        for (name, body) in files(&folder.join(side)) {
            bucket.put(&format!("in/{side}/{name}"), body).unwrap();
        }
    }
}

pub(crate) fn instances(objects: Objects) -> Objects {
    objects.into_iter().filter(|(key, _)| !key.starts_with(RECORDS)).collect()
}

/// A server with the synthetic halves in bucket `source`.
fn server_with_halves() -> SeaweedFs {
    let server = SeaweedFs::start().unwrap();
    let bucket = server.admin().create_bucket("source").unwrap();
    upload(synthetic().path(), &bucket);
    server
}

fn run_from_source(access: &Access, output: &str) -> Output {
    let mut command = run("s3://source/in/metadata", "s3://source/in/images", output);
    access.apply(&mut command).output().unwrap()
}

/// Asserts that a run failed in words that help, and that give nothing away.
fn assert_helpful(output: &Output, access: &Access, words: &[&str]) {
    assert!(!output.status.success(), "{}", text(output));
    let said = text(output).to_lowercase();
    for word in words.iter().copied().chain(["hint"]) {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    for secret in access.credentials() {
        assert!(!said.contains(secret), "a credential is in: {said}");
    }
}

#[test]
fn buckets_give_the_same_objects_as_folders() {
    let data = synthetic();
    let at = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    succeed(&mut run(&at("metadata"), &at("images"), &at("joined")));
    let in_folder = instances(files(&data.path().join("joined")));
    assert!(!in_folder.is_empty());

    let server = SeaweedFs::start().unwrap();
    let admin = server.admin();
    upload(data.path(), &admin.create_bucket("source").unwrap());
    let target = admin.create_bucket("target").unwrap();
    let output = run_from_source(&admin, "s3://target/joined");
    assert!(output.status.success(), "{}", text(&output));

    let strip = |(key, body): (String, Vec<u8>)| (key["joined/".len()..].to_owned(), body);
    let in_bucket: Objects = target.objects("joined/").unwrap().into_iter().map(strip).collect();
    assert!(in_bucket.keys().any(|key| key.starts_with(RECORDS)), "no records of the run");
    let in_bucket = instances(in_bucket);
    assert_eq!(
        in_folder.keys().collect::<Vec<_>>(),
        in_bucket.keys().collect::<Vec<_>>(),
        "other objects"
    );
    assert!(in_folder == in_bucket, "other bytes under the same keys");
}

#[test]
fn a_wrong_secret_is_said_so() {
    let server = server_with_halves();
    server.admin().create_bucket("target").unwrap();
    let access = server.admin().with_wrong_secret();
    let output = run_from_source(&access, "s3://target/joined");
    assert_helpful(&output, &access, &["source", "list"]);
}

#[test]
fn a_missing_source_bucket_is_named() {
    let server = SeaweedFs::start().unwrap();
    let admin = server.admin();
    admin.create_bucket("target").unwrap();
    let output = run_from_source(&admin, "s3://target/joined");
    assert_helpful(&output, &admin, &["source", "list"]);
}

#[test]
fn a_missing_target_bucket_is_named() {
    let server = server_with_halves();
    let output = run_from_source(&server.admin(), "s3://no-such-target/joined");
    assert_helpful(&output, &server.admin(), &["no-such-target"]);
}

#[test]
fn a_denied_write_is_named() {
    let server = server_with_halves();
    let shut = server.admin().create_bucket("shut").unwrap();
    let access = server.limited();
    let output = run_from_source(&access, "s3://shut/joined");
    assert_helpful(&output, &access, &["shut", "write"]);
    assert!(shut.list("").unwrap().is_empty());
}

#[test]
fn rights_on_the_used_buckets_are_enough() {
    let server = server_with_halves();
    server.admin().create_bucket("open-target").unwrap();
    let output = run_from_source(&server.limited(), "s3://open-target/joined");
    assert!(output.status.success(), "{}", text(&output));
}

/// HTTP clients log requests with their headers, object stores the keys: not in this program's log.
#[test]
fn the_finest_log_has_no_uid_no_key_and_no_request() {
    let server = server_with_halves();
    let target = server.admin().create_bucket("open-target").unwrap();
    let mut command = run("s3://source/in/metadata", "s3://source/in/images", "s3://open-target");
    let access = server.limited();
    let output = access.apply(&mut command).args(["--log", "trace"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let log = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(log.contains("archive done"), "{log}");
    let instances = instances(target.objects("").unwrap());
    let told = instances.keys().map(|key| key.trim_end_matches(".dcm"));
    for word in told.chain(access.credentials()).chain(["in/images/", "http", "authorization"]) {
        assert!(!log.contains(word), "{word}: {log}");
    }
}

/// Keys are URL-encoded in CSV, as S3 Batch Operations and inventories have them.
#[test]
fn a_manifest_of_rows_names_objects_of_buckets() {
    let data = synthetic();
    let server = SeaweedFs::start().unwrap();
    let admin = server.admin();
    let source = admin.create_bucket("source").unwrap();
    let target = admin.create_bucket("target").unwrap();
    let mut sources = Vec::new();
    for side in ["metadata", "images"] {
        let mut rows = String::new();
        for (name, body) in files(&data.path().join(side)) {
            rows += &format!("source,{side}+of+50%25/{name},{}\n", body.len());
            source.put(&format!("{side} of 50%/{name}"), body).unwrap();
        }
        let file = data.path().join(format!("{side}.csv"));
        fs::write(&file, rows).unwrap();
        sources.push(format!("@{}", file.display()));
    }
    let mut command = run(&sources[0], &sources[1], "s3://target/joined");
    let output = admin.apply(&mut command).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!instances(target.objects("joined/").unwrap()).is_empty());

    fs::write(data.path().join("images.csv"), "source,x.tar,some-version\n").unwrap();
    let mut command = run(&sources[0], &sources[1], "s3://target/other");
    let output = admin.apply(&mut command).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("images.csv:1: no such archive"), "{}", text(&output));
}
