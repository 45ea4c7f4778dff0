//! An HTTP/1.1 message: as much of it as requests of S3 and their answers need.

use std::io::{self, BufRead, Read};

/// A head or a line of a chunked body is no longer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request or an answer.
#[derive(Debug, Clone)]
pub(super) struct Message {
    first: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Reads a request; `None` where the client has closed the connection.
    pub(super) fn request(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut request = Self::head(from)?;
        request.read_body(from, false)?;
        Ok(Some(request))
    }

    /// Reads the answer to a request of a method.
    pub(super) fn answer(from: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let mut answer = Self::head(from)?;
        let status = answer.first.split(' ').nth(1).unwrap_or_default();
        let bodiless = method == "HEAD" || status == "204" || status == "304";
        if !bodiless {
            answer.read_body(from, true)?;
        }
        Ok(answer)
    }

    /// Returns an error as S3 gives it.
    pub(super) fn error(status: &str, code: &str, method: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>By the proxy.</Message></Error>");
        let headers = [("Content-Type", "application/xml"), ("Content-Length", "0")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut error = Self { first: format!("HTTP/1.1 {status}"), headers, body: Vec::new() };
        if method != "HEAD" {
            error.set("Content-Length", &body.len().to_string());
            error.body = body.into();
        }
        error
    }

    /// Returns a request's method and target.
    pub(super) fn asks(&self) -> (&str, &str) {
        let mut words = self.first.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// Returns true where the client waits for the connection's end after this request.
    pub(super) fn is_last(&self) -> bool {
        self.first.ends_with("HTTP/1.0") || self.header("Connection") == Some("close")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Makes the answer to a range one to the whole object.
    pub(super) fn claim_whole(&mut self) {
        "HTTP/1.1 200 OK".clone_into(&mut self.first);
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Range"));
    }

    /// Makes `Content-Range` begin and end one byte later.
    pub(super) fn shift_range(&mut self) {
        let shifted = self.header("Content-Range").and_then(|range| {
            let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
            let (start, end) = range.split_once('-')?;
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            Some(format!("bytes {}-{}/{size}", start + 1, end + 1))
        });
        if let Some(range) = shifted {
            self.set("Content-Range", &range);
        }
    }

    pub(super) fn without_body(&self) -> Self {
        Self { body: Vec::new(), ..self.clone() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.head_text().as_bytes(), &self.body].concat()
    }

    pub(super) fn head_len(&self) -> usize {
        self.head_text().len()
    }

    fn head_text(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.first, headers.collect::<String>())
    }

    fn head(from: &mut impl BufRead) -> io::Result<Self> {
        let first = line(from)?;
        let mut headers = Vec::new();
        loop {
            let line = line(from)?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(Self { first, headers, body: Vec::new() });
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads the body; one of chunks becomes one of a known length.
    fn read_body(&mut self, from: &mut impl BufRead, to_end: bool) -> io::Result<()> {
        if self.header("Transfer-Encoding").is_some() {
            self.body = chunks(from)?;
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Transfer-Encoding"));
            self.set("Content-Length", &self.body.len().to_string());
        } else if let Some(length) = self.header("Content-Length") {
            let length = length.parse().map_err(io::Error::other)?;
            self.body = vec![0; length];
            from.read_exact(&mut self.body)?;
        } else if to_end {
            from.read_to_end(&mut self.body)?;
        }
        Ok(())
    }
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(HEAD_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    let text = String::from_utf8(line).map_err(io::Error::other)?;
    match text.strip_suffix("\r\n") {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(from)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        let read = from.take(size).read_to_end(&mut body)?;
        if (read as u64) < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The line after each chunk, and after the last one the empty trailer.
        line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        let read = |text: &str| Message::answer(&mut text.as_bytes(), "GET").map(|it| it.body);
        let head = "HTTP/1.1 200 OK\r\n";
        assert_eq!(read(&format!("{head}Content-Length: 3\r\n\r\nabcd")).unwrap(), b"abc");
        assert!(read(&format!("{head}Content-Length: 5\r\n\r\nabcd")).is_err());
        let chunked =
            format!("{head}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
        assert_eq!(read(&chunked).unwrap(), b"abc");
        assert!(read(&chunked[..chunked.len() - 9]).is_err());
        assert_eq!(read(&format!("{head}\r\nab")).unwrap(), b"ab");
        assert!(read("HTTP/1.1 200").is_err());
    }

    #[test]
    fn a_range_is_shifted() {
        let text =
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab";
        let mut answer = Message::answer(&mut text.as_bytes(), "GET").unwrap();
        answer.shift_range();
        assert_eq!(answer.header("content-range"), Some("bytes 1-2/9"));
        answer.claim_whole();
        assert_eq!(answer.header("content-range"), None);
        assert!(answer.bytes().starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}
