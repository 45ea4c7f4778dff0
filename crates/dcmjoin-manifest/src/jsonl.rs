//! Rows of JSON, an object a line.
//!
//! `bucket` and `key`, or `url`; `version`, `size` and `storage_class` where known. The names that S3's
//! own answers have (`Key`, `Size`, `StorageClass`, `VersionId`) are read too; other members are passed
//! over. Keys are as they are, not URL-encoded.

use serde::Deserialize;

use crate::entry::{Entry, Place};

#[derive(Deserialize)]
struct Row {
    #[serde(alias = "Bucket")]
    bucket: Option<String>,
    #[serde(alias = "Key")]
    key: Option<String>,
    #[serde(alias = "location")]
    url: Option<String>,
    #[serde(alias = "VersionId", alias = "version_id", alias = "versionId")]
    version: Option<String>,
    #[serde(alias = "Size", alias = "bytes")]
    size: Option<u64>,
    #[serde(alias = "StorageClass", alias = "storageClass")]
    storage_class: Option<String>,
}

/// Reads a row.
///
/// # Errors
/// What was expected.
pub fn read(row: &str, line: u64) -> Result<Entry, &'static str> {
    const SHAPE: &str =
        "expected a JSON object with bucket and key, or url; size is a number of bytes";
    let row: Row = serde_json::from_str(row).map_err(|_| SHAPE)?;
    let place = match (row.bucket, row.key, row.url) {
        (Some(bucket), Some(key), None) if !bucket.is_empty() && !key.is_empty() => {
            Place::Object { bucket, key }
        }
        (None, None, Some(url)) if !url.is_empty() => Place::Location(url),
        _ => return Err(SHAPE),
    };
    Ok(Entry {
        version: row.version.filter(|version| !version.is_empty()),
        bytes: row.size,
        storage_class: row.storage_class,
        ..Entry::new(place, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let entry = read(r#"{"bucket":"b","key":"a+b","size":5,"StorageClass":"GLACIER"}"#, 3);
        let entry = entry.unwrap();
        assert_eq!(entry.place, Place::Object { bucket: "b".into(), key: "a+b".into() });
        assert_eq!((entry.bytes, entry.line), (Some(5), 3));
        let entry = read(r#"{"url":"s3://b/k","ETag":"x"}"#, 1).unwrap();
        assert_eq!(entry.place, Place::Location("s3://b/k".into()));
    }

    #[test]
    fn rows_that_make_no_sense_are_refused() {
        for row in [
            "{}",
            r#"{"bucket":"b"}"#,
            r#"{"key":"k"}"#,
            r#"{"bucket":"b","key":"k","size":-1}"#,
            r#"{"bucket":"b","key":"k","url":"s3://b/k"}"#,
            "[]",
            "{",
        ] {
            assert!(read(row, 1).is_err(), "{row}");
        }
    }
}
