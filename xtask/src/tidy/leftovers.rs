//! Marks of unfinished work: they belong in an issue or in the same change.

use std::fs;

use anyhow::Result;

use super::Problems;
use crate::paths::{has_extension, tracked};
use crate::steps::Context;

/// Put together here so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ign", "ore"),
    concat!("d", "bg!("),
];

const EXTENSIONS: &[&str] = &["rs", "py", "md", "toml", "sh", "yml", "yaml", "sql", "html"];

pub(super) fn check(context: &Context) -> Result<Problems> {
    let mut problems = Problems::new();
    for file in tracked(&context.root)? {
        if !has_extension(&file, EXTENSIONS) {
            continue;
        }
        let text = fs::read(context.root.join(&file))?;
        let text = String::from_utf8_lossy(&text);
        for (at, line) in text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| has_word(line, mark)) {
                problems.push(format!("{}:{}: {mark}", file.display(), at + 1));
            }
        }
    }
    Ok(problems)
}

/// Returns true where the mark stands, and not as the end of a longer word.
fn has_word(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_marks_but_not_inside_words() {
        assert!(has_word(&format!("// {} later", MARKS[0]), MARKS[0]));
        assert!(!has_word(&format!("fn add_{}", MARKS[5]), MARKS[5]));
    }
}
