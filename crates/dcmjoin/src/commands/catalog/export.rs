//! `dcmjoin catalog export`: all rows in one file.

use std::fs::File as DiskFile;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use dcmjoin_catalog::{Archive, Export, Row};

use super::files::{File, Files};
use super::line::{COLUMNS, csv_line, json_line};
use crate::cli::{CatalogExportArgs, Talk};
use crate::exit::Exit;
use crate::part::Part;
use crate::text;

/// A file that rows are written to, by its ending.
enum To<'a> {
    Parquet(Box<Export<BufWriter<&'a DiskFile>>>),
    Csv(BufWriter<&'a DiskFile>),
    Jsonl(BufWriter<&'a DiskFile>),
}

/// Writes all rows to one file: whole, or not at all.
pub(super) fn run(args: &CatalogExportArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let form = Form::of(&args.to)?;
    let files = Files::find(&args.places)?;
    let part = Part::create(&args.to)?;
    let context = || format!("write {}", args.to.display());
    let mut to = To::create(form, part.file()).with_context(context)?;
    let mut rows = 0;
    files.each(true, Ok, |file: File| {
        for row in file.rows() {
            to.push(&file.archive, row?).with_context(context)?;
            rows += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    to.finish().with_context(context)?;
    part.commit()?;
    if !talk.quiet {
        text::talk(&format!("{} rows written to {}", text::count(rows), args.to.display()));
    }
    Ok(Exit::Complete)
}

/// The forms of an export.
#[derive(Debug, Clone, Copy)]
enum Form {
    Parquet,
    Csv,
    Jsonl,
}

impl Form {
    fn of(file: &Path) -> anyhow::Result<Self> {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::Jsonl),
            _ => bail!("{}: expected a name that ends in .parquet, .csv or .jsonl", file.display()),
        }
    }
}

impl<'a> To<'a> {
    fn create(form: Form, file: &'a DiskFile) -> anyhow::Result<Self> {
        let mut file = BufWriter::new(file);
        Ok(match form {
            Form::Parquet => Self::Parquet(Box::new(Export::create(file)?)),
            Form::Csv => {
                write!(file, "{}\r\n", COLUMNS.join(","))?;
                Self::Csv(file)
            }
            Form::Jsonl => Self::Jsonl(file),
        })
    }

    fn push(&mut self, archive: &Arc<Archive>, row: Row) -> anyhow::Result<()> {
        match self {
            Self::Parquet(export) => export.push(archive, row)?,
            Self::Csv(file) => file.write_all(csv_line(archive, &row).as_bytes())?,
            Self::Jsonl(file) => file.write_all(json_line(archive, &row).as_bytes())?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let mut file = match self {
            Self::Parquet(export) => export.finish()?.0,
            Self::Csv(file) | Self::Jsonl(file) => file,
        };
        Ok(file.flush()?)
    }
}
