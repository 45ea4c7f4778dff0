//! Refusals, with S3's codes and words.

use std::str::FromStr;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{S3Error, S3ErrorCode};

use crate::bucket::Missing;
use crate::class::StorageClass;
use crate::restore::Refusal;

/// Carries what belongs in an error's body from where it is known to where the body is written.
pub(crate) const DETAILS: HeaderName = HeaderName::from_static("x-emulator-details");

/// Returns a refusal whose code `s3s` may not know.
pub(crate) fn error(status: StatusCode, code: &str, message: &'static str) -> S3Error {
    let code = S3ErrorCode::from_str(code).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

pub(crate) fn no_such_bucket() -> S3Error {
    error(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist")
}

pub(crate) fn missing(missing: Missing) -> S3Error {
    match missing {
        Missing::Key => {
            error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
        }
        Missing::Version => {
            error(StatusCode::NOT_FOUND, "NoSuchVersion", "The specified version does not exist.")
        }
        Missing::Marker => error(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ),
    }
}

pub(crate) fn precondition_failed() -> S3Error {
    error(
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
}

pub(crate) fn slow_down() -> S3Error {
    error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
}

pub(crate) fn throttled() -> S3Error {
    error(StatusCode::SERVICE_UNAVAILABLE, "ThrottlingException", "Rate exceeded")
}

pub(crate) fn internal() -> S3Error {
    error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "We encountered an internal error. Please try again.",
    )
}

pub(crate) fn access_denied() -> S3Error {
    error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
}

pub(crate) fn expired_token() -> S3Error {
    error(StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired.")
}

pub(crate) fn invalid_token() -> S3Error {
    error(
        StatusCode::BAD_REQUEST,
        "InvalidToken",
        "The provided token is malformed or otherwise invalid.",
    )
}

pub(crate) fn no_expedited_capacity() -> S3Error {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "GlacierExpeditedRetrievalNotAvailable",
        "Glacier expedited retrievals are currently not available, please try again later",
    )
}

pub(crate) fn malformed_xml() -> S3Error {
    error(
        StatusCode::BAD_REQUEST,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

/// Returns a refusal of S3 Control.
pub(crate) fn bad_request(code: &str, message: &'static str) -> S3Error {
    error(StatusCode::BAD_REQUEST, code, message)
}

pub(crate) fn invalid_request(message: &'static str) -> S3Error {
    bad_request("InvalidRequest", message)
}

pub(crate) fn no_such_job() -> S3Error {
    error(StatusCode::NOT_FOUND, "NoSuchJob", "The specified job does not exist")
}

pub(crate) fn invalid_argument(message: &'static str) -> S3Error {
    error(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

/// Returns the refusal of a read; its body names the class and the tier.
pub(crate) fn archived(class: StorageClass) -> S3Error {
    let mut details = format!("<StorageClass>{}</StorageClass>", class.name());
    if let Some(tier) = class.archive_tier() {
        details.push_str(&format!("<AccessTier>{tier}</AccessTier>"));
    }
    let mut error = error(
        StatusCode::FORBIDDEN,
        "InvalidObjectState",
        "The operation is not valid for the object's storage class",
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.extend(HeaderValue::try_from(details).map(|details| (DETAILS, details)));
    error.set_headers(headers);
    error
}

/// Returns the refusal of a copy, by `CopyObject`'s own code for it.
pub(crate) fn not_in_active_tier() -> S3Error {
    error(
        StatusCode::FORBIDDEN,
        "ObjectNotInActiveTierError",
        "The source object of the COPY action is not in the active tier and is only stored in \
         Amazon S3 Glacier.",
    )
}

pub(crate) fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::NotArchived => error(
            StatusCode::FORBIDDEN,
            "InvalidObjectState",
            "Restore is not allowed for the object's current storage class",
        ),
        Refusal::ActiveTier => error(
            StatusCode::FORBIDDEN,
            "ObjectAlreadyInActiveTierError",
            "This action is not allowed against this object as it is already in an active tier",
        ),
        Refusal::NoDays => malformed_xml(),
        Refusal::WrongDays => invalid_argument("Days must be at least 1"),
        Refusal::NeedlessDays => invalid_argument(
            "INTELLIGENT_TIERING objects are not subject to restore expiry. Do not specify Days \
             when restoring this object",
        ),
        Refusal::NoSuchTier => {
            invalid_argument("Retrieval option is not supported by this storage class")
        }
        Refusal::InProgress => error(
            StatusCode::CONFLICT,
            "RestoreAlreadyInProgress",
            "Object restore is already in progress",
        ),
    }
}
