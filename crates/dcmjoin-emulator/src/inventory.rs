//! Inventory reports: a bucket's objects in files, with a manifest.
//!
//! Source: the S3 user guide, "Locating your inventory list". Written when asked for, as CSV or
//! Parquet; S3 writes them once a day or a week, and its lists are of some time before.

mod table;

use std::io::Write as _;
use std::ops::Bound;

use flate2::Compression;
use flate2::write::GzEncoder;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Md5};
use serde_json::{Value, json};

use crate::bucket::Versioning;
use crate::class::StorageClass;
use crate::csv;
use crate::error;
use crate::event::{form_encoded, uuid};
use crate::object::{Hex, Object};
use crate::world::World;

/// Rows of a file.
const FILE_ROWS: usize = 100_000;

/// The form of an inventory's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileFormat {
    /// CSV in gzip, keys URL-encoded.
    #[default]
    Csv,
    /// Parquet, snappy.
    Parquet,
}

/// Which objects, and where to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inventory<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) destination: &'a str,
    /// Below which key the reports stand.
    pub(crate) prefix: &'a str,
    /// The name of the configuration.
    pub(crate) name: &'a str,
    pub(crate) format: FileFormat,
}

impl World {
    /// Writes a report, and returns the key of its `manifest.json`.
    pub(crate) fn write_inventory(&mut self, inventory: Inventory<'_>) -> S3Result<String> {
        let Inventory { bucket, destination, prefix, name, format } = inventory;
        self.bucket(destination)?;
        let versions = self.bucket(bucket)?.versioning != Versioning::Never;
        let folder = format!("{prefix}/{bucket}/{name}").trim_start_matches('/').to_owned();
        let mut files = Vec::new();
        for content in self.inventory_files(bucket, versions, format)? {
            files.push(self.write_file(destination, &folder, format, content)?);
        }
        let (word, schema) = match (format, versions) {
            (FileFormat::Parquet, true) => ("Parquet", table::WITH_VERSIONS),
            (FileFormat::Parquet, false) => ("Parquet", table::WITHOUT_VERSIONS),
            (FileFormat::Csv, true) => (
                "CSV",
                "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, \
                 StorageClass",
            ),
            (FileFormat::Csv, false) => {
                ("CSV", "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass")
            }
        };
        let manifest = json!({
            "sourceBucket": bucket,
            "destinationBucket": format!("arn:aws:s3:::{destination}"),
            "version": "2016-11-30",
            "creationTimestamp": self.now.millis().to_string(),
            "fileFormat": word,
            "fileSchema": schema,
            "files": files,
        });
        // `2026-01-02T03-04Z`
        let stamp = format!("{}Z", self.now.rfc3339()[..16].replace(':', "-"));
        let key = format!("{folder}/{stamp}/manifest.json");
        let text = manifest.to_string().into_bytes();
        let digest = Hex(&Md5::checksum(&text)).to_string().into_bytes();
        self.put(destination, &key, text.into(), StorageClass::Standard)?;
        let checksum = format!("{folder}/{stamp}/manifest.checksum");
        self.put(destination, &checksum, digest.into(), StorageClass::Standard)?;
        Ok(key)
    }

    /// Returns the contents of the files.
    fn inventory_files(
        &self,
        bucket: &str,
        versions: bool,
        format: FileFormat,
    ) -> S3Result<Vec<Vec<u8>>> {
        let entries = self.bucket(bucket)?.from(Bound::Unbounded);
        let rows = entries.flat_map(|(key, entry)| {
            let latest = entry.current.id;
            entry.versions().map(move |object| Row { key, object, latest: object.id == latest })
        });
        let rows: Vec<Row<'_>> = rows.collect();
        let parts = rows.chunks(FILE_ROWS).chain(rows.is_empty().then_some(&[][..]));
        parts
            .map(|rows| match format {
                FileFormat::Csv => csv_of(bucket, rows, versions),
                FileFormat::Parquet => table::write(bucket, rows, versions),
            })
            .collect()
    }

    fn write_file(
        &mut self,
        bucket: &str,
        folder: &str,
        format: FileFormat,
        content: Vec<u8>,
    ) -> S3Result<Value> {
        let ending = match format {
            FileFormat::Csv => "csv.gz",
            FileFormat::Parquet => "parquet",
        };
        let key = format!("{folder}/data/{}.{ending}", uuid(self.row.draw()));
        let file = json!({
            "key": key,
            "size": content.len(),
            "MD5checksum": Hex(&Md5::checksum(&content)).to_string(),
        });
        self.put(bucket, &key, content.into(), StorageClass::Standard)?;
        Ok(file)
    }
}

/// An object, or a version of it, in the list.
struct Row<'a> {
    key: &'a str,
    object: &'a Object,
    latest: bool,
}

fn csv_of(bucket: &str, rows: &[Row<'_>], versions: bool) -> S3Result<Vec<u8>> {
    let mut text = String::new();
    for row in rows {
        let key = form_encoded(row.key);
        add(&mut text, bucket, &key, row.object, versions.then_some(row.latest));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).map_err(|_| error::internal())?;
    gzip.finish().map_err(|_| error::internal())
}

fn add(text: &mut String, bucket: &str, key: &str, object: &Object, latest: Option<bool>) {
    let size = object.body.length().to_string();
    let (date, tag) = (object.modified.rfc3339_millis(), object.tag.to_string());
    let (version, marker) = (object.version(), object.marker.to_string());
    let newest = latest.unwrap_or_default().to_string();
    let mut fields = vec![bucket, key];
    if latest.is_some() {
        fields.extend([version.as_str(), newest.as_str(), marker.as_str()]);
    }
    fields.extend([size.as_str(), date.as_str(), tag.as_str(), object.class.name()]);
    csv::add_quoted(text, &fields);
}
