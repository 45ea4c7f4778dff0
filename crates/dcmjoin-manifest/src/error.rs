//! Why a manifest cannot be read.

use std::io;
use std::path::Path;

use thiserror::Error;

/// Why a manifest cannot be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {place}: {kind}")]
    Io {
        /// The file.
        place: String,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A row makes no sense.
    #[error("{place}: {detail}")]
    Row {
        /// The file and the line.
        place: String,
        /// Expected, got.
        detail: String,
    },
    /// A file of an inventory is in a form that is not read here.
    #[error("{place}: {format} files of an inventory are not read")]
    Format {
        /// The inventory.
        place: String,
        /// The form.
        format: &'static str,
    },
    /// A file of an inventory is not where it should be.
    #[error(
        "{place}: file {number} of the inventory is not beside it, nor below a folder above it"
    )]
    FileMissing {
        /// The inventory.
        place: String,
        /// Which of its files, from 1.
        number: usize,
    },
}

impl Error {
    pub(crate) fn io(file: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let place = file.display().to_string();
        move |error| Self::Io { place: place.clone(), kind: error.kind() }
    }

    /// Returns what a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format { .. } => Some("have the inventory written as CSV or Parquet"),
            Self::FileMissing { .. } => Some(
                "copy the inventory's data files as they lie in their bucket: `aws s3 sync s3://bucket/prefix .`",
            ),
            Self::Row { .. } => Some(
                "a row is bucket,key[,version][,size] with URL-encoded keys in .csv, an object in .jsonl, a location in any other file",
            ),
            Self::Io { .. } => None,
        }
    }
}
