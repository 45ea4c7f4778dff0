//! Where a file's bytes come from.

use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;

/// Something that a file of the catalogue is read from, by ranges.
pub trait Source {
    /// Returns its size in bytes.
    ///
    /// # Errors
    /// Where the system cannot tell.
    fn size(&self) -> io::Result<u64>;

    /// Returns exactly the bytes of a range, which lies within the size.
    ///
    /// # Errors
    /// Where they cannot be read, or there are fewer.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes>;
}

impl Source for Bytes {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let inside = |at: u64| usize::try_from(at).ok().filter(|&at| at <= self.len());
        match (inside(range.start), inside(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(self.slice(start..end)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let length = range.end.checked_sub(range.start).and_then(|bytes| bytes.try_into().ok());
        let mut bytes = vec![0; length.ok_or(io::ErrorKind::InvalidInput)?];
        std::os::unix::fs::FileExt::read_exact_at(self, &mut bytes, range.start)?;
        Ok(bytes.into())
    }
}
