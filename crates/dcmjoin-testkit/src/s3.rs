//! A small S3 client for arranging a test and looking at what it left.
//!
//! It shares nothing with the client under test, so neither hides the other's mistakes. It is for
//! a server on the loopback: one HTTP/1.0 request a connection, whole bodies in memory, no retry.

mod signature;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use signature::Request;

/// No request of a test takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const REGION: &str = "us-east-1";

/// An endpoint and the credentials of one identity.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where the server listens, as `127.0.0.1:port`.
    pub(crate) host: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Access {
    /// Returns the same identity with a secret that is not its own.
    #[must_use]
    pub fn with_wrong_secret(&self) -> Self {
        Self { secret: "not-the-secret-of-this-key".into(), ..self.clone() }
    }

    /// Returns the key's name and its secret, to look for them where they must not be.
    #[must_use]
    pub fn credentials(&self) -> [&str; 2] {
        [&self.key, &self.secret]
    }

    /// Returns the variables that tell a program of this endpoint and identity.
    #[must_use]
    pub fn env(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.host)),
            ("AWS_ACCESS_KEY_ID", self.key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ALLOW_HTTP", "true".into()),
        ]
    }

    /// Gives a command these variables.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.env())
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// Where the server refuses: the name is taken, or the identity may not.
    pub fn create_bucket(&self, name: &str) -> Result<Bucket> {
        self.ask("PUT", &format!("/{name}"), &[], b"")?;
        Ok(self.bucket(name))
    }

    /// Returns a bucket, whether it exists or not.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket { access: self.clone(), name: name.into() }
    }

    /// Sends a signed request, and returns the body of a good answer.
    fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let answer = self.send(&Ask { method, path, query, body, ..Ask::default() })?;
        match answer.status {
            200 | 204 => Ok(answer.body),
            status => bail!("{method} {path}: {status}: {}", answer.text()),
        }
    }

    /// Returns the identity of a server that was started otherwise.
    #[must_use]
    pub fn new(host: &str, key: &str, secret: &str) -> Self {
        Self { host: host.into(), key: key.into(), secret: secret.into() }
    }

    /// Sends a signed request, and returns the answer, whatever it is.
    ///
    /// # Errors
    /// Where there is no answer. A body that ends early is none: the answer is as it came.
    pub fn send(&self, ask: &Ask<'_>) -> Result<Answer> {
        let Ask { method, path, query, headers, body, service } = *ask;
        let request = Request { method, path, query, headers, body, service, host: &self.host };
        let head = request.signed_head(&self.key, &self.secret, SystemTime::now())?;
        let answer = exchange(&self.host, head.as_bytes(), body);
        let answer = answer.with_context(|| format!("{method} {path}"))?;
        Answer::read(&answer)
    }
}

/// A request of a test's own making; the defaults are those of a GET without anything.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, not yet percent-encoded.
    pub path: &'a str,
    /// The query, not yet percent-encoded, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers, their names in lower case; all are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// The service that the signature is for.
    pub service: &'a str,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { method: "GET", path: "/", query: &[], headers: &[], body: b"", service: "s3" }
    }
}

/// An answer, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
}

impl Answer {
    fn read(answer: &[u8]) -> Result<Self> {
        let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(blank.context("an answer without a head")? + 4);
        let head = String::from_utf8_lossy(head);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Ok(Self {
            status: status.context("an answer without a status")?,
            headers: headers.collect(),
            body: body.to_vec(),
        })
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the text of the first element of a name, in a body of XML.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<String> {
        texts(&self.text(), name).next()
    }
}

fn exchange(host: &str, head: &[u8], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(head)?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // A connection that breaks after the answer has begun: what came is the answer.
        Err(_) if !answer.is_empty() => Ok(answer),
        read => read.map(|_| answer),
    }
}

/// A bucket of a server.
#[derive(Debug, Clone)]
pub struct Bucket {
    access: Access,
    name: String,
}

impl Bucket {
    /// Returns the bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes an object.
    ///
    /// # Errors
    /// What the server says.
    pub fn put(&self, key: &str, body: impl AsRef<[u8]>) -> Result<()> {
        self.access.ask("PUT", &self.path(key), &[], body.as_ref()).map(drop)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// What the server says.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.access.ask("GET", &self.path(key), &[], b"")
    }

    /// Removes an object.
    ///
    /// # Errors
    /// What the server says.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.access.ask("DELETE", &self.path(key), &[], b"").map(drop)
    }

    /// Returns the keys that start with a prefix, sorted; the whole bucket's for an empty one.
    ///
    /// # Errors
    /// What the server says.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut token = None;
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let page = self.access.ask("GET", &format!("/{}", self.name), &query, b"")?;
            let page = String::from_utf8(page).context("a listing that is not UTF-8")?;
            keys.extend(texts(&page, "Key"));
            token = texts(&page, "NextContinuationToken").next();
            if token.is_none() {
                keys.sort();
                return Ok(keys);
            }
        }
    }

    /// Returns all objects below a prefix by their keys.
    ///
    /// # Errors
    /// What the server says.
    pub fn objects(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let keys = self.list(prefix)?;
        keys.into_iter().map(|key| self.get(&key).map(|body| (key, body))).collect()
    }

    /// Returns the keys of uploads in parts that were begun, and neither completed nor given up.
    ///
    /// # Errors
    /// What the server says.
    pub fn uploads(&self) -> Result<Vec<String>> {
        let page = self.access.ask("GET", &format!("/{}", self.name), &[("uploads", "")], b"")?;
        let page = String::from_utf8(page).context("a listing that is not UTF-8")?;
        Ok(texts(&page, "Key").collect())
    }

    fn path(&self, key: &str) -> String {
        format!("/{}/{key}", self.name)
    }
}

/// Returns the texts of all elements of a name; enough for a listing, which nests none in itself.
fn texts(xml: &str, name: &str) -> impl Iterator<Item = String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts: Vec<&str> = xml.split(open.as_str()).skip(1).collect();
    let inner = parts.into_iter().filter_map(move |part| Some(part.split_once(&close)?.0.into()));
    inner.map(|text: String| text.replace("&quot;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_texts_of_a_listing() {
        let xml = "<R><C><Key>a&amp;b</Key></C><C><Key>c</Key></C><Next></Next></R>";
        assert_eq!(texts(xml, "Key").collect::<Vec<_>>(), ["a&b", "c"]);
    }
}
