//! Whole runs from bucket to bucket, on `SeaweedFS` on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use dcmjoin_testkit::{Access, Bucket, SeaweedFs};
use serde_json::{Value, json};

use super::data::Bench;
use super::local::row_of;
use super::measure;
use super::record::Book;
use crate::steps::check;

const INSTANCES: u64 = 2_000;
/// Few archives, so that each is 64 MiB and more.
const REQUEST_INSTANCES: u64 = 40_000;
const REQUEST_ARCHIVES: &[&str] = &["--metadata-archives=1", "--image-archives=2"];
/// What rclone is given, so that it does nothing but copy: no check, no copy within the server.
const RCLONE: &[&str] = &[
    "copy",
    "--disable=copy",
    "--transfers=32",
    "--checkers=32",
    "--no-check-dest",
    "--no-traverse",
    "--ignore-checksum",
    "--s3-no-check-bucket",
    "--s3-no-head",
    "--s3-no-head-object",
    "--config=/dev/null",
    "--log-level=ERROR",
];

/// dcmjoin writes to one prefix; then rclone copies those objects to another.
pub(crate) fn s3(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let rclone = rclone(bench)?;
    let data = bench.synth(INSTANCES, &[])?;
    let (_server, access, bucket) = serve(bench, &data)?;
    for repeat in bench.repeats() {
        let row = join(bench, &access, &format!("out-{repeat}"))?;
        let (instances, bytes) = (row["instances"].clone(), row["bytes"].clone());
        book.add("s3", "dcmjoin", repeat, row);
        let mut copy = Command::new(&rclone);
        let from = format!(":s3,{}:{}/out-{repeat}", remote(&access)?, bucket.name());
        let to = format!(
            ":s3,{},upload_concurrency=4:{}/copy-{repeat}",
            remote(&access)?,
            bucket.name()
        );
        access.apply(copy.args(RCLONE).args([from, to]));
        let measured = measure::run(copy.env("HOME", bench.work()))?;
        let row = json!({
            "seconds": measured.seconds,
            "instances": instances.clone(),
            "bytes": bytes,
            "rss_bytes": measured.rss_bytes,
        });
        book.add("s3", "rclone", repeat, row);
        let copied = bucket.list(&format!("copy-{repeat}/"))?.len();
        let expected = row_count(&instances)?;
        anyhow::ensure!(copied as u64 >= expected, "rclone copied {copied} of {expected} objects");
    }
    Ok(())
}

/// How many GETs a run makes for its bytes.
pub(crate) fn requests(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let data = bench.synth(REQUEST_INSTANCES, REQUEST_ARCHIVES)?;
    let (_server, access, _) = serve(bench, &data)?;
    let mut row = join(bench, &access, "out")?;
    let read = row["bytes_read"].as_f64().context("bytes read")?;
    let gets = row["requests"]["get"].as_f64().context("GETs")?;
    row["gets_of_bytes"] = json!(gets / (read / f64::from(16 << 20)).ceil());
    book.add("requests", "dcmjoin", 1, row);
    Ok(())
}

/// Starts a server and puts the data set into a bucket.
fn serve(bench: &Bench<'_>, data: &Path) -> Result<(SeaweedFs, Access, Bucket)> {
    // The server's program stands beside the environment's interpreter.
    bench.context.tools()?;
    let server = SeaweedFs::start()?;
    let access = server.admin();
    let bucket = access.create_bucket("bench")?;
    for side in ["metadata", "images"] {
        for entry in fs::read_dir(data.join(side)).context("list the data set")? {
            let path = entry.context("list the data set")?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
            bucket.put(&format!("{side}/{name}"), fs::read(&path).context("read an archive")?)?;
        }
    }
    Ok((server, access, bucket))
}

fn join(bench: &Bench<'_>, access: &Access, out: &str) -> Result<Value> {
    let report = bench.work().join("report.json");
    let mut command = bench.dcmjoin();
    access.apply(&mut command).arg("run");
    command.args(["--metadata", "s3://bench/metadata/", "--images", "s3://bench/images/"]);
    command.args(["--output", &format!("s3://bench/{out}")]);
    command.arg("--spill").arg(bench.work()).arg("--report").arg(&report);
    let measured = measure::run(&mut command)?;
    row_of(&report, &measured)
}

/// Returns rclone's description of the server; the credentials come by environment.
fn remote(access: &Access) -> Result<String> {
    let [(_, endpoint), ..] = access.env();
    let host = endpoint.strip_prefix("http://").context("a plain endpoint")?;
    Ok(format!(
        "provider=SeaweedFS,env_auth=true,region=us-east-1,force_path_style=true,endpoint='http://{host}'"
    ))
}

/// Returns the rclone of an environment that is made at the first call.
fn rclone(bench: &Bench<'_>) -> Result<PathBuf> {
    let venv = bench.context.target.join("bench-python");
    let program = venv.join("bin/rclone");
    if !program.is_file() {
        check(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        check(pip.arg("-r").arg(bench.context.root.join("benches/python/requirements.txt")))?;
    }
    Ok(program)
}

fn row_count(instances: &Value) -> Result<u64> {
    instances.as_u64().context("a count of instances")
}
