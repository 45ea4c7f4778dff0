//! `dcmjoin catalog show`: rows as a table, or as JSON lines.

use std::io::{BufWriter, ErrorKind, StdoutLock, Write};
use std::ops::ControlFlow;

use anyhow::Context;
use dcmjoin_catalog::{Archive, Row, State};
use dcmjoin_model::{Half, PayloadKind, Reason, SopInstanceUid, Uid};

use super::files::{File, Files};
use super::line::json_line;
use crate::cli::{CatalogShowArgs, Talk};
use crate::exit::Exit;
use crate::text;

/// The rows by which the columns' widths are chosen.
const SAMPLE_ROWS: usize = 1_000;
const HEAD: [&str; 9] =
    ["half", "state", "uid", "offset", "length", "kind", "reason", "archive", "key"];

/// Which rows are wanted.
#[derive(Debug, Clone)]
struct Wanted {
    uid: Option<SopInstanceUid>,
    half: Option<Half>,
    state: Option<State>,
    archive: Option<String>,
}

/// Prints rows.
pub(super) fn run(args: &CatalogShowArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let uid = args
        .uid
        .as_deref()
        .map(|text| SopInstanceUid::parse(text).with_context(|| format!("read {text:?} as a UID")));
    let wanted = Wanted {
        uid: uid.transpose()?,
        half: args.half.map(Half::from),
        state: args.state.map(State::from),
        archive: args.archive.clone(),
    };
    let files = Files::find(&args.places)?;
    let mut output = Output::new(talk.json, args.limit.unwrap_or(u64::MAX));
    let looked = match &wanted.uid {
        Some(uid) => found(&files, &wanted, uid, &mut output),
        None => listed(&files, &wanted, &mut output),
    };
    looked.and_then(|()| output.finish()).or_else(|error| match is_reader_gone(&error) {
        true => Ok(()),
        false => Err(error),
    })?;
    if output.rows == 0 && !talk.quiet {
        text::talk("no row matches");
    }
    Ok(Exit::Complete)
}

/// Prints the rows of one instance: each file is looked into beside the others.
fn found(
    files: &Files,
    wanted: &Wanted,
    uid: &SopInstanceUid,
    output: &mut Output,
) -> anyhow::Result<()> {
    let (there, uid) = (wanted.clone(), uid.clone());
    let look = move |file: File| {
        let rows = match there.is_archive(&file.archive) {
            true => file.find(&uid)?,
            false => Vec::new(),
        };
        Ok((file, rows))
    };
    files.each(false, look, |(file, rows)| {
        rows.into_iter()
            .filter(|row| wanted.is_row(row))
            .try_fold(ControlFlow::Continue(()), |_, row| output.push(&file.archive, &row))
    })
}

fn listed(files: &Files, wanted: &Wanted, output: &mut Output) -> anyhow::Result<()> {
    files.each(true, Ok, |file: File| {
        if !wanted.is_archive(&file.archive) {
            return Ok(ControlFlow::Continue(()));
        }
        for row in file.rows() {
            let row = row?;
            if wanted.is_row(&row) && output.push(&file.archive, &row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

impl Wanted {
    fn is_archive(&self, archive: &Archive) -> bool {
        let url = archive.url.as_str();
        let named = self.archive.as_deref().is_none_or(|named| {
            url.strip_suffix(named).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        });
        named && self.half.is_none_or(|half| half == archive.half)
    }

    fn is_row(&self, row: &Row) -> bool {
        self.state.is_none_or(|state| state == row.state)
    }
}

/// Standard output: JSON lines at once, or a table whose widths are those of its first rows.
struct Output {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
    limit: u64,
    rows: u64,
    sample: Vec<[String; 9]>,
    widths: Option<[usize; 9]>,
}

impl Output {
    fn new(json: bool, limit: u64) -> Self {
        let out = BufWriter::new(std::io::stdout().lock());
        Self { out, json, limit, rows: 0, sample: vec![HEAD.map(str::to_owned)], widths: None }
    }

    /// Prints a row; breaks off where the limit is reached.
    fn push(&mut self, archive: &Archive, row: &Row) -> anyhow::Result<ControlFlow<()>> {
        if self.rows >= self.limit {
            return Ok(ControlFlow::Break(()));
        }
        self.rows += 1;
        if self.json {
            self.out.write_all(json_line(archive, row).as_bytes())?;
        } else {
            match &self.widths {
                Some(widths) => write_line(&mut self.out, widths, &cells(archive, row))?,
                None => self.sample.push(cells(archive, row)),
            }
            if self.sample.len() > SAMPLE_ROWS {
                self.begin()?;
            }
        }
        let full = self.rows >= self.limit;
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Prints the rows by which the widths are chosen.
    fn begin(&mut self) -> anyhow::Result<()> {
        let sample = std::mem::take(&mut self.sample);
        let width = |at: usize| sample.iter().map(|cells| cells[at].len()).max().unwrap_or(0);
        let widths: [usize; 9] = std::array::from_fn(width);
        for cells in &sample {
            write_line(&mut self.out, &widths, cells)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if !self.json && self.rows > 0 && self.widths.is_none() {
            self.begin()?;
        }
        Ok(self.out.flush()?)
    }
}

fn cells(archive: &Archive, row: &Row) -> [String; 9] {
    // Names come from strangers: control characters do not reach the terminal.
    let safe = |text: &str| text.chars().flat_map(char::escape_debug).collect::<String>();
    [
        archive.half.to_string(),
        row.state.to_string(),
        row.uid.as_ref().map_or("", Uid::as_str).to_owned(),
        row.offset.to_string(),
        row.length.to_string(),
        row.kind.map_or("", PayloadKind::as_str).to_owned(),
        row.reason.map_or("", Reason::code).to_owned(),
        safe(&archive.url),
        safe(row.key.as_deref().unwrap_or_default()),
    ]
}

fn write_line(
    out: &mut impl Write,
    widths: &[usize; 9],
    cells: &[String; 9],
) -> std::io::Result<()> {
    let mut line = String::new();
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        // Numbers stand to the right.
        match at {
            3 | 4 => line.push_str(&format!("{cell:>width$}  ")),
            _ => line.push_str(&format!("{cell:<width$}  ")),
        }
    }
    writeln!(out, "{}", line.trim_end())
}

/// A reader that went away (`| head`) is no error.
fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
