//! A database as a log: its tables, and what is asked of the server.

use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use clickhouse::error::Error as Refusal;
use dcmjoin_ledger::Error;
use dcmjoin_ledger::tasks::LEASE;
use url::Url;

use crate::finished::Finished;

/// What was appended, as it came. A partition is a range of the sorting key, so that one is read by
/// itself; an insert is one part, since each is synced, and the server refuses inserts where there are too
/// many. (Tables of older versions have four parts an insert, and serve as well.)
/// An insert is on the device when it is answered, and known again where it is made again.
const FACT: &str = "
CREATE TABLE IF NOT EXISTS dcmjoin_fact (
    partition UInt16, campaign LowCardinality(String), fingerprint UInt128, uid String, half UInt8,
    archive LowCardinality(String), offset UInt64, version Nullable(String), length UInt64,
    digest UInt128, crc32c UInt32, came DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = MergeTree ORDER BY (partition, campaign, fingerprint, uid, half, archive, offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1,
    fsync_part_directory = 1";
const DONE: &str = "
CREATE TABLE IF NOT EXISTS dcmjoin_done (
    partition UInt16, campaign LowCardinality(String), fingerprint UInt128, uid String)
ENGINE = MergeTree ORDER BY (partition, campaign, fingerprint, uid)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1";
/// How often a campaign was forgotten: what is appended after that is not what was appended before.
const FORGOTTEN: &str = "
CREATE TABLE IF NOT EXISTS dcmjoin_forgotten (campaign String) ENGINE = MergeTree ORDER BY campaign
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1";
/// Who was heard of, and when.
const READER: &str = "
CREATE TABLE IF NOT EXISTS dcmjoin_reader (
    worker String, has_left Bool, at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = MergeTree ORDER BY at TTL toDateTime(at) + INTERVAL 1 DAY";

/// Facts in a database.
#[derive(Clone)]
pub struct ClickHouse {
    pub(crate) client: Client,
    pub(crate) lease: Duration,
    pub(crate) finished: Arc<Finished>,
}

impl std::fmt::Debug for ClickHouse {
    /// A client's settings hold its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClickHouse")
    }
}

impl ClickHouse {
    /// Opens `clickhouse://user@host:8123/database`; makes the tables where there are none. With
    /// `?secure=true` by TLS, against the certificates that the system trusts. A password that is
    /// not in the URL may be given apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL is none; [`Error::Store`] where the server is away or refuses.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, Error> {
        // The URL holds a password: it is not told.
        let place = Place::parse(url).ok_or_else(|| {
            Error::Invalid("expected clickhouse://user@host:port/database for the log".to_owned())
        })?;
        let mut client = Client::default().with_url(place.http);
        if !place.database.is_empty() {
            client = client.with_database(place.database);
        }
        if !place.user.is_empty() {
            client = client.with_user(place.user);
        }
        if let Some(password) = place.password.or(password.map(str::to_owned)) {
            client = client.with_password(password);
        }
        let log = Self { client, lease: LEASE, finished: Arc::default() };
        for table in [FACT, DONE, FORGOTTEN, READER] {
            log.client.query(table).execute().await.map_err(|error| words(&error))?;
        }
        Ok(log)
    }

    /// Sets for how long readers count without being heard of.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// A URL's parts.
struct Place {
    http: String,
    user: String,
    password: Option<String>,
    database: String,
}

impl Place {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("clickhouse://")?;
        // Of a scheme that is known, so that names and passwords are read as of any URL.
        let url = Url::parse(&format!("http://{rest}")).ok()?;
        let scheme = match url.query() {
            None | Some("secure=false") => "http",
            Some("secure=true") => "https",
            Some(_) => return None,
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self {
            http: format!("{scheme}://{}{port}", url.host_str()?),
            user: plain(url.username())?,
            password: match url.password() {
                Some(password) => Some(plain(password)?),
                None => None,
            },
            database: plain(url.path().trim_matches('/'))?,
        })
    }
}

/// Returns a part of a URL without its escapes.
fn plain(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(crate) fn failed(detail: impl ToString) -> Error {
    Error::Store { store: "clickhouse", detail: detail.to_string() }
}

/// Returns an error by its code: the server's words quote rows and statements.
pub(crate) fn words(error: &Refusal) -> Error {
    match error {
        Refusal::Network(_) => failed("the server cannot be reached"),
        Refusal::TimedOut => failed("the server gave no answer in time"),
        Refusal::BadResponse(text) => {
            let code = text.split_once("Code: ").map(|(_, rest)| rest);
            let digits = code.map(|code| code.split(|c: char| !c.is_ascii_digit()).next());
            match digits.flatten() {
                Some(code) => failed(format!("the server {} (code {code})", meaning(code))),
                None => failed("the server's answer is not understood"),
            }
        }
        _ => failed("the server's answer is not understood"),
    }
}

/// Returns what people need to know of a code.
fn meaning(code: &str) -> &'static str {
    match code {
        "243" => "has no space left on its disk",
        "241" => "has no memory left for it",
        "252" => "merges more slowly than facts come",
        _ => "refuses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_urls() {
        let read = |url| {
            let place = Place::parse(url)?;
            Some([place.http, place.user, place.password.unwrap_or_default(), place.database])
        };
        let expect = |parts: [&str; 4]| Some(parts.map(str::to_owned));
        let all = "clickhouse://ann:p%40ss@host:8443/facts?secure=true";
        assert_eq!(read(all), expect(["https://host:8443", "ann", "p@ss", "facts"]));
        assert_eq!(read("clickhouse://h:8123"), expect(["http://h:8123", "", "", ""]));
        for wrong in ["http://h", "clickhouse://", "clickhouse://h/d?tls=1", "clickhouse://h/%zz"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
