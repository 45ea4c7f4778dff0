//! A file that appears whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file on its way: what is written to it shows under its name once it is committed.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    at: PathBuf,
    target: PathBuf,
}

impl Part {
    /// Begins a file beside its place.
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        let context = || format!("write {}", target.display());
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = target.file_name().with_context(context)?.to_string_lossy();
        let name = format!(".{name}.{}.part", std::process::id());
        let at = folder.unwrap_or(Path::new(".")).join(name);
        let file = File::create(&at).with_context(context)?;
        Ok(Self { file, at, target: target.to_owned() })
    }

    /// Returns the file to write to.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Brings the file to its place, over whatever stands there.
    pub(crate) fn commit(self) -> anyhow::Result<()> {
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.at, &self.target));
        renamed.with_context(|| format!("write {}", self.target.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What is half-written goes; after a commit nothing stands there.
        let _ = std::fs::remove_file(&self.at);
    }
}
