//! `cargo xtask docs`: the commands that the documents show are run as they stand there.
//!
//! A fenced block after a line `<!-- run -->` is run by bash; all such blocks of one document are
//! one script, in an empty folder with the repository's `testdata` and the built program on the
//! path. So what one block makes, the next can use, as a reader would.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths::{has_extension, tracked};
use crate::steps::{Context, Tally};

const MARK: &str = "<!-- run -->";

/// Runs the documents' commands; each document is one check.
pub(crate) fn run(context: &Context) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut scripts = Vec::new();
    for file in tracked(&context.root)? {
        if has_extension(&file, &["md"]) {
            let text = fs::read_to_string(context.root.join(&file))?;
            let script = script(&file, &text)?;
            scripts.extend(script.map(|script| (file, script)));
        }
    }
    if scripts.is_empty() {
        println!("no document has a block marked {MARK}");
        return Ok(tally);
    }
    let binary = context.binary()?;
    for (file, script) in scripts {
        println!("{}", file.display());
        match run_script(context, &binary, &script) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                println!("error: {}: {error:#}", file.display());
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn run_script(context: &Context, binary: &Path, script: &str) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let data = context.root.join("testdata");
    std::os::unix::fs::symlink(data, folder.path().join("testdata")).context("link testdata")?;
    let mut path = binary.parent().context("the program is in a folder")?.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder.path())
        .env("PATH", path)
        .status()
        .context("start bash")?;
    if !status.success() {
        bail!("the block named last ended with {status}");
    }
    Ok(())
}

/// Returns one script of all marked blocks, or `None` where there are none.
fn script(file: &Path, text: &str) -> Result<Option<String>> {
    let mut script = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim() != MARK {
            continue;
        }
        let place = format!("{}:{}", file.display(), at + 2);
        let opening = lines.next().map(|(_, line)| line.trim()).unwrap_or_default();
        if !opening.starts_with("```") {
            bail!("{place}: no fenced block follows {MARK}");
        }
        writeln!(script, "echo '+ {place}'").context("write to a text")?;
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            script += line;
            script.push('\n');
        }
    }
    Ok((!script.is_empty()).then_some(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_marked_blocks_and_no_others() {
        let text = "a\n\n```sh\nno\n```\n\n<!-- run -->\n```sh\necho 1\n```\n<!-- run -->\n```sh\necho 2\n```\n";
        let script = script(Path::new("a.md"), text).unwrap().unwrap();
        assert_eq!(script, "echo '+ a.md:8'\necho 1\necho '+ a.md:12'\necho 2\n");
    }

    #[test]
    fn a_mark_without_a_block_is_an_error() {
        assert!(script(Path::new("a.md"), "<!-- run -->\n\n```sh\n```\n").is_err());
        assert!(script(Path::new("a.md"), "nothing\n").unwrap().is_none());
    }
}
