//! Manifests: lists of objects, as CSV or as an inventory report.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use percent_encoding::percent_decode_str;
use s3s::crypto::{Checksum as _, Md5};
use serde_json::Value;

use super::xml::{Manifest, Spec};
use super::{Failure, Task};
use crate::csv;
use crate::object::{Hex, Object};
use crate::world::World;

/// The longest manifest, or file of an inventory, when it is unpacked.
const BYTES_MAX: u64 = 1 << 30;

const UNREADABLE: Failure =
    Failure { code: "ManifestUnreadable", reason: "the manifest cannot be read" };
const CHANGED: Failure =
    Failure { code: "ManifestETagMismatch", reason: "the manifest is not the one that was named" };
const MALFORMED: Failure = Failure {
    code: "ManifestMalformed",
    reason: "a row of the manifest does not have the fields that were named",
};
const OTHER_BUCKET: Failure = Failure {
    code: "ManifestCrossBucket",
    reason: "the manifest names objects of more than one bucket; a header row is read as one",
};

/// The objects of a manifest, and their bucket.
pub(super) struct Listed {
    pub(super) bucket: String,
    pub(super) tasks: Vec<Task>,
}

/// Where a row has what.
struct Columns {
    bucket: usize,
    key: usize,
    version: Option<usize>,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
}

impl Columns {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let names: Vec<&str> = names.map(str::trim).collect();
        let at = |name: &str| names.iter().position(|known| *known == name);
        Some(Self {
            bucket: at("Bucket")?,
            key: at("Key")?,
            version: at("VersionId"),
            is_latest: at("IsLatest"),
            is_delete_marker: at("IsDeleteMarker"),
        })
    }
}

/// Splits `arn:aws:s3:::bucket/key`.
pub(super) fn place(arn: &str) -> Option<(&str, &str)> {
    arn.strip_prefix("arn:aws:s3:::")?.split_once('/')
}

pub(super) fn read(world: &World, manifest: &Manifest) -> Result<Listed, Failure> {
    let (bucket, key) = place(&manifest.location.object_arn).ok_or(UNREADABLE)?;
    let object = world.object(bucket, key, None).map_err(|_| UNREADABLE)?;
    if object.tag.to_string() != manifest.location.tag.trim_matches('"') {
        return Err(CHANGED);
    }
    let bytes = content(object)?;
    let mut listed = Listed { bucket: String::new(), tasks: Vec::new() };
    match manifest.spec.format.as_str() {
        "S3BatchOperations_CSV_20180820" => {
            let columns = columns_of(&manifest.spec).ok_or(MALFORMED)?;
            listed.add(&bytes, &columns)?;
        }
        "S3InventoryReport_CSV_20161130" => inventory(world, &bytes, &mut listed)?,
        _ => return Err(MALFORMED),
    }
    Ok(listed)
}

fn columns_of(spec: &Spec) -> Option<Columns> {
    Columns::of(spec.fields.member.iter().map(String::as_str))
}

fn content(object: &Object) -> Result<Vec<u8>, Failure> {
    let length = object.body.length();
    if length > BYTES_MAX || !object.is_readable() {
        return Err(UNREADABLE);
    }
    object.body.read(0..length).map(Vec::from).map_err(|_| UNREADABLE)
}

/// Reads the files that an inventory's `manifest.json` names.
fn inventory(world: &World, bytes: &[u8], listed: &mut Listed) -> Result<(), Failure> {
    let manifest: Value = serde_json::from_slice(bytes).map_err(|_| UNREADABLE)?;
    let schema = manifest["fileSchema"].as_str().ok_or(MALFORMED)?;
    let columns = Columns::of(schema.split(',')).ok_or(MALFORMED)?;
    let bucket = manifest["destinationBucket"].as_str().unwrap_or_default();
    let bucket = bucket.strip_prefix("arn:aws:s3:::").ok_or(MALFORMED)?;
    if manifest["fileFormat"] != "CSV" {
        return Err(MALFORMED);
    }
    for file in manifest["files"].as_array().ok_or(MALFORMED)? {
        let key = file["key"].as_str().ok_or(MALFORMED)?;
        let object = world.object(bucket, key, None).map_err(|_| UNREADABLE)?;
        let packed = content(object)?;
        if file["MD5checksum"] != Hex(&Md5::checksum(&packed)).to_string() {
            return Err(CHANGED);
        }
        let mut rows = Vec::new();
        let unpacked = MultiGzDecoder::new(&packed[..]).take(BYTES_MAX).read_to_end(&mut rows);
        unpacked.map_err(|_| UNREADABLE)?;
        listed.add(&rows, &columns)?;
    }
    Ok(())
}

impl Listed {
    fn add(&mut self, rows: &[u8], columns: &Columns) -> Result<(), Failure> {
        let text = std::str::from_utf8(rows).map_err(|_| MALFORMED)?;
        for row in csv::rows(text) {
            let field = |at: usize| row.get(at).ok_or(MALFORMED);
            let says = |at: Option<usize>, word: &str| {
                at.and_then(|at| row.get(at)).is_some_and(|field| field == word)
            };
            // Of an inventory, what is to be restored are objects, and their newest versions.
            if says(columns.is_delete_marker, "true") || says(columns.is_latest, "false") {
                continue;
            }
            let bucket = field(columns.bucket)?;
            if self.tasks.is_empty() {
                self.bucket.clone_from(bucket);
            }
            if *bucket != self.bucket {
                return Err(OTHER_BUCKET);
            }
            let key = field(columns.key)?.replace('+', " ");
            let key = percent_decode_str(&key).decode_utf8().map_err(|_| MALFORMED)?;
            let version = columns.version.and_then(|at| row.get(at));
            let version = version.filter(|version| !version.is_empty());
            let version = version.map(|version| version.as_str().into());
            self.tasks.push(Task { key: key.into(), version });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str, names: &[&str]) -> Result<Listed, Failure> {
        let mut listed = Listed { bucket: String::new(), tasks: Vec::new() };
        let columns = Columns::of(names.iter().copied()).unwrap();
        listed.add(text.as_bytes(), &columns).map(|()| listed)
    }

    #[test]
    fn keys_are_decoded() {
        let listed = listed("b,a+b/%C3%BC.tar\r\nb,\"c,d\"\n", &["Bucket", "Key"]).unwrap();
        let keys: Vec<&str> = listed.tasks.iter().map(|task| &*task.key).collect();
        assert_eq!(keys, ["a b/ü.tar", "c,d"]);
    }

    #[test]
    fn a_header_row_fails_the_job() {
        let refused = listed("Bucket,Key\nb,k\n", &["Bucket", "Key"]).err();
        assert_eq!(refused, Some(OTHER_BUCKET));
    }

    #[test]
    fn old_versions_and_markers_of_an_inventory_are_passed_over() {
        let names = ["Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker"];
        let text = "b,k,1,true,false\nb,k,0,false,false\nb,l,2,true,true\n";
        let listed = listed(text, &names).unwrap();
        assert_eq!(listed.tasks, [Task { key: "k".into(), version: Some("1".into()) }]);
    }
}
