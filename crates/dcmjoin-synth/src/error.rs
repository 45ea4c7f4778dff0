//! Why a data set cannot be made.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a data set cannot be made.
#[derive(Debug, Error)]
pub enum SynthError {
    /// The options contradict each other or exceed a limit.
    #[error("{0}")]
    Options(String),
    /// The folder holds archives of another run, which would be taken for part of this one.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A data set's file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `truth.json` could not be written or read as what it is.
    #[error("cannot use {} as the truth of a data set", path.display())]
    Truth {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An encoder refused a phantom: a bug in this crate.
    #[error("cannot encode a phantom as {codec}: {detail}")]
    Encode {
        /// The encoder.
        codec: &'static str,
        /// What it said.
        detail: String,
    },
}

impl SynthError {
    /// Returns a closure that names the file an I/O error is about.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
