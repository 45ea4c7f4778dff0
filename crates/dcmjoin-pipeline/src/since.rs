//! Moments that are kept: when an archive was first read, when a closing ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in seconds since 1970; as text RFC 3339, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Since(pub u64);

impl Since {
    /// Returns the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// Returns the moment of a time, down to the second.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    /// Returns the time between this moment and a later one.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }
}

impl From<Since> for String {
    fn from(since: Since) -> Self {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(since.0)).to_string()
    }
}

impl TryFrom<String> for Since {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_text_and_comes_back() {
        let since = Since(1_773_479_707);
        let json = serde_json::to_string(&since).unwrap();
        assert_eq!(json, "\"2026-03-14T09:15:07Z\"");
        assert_eq!(serde_json::from_str::<Since>(&json).unwrap(), since);
        assert!(serde_json::from_str::<Since>("\"yesterday\"").is_err());
        assert_eq!(since.until(Since(since.0 + 5)), Duration::from_secs(5));
        assert_eq!(since.until(Since(0)), Duration::ZERO, "a clock that was set back");
    }
}
