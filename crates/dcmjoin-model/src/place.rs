//! Where a half lies: its archive, its member, its byte range.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a member is of its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// The header: a DICOM JSON document.
    Metadata,
    /// The payload: the bytes of the pixels.
    Image,
}

impl Half {
    /// Returns the word for this half that keys, pages and metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A half-open range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl ByteRange {
    /// Returns the number of bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Returns true when no byte is in the range.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A member of an archive.
///
/// `range` counts bytes of the *plain* tar: for a compressed archive that is the stream after
/// decompression, which cannot be range-read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberLocation {
    /// The archive's URL, or its path where it was given as one.
    pub archive: Arc<str>,
    /// The member's name as the archive gives it: data, never a path.
    pub member: String,
    /// The bytes of the member's content.
    pub range: ByteRange,
}
