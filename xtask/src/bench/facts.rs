//! Facts a second into each fact log and pairs out of it, beside what its server does by itself with the
//! same rows; claims of tasks; the memory of a worker, by how many facts there are; and raw objects, which every log pairs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::data::{Bench, PROFILE};
use super::limits::{ClickHouseLimit, KafkaLimit, Limit, PostgresLimit, SqliteLimit};
use super::local::{STAGED_INSTANCES, join, work};
use super::measure;
use super::record::Book;
use crate::steps::{Context, check};

/// The logs by their words, each with the crate and the example that measures it.
const LOGS: &[(&str, &str, &str)] = &[
    ("embedded", "dcmjoin-ledger", "sqlite_rate"),
    ("postgres", "dcmjoin-ledger-postgres", "postgres_rate"),
    ("kafka", "dcmjoin-ledger-kafka", "kafka_rate"),
    ("clickhouse", "dcmjoin-ledger-clickhouse", "clickhouse_rate"),
];
/// Of each log in each repeat.
const PAIRS: u64 = 200_000;
/// Pairs that an assemble worker asks for at once; otherwise as many as an append has facts.
const ASKED_AT_ONCE: u64 = 8_192;
/// Some answers of so many.
const PAIRS_ASKED: u64 = 40_960;
/// Tasks, workers that claim at the same time, and how many each claims at once.
const CLAIMS: [u64; 3] = [10_000, 8, 4];
/// Facts of the memory bench.
const MEMORY_FACTS: &[u64] = &[1_000_000, 10_000_000];

/// Builds the programs that these benches need, all at once: their dependencies' features are one set.
fn build(context: &Context) -> Result<()> {
    let mut cargo = context.cargo(&["build", "--profile", PROFILE, "--examples"]);
    for (_, package, _) in LOGS {
        cargo.args(["--package", package]);
    }
    check(&mut cargo)?;
    Ok(())
}

/// A log that is there, with its server.
struct Subject {
    name: &'static str,
    program: PathBuf,
    limit: Box<dyn Limit>,
}

impl Subject {
    /// Does a phase in a process of its own; the peak of its memory is among what is measured.
    fn measure(&self, phase: &str, numbers: &[u64]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.args([phase, &self.limit.place()]);
        measure::json(command.args(numbers.iter().map(u64::to_string)))
    }
}

fn subjects(bench: &Bench<'_>, folder: &Path) -> Result<Vec<Subject>> {
    build(bench.context)?;
    // The servers' programs stand beside the environments' interpreters.
    bench.context.tools()?;
    let examples = bench.context.target.join(PROFILE).join("examples");
    let subject = |at: usize, limit| {
        let (name, _, example) = LOGS[at];
        Subject { name, program: examples.join(example), limit }
    };
    let sqlite = SqliteLimit::new(examples.join(LOGS[0].2), folder);
    Ok(vec![
        subject(0, Box::new(sqlite)),
        subject(1, Box::new(PostgresLimit::start(folder)?)),
        subject(2, Box::new(KafkaLimit::start()?)),
        subject(3, Box::new(ClickHouseLimit::start(folder)?)),
    ])
}

/// One run, and the same job by a worker with raw objects on each log: on all processors, which servers share, and on
/// one, which leaves them the others.
pub(crate) fn raw(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    bench.context.tools()?;
    let data = bench.synth(STAGED_INSTANCES, &[])?;
    // A virtual machine gets its memory as it touches it first, and waits for each page.
    work(bench, &data, &["0,1"], &["--raw"], &[])?;
    let folder = tempfile::tempdir_in(bench.work()).context("make a folder")?;
    let mut postgres = PostgresLimit::start(folder.path())?;
    let mut kafka = KafkaLimit::start()?;
    let mut clickhouse = ClickHouseLimit::start(folder.path())?;
    // A server that has done nothing yet is slow: a broker compiles what it does often.
    for server in [&mut postgres as &mut dyn Limit, &mut kafka, &mut clickhouse] {
        server.fresh()?;
        work(bench, &data, &["0,1"], &["--raw"], &["--facts", &server.url()])?;
    }
    for repeat in bench.repeats() {
        for (processors, others, suffix) in [("0,1", "0,1", ""), ("0", "1", "-alone")] {
            keep_servers_on(others)?;
            let mut add =
                |name: &str, row| book.add("raw", &format!("{name}{suffix}"), repeat, row);
            add("run", join(bench, &data, &bench.fresh()?, Some(processors), &[])?);
            add(LOGS[0].0, work(bench, &data, &[processors], &["--raw"], &[])?);
            let servers: [&mut dyn Limit; 3] = [&mut postgres, &mut kafka, &mut clickhouse];
            for ((name, ..), server) in LOGS[1..].iter().zip(servers) {
                server.fresh()?;
                let facts = ["--facts", &server.url()];
                add(name, work(bench, &data, &[processors], &["--raw"], &facts)?);
            }
        }
        book.save().context("keep what is measured")?;
    }
    bench.clear_outputs()
}

/// Keeps the servers on some processors: all that this process has started and that runs still.
fn keep_servers_on(processors: &str) -> Result<()> {
    let mut servers = vec![std::process::id().to_string()];
    let mut looked_at = 0;
    while let Some(parent) = servers.get(looked_at) {
        let children = Command::new("pgrep").args(["-P", parent]).output();
        let children = children.context("look for the servers")?.stdout;
        servers.extend(String::from_utf8_lossy(&children).lines().map(str::to_owned));
        looked_at += 1;
    }
    for server in &servers[1..] {
        let kept = Command::new("taskset").args(["-a", "-c", "-p", processors, server]).output();
        // One that ends meanwhile needs no place.
        kept.context("keep a server on some processors")?;
    }
    Ok(())
}

/// Each log beside its server's limit, one after the other within each repeat.
pub(crate) fn facts(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let folder = bench.fresh()?;
    let mut subjects = subjects(bench, &folder)?;
    for repeat in bench.repeats() {
        for subject in &mut subjects {
            let name = subject.name;
            let mut add =
                |phase: &str, row| book.add("facts", &format!("{name}-{phase}"), repeat, row);
            subject.limit.fresh()?;
            add("in", subject.measure("in", &[PAIRS])?);
            add("in-limit", subject.limit.goes_in(2 * PAIRS)?);
            let out = subject.measure("out", &[PAIRS])?;
            let read = subject.limit.comes_out(2 * PAIRS)?;
            add("given", json!({"facts": 2 * PAIRS, "seconds": out["given_seconds"]}));
            add("given-limit", read.clone());
            add("done", json!({"facts": PAIRS, "seconds": out["done_seconds"]}));
            add("done-limit", subject.limit.is_done(PAIRS)?);
            add("out", out);
            add("out-limit", read);
            subject.limit.fresh()?;
            subject.measure("in", &[PAIRS_ASKED])?;
            add("out-asked", subject.measure("out", &[PAIRS_ASKED, ASKED_AT_ONCE])?);
            if ["embedded", "postgres"].contains(&name) {
                subject.limit.fresh()?;
                add("claims", subject.measure("claims", &CLAIMS)?);
                if let Some(row) = subject.limit.changes()? {
                    add("claims-limit", row);
                }
            }
        }
    }
    drop(subjects);
    bench.clear_outputs()
}

/// A worker's memory while facts go in, and while pairs come out.
pub(crate) fn memory(bench: &Bench<'_>, book: &mut Book) -> Result<()> {
    let folder = bench.fresh()?;
    // The slowest comes last.
    for mut subject in subjects(bench, &folder)?.into_iter().rev() {
        for &facts in MEMORY_FACTS {
            subject.limit.fresh()?;
            let came = subject.measure("in", &[facts / 2])?;
            let left = subject.measure("out", &[facts / 2])?;
            let row = json!({
                "facts": facts,
                "in_seconds": came["seconds"],
                "out_seconds": left["seconds"],
                "in_rss_bytes": came["rss_bytes"],
                "out_rss_bytes": left["rss_bytes"],
            });
            book.add("facts-memory", &format!("{}-{facts}", subject.name), 1, row);
            book.save().context("keep what is measured")?;
        }
    }
    bench.clear_outputs()
}
