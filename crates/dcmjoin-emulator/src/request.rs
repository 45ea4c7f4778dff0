//! What a request is, as far as the ledger and the faults must know before it is served.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// The kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
    /// `PutObject`.
    Put,
    /// `CopyObject` and `UploadPartCopy`.
    Copy,
    /// `DeleteObject` and `DeleteObjects`.
    Delete,
    /// `ListObjectsV2` and `ListObjectVersions`.
    List,
    /// `RestoreObject`.
    Restore,
    /// `CreateMultipartUpload`.
    UploadCreate,
    /// `UploadPart`.
    UploadPart,
    /// `CompleteMultipartUpload`.
    UploadComplete,
    /// `AbortMultipartUpload`, `ListParts`, `ListMultipartUploads`.
    UploadOther,
    /// Buckets: making, looking for, configuring.
    Bucket,
    /// S3 Batch Operations.
    Batch,
    /// SQS.
    Queue,
}

/// A request's kind, and the object or bucket that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Request {
    pub(crate) fn read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path().trim_start_matches('/');
        if headers.contains_key("x-amz-target") {
            return Self { kind: Kind::Queue, bucket: String::new(), key: String::new() };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let has = |name: &str| has_parameter(uri, name);
        let kind = if is_batch(uri) {
            Kind::Batch
        } else if key.is_empty() {
            of_bucket(method, &has)
        } else {
            of_object(method, headers, &has)
        };
        Self { kind, bucket: decode(bucket), key: decode(key) }
    }
}

/// Returns true where a request is for S3 Batch Operations, which share S3's signature and port.
pub(crate) fn is_batch(uri: &Uri) -> bool {
    uri.path().starts_with("/v20180820/jobs")
}

fn has_parameter(uri: &Uri, name: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|pair| pair.split('=').next() == Some(name))
}

fn of_bucket(method: &Method, has: &impl Fn(&str) -> bool) -> Kind {
    match *method {
        Method::GET if has("list-type") || has("versions") => Kind::List,
        Method::GET if has("uploads") => Kind::UploadOther,
        Method::POST if has("delete") => Kind::Delete,
        _ => Kind::Bucket,
    }
}

fn of_object(method: &Method, headers: &HeaderMap, has: &impl Fn(&str) -> bool) -> Kind {
    match *method {
        Method::GET | Method::DELETE if has("uploadId") => Kind::UploadOther,
        Method::GET => Kind::Get,
        Method::HEAD => Kind::Head,
        Method::PUT if headers.contains_key("x-amz-copy-source") => Kind::Copy,
        Method::PUT if has("uploadId") => Kind::UploadPart,
        Method::PUT => Kind::Put,
        Method::POST if has("restore") => Kind::Restore,
        Method::POST if has("uploads") => Kind::UploadCreate,
        Method::POST => Kind::UploadComplete,
        _ => Kind::Delete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &Method, uri: &str) -> Kind {
        Request::read(method, &uri.parse().unwrap(), &HeaderMap::new()).kind
    }

    #[test]
    fn kinds_follow_from_method_and_query() {
        assert_eq!(kind(&Method::GET, "/b/k?versionId=3"), Kind::Get);
        assert_eq!(kind(&Method::GET, "/b?list-type=2&prefix=x"), Kind::List);
        assert_eq!(kind(&Method::GET, "/b/?versions"), Kind::List);
        assert_eq!(kind(&Method::GET, "/b?location"), Kind::Bucket);
        assert_eq!(kind(&Method::POST, "/b/k?restore"), Kind::Restore);
        assert_eq!(kind(&Method::POST, "/b/k?uploads"), Kind::UploadCreate);
        assert_eq!(kind(&Method::POST, "/b/k?uploadId=4"), Kind::UploadComplete);
        assert_eq!(kind(&Method::PUT, "/b/k?partNumber=1&uploadId=4"), Kind::UploadPart);
        assert_eq!(kind(&Method::PUT, "/b/k?x-id=PutObject"), Kind::Put);
        assert_eq!(kind(&Method::POST, "/v20180820/jobs"), Kind::Batch);
        assert_eq!(kind(&Method::PUT, "/b"), Kind::Bucket);
    }

    #[test]
    fn names_are_decoded() {
        let uri = "/b/a%20b/%C3%BC".parse().unwrap();
        let request = Request::read(&Method::HEAD, &uri, &HeaderMap::new());
        assert_eq!((&*request.bucket, &*request.key), ("b", "a b/ü"));
    }
}
