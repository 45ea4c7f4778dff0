//! Inventory reports: a bucket's objects in files, with a manifest.
//!
//! Source: the S3 user guide, "Locating your inventory list". Written when asked for, as CSV; S3
//! writes them once a day or a week, and its lists are of some time before.

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

/// Which objects, and where to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inventory<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) destination: &'a str,
    /// Below which key the reports stand.
    pub(crate) prefix: &'a str,
    /// The name of the configuration.
    pub(crate) name: &'a str,
}

impl World {
    /// Writes a report, and returns the key of its `manifest.json`.
    pub(crate) fn write_inventory(&mut self, inventory: Inventory<'_>) -> S3Result<String> {
        let Inventory { bucket, destination, prefix, name } = inventory;
        self.bucket(destination)?;
        let versions = self.bucket(bucket)?.versioning != Versioning::Never;
        let folder = format!("{prefix}/{bucket}/{name}").trim_start_matches('/').to_owned();
        let mut files = Vec::new();
        for rows in self.inventory_rows(bucket, versions)? {
            files.push(self.write_rows(destination, &folder, &rows)?);
        }
        let schema = if versions {
            "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, \
             StorageClass"
        } else {
            "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass"
        };
        let manifest = json!({
            "sourceBucket": bucket,
            "destinationBucket": format!("arn:aws:s3:::{destination}"),
            "version": "2016-11-30",
            "creationTimestamp": self.now.millis().to_string(),
            "fileFormat": "CSV",
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

    /// Returns the rows, in parts of a file each.
    fn inventory_rows(&self, bucket: &str, versions: bool) -> S3Result<Vec<String>> {
        let mut parts = vec![String::new()];
        let mut count = 0;
        for (key, entry) in self.bucket(bucket)?.from(Bound::Unbounded) {
            let key = form_encoded(key);
            for object in entry.versions() {
                if count == FILE_ROWS {
                    parts.push(String::new());
                    count = 0;
                }
                count += 1;
                let latest = object.id == entry.current.id;
                if let Some(text) = parts.last_mut() {
                    add(text, bucket, &key, object, versions.then_some(latest));
                }
            }
        }
        Ok(parts)
    }

    fn write_rows(&mut self, bucket: &str, folder: &str, rows: &str) -> S3Result<Value> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(rows.as_bytes()).map_err(|_| error::internal())?;
        let packed = gzip.finish().map_err(|_| error::internal())?;
        let key = format!("{folder}/data/{}.csv.gz", uuid(self.row.draw()));
        let file = json!({
            "key": key,
            "size": packed.len(),
            "MD5checksum": Hex(&Md5::checksum(&packed)).to_string(),
        });
        self.put(bucket, &key, packed.into(), StorageClass::Standard)?;
        Ok(file)
    }
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
