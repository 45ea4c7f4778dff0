//! Whole runs from folder to folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::data::{Bench, TMPFS};
use super::machine::cores;
use super::measure::{self, Measured};
use super::record::Book;
use crate::steps::check;

/// Large enough that starting and ending count little, small enough for memory.
const INSTANCES: u64 = 30_000;
/// Of workers, whose stages begin and end with some waiting for the others: they do this for weeks.
pub(crate) const STAGED_INSTANCES: u64 = 60_000;
/// The reference does some hundred a second.
const REFERENCE_INSTANCES: &str = "1000";
/// Small, ten times and a hundred times as much.
const MEMORY_INSTANCES: &[u64] = &[500, 5_000, 50_000];
const MEMORY_MIB: &[u64] = &[64, 256];

/// On the disk of the work folder.
pub(crate) fn folders(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    against_peers(bench, "folders", book)
}

/// The same where no disk is in the way.
pub(crate) fn tmpfs(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("dcmjoin-bench-").tempdir_in(TMPFS);
    let folder = folder.context("make a folder on tmpfs")?;
    against_peers(&bench.on(folder.path().to_owned())?, "tmpfs", book)
}

/// dcmjoin, a program that only creates the files (without and with a sync at the end, which
/// dcmjoin does), and the plain Python way.
fn against_peers(bench: &Bench<'_>, name: &'static str, book: &mut Book) -> Result<()> {
    let data = bench.synth(INSTANCES, &[])?;
    let threads = cores().to_string();
    let list = bench.work().join("files.tsv");
    for repeat in bench.repeats() {
        let out = bench.fresh()?;
        let row = join(bench, &data, &out, None, &[])?;
        book.add(name, "dcmjoin", repeat, row);
        fs::write(&list, listed(&out)?).context("write the list of files")?;
        let out = bench.fresh()?;
        let row = join(bench, &data, &out, None, &["--dry-run"])?;
        book.add(name, "dry-run", repeat, row);
        let row = join(bench, &data, &bench.fresh()?, None, &["--publish", "shards"])?;
        book.add(name, "shards", repeat, row);
        book.add(name, "cat", repeat, cat(&data, &bench.fresh()?)?);
        for (variant, syncs) in [("plain", false), ("plain-synced", true)] {
            let out = bench.fresh()?;
            let words = ["files", text(&list)?, text(&out)?, &threads];
            let row = plain(bench, &words, &out, syncs)?;
            book.add(name, variant, repeat, row);
        }
        let out = bench.fresh()?;
        let mut reference = bench.python("reference.py")?;
        reference.args([data.join("metadata"), data.join("images"), out.clone()]);
        let row = measure::json(reference.arg(REFERENCE_INSTANCES))?;
        book.add(name, "reference", repeat, row);
    }
    bench.clear_outputs()
}

/// Copies all archives into one file, and syncs it: what an output of a few large files could cost
/// at the least.
fn cat(data: &Path, out: &Path) -> Result<Value> {
    let script = r#"cat "$0"/metadata/* "$0"/images/* > "$1/all" && sync -f "$1""#;
    let measured = measure::run(Command::new("sh").arg("-c").arg(script).arg(data).arg(out))?;
    let bytes = fs::metadata(out.join("all")).context("look at the copy")?.len();
    Ok(json!({
        "seconds": measured.seconds,
        "instances": INSTANCES,
        "bytes": bytes,
        "rss_bytes": measured.rss_bytes,
    }))
}

fn plain(bench: &Bench<'_>, words: &[&str], out: &Path, syncs: bool) -> Result<Value> {
    let mut row = measure::json(&mut bench.peers(words))?;
    if syncs {
        let sync = measure::run(Command::new("sync").arg("-f").arg(out))?;
        let seconds = row["seconds"].as_f64().unwrap_or_default();
        row["seconds"] = json!(seconds + sync.seconds);
    }
    Ok(row)
}

/// The same run on one processor and on two.
pub(crate) fn scaling(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let data = bench.synth(INSTANCES, &[])?;
    for repeat in bench.repeats() {
        for (variant, processors) in [("1", "0"), ("2", "0,1")] {
            let out = bench.fresh()?;
            let row = join(bench, &data, &out, Some(processors), &[])?;
            book.add("scaling", variant, repeat, row);
        }
    }
    bench.clear_outputs()
}

/// Each size with each budget.
pub(crate) fn memory(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    for &instances in MEMORY_INSTANCES {
        let data = bench.synth(instances, &[])?;
        for &budget in MEMORY_MIB {
            let out = bench.fresh()?;
            let mut row = join(bench, &data, &out, None, &["--memory", &budget.to_string()])?;
            row["budget_bytes"] = (budget << 20).into();
            book.add("memory", &budget.to_string(), 1, row);
        }
    }
    bench.clear_outputs()
}

/// All metadata archives, and one of the image archives: either side first.
pub(crate) fn first(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let data = bench.synth(INSTANCES, &[])?;
    let few = bench.work().join("few");
    if few.exists() {
        fs::remove_dir_all(&few).context("clear a folder")?;
    }
    fs::create_dir_all(few.join("images")).context("make a folder")?;
    std::os::unix::fs::symlink(data.join("metadata"), few.join("metadata"))
        .context("link the metadata archives")?;
    let archive = fs::read_dir(data.join("images")).context("list the images")?.next();
    let archive = archive.context("no image archive")??;
    fs::copy(archive.path(), few.join("images/one.tar")).context("copy an archive")?;
    for repeat in bench.repeats() {
        for side in ["metadata", "images"] {
            let out = bench.fresh()?;
            let row = join(bench, &few, &out, None, &["--first", side])?;
            book.add("first", side, repeat, row);
        }
    }
    bench.clear_outputs()
}

/// One run, and the same job by workers that share a task store: one worker on all processors, one
/// on one, and two on one each.
pub(crate) fn staged(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let data = bench.synth(STAGED_INSTANCES, &[])?;
    // A virtual machine gets its memory as it touches it first, and waits for each page.
    work(bench, &data, &["0,1"], &["--raw"], &[])?;
    for repeat in bench.repeats() {
        let row = join(bench, &data, &bench.fresh()?, None, &[])?;
        book.add("staged", "run", repeat, row);
        for (variant, processors) in
            [("worker", &["0,1"][..]), ("worker-alone", &["0"]), ("two-workers", &["0", "1"])]
        {
            let row = work(bench, &data, processors, &[], &[])?;
            book.add("staged", variant, repeat, row);
        }
        let row = join(bench, &data, &bench.fresh()?, Some("0"), &[])?;
        book.add("staged", "run-alone", repeat, row);
        book.add("staged", "two-runs", repeat, two_runs(bench, &data)?);
    }
    bench.clear_outputs()
}

/// Does the whole job twice at the same time, on a processor each, with nothing in common but the machine:
/// no two workers can be faster together.
fn two_runs(bench: &Bench<'_>, data: &Path) -> Result<Value> {
    let outs = [bench.fresh()?, bench.fresh()?];
    let program = bench.dcmjoin();
    let began = Instant::now();
    let mut runs = Vec::new();
    for (processor, out) in ["0", "1"].into_iter().zip(&outs) {
        let mut command = on_processors(&program, processor);
        command.arg("run").arg("--metadata").arg(data.join("metadata"));
        command.arg("--images").arg(data.join("images")).arg("--output").arg(out);
        command.arg("--spill").arg(bench.work()).stdout(Stdio::null()).stderr(Stdio::null());
        runs.push(command.spawn().context("start a run")?);
    }
    for mut run in runs {
        anyhow::ensure!(run.wait().context("wait for a run")?.success(), "a run failed");
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "instances": 2 * STAGED_INSTANCES}))
}

/// Returns a program that is kept on some processors.
fn on_processors(program: &Command, processors: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(program.get_program()).args(program.get_args());
    command
}

/// Does the job by one worker for each word of processors, from their start to the end of the last.
pub(crate) fn work(
    bench: &Bench<'_>,
    data: &Path,
    processors: &[&str],
    adding: &[&str],
    working: &[&str],
) -> Result<Value> {
    let out = bench.fresh()?;
    let tasks = out.join("tasks.db");
    let mut add = bench.dcmjoin();
    add.args(["work", "add", "--tasks"]).arg(&tasks);
    add.arg("--metadata").arg(data.join("metadata")).arg("--images").arg(data.join("images"));
    check(add.arg("--output").arg(out.join("output")).args(adding))?;
    let report = out.join("report.json");
    let program = bench.dcmjoin();
    let began = Instant::now();
    let mut workers = Vec::new();
    for processors in processors {
        let mut command = on_processors(&program, processors);
        command.args(["work", "all", "--tasks"]).arg(&tasks).arg("--spill").arg(bench.work());
        command.arg("--report").arg(&report).args(working).stdout(Stdio::null());
        workers.push(command.spawn().context("start a worker")?);
    }
    for mut worker in workers {
        anyhow::ensure!(worker.wait().context("wait for a worker")?.success(), "a worker failed");
    }
    let seconds = began.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&fs::read(&report).context("read the report")?)
        .context("read the report")?;
    // The closing finds what the workers published.
    let count = |name: &str| report["instances"][name].as_u64().unwrap_or_default();
    let instances = count("published") + count("already_there");
    Ok(json!({"seconds": seconds, "instances": instances}))
}

pub(crate) fn join(
    bench: &Bench<'_>,
    data: &Path,
    out: &Path,
    processors: Option<&str>,
    more: &[&str],
) -> Result<Value> {
    let report = bench.work().join("report.json");
    let program = bench.dcmjoin();
    let mut command = match processors {
        Some(processors) => on_processors(&program, processors),
        None => program,
    };
    command.arg("run").arg("--metadata").arg(data.join("metadata"));
    command.arg("--images").arg(data.join("images")).arg("--output").arg(out);
    command.arg("--spill").arg(bench.work()).arg("--report").arg(&report).args(more);
    let measured = measure::run(&mut command)?;
    row_of(&report, &measured)
}

/// Makes a row of a run's report and its time.
pub(crate) fn row_of(report: &Path, measured: &Measured) -> Result<Value> {
    let report: Value = serde_json::from_slice(&fs::read(report).context("read the report")?)
        .context("read the report")?;
    Ok(json!({
        "seconds": measured.seconds,
        "instances": report["instances"]["published"],
        "bytes": report["bytes"]["written"],
        "bytes_read": report["bytes"]["read"],
        "header_bytes": report["bytes"]["headers"],
        "rss_bytes": measured.rss_bytes,
        "requests": report["requests"],
    }))
}

/// Lists the instances of an output with their sizes.
fn listed(out: &Path) -> Result<String> {
    let mut lines = String::new();
    for entry in fs::read_dir(out).context("list the output")? {
        let path: PathBuf = entry.context("list the output")?.path();
        if crate::paths::has_extension(&path, &["dcm"]) {
            let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
            lines += &format!("{name}\t{}\n", path.metadata().context("a size")?.len());
        }
    }
    Ok(lines)
}

pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
