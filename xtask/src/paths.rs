//! Where things are: the root, the target directory, the files that git knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Returns the root of the repository.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the repository's root")?.to_path_buf())
}

/// Returns what `cargo metadata` says, for the workspace alone or with all that it depends on.
pub(crate) fn metadata(root: &Path, with_dependencies: bool) -> Result<Value> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["metadata", "--format-version", "1", "--quiet"]).current_dir(root);
    if !with_dependencies {
        command.arg("--no-deps");
    }
    let output = command.output().context("start `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("read the output of `cargo metadata`")
}

/// Returns cargo's target directory, made absolute.
pub(crate) fn target(root: &Path) -> Result<PathBuf> {
    let metadata = metadata(root, false)?;
    let target = metadata["target_directory"].as_str().context("no target_directory")?;
    Ok(PathBuf::from(target))
}

/// Returns the files that git knows or would take, relative to the root and sorted.
pub(crate) fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("start `git ls-files`")?;
    if !output.status.success() {
        bail!("`git ls-files`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let listed = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    let mut files: Vec<PathBuf> = listed
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|f| root.join(f).is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// Returns true where the file's name ends in one of the extensions.
pub(crate) fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    file.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
}
