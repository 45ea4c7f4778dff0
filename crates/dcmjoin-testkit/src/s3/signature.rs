//! Signature version 4, with the payload's hash, in a header.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::REGION;

/// A request that is to be signed.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Not yet percent-encoded.
    pub(super) path: &'a str,
    /// Not yet percent-encoded, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Besides those that every request has; names in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    /// `s3`, or another service that is asked.
    pub(super) service: &'a str,
}

impl Request<'_> {
    /// Returns the request line and the headers.
    pub(super) fn signed_head(&self, key: &str, secret: &str, now: SystemTime) -> Result<String> {
        let (day, time) = stamp(now)?;
        let hash = hex(&Sha256::digest(self.body));
        let path = encoded(self.path, true);
        let query = self.encoded_query();
        let mut headers = vec![
            ("host", self.host),
            ("x-amz-content-sha256", hash.as_str()),
            ("x-amz-date", time.as_str()),
        ];
        headers.extend(self.headers);
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines = |separator: &str, end: &str| {
            let line = |(name, value): &(&str, &str)| format!("{name}{separator}{value}{end}");
            headers.iter().map(line).collect::<String>()
        };
        let headers = lines(":", "\n");
        let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{hash}", self.method);

        let scope = format!("{day}/{REGION}/{}/aws4_request", self.service);
        let digest = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut signing_key = format!("AWS4{secret}").into_bytes();
        for part in [day.as_str(), REGION, self.service, "aws4_request"] {
            signing_key = hmac(&signing_key, part);
        }
        let signature = hex(&hmac(&signing_key, &text));

        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!(
            "{} {path}{mark}{query} HTTP/1.0\r\n{}Content-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, \
             Signature={signature}\r\n\r\n",
            self.method,
            lines(": ", "\r\n"),
            self.body.len()
        ))
    }

    fn encoded_query(&self) -> String {
        let pairs = self.query.iter();
        let mut pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{}={}", encoded(name, false), encoded(value, false)))
            .collect();
        pairs.sort();
        pairs.join("&")
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn encoded(text: &str, keep_slash: bool) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Returns the day as `20260102` and the time as `20260102T030405Z`.
fn stamp(now: SystemTime) -> Result<(String, String)> {
    let seconds = now.duration_since(UNIX_EPOCH).context("a clock before 1970")?.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let day = format!("{year:04}{month:02}{day:02}");
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let time = format!("{day}T{hour:02}{minute:02}{second:02}Z");
    Ok((day, time))
}

/// Returns year, month and day of a count of days since 1970.
///
/// Years are taken to begin in March, so that the leap day is a year's last; an era is 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn text_is_percent_encoded() {
        assert_eq!(encoded("a/b c+é~", true), "a/b%20c%2B%C3%A9~");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }
}
