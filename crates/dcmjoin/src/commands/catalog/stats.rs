//! `dcmjoin catalog stats`: how many rows there are of what.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dcmjoin_catalog::State;
use dcmjoin_model::{Half, PayloadKind, Reason};
use serde_json::{Value, json};

use super::files::{File, Files};
use crate::cli::{CatalogStatsArgs, Talk};
use crate::exit::Exit;
use crate::text;

/// What rows are counted by.
type Kind = (Half, State, Option<PayloadKind>, Option<Reason>);

/// Counts of one file, or of all.
#[derive(Debug, Default)]
struct Stats {
    /// Archives by half, and their bytes.
    archives: BTreeMap<Half, (u64, u64)>,
    /// Rows, and the bytes of their members.
    rows: BTreeMap<Kind, (u64, u64)>,
}

/// Prints the counts.
pub(super) fn run(args: &CatalogStatsArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let mut stats = Stats::default();
    Files::find(&args.places)?.each(
        true,
        |file| counted(&file),
        |counts| {
            stats.add(counts);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let text = match talk.json {
        true => format!("{:#}\n", stats.json()),
        false => stats.table(),
    };
    text::data(&text)?;
    Ok(Exit::Complete)
}

fn counted(file: &File) -> anyhow::Result<Stats> {
    let mut stats = Stats::default();
    let half = file.archive.half;
    stats.archives.insert(half, (1, file.archive.size));
    for row in file.rows() {
        let row = row?;
        let counts = stats.rows.entry((half, row.state, row.kind, row.reason)).or_default();
        add(counts, (1, row.length));
    }
    Ok(stats)
}

/// Lengths are what archives say, so their sum has no bound.
fn add(counts: &mut (u64, u64), more: (u64, u64)) {
    *counts = (counts.0.saturating_add(more.0), counts.1.saturating_add(more.1));
}

impl Stats {
    fn add(&mut self, other: Self) {
        for (half, more) in other.archives {
            add(self.archives.entry(half).or_default(), more);
        }
        for (kind, more) in other.rows {
            add(self.rows.entry(kind).or_default(), more);
        }
    }

    fn json(&self) -> Value {
        let archives = self.archives.iter().map(|(half, (archives, bytes))| {
            (half.to_string(), json!({ "archives": archives, "bytes": bytes }))
        });
        let rows = self.rows.iter().map(|((half, state, kind, reason), (rows, bytes))| {
            json!({
                "half": half, "state": state, "kind": kind, "reason": reason,
                "rows": rows, "bytes": bytes,
            })
        });
        let archives: serde_json::Map<_, _> = archives.collect();
        json!({ "archives": archives, "rows": rows.collect::<Vec<_>>() })
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for (half, (archives, bytes)) in &self.archives {
            let (archives, bytes) = (text::count(*archives), text::size(*bytes));
            text.push_str(&format!("{:<8}  {archives} archives of {bytes}\n", half.as_str()));
        }
        let line = |cells: [&str; 6]| {
            let [half, state, kind, reason, rows, bytes] = cells;
            format!("{half:<8}  {state:<9}  {kind:<12}  {reason:<20}  {rows:>15}  {bytes:>7}\n")
        };
        text.push('\n');
        text.push_str(&line(["half", "state", "kind", "reason", "rows", "bytes"]));
        for ((half, state, kind, reason), (rows, bytes)) in &self.rows {
            text.push_str(&line([
                half.as_str(),
                state.as_str(),
                kind.map_or("", PayloadKind::as_str),
                reason.map_or("", Reason::code),
                &text::count(*rows),
                &text::size(*bytes),
            ]));
        }
        text
    }
}
