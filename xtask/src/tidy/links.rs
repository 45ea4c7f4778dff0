//! Relative links of Markdown documents: the file is there, and has the heading.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Problems;
use crate::paths::{has_extension, tracked};
use crate::steps::Context;

pub(super) fn check(context: &Context) -> Result<Problems> {
    let mut problems = Problems::new();
    for file in tracked(&context.root)? {
        if !has_extension(&file, &["md"]) {
            continue;
        }
        let place = context.root.join(&file);
        let text = fs::read_to_string(&place)?;
        for (line, target) in links(&text) {
            if let Some(problem) = problem(&place, &text, target) {
                problems.push(format!("{}:{line}: {target}: {problem}", file.display()));
            }
        }
    }
    Ok(problems)
}

fn problem(place: &Path, text: &str, target: &str) -> Option<&'static str> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let found;
    let text = if path.is_empty() {
        text
    } else {
        let path = place.parent()?.join(path);
        if !path.exists() {
            return Some("no such file");
        }
        if heading.is_empty() || !has_extension(&path, &["md"]) {
            return None;
        }
        found = fs::read_to_string(path).ok()?;
        &found
    };
    let there = heading.is_empty() || prose(text).any(|(_, line)| is_heading(line, heading));
    (!there).then_some("no such heading")
}

/// Returns the relative links with their line numbers.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (at, line) in prose(text) {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push((at, target));
            }
        }
    }
    links
}

/// Returns the numbered lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

/// Returns true where the line is the heading that the anchor means.
fn is_heading(line: &str, anchor: &str) -> bool {
    let Some(heading) = line.strip_prefix('#') else { return false };
    let heading = heading.trim_start_matches('#').trim();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).eq(anchor.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_fenced_blocks() {
        let text = "[a](b.md#c) [d](https://e)\n```\n[f](g)\n```\n![h](i.svg \"title\")\n";
        assert_eq!(links(text), [(1, "b.md#c"), (5, "i.svg")]);
    }

    #[test]
    fn anchors_follow_their_headings() {
        assert!(is_heading(
            "## The way of an instance (local run)",
            "the-way-of-an-instance-local-run"
        ));
        assert!(is_heading("## `json_shape`", "json_shape"));
        assert!(!is_heading("text", "text"));
    }
}
