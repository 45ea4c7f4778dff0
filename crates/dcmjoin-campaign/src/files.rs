//! Journals in files: one, or a folder of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::ledger::{Ledger, Mode, Shelf};
use crate::spec::Spec;
use crate::sqlite::Sqlite;

/// The ending of journals in a folder.
const ENDING: &str = "db";
/// The longest name of a campaign.
const NAME_MAX: usize = 64;

/// Journals in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// One campaign, whatever it is called.
    One(PathBuf),
    /// One file a campaign, `NAME.db`.
    Folder(PathBuf),
}

/// Returns a campaign's name, if it can be one: letters, digits, `-`, `_` and `.`, none of the last
/// at its beginning.
///
/// # Errors
/// [`Error::Invalid`].
pub fn checked_name(name: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.');
    match fits && name.bytes().all(plain) {
        true => Ok(name),
        false => Err(Error::Invalid(format!(
            "expected a name of at most {NAME_MAX} letters, digits, `-`, `_` and `.`"
        ))),
    }
}

impl Files {
    /// Returns the journals at a path: a folder's where it is one, else one journal.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        match path.is_dir() {
            true => Self::Folder(path.to_owned()),
            false => Self::One(path.to_owned()),
        }
    }

    fn files(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let failed = |error: std::io::Error| {
            Error::Journal(format!("the folder cannot be read: {}", error.kind()))
        };
        let named = |file: PathBuf| Some((file.file_stem()?.to_str()?.to_owned(), file));
        let folder = match self {
            Self::One(file) => return Ok(named(file.clone()).into_iter().collect()),
            Self::Folder(folder) => folder,
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.extend(named(path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn file(&self, name: &str) -> Result<PathBuf, Error> {
        match self {
            Self::One(file) => Ok(file.clone()),
            Self::Folder(folder) => Ok(folder.join(format!("{}.{ENDING}", checked_name(name)?))),
        }
    }
}

impl Shelf for Files {
    fn campaigns(&self) -> Result<Vec<(String, Mode)>, Error> {
        let mode = |(name, file): (String, PathBuf)| {
            Sqlite::open(&file).and_then(|ledger| Ok((name, ledger.mode()?)))
        };
        self.files()?.into_iter().map(mode).collect()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Ledger>, Error> {
        Ok(Arc::new(Sqlite::open(&self.file(name)?)?))
    }

    fn create(&self, name: &str, spec: &Spec) -> Result<Arc<dyn Ledger>, Error> {
        Ok(Arc::new(Sqlite::create(&self.file(name)?, spec)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for name in ["campaign", "2026-03_a.b"] {
            assert_eq!(checked_name(name).unwrap(), name);
        }
        for name in ["", "..", ".hidden", "a/b", "a b", &"a".repeat(65)] {
            assert!(checked_name(name).is_err(), "{name}");
        }
    }
}
