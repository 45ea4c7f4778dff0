//! How long a file may be, in lines with its tests.

use std::fs;

use anyhow::{Context as _, Result};

use super::Problems;
use crate::paths::{has_extension, tracked};
use crate::steps::Context;

/// From here on a file is worth a talk.
const LINES_WARN: usize = 500;
/// No file is longer than this.
const LINES_MAX: usize = 800;
/// A file with this among its first lines is written by a program and read by nobody.
const GENERATED: &str = "@generated";

pub(super) fn check(context: &Context) -> Result<Problems> {
    let mut problems = Problems::new();
    for file in tracked(&context.root)? {
        if !has_extension(&file, &["rs", "py"]) {
            continue;
        }
        let text = fs::read_to_string(context.root.join(&file))
            .with_context(|| format!("read {}", file.display()))?;
        if text.lines().take(5).any(|line| line.contains(GENERATED)) {
            continue;
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{}: {lines} lines, at most {LINES_MAX}", file.display()));
        } else if lines > LINES_WARN {
            println!("note: {}: {lines} lines, aim for 100 to 250", file.display());
        }
    }
    Ok(problems)
}
