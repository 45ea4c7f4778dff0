//! Points in time, as S3 writes them: HTTP dates (RFC 9110 5.6.7) and ISO 8601, to the second, UTC.
//!
//! No clock here: a [`Moment`] comes from a `Date` header, an event or a listing, and is passed in.
//! [`ServerClock`] keeps how far the caller's own clock is from the server's, so that a machine
//! whose clock is a day off still judges expiry rightly.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Seconds of an hour.
pub const HOUR: u64 = 3_600;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A point in time: whole seconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

/// A text is not a time that S3 writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a time: expected `Fri, 21 Dec 2012 00:00:00 GMT` or `2012-12-21T00:00:00Z`, of 1970 to 9999"
)]
pub struct NotATime;

impl Moment {
    /// Returns the moment so many seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_epoch_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn epoch_secs(self) -> u64 {
        self.0
    }

    /// Returns the moment so many seconds later, the last one there is where none is.
    #[must_use]
    pub const fn plus(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs))
    }

    /// Returns the moment so many seconds earlier, the first one there is where none is.
    #[must_use]
    pub const fn minus(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs))
    }

    /// Returns the seconds from this moment to a later one; 0 where the other is not later.
    #[must_use]
    pub const fn secs_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }

    /// Returns the midnight (UTC) at or after this moment.
    #[must_use]
    pub const fn midnight_up(self) -> Self {
        Self(self.0.div_ceil(DAY).saturating_mul(DAY))
    }

    /// Reads the IMF-fixdate of HTTP, `Fri, 21 Dec 2012 00:00:00 GMT`.
    ///
    /// # Errors
    /// [`NotATime`] for anything else; the name of the weekday is not checked.
    pub fn parse_http(text: &str) -> Result<Self, NotATime> {
        let (_, text) = text.trim().split_once(", ").ok_or(NotATime)?;
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NotATime);
        let day = number(word()?, 2)?;
        let name = word()?;
        let month = MONTHS.iter().position(|month| *month == name).ok_or(NotATime)?;
        let year = number(word()?, 4)?;
        let time = word()?;
        if word()? != "GMT" || word().is_ok() {
            return Err(NotATime);
        }
        Self::civil(year, month as u64 + 1, day, time)
    }

    /// Reads ISO 8601 in UTC, `2012-12-21T00:00:00Z`; a fraction of a second is cut off.
    ///
    /// # Errors
    /// [`NotATime`] for anything else.
    pub fn parse_iso(text: &str) -> Result<Self, NotATime> {
        let text = text.trim().strip_suffix('Z').ok_or(NotATime)?;
        let (date, time) = text.split_once('T').ok_or(NotATime)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotATime);
        }
        let mut parts = date.splitn(3, '-');
        let mut part = |digits| number(parts.next().ok_or(NotATime)?, digits);
        Self::civil(part(4)?, part(2)?, part(2)?, time)
    }

    /// Returns the moment as an HTTP date.
    #[must_use]
    pub fn http(self) -> String {
        let (year, month, day) = date_of(self.0 / DAY);
        let (weekday, month) = (WEEKDAYS[(self.0 / DAY % 7) as usize], MONTHS[month as usize - 1]);
        let (hour, minute, second) = self.time_of_day();
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    fn time_of_day(self) -> (u64, u64, u64) {
        (self.0 / HOUR % 24, self.0 / 60 % 60, self.0 % 60)
    }

    fn civil(year: u64, month: u64, day: u64, time: &str) -> Result<Self, NotATime> {
        let mut parts = time.splitn(3, ':');
        let mut part = || number(parts.next().ok_or(NotATime)?, 2);
        let (hour, minute, second) = (part()?, part()?, part()?);
        let dated = (1970..=9999).contains(&year) && (1..=12).contains(&month);
        if !dated || hour > 23 || minute > 59 || second > 60 {
            return Err(NotATime);
        }
        let days = days_before(year, month) + day.checked_sub(1).ok_or(NotATime)?;
        if date_of(days) != (year, month, day) {
            return Err(NotATime);
        }
        Ok(Self(days * DAY + hour * HOUR + minute * 60 + second))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / DAY);
        let (hour, minute, second) = self.time_of_day();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

fn number(text: &str, digits: usize) -> Result<u64, NotATime> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotATime);
    }
    text.parse().map_err(|_| NotATime)
}

/// Returns the days from 1970-01-01 to the first of a month, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
const fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01; (153 m + 2) / 5 are those before month m.
    year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
}

/// Returns year, month and day of a day counted from 1970-01-01.
const fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// How far the caller's clock is from the server's.
///
/// Feed it the `Date` header of answers; it then tells the server's time between answers. Until the
/// first answer it tells none, so that nothing is judged by the caller's clock alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerClock {
    offset_secs: Option<i128>,
}

impl ServerClock {
    /// Takes note of an answer's `Date`, and of the caller's own time when it came.
    ///
    /// `local` may be any clock that ticks seconds; one that is never set back is best.
    pub fn observe(&mut self, local: Moment, date: Moment) {
        self.offset_secs = Some(i128::from(date.0) - i128::from(local.0));
    }

    /// Returns the server's time at a time of the caller's clock.
    #[must_use]
    pub fn at(&self, local: Moment) -> Option<Moment> {
        let secs = i128::from(local.0) + self.offset_secs?;
        Some(Moment(u64::try_from(secs.max(0)).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    const LAST: u64 = 253_402_300_799;

    #[test]
    fn reads_what_s3_writes() {
        let expected = Moment::from_epoch_secs(1_356_048_000);
        assert_eq!(Moment::parse_http("Fri, 21 Dec 2012 00:00:00 GMT"), Ok(expected));
        assert_eq!(Moment::parse_iso("2012-12-21T00:00:00.000Z"), Ok(expected));
        assert_eq!(Moment::parse_iso("2012-12-21T00:00:00Z"), Ok(expected));
        assert_eq!(expected.http(), "Fri, 21 Dec 2012 00:00:00 GMT");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Fri, 21 Dec 2012 00:00:00",
            "Fri, 31 Feb 2012 00:00:00 GMT",
            "Fri, 21 Dez 2012 00:00:00 GMT",
            "Fri, 21 Dec 2012 24:00:00 GMT",
            "Fri, 21 Dec 2012 00:00:00 GMT x",
            "Fri, 00 Dec 2012 00:00:00 GMT",
        ] {
            assert_eq!(Moment::parse_http(text), Err(NotATime), "{text}");
        }
        for text in
            ["2012-12-21", "2012-13-21T00:00:00Z", "1969-12-31T23:59:59Z", "2012-12-21T00:00:00.Z"]
        {
            assert_eq!(Moment::parse_iso(text), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn midnight_is_at_or_after() {
        let noon = Moment::parse_iso("2026-10-15T10:30:00Z").unwrap();
        assert_eq!(noon.plus(3 * DAY).midnight_up().to_string(), "2026-10-19T00:00:00Z");
        let midnight = Moment::parse_iso("2026-10-15T00:00:00Z").unwrap();
        assert_eq!(midnight.midnight_up(), midnight);
        assert_eq!(Moment::from_epoch_secs(u64::MAX).midnight_up().epoch_secs(), u64::MAX);
    }

    #[test]
    fn a_clock_that_is_a_day_off_does_no_harm() {
        let mut clock = ServerClock::default();
        let local = Moment::from_epoch_secs(1_000_000);
        assert_eq!(clock.at(local), None);
        clock.observe(local, local.plus(DAY));
        assert_eq!(clock.at(local.plus(5)), Some(local.plus(DAY + 5)));
        clock.observe(local, local.minus(DAY));
        assert_eq!(clock.at(local.plus(5)), Some(local.minus(DAY - 5)));
    }

    proptest! {
        #[test]
        fn agrees_with_another_calendar(secs in 0..=LAST) {
            let moment = Moment::from_epoch_secs(secs);
            let system = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            let other = humantime::format_rfc3339_seconds(system).to_string();
            prop_assert_eq!(moment.to_string(), other);
        }

        #[test]
        fn what_is_written_is_read(secs in 0..=LAST) {
            let moment = Moment::from_epoch_secs(secs);
            prop_assert_eq!(Moment::parse_http(&moment.http()), Ok(moment));
            prop_assert_eq!(Moment::parse_iso(&moment.to_string()), Ok(moment));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Moment::parse_http(&text);
            let _ = Moment::parse_iso(&text);
        }
    }
}
