//! Lines of a bounded length, from a file that may be gz.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::Error;
use crate::rows::ROW_BYTES_MAX;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 << 10;

/// The lines of one file, numbered from 1.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    file: PathBuf,
    line: Vec<u8>,
    number: u64,
    failed: bool,
}

impl Lines {
    pub(crate) fn open(file: &Path) -> Result<Self, Error> {
        let failed = Error::io(file);
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, File::open(file).map_err(&failed)?);
        let gz = plain.fill_buf().map_err(&failed)?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn BufRead + Send> = match gz {
            true => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain))),
            false => Box::new(plain),
        };
        Ok(Self { reader, file: file.to_owned(), line: Vec::new(), number: 0, failed: false })
    }

    /// Returns the first byte that is not white space or a byte order mark, without taking it.
    pub(crate) fn first_byte(&mut self) -> Result<Option<u8>, Error> {
        let buffer = self.reader.fill_buf().map_err(Error::io(&self.file))?;
        let text = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(buffer);
        Ok(text.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
    }

    /// Returns the next line that is not empty, without its end, and its number.
    pub(crate) fn next(&mut self) -> Option<Result<(u64, &str), Error>> {
        if self.failed {
            return None;
        }
        loop {
            match self.read() {
                Ok(false) => return None,
                Ok(true) if self.trimmed().is_empty() => {}
                Ok(true) => break,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        let number = self.number;
        if std::str::from_utf8(self.trimmed()).is_err() {
            self.failed = true;
            return Some(Err(self.wrong(number, "expected UTF-8")));
        }
        // Checked just now; borrowed anew so that the error above can name the file.
        Some(Ok((number, std::str::from_utf8(self.trimmed()).unwrap_or_default())))
    }

    fn trimmed(&self) -> &[u8] {
        let line = match self.number {
            1 => self.line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.line),
            _ => &self.line,
        };
        line.trim_ascii()
    }

    /// Reads the next line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, Error> {
        self.line.clear();
        self.number += 1;
        let most = ROW_BYTES_MAX as u64 + 1;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.line);
        let read = read.map_err(Error::io(&self.file))?;
        if self.line.len() > ROW_BYTES_MAX {
            let detail = format!("expected at most {ROW_BYTES_MAX} bytes in a row");
            return Err(self.wrong(self.number, &detail));
        }
        Ok(read > 0)
    }

    pub(crate) fn wrong(&self, line: u64, detail: &str) -> Error {
        Error::Row { place: format!("{}:{line}", self.file.display()), detail: detail.to_owned() }
    }
}
