//! Points of the emulator's own time.

use std::fmt;
use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A day of S3: restored copies go at midnight UTC, and UTC has no other days here.
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// A point in time, in whole milliseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// Returns the point this many milliseconds after 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Reads `2026-11-22T10:30:00Z`.
    ///
    /// # Errors
    /// Where the text is not such a time, or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, humantime::TimestampError> {
        humantime::parse_rfc3339(text).map(Self::from)
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Returns the time that has gone by since an earlier point; zero where it is a later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns this point, or the next midnight (UTC) where it is not midnight itself.
    #[must_use]
    pub const fn midnight_up(self) -> Self {
        let day = DAY.as_millis() as u64;
        Self(self.0.div_ceil(day) * day)
    }

    /// Returns the form of HTTP's `Date` and of `x-amz-restore`: `Fri, 21 Dec 2012 00:00:00 GMT`.
    #[must_use]
    pub fn http_date(self) -> String {
        httpdate::fmt_http_date(self.into())
    }

    /// Returns the form of events and listings, in whole seconds: `2021-11-12T00:00:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(self.into()).to_string()
    }

    /// Returns the form of the classic notifications: `2021-11-12T00:00:00.000Z`.
    #[must_use]
    pub fn rfc3339_millis(self) -> String {
        humantime::format_rfc3339_millis(self.into()).to_string()
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }
}

impl From<SystemTime> for Time {
    /// A time before 1970 becomes 1970: nothing here is that old.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64)
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_up_to_midnight() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Time::parse(text).unwrap().midnight_up().rfc3339(), expect);
        };
        // The example of the S3 user guide, "Restoring an archived object".
        check("2012-10-18T10:30:00Z", "2012-10-19T00:00:00Z");
        check("2012-10-19T00:00:00Z", "2012-10-19T00:00:00Z");
        check("2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z");
    }

    #[test]
    fn has_the_forms_of_s3() {
        let time = Time::parse("2012-12-21T00:00:00Z").unwrap();
        assert_eq!(time.http_date(), "Fri, 21 Dec 2012 00:00:00 GMT");
        assert_eq!(time.to_string(), "2012-12-21T00:00:00.000Z");
    }
}
