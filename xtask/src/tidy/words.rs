//! Codes that people look up: each has its place in a document, and no document explains a code
//! that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use dcmjoin_model::{Reason, WarningCode};

use super::Problems;
use crate::steps::Context;

/// One section `` ## `code` `` for each reason.
const DEAD_LETTERS: &str = "docs/dead-letters.md";
/// One table row that starts with `` | `code` | `` for each warning.
const WARNINGS: &str = "docs/warnings.md";

pub(super) fn check(context: &Context) -> Result<Problems> {
    let reasons = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let warnings = WarningCode::ALL.iter().map(|warning| warning.code()).collect();
    let mut problems = compare(&context.root, DEAD_LETTERS, "## `", &reasons)?;
    problems.extend(compare(&context.root, WARNINGS, "| `", &warnings)?);
    Ok(problems)
}

fn compare(root: &Path, page: &str, mark: &str, codes: &BTreeSet<&str>) -> Result<Problems> {
    let text = match fs::read_to_string(root.join(page)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(vec![format!("{page}: missing")]);
        }
        Err(error) => return Err(error).with_context(|| format!("read {page}")),
    };
    let explained = explained(&text, mark);
    let lacking = codes.difference(&explained).map(|code| format!("{page}: lacks `{code}`"));
    let extra = explained.difference(codes).map(|code| format!("{page}: no such code: `{code}`"));
    Ok(lacking.chain(extra).collect())
}

fn explained<'a>(text: &'a str, mark: &str) -> BTreeSet<&'a str> {
    let marked = text.lines().filter_map(|line| line.strip_prefix(mark));
    marked.filter_map(|rest| rest.split_once('`')).map(|(code, _)| code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_codes_of_sections_and_rows() {
        let found = explained("# t\n## `a_b`\ntext `c`\n## `d` and more\n", "## `");
        assert_eq!(found, BTreeSet::from(["a_b", "d"]));
        assert_eq!(explained("| code | is |\n| `x` | y |\n", "| `"), BTreeSet::from(["x"]));
    }
}
