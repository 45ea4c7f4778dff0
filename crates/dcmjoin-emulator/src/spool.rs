//! Long uploads, in files instead of memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use crate::body::{Body, Source};

/// A folder that is removed with what is in it.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: TempDir,
}

impl Spool {
    /// Shorter uploads stay in memory.
    pub(crate) const FROM_BYTES: usize = 1024 * 1024;

    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcmjoin-emulator-").tempdir_in(parent)?;
        Ok(Self { folder })
    }

    /// Makes a file, which has no name any more: it is gone with the last that reads it.
    pub(crate) fn file(&self) -> io::Result<Spooling> {
        Ok(Spooling { file: tempfile::tempfile_in(self.folder.path())?, length: 0 })
    }
}

/// A file that is being written.
pub(crate) struct Spooling {
    file: File,
    length: u64,
}

impl Spooling {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    pub(crate) fn finish(self) -> Body {
        Body::Source(Arc::new(self))
    }
}

impl Source for Spooling {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }
}

impl fmt::Debug for Spooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooling").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(parent.path()).unwrap();
        let mut file = spool.file().unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        let body = file.finish();
        assert_eq!((body.length(), body.memory_bytes()), (11, 0));
        assert_eq!(body.read(4..9).unwrap(), "o wor");
        drop(spool);
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
        assert_eq!(body.read(0..5).unwrap(), "hello");
    }
}
