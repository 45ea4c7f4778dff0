//! What can go wrong with a store, in terms a person can act on.
//!
//! **Invariant:** no text of a server's answer reaches [`Error`] but its error code: S3 echoes keys,
//! access key ids and strings to sign in the bodies of its errors.

use std::fmt;

use thiserror::Error;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Making sense of a location or its configuration.
    Open,
    /// Listing a prefix.
    List,
    /// Looking at an object's size and version.
    Head,
    /// Reading bytes of an object.
    Read,
    /// Writing an object.
    Write,
    /// Removing an object.
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Head => "look up",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The location or its configuration makes no sense.
    Invalid,
    /// No such bucket, object or folder.
    NotFound,
    /// The credentials are missing or unknown.
    Unauthenticated,
    /// The credentials do not allow it.
    Denied,
    /// The object is archived and has no restored copy.
    Archived,
    /// The object is not the version that was listed.
    Changed,
    /// An object stands there already.
    Exists,
    /// The answer does not hold what was asked for.
    BadAnswer,
    /// The store asks for fewer requests, and kept asking for minutes.
    Throttled,
    /// The store did not answer in time; retries did not help.
    TimedOut,
    /// The store failed, or could not be reached; retries did not help.
    Unavailable,
    /// No room on the device.
    NoSpace,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Returns what a person can do about it.
    #[must_use]
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::NotFound => {
                Some("check the bucket's or folder's name, the region and AWS_ENDPOINT_URL")
            }
            Self::Unauthenticated => Some(
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or AWS_PROFILE, \
                 and the clock of this machine",
            ),
            Self::Denied => Some(
                "the credentials are known, but lack the permission: s3:ListBucket and \
                 s3:GetObject on sources, s3:PutObject and s3:GetObject on the output",
            ),
            Self::Archived => Some("restore the object from Glacier first"),
            Self::Changed => Some("the object was overwritten during the run; run again"),
            Self::Throttled => Some(
                "run again later, with fewer archives at the same time (--archives), or spread the \
                 output over prefixes (--layout with {hash})",
            ),
            Self::Unavailable | Self::TimedOut => Some(
                "the store is down or out of reach, or no credentials were found: check \
                 the network, AWS_ENDPOINT_URL and the credentials, then run again",
            ),
            Self::NoSpace => Some("make room, then run the same command again"),
            Self::Invalid | Self::Exists | Self::BadAnswer | Self::Other => None,
        }
    }

    /// Returns true where the same request may succeed a little later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::TimedOut | Self::Unavailable | Self::BadAnswer)
    }
}

/// A failed operation on a store.
#[derive(Debug, Clone, Error)]
#[error("cannot {operation} {place}: {detail}")]
pub struct Error {
    /// What was being done.
    pub operation: Operation,
    /// Where: the location as the user gave it, or an object's URL.
    pub place: String,
    /// What went wrong.
    pub kind: ErrorKind,
    /// Expected, got: lower case, no full stop.
    pub detail: String,
}

impl Error {
    pub(crate) fn new(
        operation: Operation,
        place: impl Into<String>,
        kind: ErrorKind,
        detail: impl Into<String>,
    ) -> Self {
        Self { operation, place: place.into(), kind, detail: detail.into() }
    }

    /// Of the local file system.
    pub(crate) fn from_io(operation: Operation, place: &str, error: std::io::Error) -> Self {
        let source = Box::new(error);
        let error = object_store::Error::Generic { store: "LocalFileSystem", source };
        Self::from_store(operation, place, &error)
    }

    pub(crate) fn from_store(
        operation: Operation,
        place: &str,
        error: &object_store::Error,
    ) -> Self {
        use object_store::Error as Store;
        let code = server_code(error);
        let kind = match (error, code.as_deref()) {
            (_, Some("InvalidObjectState")) => ErrorKind::Archived,
            (_, Some("AccessDenied" | "AllAccessDisabled")) => ErrorKind::Denied,
            (_, Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken")) => {
                ErrorKind::Unauthenticated
            }
            (_, Some("RequestTimeTooSkewed" | "InvalidToken")) => ErrorKind::Unauthenticated,
            // S3's own, then Azure's; ServiceUnavailable is S3's `Reduce your request rate`.
            (_, Some("SlowDown" | "ServiceUnavailable" | "ServerBusy" | "TooManyRequests")) => {
                ErrorKind::Throttled
            }
            (_, Some("RequestTimeout")) => ErrorKind::TimedOut,
            (_, Some("InternalError")) => ErrorKind::Unavailable,
            (_, Some("NoSuchBucket" | "NoSuchKey")) | (Store::NotFound { .. }, _) => {
                ErrorKind::NotFound
            }
            (Store::PermissionDenied { .. }, _) => ErrorKind::Denied,
            (Store::Unauthenticated { .. }, _) => ErrorKind::Unauthenticated,
            (Store::Precondition { .. } | Store::NotModified { .. }, _) => ErrorKind::Changed,
            (Store::AlreadyExists { .. }, _) => ErrorKind::Exists,
            (Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. }, _) => {
                ErrorKind::Invalid
            }
            (Store::NotSupported { .. } | Store::NotImplemented { .. }, _) => ErrorKind::Invalid,
            _ => kind_of_status(error).unwrap_or_else(|| kind_of_cause(error)),
        };
        Self::new(operation, place, kind, detail(kind, code.as_deref(), error))
    }
}

/// Returns the error code of an S3, GCS or Azure answer.
fn server_code(error: &object_store::Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| code.to_owned())
}

/// Returns what an answer without an error code says by its status: answers to HEAD have no body.
///
/// The client tells the status, and what is wrong with a range, in words alone.
fn kind_of_status(error: &object_store::Error) -> Option<ErrorKind> {
    let text = error.to_string();
    if ["non-partial response", "Content-Range", "CONTENT_RANGE", "Requested "]
        .iter()
        .any(|words| text.contains(words))
    {
        return Some(ErrorKind::BadAnswer);
    }
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    match rest.get(..3)? {
        "429" | "503" => Some(ErrorKind::Throttled),
        "408" | "504" => Some(ErrorKind::TimedOut),
        _ => None,
    }
}

#[cfg(feature = "cloud")]
fn has_timed_out(error: &object_store::Error) -> bool {
    use object_store::client::{HttpError, HttpErrorKind};
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return http.kind() == HttpErrorKind::Timeout;
        }
        cause = error.source();
    }
    false
}

#[cfg(not(feature = "cloud"))]
fn has_timed_out(_: &object_store::Error) -> bool {
    false
}

fn io_cause(error: &object_store::Error) -> Option<&std::io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = cause {
        found = error.downcast_ref::<std::io::Error>().or(found);
        cause = error.source();
    }
    found
}

fn kind_of_cause(error: &object_store::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match io_cause(error).map(std::io::Error::kind) {
        Some(Io::StorageFull | Io::QuotaExceeded) => ErrorKind::NoSpace,
        Some(Io::PermissionDenied | Io::ReadOnlyFilesystem) => ErrorKind::Denied,
        Some(Io::NotFound) => ErrorKind::NotFound,
        Some(Io::AlreadyExists) => ErrorKind::Exists,
        Some(Io::IsADirectory | Io::NotADirectory) => ErrorKind::Invalid,
        Some(Io::UnexpectedEof) => ErrorKind::BadAnswer,
        _ if has_timed_out(error) => ErrorKind::TimedOut,
        _ if matches!(error, object_store::Error::Generic { store, .. } if *store != "LocalFileSystem") => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Other,
    }
}

fn detail(kind: ErrorKind, code: Option<&str>, error: &object_store::Error) -> String {
    let words = match kind {
        ErrorKind::Invalid => "it cannot be used this way",
        ErrorKind::NotFound => "not found",
        ErrorKind::Unauthenticated => "the credentials are missing or not valid",
        ErrorKind::Denied => "access denied",
        ErrorKind::Archived => "the object is archived, and no restored copy is there",
        ErrorKind::Changed => "it is no longer the version that was listed",
        ErrorKind::Exists => "an object stands there already",
        ErrorKind::BadAnswer => "the answer is not the range that was asked for",
        ErrorKind::Throttled => "the store asks for fewer requests",
        ErrorKind::TimedOut => "the store does not answer in time",
        ErrorKind::Unavailable => "the store does not answer",
        ErrorKind::NoSpace => "no space left on the device",
        ErrorKind::Other => "the store failed",
    };
    let cause = code.map(str::to_owned).or_else(|| io_cause(error).map(|io| io.kind().to_string()));
    match cause {
        Some(cause) => format!("{words} ({cause})"),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn only_the_code_of_an_answer_is_quoted() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let error = Error::from_store(Operation::Read, "s3://bucket", &generic(body));
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        let text = error.to_string();
        assert!(text.contains("SignatureDoesNotMatch") && !text.contains("AKIA"), "{text}");
    }

    #[test]
    fn codes_decide_the_kind() {
        for (code, kind) in [
            ("InvalidObjectState", ErrorKind::Archived),
            ("AccessDenied", ErrorKind::Denied),
            ("SlowDown", ErrorKind::Throttled),
            ("InternalError", ErrorKind::Unavailable),
            ("RequestTimeout", ErrorKind::TimedOut),
            ("NoSuchBucket", ErrorKind::NotFound),
            ("Teapot", ErrorKind::Unavailable),
        ] {
            let error = generic(&format!("<Code>{code}</Code>"));
            assert_eq!(Error::from_store(Operation::Read, "p", &error).kind, kind, "{code}");
        }
    }

    #[test]
    fn statuses_decide_where_there_is_no_code() {
        for (status, kind) in [
            ("503 Service Unavailable", ErrorKind::Throttled),
            ("429 Too Many Requests", ErrorKind::Throttled),
            ("504 Gateway Timeout", ErrorKind::TimedOut),
            ("502 Bad Gateway", ErrorKind::Unavailable),
            ("", ErrorKind::Unavailable),
        ] {
            let error = generic(&format!("Server returned non-2xx status code: {status}: "));
            assert_eq!(Error::from_store(Operation::Head, "p", &error).kind, kind, "{status}");
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        let source = Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let error = object_store::Error::Generic { store: "LocalFileSystem", source };
        assert_eq!(Error::from_store(Operation::Write, "out", &error).kind, ErrorKind::NoSpace);
    }
}
