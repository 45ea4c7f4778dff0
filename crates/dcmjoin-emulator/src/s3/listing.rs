//! Listings: keys in UTF-8 byte order, in pages.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::{S3Response, S3Result, dto};

use super::objects::{size, timestamp};
use super::{Answered, Service};
use crate::bucket::{Bucket, Entry, Name};
use crate::error;
use crate::event::listing_encoded;
use crate::object::Object;
use crate::restore::Copy;

/// S3 gives no more a page, whatever is asked for.
const KEYS_MAX: i32 = 1000;

/// A row of a listing: an entry, or the common beginning of several.
enum Row<'a> {
    Entry(&'a Name, &'a Entry),
    Prefix(String),
}

impl Row<'_> {
    /// Returns where the next page starts, if this is the last row.
    fn end(&self) -> &str {
        match self {
            Self::Entry(key, _) => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Which rows are wanted.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// Rows up to here were there before.
    after: &'a str,
    rows_max: usize,
}

impl Wanted<'_> {
    /// Returns the rows of a page, and whether there are more.
    fn page<'b>(&self, bucket: &'b Bucket, takes: impl Fn(&Entry) -> bool) -> (Vec<Row<'b>>, bool) {
        let mut rows = Vec::new();
        if self.rows_max == 0 {
            return (rows, false);
        }
        let mut after = self.after.to_owned();
        while let Some(row) = self.next(bucket, &after, &takes) {
            if rows.len() == self.rows_max {
                return (rows, true);
            }
            row.end().clone_into(&mut after);
            rows.push(row);
        }
        (rows, false)
    }

    fn next<'b>(
        &self,
        bucket: &'b Bucket,
        after: &str,
        takes: &impl Fn(&Entry) -> bool,
    ) -> Option<Row<'b>> {
        // Behind a common prefix come the keys that do not start with it.
        let over = self.delimiter.is_some_and(|delimiter| {
            after.strip_prefix(self.prefix).is_some_and(|rest| {
                !rest.is_empty()
                    && rest.ends_with(delimiter)
                    && rest.matches(delimiter).count() == 1
            })
        });
        let start =
            if after < self.prefix { Bound::Included(self.prefix) } else { Bound::Excluded(after) };
        let mut keys = bucket.from(start).take_while(|(key, _)| key.starts_with(self.prefix));
        let (key, entry) =
            keys.find(|(key, entry)| !(over && key.starts_with(after)) && takes(entry))?;
        let rest = &key[self.prefix.len()..];
        let cut = self.delimiter.and_then(|delimiter| {
            rest.find(delimiter).map(|at| self.prefix.len() + at + delimiter.len())
        });
        Some(match cut {
            Some(end) => Row::Prefix(key[..end].to_owned()),
            None => Row::Entry(key, entry),
        })
    }
}

/// Encodes names as a client wants them.
#[derive(Clone, Copy)]
struct Encode(bool);

impl Encode {
    fn of(asked: Option<&dto::EncodingType>) -> Self {
        Self(asked.is_some_and(|asked| asked.as_str() == "url"))
    }

    fn text(self, text: &str) -> String {
        if self.0 { listing_encoded(text) } else { text.to_owned() }
    }

    fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<dto::CommonPrefix>> {
        let prefix = |prefix: String| dto::CommonPrefix { prefix: Some(self.text(&prefix)) };
        (!prefixes.is_empty()).then(|| prefixes.into_iter().map(prefix).collect())
    }
}

impl Service {
    pub(super) fn list_objects(
        &self,
        input: dto::ListObjectsV2Input,
    ) -> Answered<dto::ListObjectsV2Output> {
        let token = input.continuation_token.as_deref().map(read_token).transpose()?;
        let encode = Encode::of(input.encoding_type.as_ref());
        let rows_max = rows_max(input.max_keys)?;
        let world = self.shared.enter();
        let bucket = world.bucket(&input.bucket)?;
        let wanted = Wanted {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            after: token.as_deref().or(input.start_after.as_deref()).unwrap_or_default(),
            rows_max,
        };
        let (rows, more) = wanted.page(bucket, |entry| !entry.current.marker);
        let next = rows.last().filter(|_| more).map(|row| BASE64.encode(row.end()));
        let restores = wants_restores(input.optional_object_attributes.as_ref());
        let (key_count, mut contents, mut prefixes) = (rows.len(), Vec::new(), Vec::new());
        for row in rows {
            match row {
                Row::Entry(key, entry) => {
                    contents.push(object_row(encode.text(key), &entry.current, restores));
                }
                Row::Prefix(prefix) => prefixes.push(prefix),
            }
        }
        Ok(S3Response::new(dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode.text(input.prefix.as_deref().unwrap_or_default())),
            max_keys: Some(count(rows_max)),
            key_count: Some(count(key_count)),
            is_truncated: Some(more),
            continuation_token: input.continuation_token,
            next_continuation_token: next,
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: encode.prefixes(prefixes),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|start| encode.text(&start)),
            ..Default::default()
        }))
    }

    pub(super) fn list_versions(
        &self,
        input: dto::ListObjectVersionsInput,
    ) -> Answered<dto::ListObjectVersionsOutput> {
        let encode = Encode::of(input.encoding_type.as_ref());
        let rows_max = rows_max(input.max_keys)?;
        let world = self.shared.enter();
        let bucket = world.bucket(&input.bucket)?;
        let wanted = Wanted {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            after: input.key_marker.as_deref().unwrap_or_default(),
            rows_max,
        };
        let (rows, more) = wanted.page(bucket, |_| true);
        // A page ends between keys, and so may hold more rows than were asked for.
        let next_key_marker = rows.last().filter(|_| more).map(|row| encode.text(row.end()));
        let restores = wants_restores(input.optional_object_attributes.as_ref());
        let mut page = Versions { encode, restores, ..Versions::default() };
        for row in rows {
            match row {
                Row::Entry(key, entry) => page.add(key, entry),
                Row::Prefix(prefix) => page.prefixes.push(prefix),
            }
        }
        Ok(S3Response::new(dto::ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(input.prefix.as_deref().unwrap_or_default())),
            max_keys: Some(count(rows_max)),
            is_truncated: Some(more),
            key_marker: Some(encode.text(input.key_marker.as_deref().unwrap_or_default())),
            next_key_marker,
            versions: (!page.objects.is_empty()).then_some(page.objects),
            delete_markers: (!page.markers.is_empty()).then_some(page.markers),
            common_prefixes: encode.prefixes(page.prefixes),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}

struct Versions {
    encode: Encode,
    restores: bool,
    objects: Vec<dto::ObjectVersion>,
    markers: Vec<dto::DeleteMarkerEntry>,
    prefixes: Vec<String>,
}

impl Default for Versions {
    fn default() -> Self {
        let (objects, markers, prefixes) = (Vec::new(), Vec::new(), Vec::new());
        Self { encode: Encode(false), restores: false, objects, markers, prefixes }
    }
}

impl Versions {
    fn add(&mut self, key: &str, entry: &Entry) {
        let key = self.encode.text(key);
        for object in entry.versions() {
            let (key, version_id) = (Some(key.clone()), Some(object.version()));
            let is_latest = Some(object.id == entry.current.id);
            let last_modified = Some(timestamp(object.modified));
            if object.marker {
                let owner = None;
                let marker =
                    dto::DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id };
                self.markers.push(marker);
                continue;
            }
            let class = dto::ObjectVersionStorageClass::from_static(object.class.name());
            self.objects.push(dto::ObjectVersion {
                e_tag: Some(object.tag.dto()),
                is_latest,
                key,
                last_modified,
                restore_status: self.restores.then(|| restore_status(object)).flatten(),
                size: Some(size(object.body.length())),
                storage_class: Some(class),
                version_id,
                ..Default::default()
            });
        }
    }
}

fn object_row(key: String, object: &Object, restores: bool) -> dto::Object {
    dto::Object {
        e_tag: Some(object.tag.dto()),
        key: Some(key),
        last_modified: Some(timestamp(object.modified)),
        restore_status: restores.then(|| restore_status(object)).flatten(),
        size: Some(size(object.body.length())),
        storage_class: Some(dto::ObjectStorageClass::from_static(object.class.name())),
        ..Default::default()
    }
}

/// Returns what a listing says of a restore; nothing where there is none.
fn restore_status(object: &Object) -> Option<dto::RestoreStatus> {
    let (running, expiry) = match object.copy()? {
        Copy::Running { .. } => (true, None),
        Copy::Available { expiry } => (false, Some(timestamp(expiry))),
    };
    Some(dto::RestoreStatus { is_restore_in_progress: Some(running), restore_expiry_date: expiry })
}

fn wants_restores(asked: Option<&dto::OptionalObjectAttributesList>) -> bool {
    let named = |name: &dto::OptionalObjectAttributes| {
        name.as_str() == dto::OptionalObjectAttributes::RESTORE_STATUS
    };
    asked.is_some_and(|asked| asked.iter().any(named))
}

fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}

fn rows_max(asked: Option<i32>) -> S3Result<usize> {
    usize::try_from(asked.unwrap_or(KEYS_MAX).min(KEYS_MAX)).map_err(|_| {
        error::invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647")
    })
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = BASE64.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| error::invalid_argument("The continuation token provided is incorrect"))
}
