//! Answers of S3 as XML: pages of `ListObjectsV2`, and the `Code` of an error.

use dcmjoin_manifest::entry::url_decoded;
use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::status::RestoreStatus;
use serde::Deserialize;

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) class: StorageClass,
    pub(crate) status: Option<RestoreStatus>,
}

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    /// Where the next page goes on.
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageForm {
    #[serde(default)]
    contents: Vec<ObjectForm>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectForm {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    storage_class: String,
    restore_status: Option<StatusForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatusForm {
    is_restore_in_progress: Option<String>,
    restore_expiry_date: Option<String>,
}

#[derive(Deserialize)]
struct ErrorForm {
    #[serde(rename = "Code")]
    code: String,
}

/// Reads a page whose keys are URL-encoded; an object that cannot be told is left out and counted.
pub(crate) fn page(xml: &str) -> Option<(Page, u64)> {
    let form: PageForm = quick_xml::de::from_str(xml).ok()?;
    let mut odd = 0;
    let mut objects = Vec::with_capacity(form.contents.len());
    for object in form.contents {
        match listed(&object) {
            Some(object) => objects.push(object),
            None => odd += 1,
        }
    }
    Some((Page { objects, next: form.next_continuation_token }, odd))
}

fn listed(object: &ObjectForm) -> Option<Listed> {
    let status = match &object.restore_status {
        None => None,
        Some(form) => RestoreStatus::parse_listing(
            form.is_restore_in_progress.as_deref(),
            form.restore_expiry_date.as_deref(),
        )
        .ok()?,
    };
    let class = StorageClass::from_aws(&object.storage_class).ok()?;
    let key = url_decoded(&object.key).ok()?;
    Some(Listed { key, bytes: object.size, class, status })
}

/// Returns the code of an error document; empty where there is none.
pub(crate) fn code(body: &str) -> String {
    quick_xml::de::from_str::<ErrorForm>(body).map(|form| form.code).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult><NextContinuationToken>t</NextContinuationToken>\
            <Contents><Key>a%20b/c%2B.tar</Key><Size>7</Size><StorageClass>GLACIER</StorageClass>\
            <RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus></Contents>\
            <Contents><Key>d</Key><Size>8</Size><StorageClass>NEW</StorageClass></Contents>\
            </ListBucketResult>";
        let (page, odd) = page(xml).unwrap();
        assert_eq!((page.next.as_deref(), odd), (Some("t"), 1));
        assert_eq!(page.objects[0].key, "a b/c+.tar");
        assert_eq!(page.objects[0].status, Some(RestoreStatus::InProgress));
    }

    #[test]
    fn codes_are_read_from_errors_alone() {
        assert_eq!(code("<Error><Code>SlowDown</Code><Message>m</Message></Error>"), "SlowDown");
        assert_eq!(code("upstream failed"), "");
    }
}
