//! S3 Inventory: `manifest.json`, and the files that it names (S3 User Guide, "Locating your
//! inventory list").
//!
//! The files' keys are of the destination bucket. A copy of that bucket, or of the part with the
//! inventory, keeps their places: each file is looked for below every folder above the manifest, and
//! beside it. Who reads from the bucket itself has the keys in [`Inventory::files`] and the columns
//! in [`Inventory::columns`].

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::csv::Columns;
use crate::error::Error;

/// The largest `manifest.json`, in bytes: a hundred thousand files.
pub const MANIFEST_BYTES_MAX: u64 = 32 << 20;

/// The form of an inventory's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum FileFormat {
    /// CSV, gz.
    #[serde(rename = "CSV")]
    Csv,
    /// Parquet, snappy.
    Parquet,
    /// ORC, zlib.
    #[serde(rename = "ORC")]
    Orc,
}

/// An inventory's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The bucket that is listed.
    pub source_bucket: String,
    /// The form of the files.
    pub file_format: FileFormat,
    /// The columns: names with commas between for CSV, a Parquet or ORC schema else.
    pub file_schema: String,
    /// The files.
    pub files: Vec<InventoryFile>,
}

/// One file of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InventoryFile {
    /// Its key in the destination bucket.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

impl Inventory {
    /// Reads a `manifest.json`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        serde_json::from_str(text)
            .map_err(|_| "expected the manifest.json of an S3 Inventory: sourceBucket, fileFormat, fileSchema, files")
    }

    /// Reads a `manifest.json` from its file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Row`] where it is not of the form.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let wrong = |detail: &str| Error::Row {
            place: file.display().to_string(),
            detail: detail.to_owned(),
        };
        if std::fs::metadata(file).map_err(Error::io(file))?.len() > MANIFEST_BYTES_MAX {
            return Err(wrong(&format!("expected at most {MANIFEST_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Returns the columns of CSV files.
    ///
    /// # Errors
    /// What is missing.
    pub fn columns(&self) -> Result<Columns, &'static str> {
        Columns::named(self.file_schema.split(','))
    }

    /// Finds the files of an inventory whose manifest lies here.
    ///
    /// # Errors
    /// [`Error::FileMissing`] for the first that is not found with its size.
    pub fn locate(&self, manifest: &Path) -> Result<Vec<PathBuf>, Error> {
        let find = |(at, file): (usize, &InventoryFile)| {
            let place = || manifest.display().to_string();
            locate(manifest, file)
                .ok_or_else(|| Error::FileMissing { place: place(), number: at + 1 })
        };
        self.files.iter().enumerate().map(find).collect()
    }
}

/// Looks for a file; one of another size is another file. Keys are data: none of their parts may
/// lead out of the folder.
fn locate(manifest: &Path, file: &InventoryFile) -> Option<PathBuf> {
    let parts = || file.key.split('/');
    if parts().any(|part| matches!(part, "" | "." | "..")) || file.key.contains(['\\', '\0']) {
        return None;
    }
    let name = parts().next_back()?;
    let folders = std::path::absolute(manifest).ok()?;
    let folders: Vec<&Path> = folders.ancestors().skip(1).collect();
    let whole = folders.iter().map(|folder| folder.join(&file.key));
    let beside = folders
        .iter()
        .take(2)
        .flat_map(|folder| [folder.join(name), folder.join("data").join(name)]);
    whole
        .chain(beside)
        .find(|path| path.metadata().is_ok_and(|found| found.is_file() && found.len() == file.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
        "sourceBucket": "archive",
        "destinationBucket": "arn:aws:s3:::lists",
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, StorageClass",
        "files": [{"key": "p/archive/all/data/1.csv.gz", "size": 3, "MD5checksum": "f1"}]
    }"#;

    #[test]
    fn the_example_is_read() {
        let inventory = Inventory::parse(EXAMPLE).unwrap();
        assert_eq!(inventory.file_format, FileFormat::Csv);
        assert!(inventory.columns().unwrap().read("b,k,,true,false,9,GLACIER", 1).is_ok());
        assert!(Inventory::parse("{}").is_err());
        assert!(Inventory::parse(&EXAMPLE.replace("\"CSV\"", "\"XLS\"")).is_err());
    }

    #[test]
    fn files_are_found_by_place_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("p/archive/all/data");
        let dated = dir.path().join("p/archive/all/2026-11-01T01-00Z");
        for folder in [&data, &dated] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let manifest = dated.join("manifest.json");
        let inventory = Inventory::parse(EXAMPLE).unwrap();
        let missing = inventory.locate(&manifest).unwrap_err();
        assert!(matches!(missing, Error::FileMissing { number: 1, .. }), "{missing}");
        std::fs::write(data.join("1.csv.gz"), "four").unwrap();
        assert!(inventory.locate(&manifest).is_err(), "another size is another file");
        std::fs::write(data.join("1.csv.gz"), "abc").unwrap();
        assert_eq!(inventory.locate(&manifest).unwrap(), [data.join("1.csv.gz")]);
        std::fs::rename(data.join("1.csv.gz"), dated.join("1.csv.gz")).unwrap();
        assert_eq!(inventory.locate(&manifest).unwrap(), [dated.join("1.csv.gz")]);
    }

    #[test]
    fn a_key_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("x"), "abc").unwrap();
        for key in ["a/../x", "/etc/hostname", "../x", "a//x"] {
            let file = InventoryFile { key: key.into(), size: 3 };
            assert_eq!(locate(&dir.path().join("manifest.json"), &file), None, "{key}");
        }
    }
}
