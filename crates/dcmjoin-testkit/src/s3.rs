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
        let request = Request { method, path, query, body, host: &self.host };
        let head = request.signed_head(&self.key, &self.secret, SystemTime::now())?;
        let answer = exchange(&self.host, head.as_bytes(), body);
        let answer = answer.with_context(|| format!("{method} {path}"))?;
        let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(blank.context("an answer without a head")? + 4);
        let status = String::from_utf8_lossy(head).split(' ').nth(1).map(str::to_owned);
        match status.as_deref() {
            Some("200" | "204") => Ok(body.to_vec()),
            status => {
                let status = status.unwrap_or("nothing");
                bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(body))
            }
        }
    }
}

fn exchange(host: &str, head: &[u8], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(head)?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
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
