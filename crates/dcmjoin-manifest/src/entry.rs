//! What a row of a manifest says.

use std::fmt;

/// Where an archive lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An object of a bucket. The key is as S3 has it, not URL-encoded.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A path or URL, as it was written.
    Location(String),
}

/// One archive of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub place: Place,
    /// Which version of the object; the current one where `None`.
    pub version: Option<String>,
    /// Its size, where the manifest says.
    pub bytes: Option<u64>,
    /// Its storage class as S3 names it, where the manifest says.
    pub storage_class: Option<String>,
    /// The line of the file, from 1.
    pub line: u64,
}

impl Entry {
    pub(crate) fn new(place: Place, line: u64) -> Self {
        Self { place, version: None, bytes: None, storage_class: None, line }
    }

    /// Returns whether the archive's key, or its location, begins with this; for `s3://…` the bucket
    /// and the key are compared.
    #[must_use]
    pub fn begins_with(&self, prefix: &str) -> bool {
        match &self.place {
            Place::Object { key, .. } if !prefix.contains("://") => key.starts_with(prefix),
            Place::Object { .. } => self.place.to_string().starts_with(prefix),
            Place::Location(location) => location.starts_with(prefix),
        }
    }
}

/// The place as people write it; a key is not encoded for a URL.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Location(location) => f.write_str(location),
        }
    }
}

/// Reads a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "expected a size in bytes")
}

/// Undoes the URL-encoding of keys in manifests, listings, reports and classic events of S3: `%2B`,
/// and `+` for a space.
///
/// # Errors
/// What was expected, where a `%` begins no byte or the bytes are no UTF-8.
pub fn url_decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "expected a URL-encoded key: % and two hexadecimal digits, in UTF-8";
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or(WRONG)?, digit().ok_or(WRONG)?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() {
        assert_eq!(url_decoded("a/b.tar").unwrap(), "a/b.tar");
        assert_eq!(url_decoded("a%2Bb+c%20%C3%A9").unwrap(), "a+b c é");
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert!(url_decoded(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_are_of_keys_or_of_places() {
        let place = Place::Object { bucket: "b".into(), key: "meta/x.tar".into() };
        let entry = Entry::new(place, 1);
        assert!(entry.begins_with("meta/") && entry.begins_with("s3://b/meta"));
        assert!(!entry.begins_with("b/meta") && !entry.begins_with("s3://c/"));
    }
}
