//! One member of an archive.

use std::fmt;

use dcmjoin_model::{PayloadKind, Reason, SopInstanceUid, Warnings};
use serde::{Deserialize, Serialize};

/// What became of a half in the run that wrote the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A good half; nothing was published with it yet.
    Open,
    /// Its instance was published, or stood there already.
    Published,
    /// It cannot be used, or its pair cannot.
    Rejected,
}

impl State {
    /// Returns the word that the files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Published => "published",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One member that is a half, or was rejected. `docs/catalog.md` has the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The instance, where the member tells it.
    pub uid: Option<SopInstanceUid>,
    /// The first byte of the content in the plain tar.
    pub offset: u64,
    /// The length of the content in bytes.
    pub length: u64,
    /// CRC-32C of the content; `None` where it was not read whole.
    pub crc32c: Option<u32>,
    /// XXH3-128 of the content; `None` where it was not read whole.
    pub digest: Option<u128>,
    /// What an image's payload turned out to be.
    pub kind: Option<PayloadKind>,
    /// What became of it.
    pub state: State,
    /// Why it was rejected.
    pub reason: Option<Reason>,
    /// What was expected and got, where it was rejected.
    pub detail: Option<String>,
    /// The member's name, where it was rejected.
    pub member: Option<String>,
    /// Digest of the header that the image was assembled with.
    pub header_digest: Option<u128>,
    /// The key of the published object below the output.
    pub key: Option<String>,
    /// The first byte of the published file in that object, where it is a shard.
    pub key_offset: Option<u64>,
    /// The size of the published file in bytes.
    pub bytes: Option<u64>,
    /// CRC-32 (IEEE) of the published file.
    pub crc32: Option<u32>,
    /// What was repaired, kept or noted.
    pub warnings: Warnings,
}

impl Row {
    /// Returns a row that says no more than where a member lies and what became of it.
    #[must_use]
    pub fn at(offset: u64, state: State) -> Self {
        Self {
            uid: None,
            offset,
            length: 0,
            crc32c: None,
            digest: None,
            kind: None,
            state,
            reason: None,
            detail: None,
            member: None,
            header_digest: None,
            key: None,
            key_offset: None,
            bytes: None,
            crc32: None,
            warnings: Warnings::default(),
        }
    }

    /// Returns the bytes of text in the row: what its size is bounded by.
    pub(crate) fn text_bytes(&self) -> usize {
        let long = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        long(&self.detail) + long(&self.member) + long(&self.key)
    }
}
