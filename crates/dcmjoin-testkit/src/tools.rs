//! Where the tools are that cargo does not bring.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Returns a program of the tests' Python environment: what `variable` names, or what stands in
/// the environment below the target directory that this test was built into.
pub(crate) fn find(variable: &str, program: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{variable} is {}, where no file is", path.display());
        }
        return Ok(path);
    }
    let test = std::env::current_exe()?;
    match test.ancestors().find_map(|folder| environment(&folder.join("testkit"))) {
        Some(venv) => Ok(venv.join("bin").join(program)),
        None => bail!("no {program}: run `cargo xtask tools`, or set {variable}"),
    }
}

/// Returns the newest finished environment in a folder.
fn environment(folder: &Path) -> Option<PathBuf> {
    let marks = folder.read_dir().ok()?.filter_map(|entry| {
        let venv = entry.ok()?.path();
        let finished = venv.join("ready").metadata().ok()?.modified().ok()?;
        Some((finished, venv))
    });
    marks.max().map(|(_, venv)| venv)
}
