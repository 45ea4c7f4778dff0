//! A multipart upload on its way.

use std::collections::BTreeMap;

use crate::body::Body;
use crate::bucket::Name;
use crate::class::StorageClass;
use crate::object::{Said, Tag};
use crate::time::Time;

/// S3's bounds of a multipart upload.
pub(crate) const PART_NUMBER_MAX: i32 = 10_000;
/// Every part but the last has at least 5 MiB.
pub(crate) const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) body: Body,
    pub(crate) tag: Tag,
    pub(crate) modified: Time,
}

#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: Name,
    pub(crate) class: StorageClass,
    pub(crate) said: Said,
    pub(crate) started: Time,
    pub(crate) parts: BTreeMap<i32, Part>,
}
