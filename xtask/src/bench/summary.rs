//! Tables and plots, all made of the rows.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

use super::record::{Book, Spread};
use super::svg::{Line, Plot};
use crate::steps::Context;

const PAGE: &str = "docs/benchmarks/README.md";
const BEGIN: &str = "<!-- table: begin -->";
const END: &str = "<!-- table: end -->";
const MIB: f64 = 1_048_576.0;

/// A target, and the figures that meet it.
struct Target {
    what: &'static str,
    goal: &'static str,
    unit: &'static str,
    values: fn(&Book) -> Vec<f64>,
    met: fn(Spread) -> bool,
}

/// Half of what a fact log's server does by itself; or the same beside something else, without a goal.
macro_rules! beside {
    ($what:literal, $variant:literal, $limit:literal) => {
        Target {
            what: $what,
            goal: ">= 0.50",
            unit: "x",
            values: |book| book.ratios("facts", $variant, $limit),
            met: |found| found.median >= 0.5,
        }
    };
    ($what:literal, $variant:literal, $limit:literal, no goal) => {
        Target {
            what: $what,
            goal: "none",
            unit: "x",
            values: |book| book.ratios("facts", $variant, $limit),
            met: |_| true,
        }
    };
}

/// Raw objects beside a run.
macro_rules! raw {
    ($what:literal, $variant:literal, $run:literal) => {
        Target {
            what: $what,
            goal: ">= 0.40",
            unit: "x",
            values: |book| book.ratios("raw", $variant, $run),
            met: |found| found.median >= 0.4,
        }
    };
}

const TARGETS: &[Target] = &[
    Target {
        what: "folder to folder on tmpfs, instances/s against the Python reference",
        goal: ">= 50",
        unit: "x",
        values: |book| book.ratios("tmpfs", "dcmjoin", "reference"),
        met: |found| found.median >= 50.0,
    },
    Target {
        what: "folder to folder on a disk, instances/s against the Python reference",
        goal: ">= 50",
        unit: "x",
        values: |book| book.ratios("folders", "dcmjoin", "reference"),
        met: |found| found.median >= 50.0,
    },
    Target {
        what: "the floor of that: a plain program that creates and syncs the files",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("folders", "plain-synced", "reference"),
        met: |_| true,
    },
    Target {
        what: "on a disk, against a plain program that creates and syncs the same files",
        goal: ">= 0.80",
        unit: "x",
        values: |book| book.ratios("folders", "dcmjoin", "plain-synced"),
        met: |found| found.median >= 0.8,
    },
    Target {
        what: "on a disk, where the plain program leaves the sync to later",
        goal: ">= 0.80",
        unit: "x",
        values: |book| book.ratios("folders", "dcmjoin", "plain"),
        met: |found| found.median >= 0.8,
    },
    Target {
        what: "on tmpfs, against the plain program",
        goal: ">= 0.80",
        unit: "x",
        values: |book| book.ratios("tmpfs", "dcmjoin", "plain"),
        met: |found| found.median >= 0.8,
    },
    Target {
        what: "on tmpfs, all but writing (`--dry-run`), against the Python reference",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("tmpfs", "dry-run", "reference"),
        met: |_| true,
    },
    Target {
        what: "on a disk, all but writing (`--dry-run`), against `cat` of the input to one file",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("folders", "dry-run", "cat"),
        met: |_| true,
    },
    Target {
        what: "to shards on tmpfs, instances/s against the Python reference",
        goal: ">= 100",
        unit: "x",
        values: |book| book.ratios("tmpfs", "shards", "reference"),
        met: |found| found.median >= 100.0,
    },
    Target {
        what: "to shards on tmpfs, against `cat` of the input to one file",
        goal: ">= 0.50",
        unit: "x",
        values: |book| book.ratios("tmpfs", "shards", "cat"),
        met: |found| found.median >= 0.5,
    },
    Target {
        what: "to shards on a disk, against `cat` of the input and a sync",
        goal: ">= 0.50",
        unit: "x",
        values: |book| book.ratios("folders", "shards", "cat"),
        met: |found| found.median >= 0.5,
    },
    Target {
        what: "a few images among all headers, images first: headers' room, of that with headers first",
        goal: "none",
        unit: "x",
        values: |book| room_of_headers(book),
        met: |_| true,
    },
    Target {
        what: "the same, instances/s, against headers first",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("first", "images", "metadata"),
        met: |_| true,
    },
    Target {
        what: "S3 to S3, against rclone copying as many bytes and objects",
        goal: ">= 1.0",
        unit: "x",
        values: |book| book.ratios("s3", "dcmjoin", "rclone"),
        met: |found| found.median >= 1.0,
    },
    Target {
        what: "header to data set, against pydicom",
        goal: ">= 200",
        unit: "x",
        values: |book| book.ratios("header", "ours", "pydicom"),
        met: |found| found.median >= 200.0,
    },
    Target {
        what: "header to data set, against dicom-json and dicom-object",
        goal: ">= 4",
        unit: "x",
        values: |book| book.ratios("header", "ours", "dicom-rs"),
        met: |found| found.median >= 4.0,
    },
    Target {
        what: "the same with a header of 48 kB, against pydicom",
        goal: ">= 200",
        unit: "x",
        values: |book| book.ratios("large-header", "ours", "pydicom"),
        met: |found| found.median >= 200.0,
    },
    Target {
        what: "the same with a header of 48 kB, against dicom-json and dicom-object",
        goal: ">= 4",
        unit: "x",
        values: |book| book.ratios("large-header", "ours", "dicom-rs"),
        met: |found| found.median >= 4.0,
    },
    Target {
        what: "index in memory, 10 M headers",
        goal: "<= 21",
        unit: "B/key",
        values: |book| book.values("index", "10000000", "memory_bytes_per_header"),
        met: |found| found.median <= 21.0,
    },
    Target {
        what: "a probe by itself, 10 M headers",
        goal: "<= 90",
        unit: "ns",
        values: |book| book.values("index", "10000000", "probe_ns"),
        met: |found| found.median <= 90.0,
    },
    Target {
        what: "the floor of that: one wait for memory, as much as the index",
        goal: "none",
        unit: "ns",
        values: |book| book.values("index", "10000000", "memory_wait_ns"),
        met: |_| true,
    },
    Target {
        what: "a probe in lots, 10 M headers",
        goal: "<= 90",
        unit: "ns",
        values: |book| book.values("index", "10000000", "probe_in_lots_ns"),
        met: |found| found.median <= 90.0,
    },
    Target {
        what: "pairing, UIDs given, 250 M pairs",
        goal: "<= 300",
        unit: "ns/pair",
        values: |book| book.values("pairing", "250000000", "ns_per_pair"),
        met: |found| found.median <= 300.0,
    },
    Target {
        what: "pairing, UIDs given, 1,000 M pairs",
        goal: "done once",
        unit: "ns/pair",
        values: |book| book.values("pairing", "1000000000", "ns_per_pair"),
        met: |_| true,
    },
    Target {
        what: "pairing, peak memory of the largest size measured",
        goal: "<= 512",
        unit: "MiB",
        values: |book| mib(largest(book, "rss_bytes")),
        met: |found| found.max <= 512.0,
    },
    Target {
        what: "whole run, peak memory over the budget, all sizes",
        goal: "<= 1.10",
        unit: "x",
        values: over_budget,
        met: |found| found.max <= 1.1,
    },
    Target {
        what: "tar scan, stream against stream, against the tar crate",
        goal: ">= 2",
        unit: "x",
        values: |book| book.ratios("tar", "ours", "tar-crate"),
        met: |found| found.median >= 2.0,
    },
    Target {
        what: "GETs over bytes / 16 MiB, archives of 64 MiB and more",
        goal: "<= 1.01",
        unit: "x",
        values: |book| book.values("requests", "dcmjoin", "gets_of_bytes"),
        met: |found| found.median <= 1.01,
    },
    Target {
        what: "one worker with a task store, against `dcmjoin run`",
        goal: ">= 0.80",
        unit: "x",
        values: |book| book.ratios("staged", "worker", "run"),
        met: |found| found.median >= 0.8,
    },
    Target {
        what: "two workers on a processor each, against one such",
        goal: ">= 1.6",
        unit: "x",
        values: |book| book.ratios("staged", "two-workers", "worker-alone"),
        met: |found| found.median >= 1.6,
    },
    Target {
        what: "the floor of that: two runs that share nothing but the machine, against one",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("staged", "two-runs", "run-alone"),
        met: |_| true,
    },
    raw!(
        "one worker with raw objects and the embedded log, against `dcmjoin run`",
        "embedded",
        "run"
    ),
    raw!("the same with the log in PostgreSQL", "postgres", "run"),
    raw!("the same with the log in Kafka", "kafka", "run"),
    raw!("the same with the log in ClickHouse", "clickhouse", "run"),
    raw!(
        "one worker with raw objects and the embedded log on one processor, against `dcmjoin run` on one",
        "embedded-alone",
        "run-alone"
    ),
    raw!("the same with the log in PostgreSQL", "postgres-alone", "run-alone"),
    raw!("the same with the log in Kafka", "kafka-alone", "run-alone"),
    raw!("the same with the log in ClickHouse", "clickhouse-alone", "run-alone"),
    Target {
        what: "two processors over one",
        goal: "none",
        unit: "x",
        values: |book| book.ratios("scaling", "2", "1"),
        met: |_| true,
    },
    beside!(
        "facts/s into the embedded log, against SQLite's own batch inserts",
        "embedded-in",
        "embedded-in-limit"
    ),
    beside!(
        "facts/s out of the embedded log, as pairs that are given, against SQLite's own batch inserts",
        "embedded-given",
        "embedded-in-limit"
    ),
    beside!(
        "pairs/s said to be done in the embedded log, against inserting as many keys",
        "embedded-done",
        "embedded-done-limit"
    ),
    beside!(
        "facts/s out of the embedded log, given and done, against SQLite's own batch inserts",
        "embedded-out",
        "embedded-in-limit"
    ),
    beside!("the given ones of the embedded log, against reading all rows", "embedded-given", "embedded-given-limit", no goal),
    beside!(
        "facts/s into the postgres log, against `COPY` by psql",
        "postgres-in",
        "postgres-in-limit"
    ),
    beside!(
        "facts/s out of the postgres log, as pairs that are given, against `COPY` by psql",
        "postgres-given",
        "postgres-in-limit"
    ),
    beside!(
        "pairs/s said to be done in the postgres log, against `COPY` of as many keys",
        "postgres-done",
        "postgres-done-limit"
    ),
    beside!(
        "facts/s out of the postgres log, given and done, against `COPY` by psql",
        "postgres-out",
        "postgres-in-limit"
    ),
    beside!("the given ones of the postgres log, against `COPY` to a file", "postgres-given", "postgres-given-limit", no goal),
    beside!("facts/s into the kafka log, against its producer tool", "kafka-in", "kafka-in-limit"),
    beside!(
        "facts/s out of the kafka log, as pairs that are given, against its consumer tool",
        "kafka-given",
        "kafka-given-limit"
    ),
    beside!(
        "pairs/s said to be done in the kafka log, against its producer tool with as many keys",
        "kafka-done",
        "kafka-done-limit"
    ),
    beside!(
        "facts/s out of the kafka log, given and done, against its consumer tool",
        "kafka-out",
        "kafka-given-limit"
    ),
    beside!(
        "facts/s into the clickhouse log, against one insert",
        "clickhouse-in",
        "clickhouse-in-limit"
    ),
    beside!(
        "facts/s out of the clickhouse log, as pairs that are given, against one insert",
        "clickhouse-given",
        "clickhouse-in-limit"
    ),
    beside!(
        "pairs/s said to be done in the clickhouse log, against one insert of as many keys",
        "clickhouse-done",
        "clickhouse-done-limit"
    ),
    beside!(
        "facts/s out of the clickhouse log, given and done, against one insert",
        "clickhouse-out",
        "clickhouse-in-limit"
    ),
    beside!("the given ones of the clickhouse log, against one read of all rows", "clickhouse-given", "clickhouse-given-limit", no goal),
    Target {
        what: "tasks claimed a second in PostgreSQL, 4 at once by each of 8 workers",
        goal: ">= 5000",
        unit: "/s",
        values: |book| per_second(book, "postgres-claims"),
        met: |found| found.median >= 5000.0,
    },
    Target {
        what: "single changes a second in PostgreSQL by pgbench, 8 clients",
        goal: "none",
        unit: "/s",
        values: |book| book.values("facts", "postgres-claims-limit", "changes_per_second"),
        met: |_| true,
    },
    Target {
        what: "tasks claimed a second in SQLite, as many at once",
        goal: "none",
        unit: "/s",
        values: |book| per_second(book, "embedded-claims"),
        met: |_| true,
    },
    Target {
        what: "a worker's peak memory with 10 M facts over that with 1 M, all logs",
        goal: "<= 1.25",
        unit: "x",
        values: |book| memory_growth(book),
        met: |found| found.max <= 1.25,
    },
];

fn per_second(book: &Book, variant: &str) -> Vec<f64> {
    let rows = book.of("facts", variant);
    rows.filter_map(|row| Some(row["tasks"].as_f64()? / row["seconds"].as_f64()?)).collect()
}

fn room_of_headers(book: &Book) -> Vec<f64> {
    let of = |side| book.values("first", side, "header_bytes");
    of("images").into_iter().zip(of("metadata")).map(|(images, all)| images / all).collect()
}

/// Of each log, and of each way.
fn memory_growth(book: &Book) -> Vec<f64> {
    let mut growth = Vec::new();
    for log in ["embedded", "postgres", "kafka", "clickhouse"] {
        for field in ["in_rss_bytes", "out_rss_bytes"] {
            let of = |facts| book.values("facts-memory", &format!("{log}-{facts}"), field);
            growth.extend(of(10_000_000).iter().zip(of(1_000_000)).map(|(more, few)| more / few));
        }
    }
    growth
}

fn largest(book: &Book, field: &str) -> Vec<f64> {
    let size = book.sizes("pairing").last().copied();
    size.map_or_else(Vec::new, |size| book.values("pairing", &size.to_string(), field))
}

fn mib(bytes: Vec<f64>) -> Vec<f64> {
    bytes.into_iter().map(|bytes| bytes / MIB).collect()
}

fn over_budget(book: &Book) -> Vec<f64> {
    let rows = ["64", "256"].into_iter().flat_map(|budget| book.of("memory", budget));
    rows.filter_map(|row| Some(row["rss_bytes"].as_f64()? / row["budget_bytes"].as_f64()?))
        .collect()
}

/// Returns the table of targets.
pub(crate) fn table(book: &Book) -> String {
    let mut table =
        "| what | target | median | min to max | n | |\n| --- | --- | ---: | --- | ---: | --- |\n"
            .to_owned();
    for Target { what, goal, unit, values, met } in TARGETS {
        let values = values(book);
        let count = values.len();
        let _ = match Spread::of(values) {
            Some(found) => {
                let verdict = match (*goal, met(found)) {
                    ("none", _) => "",
                    (_, true) => "met",
                    (_, false) => "not met",
                };
                let Spread { median, min, max } = found;
                writeln!(
                    table,
                    "| {what} | {goal} {unit} | {median:.2} | {min:.2} to {max:.2} | {count} | {verdict} |"
                )
            }
            None => writeln!(table, "| {what} | {goal} {unit} | | | 0 | not measured |"),
        };
    }
    table
}

/// Writes `summary.md` and the plots beside the rows, and the table into the page of the docs.
pub(crate) fn write(context: &Context, book: &Book, is_documented: bool) -> Result<()> {
    let table = table(book);
    let mut page =
        format!("# Benchmark summary\n\nMade of rows.jsonl by `cargo xtask bench`.\n\n{table}\n");
    page += "| bench | started (UTC) | commit | load at start | machine |\n| --- | --- | --- | ---: | --- |\n";
    for (bench, run) in book.runs() {
        let word = |field: &str| run[field].as_str().unwrap_or_default().to_owned();
        let changed = if run["changed_since_commit"] == true { " and changes" } else { "" };
        let gib = run["memory_bytes"].as_f64().unwrap_or_default() / MIB / 1024.0;
        let _ = writeln!(
            page,
            "| {bench} | {} | {}{changed} | {} | {}, {} cores, {gib:.0} GiB, Linux {}, {}, profile {} |",
            word("started"),
            word("commit"),
            run["load_at_start"],
            word("cpu"),
            run["cores"],
            word("kernel"),
            word("filesystem"),
            word("profile"),
        );
    }
    for (name, plot) in plots(book) {
        if let Some(svg) = plot.svg() {
            book.put(name, &svg)?;
            let _ = write!(page, "\n![{}]({name})\n", plot.title);
        }
    }
    book.put("summary.md", &page)?;
    if is_documented {
        let file = context.root.join(PAGE);
        let text = fs::read_to_string(&file).with_context(|| format!("read {PAGE}"))?;
        let folder = book.folder().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let inner = format!("\nFrom [{folder}]({folder}/summary.md):\n\n{table}");
        fs::write(&file, between(&text, &inner)?).with_context(|| format!("write {PAGE}"))?;
    }
    Ok(())
}

/// Returns the text with what stands between the marks replaced.
fn between(text: &str, inner: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{PAGE}: no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE}: no {END}"))?;
    Ok(format!("{before}{BEGIN}{inner}{END}{after}"))
}

fn plots(book: &Book) -> [(&'static str, Plot<'static>); 4] {
    let by_instances = |y: fn(f64, f64, f64) -> f64| {
        ["64", "256"].map(|budget| Line {
            name: format!("--memory {budget}"),
            points: book
                .of("memory", budget)
                .filter_map(|row| {
                    let field = |name: &str| row[name].as_f64();
                    let n = field("instances")?;
                    Some((n, y(n, field("seconds")?, field("rss_bytes")?)))
                })
                .collect(),
        })
    };
    let plot = |title, x, y, log_x, lines| Plot { title, x, y, log_x, lines };
    let median = |variant: &str| {
        let rates = book
            .of("scaling", variant)
            .filter_map(|row| Some(row["instances"].as_f64()? / row["seconds"].as_f64()?));
        Spread::of(rates.collect()).map(|found| found.median)
    };
    let threads = [(1.0, median("1")), (2.0, median("2"))];
    let scaled = threads.into_iter().filter_map(|(n, rate)| Some((n, rate?))).collect();
    let pairing = book.sizes("pairing").into_iter().filter_map(|size| {
        let rows = mib(book.values("pairing", &size.to_string(), "rss_bytes"));
        Some((size as f64, Spread::of(rows)?.median))
    });
    let one = |name: &str, points| vec![Line { name: name.to_owned(), points }];
    let (title, x) = ("Folder to folder: throughput", "instances");
    [
        (
            "throughput.svg",
            plot(title, x, "instances/s", true, by_instances(|n, s, _| n / s).into()),
        ),
        (
            "memory.svg",
            plot(
                "Folder to folder: peak memory",
                x,
                "MiB",
                true,
                by_instances(|_, _, rss| rss / MIB).into(),
            ),
        ),
        (
            "scaling.svg",
            plot(
                "Folder to folder: scaling",
                "processors",
                "instances/s",
                false,
                one("dcmjoin run", scaled),
            ),
        ),
        (
            "pairing-memory.svg",
            plot("Pairing: peak memory", "pairs", "MiB", true, one("pairing", pairing.collect())),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_keeps_what_people_wrote() {
        let page = format!("a\n{BEGIN}old{END}\nb\n");
        assert_eq!(between(&page, "new").unwrap(), format!("a\n{BEGIN}new{END}\nb\n"));
        assert!(between("a", "new").is_err());
    }

    #[test]
    fn what_was_not_measured_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path()).unwrap();
        book.add("tar", "ours", 1, json!({"instances": 9, "seconds": 1.0}));
        book.add("tar", "tar-crate", 1, json!({"instances": 9, "seconds": 1.5}));
        let table = table(&book);
        assert!(table.contains(">= 2 x | 1.50 | 1.50 to 1.50 | 1 | not met |"), "{table}");
        assert!(table.contains("| 0 | not measured |"));
    }
}
