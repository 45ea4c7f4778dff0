//! `cargo xtask proof`: real DICOM files are split as a partner would, joined again by the
//! program, and compared with the originals.
//!
//! `split.py` and `check.py` do the work and know the cases; this runs them around the program.
//! `docs/proof.md` is the result for people: a run that would write it differently fails, unless
//! told to `--update` it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::steps::{Context, Tally, check, shown};

const SCRIPTS: &str = "crates/dcmjoin-testkit/python";
const PAGE: &str = "docs/proof.md";

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    update: bool,
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--update" => options.update = true,
                "--bin" => {
                    let file = args.next().context("--bin needs a file")?;
                    let file = fs::canonicalize(file).with_context(|| format!("find {file}"))?;
                    options.binary = Some(file);
                }
                other => bail!("unknown argument `{other}`; known are --update and --bin FILE"),
            }
        }
        Ok(options)
    }
}

/// Splits, joins and checks; each case is one check.
pub(crate) fn run(context: &Context, options: &Options) -> Result<Tally> {
    let python = &context.tools()?.python;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => context.binary()?,
    };
    let work = context.target.join("proof");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("clear {}", work.display()))?;
    }
    let scripts = context.root.join(SCRIPTS);
    let (split, joined) = (work.join("split"), work.join("joined"));

    check(Command::new(python).arg(scripts.join("split.py")).arg("--out").arg(&split))?;

    let mut join = Command::new(binary);
    join.arg("run");
    join.arg("--metadata").arg(split.join("metadata"));
    join.arg("--images").arg(split.join("images"));
    join.arg("--output").arg(&joined);
    println!("$ {}", shown(&join));
    // Rejections make it end with another code than 0; whether they are right, check.py knows.
    let status = join.status().context("start dcmjoin")?;
    if !joined.join("_dcmjoin").is_dir() {
        bail!("dcmjoin ended with {status} and left no report");
    }

    let tally = work.join("tally.json");
    let mut compare = Command::new(python);
    compare.arg(scripts.join("check.py"));
    compare.arg("--split").arg(&split).arg("--joined").arg(&joined).arg("--tally").arg(&tally);
    compare.arg("--page").arg(context.root.join(PAGE));
    if options.update {
        compare.arg("--update");
    }
    let outcome = check(&mut compare);
    match fs::read(&tally) {
        Ok(text) => Ok(read_tally(&text)?),
        Err(_) => outcome,
    }
}

fn read_tally(text: &[u8]) -> Result<Tally> {
    let tally: serde_json::Value = serde_json::from_slice(text).context("read the tally")?;
    let number =
        |key: &str| tally[key].as_u64().with_context(|| format!("no `{key}` in the tally"));
    Ok(Tally { passed: number("passed")?, failed: number("failed")? })
}
