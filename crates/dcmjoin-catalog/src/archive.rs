//! What is true of a whole archive.

use dcmjoin_model::Half;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The form of the files that this release writes and reads.
pub const SCHEMA: &str = "dcmjoin.catalog/1";

/// What is true of a whole archive, and of the run that read it.
///
/// **Invariant:** a file holds exactly one, as JSON under the key `dcmjoin.archive` of the
/// Parquet metadata. Fields that a reader does not know are an error of a newer [`SCHEMA`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the archive's members are.
    pub half: Half,
    /// Its URL, or its path where it was given as one.
    pub url: String,
    /// What names the version that was read: the store's entity tag.
    pub version: Option<String>,
    /// Its size in the store, in bytes.
    pub size: u64,
    /// It is gz or zst: offsets count the plain tar, and cannot be range-read.
    pub compressed: bool,
    /// The release that wrote the file.
    pub program: String,
    /// Hexadecimal hash of all settings that may change an outcome.
    pub settings: String,
    /// Where the run published to.
    pub output: String,
    /// The run's tally of this archive; opaque here.
    pub extra: serde_json::Value,
}

impl Archive {
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Form(format!("archive: {error}")))
    }

    /// Reads the JSON of a file's metadata. The schema is looked at first, so that a newer file
    /// is named as one.
    pub(crate) fn from_json(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        // The text of serde's errors can quote values; the place is enough.
        let failed = |error: serde_json::Error| {
            Error::Form(format!("archive: not its JSON at column {}", error.column()))
        };
        let form: Form = serde_json::from_str(text).map_err(failed)?;
        if form.schema != SCHEMA {
            return Err(Error::Schema { got: form.schema });
        }
        serde_json::from_str(text).map_err(failed)
    }
}
