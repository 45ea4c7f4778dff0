//! What S3 says of a restored copy: the `x-amz-restore` header of a HEAD or GET, and `RestoreStatus`
//! of `ListObjectsV2`. Nothing else is the truth: the storage class stays `GLACIER` after a restore.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::moment::Moment;

/// The state of an object's restored copy. Without a status there is none: the object was never
/// restored, or its copy has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    /// The copy is on its way; a GET answers 403 `InvalidObjectState` until it is there.
    InProgress,
    /// The copy is there.
    Restored {
        /// When it goes; `None` where S3 names no date, as for Intelligent-Tiering.
        expiry: Option<Moment>,
    },
}

/// A header or a listing's entry is not as documented. It says nothing of the value: header values
/// do not belong in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StatusError {
    /// No `ongoing-request="true"` or `"false"`.
    #[error("expected ongoing-request=\"true\" or \"false\"")]
    Ongoing,
    /// The date of expiry is not a date.
    #[error("the date of expiry is not a date")]
    Expiry,
}

impl RestoreStatus {
    /// Reads the `x-amz-restore` header:
    /// `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`.
    ///
    /// # Errors
    /// [`StatusError`] where it is not of this form. The comma inside the quoted date parts nothing.
    pub fn parse_header(value: &str) -> Result<Self, StatusError> {
        match quoted(value, "ongoing-request") {
            Some("true") => return Ok(Self::InProgress),
            Some("false") => {}
            _ => return Err(StatusError::Ongoing),
        }
        let expiry = match quoted(value, "expiry-date") {
            Some(date) => Some(Moment::parse_http(date).map_err(|_| StatusError::Expiry)?),
            None if value.contains("expiry-date") => return Err(StatusError::Expiry),
            None => None,
        };
        Ok(Self::Restored { expiry })
    }

    /// Reads `RestoreStatus{IsRestoreInProgress, RestoreExpiryDate}` of `ListObjectsV2`; both are
    /// optional there.
    ///
    /// # Errors
    /// [`StatusError`] where a value is not a boolean or a date.
    pub fn parse_listing(
        in_progress: Option<&str>,
        expiry: Option<&str>,
    ) -> Result<Option<Self>, StatusError> {
        let expiry = expiry.map(Moment::parse_iso).transpose().map_err(|_| StatusError::Expiry)?;
        match (in_progress, expiry) {
            (Some("true"), _) => Ok(Some(Self::InProgress)),
            (Some("false") | None, Some(_)) => Ok(Some(Self::Restored { expiry })),
            (Some("false"), None) => Ok(Some(Self::Restored { expiry: None })),
            (None, None) => Ok(None),
            (Some(_), _) => Err(StatusError::Ongoing),
        }
    }
}

/// Returns the quoted value of a name.
fn quoted<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = after.trim_start().strip_prefix('"')?.split_once('"')?;
        if key.trim_matches([' ', ',']) == name {
            return Some(value);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_header() {
        let expiry = Moment::parse_iso("2012-12-21T00:00:00Z").ok();
        let date = "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        for (value, expected) in [
            ("ongoing-request=\"true\"".to_owned(), Ok(RestoreStatus::InProgress)),
            (format!("ongoing-request=\"false\", {date}"), Ok(RestoreStatus::Restored { expiry })),
            (format!("{date}, ongoing-request=\"false\""), Ok(RestoreStatus::Restored { expiry })),
            ("ongoing-request=\"false\"".to_owned(), Ok(RestoreStatus::Restored { expiry: None })),
            ("ongoing-request=false".to_owned(), Err(StatusError::Ongoing)),
            (String::new(), Err(StatusError::Ongoing)),
            ("ongoing-request=\"false\", expiry-date=\"soon\"".into(), Err(StatusError::Expiry)),
            ("ongoing-request=\"false\", expiry-date=".into(), Err(StatusError::Expiry)),
        ] {
            assert_eq!(RestoreStatus::parse_header(&value), expected, "{value}");
        }
    }

    #[test]
    fn reads_a_listing() {
        let date = "2012-12-21T00:00:00.000Z";
        let restored = RestoreStatus::Restored { expiry: Moment::parse_iso(date).ok() };
        let read = RestoreStatus::parse_listing;
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("true"), None), Ok(Some(RestoreStatus::InProgress)));
        assert_eq!(read(Some("false"), Some(date)), Ok(Some(restored)));
        assert_eq!(read(Some("false"), Some("never")), Err(StatusError::Expiry));
        assert_eq!(read(Some("perhaps"), None), Err(StatusError::Ongoing));
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value in ".{0,80}") {
            let _ = RestoreStatus::parse_header(&value);
        }
    }
}
