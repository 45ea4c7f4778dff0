//! The rows: one a measurement, in a file that keeps those of other benches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const ROWS: &str = "rows.jsonl";
const RUNS: &str = "runs.json";

/// All rows of one folder of results.
pub(crate) struct Book {
    folder: PathBuf,
    rows: Vec<Value>,
    /// Machine, commit and load at the start, by bench.
    runs: BTreeMap<String, Value>,
}

impl Book {
    /// Opens a folder, with the rows of earlier calls.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context("make the folder of results")?;
        let rows = fs::read_to_string(folder.join(ROWS)).unwrap_or_default();
        let rows = rows
            .lines()
            .filter(|line| !line.is_empty())
            .map(serde_json::from_str)
            .collect::<Result<_, _>>();
        let runs = fs::read_to_string(folder.join(RUNS)).unwrap_or_else(|_| "{}".to_owned());
        Ok(Self {
            folder: folder.to_owned(),
            rows: rows.with_context(|| format!("read {ROWS}"))?,
            runs: serde_json::from_str(&runs).with_context(|| format!("read {RUNS}"))?,
        })
    }

    /// Forgets a bench's earlier rows, or those of one variant, and notes what it runs on.
    pub(crate) fn begin(&mut self, bench: &str, variant: Option<&str>, machine: &Value) {
        let is_old = |row: &Value| {
            row["bench"] == bench && variant.is_none_or(|variant| row["variant"] == variant)
        };
        self.rows.retain(|row| !is_old(row));
        self.runs.insert(bench.to_owned(), machine.clone());
    }

    /// Adds a measurement; `row` has the fields beyond bench, variant and repeat.
    pub(crate) fn add(&mut self, bench: &str, variant: &str, repeat: u32, row: Value) {
        let mut whole = json!({"bench": bench, "variant": variant, "repeat": repeat});
        if let (Value::Object(whole), Value::Object(row)) = (&mut whole, row) {
            whole.extend(row);
        }
        println!("{whole}");
        self.rows.push(whole);
    }

    /// Writes all rows, whole files at once.
    pub(crate) fn save(&self) -> Result<()> {
        let lines: Vec<String> = self.rows.iter().map(Value::to_string).collect();
        let rows = lines.join("\n") + "\n";
        self.put(ROWS, &rows)?;
        self.put(RUNS, &serde_json::to_string_pretty(&self.runs)?)
    }

    /// Writes a file beside the rows.
    pub(crate) fn put(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn runs(&self) -> &BTreeMap<String, Value> {
        &self.runs
    }

    pub(crate) fn of<'a>(
        &'a self,
        bench: &'a str,
        variant: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        self.rows.iter().filter(move |row| row["bench"] == bench && row["variant"] == variant)
    }

    /// Returns the variants of a bench that are sizes, in order.
    pub(crate) fn sizes(&self, bench: &str) -> BTreeSet<u64> {
        let rows = self.rows.iter().filter(|row| row["bench"] == bench);
        rows.filter_map(|row| row["variant"].as_str()?.parse().ok()).collect()
    }

    /// Returns one field of a variant's rows, by repeat.
    pub(crate) fn values(&self, bench: &str, variant: &str, field: &str) -> Vec<f64> {
        self.of(bench, variant).filter_map(|row| row[field].as_f64()).collect()
    }

    /// Returns `a`'s instances (or facts) a second over `b`'s, one ratio a repeat that both have.
    pub(crate) fn ratios(&self, bench: &str, a: &str, b: &str) -> Vec<f64> {
        let rate = |row: &Value| {
            let count = row["instances"].as_f64().or_else(|| row["facts"].as_f64());
            Some(count? / row["seconds"].as_f64()?)
        };
        let pairs = self.of(bench, a).filter_map(|row| {
            let other = self.of(bench, b).find(|other| other["repeat"] == row["repeat"])?;
            Some(rate(row)? / rate(other)?)
        });
        pairs.collect()
    }
}

/// Median, least and greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path()).unwrap();
        for (variant, repeat, seconds) in [("a", 1, 1.0), ("b", 1, 2.0), ("b", 2, 9.0)] {
            book.add("x", variant, repeat, json!({"instances": 4, "seconds": seconds}));
        }
        assert_eq!(book.ratios("x", "a", "b"), [2.0]);
        book.save().unwrap();
        let mut book = Book::open(folder.path()).unwrap();
        assert_eq!(book.values("x", "b", "seconds"), [2.0, 9.0]);
        book.begin("x", Some("a"), &json!({}));
        assert_eq!(book.values("x", "b", "seconds"), [2.0, 9.0]);
        book.begin("x", None, &json!({}));
        assert!(book.values("x", "b", "seconds").is_empty());
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0]), spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
