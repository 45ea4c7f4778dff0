//! Bytes too many for memory: appended to a file, then used as if they were in memory.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;

use crate::Error;

/// A file without a name that takes bytes in their order.
#[derive(Debug)]
pub struct Spool {
    file: File,
    len: u64,
}

impl Spool {
    /// Makes an empty spool in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn create(spill: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(spill).map_err(Error::io("create"))?;
        Ok(Self { file, len: 0 })
    }

    /// Returns how many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns true where there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Io`] where the device is full or fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("append to"))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Returns the bytes, backed by the file: the system reads them as they are used, and drops
    /// them from memory when it needs room. The file goes with the last slice of them.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be mapped.
    pub fn into_bytes(self) -> Result<Bytes, Error> {
        if self.is_empty() {
            return Ok(Bytes::new());
        }
        // SAFETY: a mapping is sound while nobody writes to the file or cuts it. The file never had
        // a name (`tempfile_in`: O_TMPFILE, or unlinked at once), its only descriptor is `self.file`,
        // no other is made of it, and it is consumed here: after this line nothing can reach the
        // file but the mapping, which is read-only.
        #[expect(unsafe_code, reason = "there is no safe way to use a file as memory")]
        let map = unsafe { memmap2::Mmap::map(&self.file) }.map_err(Error::io("map"))?;
        Ok(Bytes::from_owner(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whole_and_outlive_the_spool() {
        let spill = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(spill.path()).unwrap();
        assert!(Spool::create(spill.path()).unwrap().into_bytes().unwrap().is_empty());
        for part in 0..100_u8 {
            spool.append(&[part; 1000]).unwrap();
        }
        assert_eq!(spool.len(), 100_000);
        let bytes = spool.into_bytes().unwrap();
        let tail = bytes.slice(99_000..);
        drop(bytes);
        assert_eq!(&tail[..], &[99; 1000]);
        assert_eq!(std::fs::read_dir(spill.path()).unwrap().count(), 0);
    }
}
