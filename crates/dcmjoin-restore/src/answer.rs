//! What an answer of `RestoreObject` means.

use serde::{Deserialize, Serialize};

/// The outcome of one `RestoreObject` call, or of one row of a Batch Operations report.
///
/// Neither a 202 nor a report's `succeeded` says that the object can be read: both say that its
/// restore has been *initiated*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 202: a restore has begun.
    Accepted,
    /// 200: a copy is there; its expiry was set anew, counted from now.
    AlreadyRestored,
    /// 409 `RestoreAlreadyInProgress`: a restore runs that is as fast, or has other days.
    AlreadyInProgress,
    /// 403 `InvalidObjectState` or `ObjectAlreadyInActiveTierError`: it is not archived.
    NotArchived,
    /// 503 `GlacierExpeditedRetrievalNotAvailable`.
    NoExpeditedCapacity,
    /// 503 `SlowDown`, `ThrottlingException` and their like.
    Throttled,
    /// Another 5xx, or 408.
    ServerError,
    /// No answer, or one that was cut off: the call may have had its effect.
    Lost,
    /// The caller's credentials have expired; new ones may serve.
    CredentialsExpired,
    /// 403 `AccessDenied` and other refusals of the caller.
    AccessDenied,
    /// 404: no such bucket, key or version.
    NotFound,
    /// Another 4xx: the request makes no sense to S3.
    Refused,
}

impl Answer {
    /// All answers.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::AlreadyRestored,
        Self::AlreadyInProgress,
        Self::NotArchived,
        Self::NoExpeditedCapacity,
        Self::Throttled,
        Self::ServerError,
        Self::Lost,
        Self::CredentialsExpired,
        Self::AccessDenied,
        Self::NotFound,
        Self::Refused,
    ];

    /// Returns the meaning of an HTTP status and of the `Code` of S3's error document, empty where
    /// there is none.
    #[must_use]
    pub fn of(status: u16, code: &str) -> Self {
        match (status, code) {
            (_, "RestoreAlreadyInProgress") => Self::AlreadyInProgress,
            (_, "GlacierExpeditedRetrievalNotAvailable") => Self::NoExpeditedCapacity,
            (_, "InvalidObjectState" | "ObjectAlreadyInActiveTierError") => Self::NotArchived,
            (
                _,
                "SlowDown"
                | "ThrottlingException"
                | "Throttling"
                | "RequestLimitExceeded"
                | "TooManyRequests"
                | "TooManyRequestsException",
            )
            | (429, _) => Self::Throttled,
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
                Self::CredentialsExpired
            }
            (202, _) => Self::Accepted,
            (200..=299, _) => Self::AlreadyRestored,
            // Where the caller's clock is off, the next call is signed with the server's time.
            (
                _,
                "RequestTimeTooSkewed" | "RequestTimeout" | "InternalError" | "OperationAborted",
            )
            | (408 | 500..=599, _) => Self::ServerError,
            (401 | 403, _) => Self::AccessDenied,
            (404, _) => Self::NotFound,
            // A redirect names another region than the request was made for.
            (300..=499, _) => Self::Refused,
            _ => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_meaning() {
        for (status, code, expected) in [
            (202, "", Answer::Accepted),
            (200, "", Answer::AlreadyRestored),
            (409, "RestoreAlreadyInProgress", Answer::AlreadyInProgress),
            (403, "InvalidObjectState", Answer::NotArchived),
            (403, "ObjectAlreadyInActiveTierError", Answer::NotArchived),
            (403, "AccessDenied", Answer::AccessDenied),
            (403, "", Answer::AccessDenied),
            (400, "ExpiredToken", Answer::CredentialsExpired),
            (400, "MalformedXML", Answer::Refused),
            (404, "NoSuchKey", Answer::NotFound),
            (503, "GlacierExpeditedRetrievalNotAvailable", Answer::NoExpeditedCapacity),
            (503, "SlowDown", Answer::Throttled),
            (400, "ThrottlingException", Answer::Throttled),
            (503, "ServiceUnavailable", Answer::ServerError),
            (500, "InternalError", Answer::ServerError),
            (409, "OperationAborted", Answer::ServerError),
            (301, "PermanentRedirect", Answer::Refused),
            (0, "", Answer::Lost),
        ] {
            assert_eq!(Answer::of(status, code), expected, "{status} {code}");
        }
    }
}
