//! Why an archive cannot be read on.

use std::fmt;

use dcmjoin_model::Reason;
use thiserror::Error;

/// Why an archive cannot be read on. All offsets are in the plain tar stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TarError {
    /// The input does not begin like a tar archive.
    #[error("not a tar archive: expected a header at byte {offset}, got {got}")]
    NotTar {
        /// The block that is no header.
        offset: u64,
        /// What was found.
        got: String,
    },
    /// A header or an extension that cannot be, in an archive that was fine so far.
    #[error("damaged tar at byte {offset}: expected {expected}, got {got}")]
    Damaged {
        /// Where the header block, extension or sparse map begins.
        offset: u64,
        /// What ought to be there.
        expected: &'static str,
        /// What was found: numbers and places, never content.
        got: String,
    },
    /// The stream ends too early.
    #[error("truncated tar: expected {expected} bytes of {part} at byte {offset}, got {got}")]
    Truncated {
        /// What it ends in.
        part: Part,
        /// Where that part begins.
        offset: u64,
        /// The bytes that the part should have.
        expected: u64,
        /// The bytes that it has.
        got: u64,
    },
    /// Beyond one of the [`TarLimits`](super::TarLimits).
    #[error("tar beyond its limits at byte {offset}: expected at most {max} {what}, got {got}")]
    Limit {
        /// Where the header block begins.
        offset: u64,
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
        /// What was found.
        got: u64,
    },
}

/// What a truncated archive ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A header block.
    Header,
    /// A long name, pax records or a sparse map.
    Extension,
    /// The content of the last member that was given.
    Content,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Extension => "extension",
            Self::Content => "content",
        })
    }
}

impl TarError {
    /// Returns the reason for the archive's dead letter; the last member of an archive that is
    /// truncated in its content has [`Reason::MemberTruncated`] besides.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotTar { .. } | Self::Damaged { .. } | Self::Truncated { .. } => {
                Reason::ArchiveDamaged
            }
            Self::Limit { .. } => Reason::ArchiveLimit,
        }
    }

    /// Returns the offset that the error names.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        match self {
            Self::NotTar { offset, .. }
            | Self::Damaged { offset, .. }
            | Self::Truncated { offset, .. }
            | Self::Limit { offset, .. } => *offset,
        }
    }
}

/// What is wrong with a block or a record, for those who do not know where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) expected: &'static str,
    pub(super) got: String,
}

impl Fault {
    pub(super) fn new(expected: &'static str, got: impl Into<String>) -> Self {
        Self { expected, got: got.into() }
    }

    pub(super) fn at(self, offset: u64) -> TarError {
        TarError::Damaged { offset, expected: self.expected, got: self.got }
    }
}
