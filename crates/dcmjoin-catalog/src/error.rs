//! Why a file of the catalogue cannot be written or read.

use crate::archive::SCHEMA;

/// Why a file of the catalogue cannot be written or read. No text quotes a UID, a key or a name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device or the store failed.
    #[error("cannot {action} the catalogue file")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Shorter than what its own parts say.
    #[error("catalogue file is cut short: expected at least {expected} bytes, got {got}")]
    Truncated {
        /// The fewest bytes that it must have.
        expected: u64,
        /// Its size in bytes.
        got: u64,
    },
    /// Without its end: a writer died, or the end is lost.
    #[error("catalogue file of {size} bytes is cut short or was not finished: it has no end mark")]
    Unfinished {
        /// Its size in bytes.
        size: u64,
    },
    /// Bytes that are not what was written.
    #[error(
        "catalogue file is damaged in {part} at bytes {start}..{end}: expected checksum \
         {expected:016x}, got {got:016x}"
    )]
    Damaged {
        /// Which part.
        part: &'static str,
        /// Its first byte.
        start: u64,
        /// One past its last byte.
        end: u64,
        /// The checksum written.
        expected: u64,
        /// The checksum of what was read.
        got: u64,
    },
    /// Another kind of file.
    #[error("not a catalogue file: {0}")]
    Foreign(&'static str),
    /// A file of another release.
    #[error("catalogue file is {got:?}, expected {SCHEMA:?}")]
    Schema {
        /// What the file says it is.
        got: String,
    },
    /// A file of pairs that makes no sense.
    #[error("file of pairs: {0}")]
    Pairs(String),
    /// Sealed, and yet not what this release writes.
    #[error("catalogue file is not of its form: {0}")]
    Form(String),
    /// The rows cannot be brought into Parquet or out of it.
    #[error("cannot {action} the catalogue's rows")]
    Parquet {
        /// What was being done.
        action: &'static str,
        /// What the Parquet library said: of structure, never of values.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    pub(crate) fn parquet(
        action: &'static str,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { action, source }
    }
}
