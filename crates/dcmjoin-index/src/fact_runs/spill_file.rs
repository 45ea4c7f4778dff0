//! Facts on disk: extents of one unnamed file, each with its checksum in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;

/// A file that is written from front to back and read by extent, then goes with the value.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    end: u64,
}

/// Bytes that were written at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    bytes: u32,
    crc: u32,
}

impl Extent {
    pub(super) fn bytes(self) -> usize {
        self.bytes as usize
    }
}

impl SpillFile {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create"))?;
        Ok(Self { file, end: 0 })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<Extent, Error> {
        let limit = u64::from(u32::MAX);
        let length = u32::try_from(bytes.len())
            .map_err(|_| Error::Limit { what: "bytes of facts at once", limit })?;
        self.file.write_all_at(bytes, self.end).map_err(Error::io("append to"))?;
        let crc = crc32fast::hash(bytes);
        let extent = Extent { offset: self.end, bytes: length, crc };
        self.end += u64::from(length);
        Ok(extent)
    }

    /// Appends the bytes of an extent to `bytes`.
    pub(super) fn read(&self, extent: Extent, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let from = bytes.len();
        bytes.resize(from + extent.bytes(), 0);
        let bytes = &mut bytes[from..];
        self.file.read_exact_at(bytes, extent.offset).map_err(Error::io("read"))?;
        let got = crc32fast::hash(bytes);
        if got != extent.crc {
            return Err(Error::Damaged { offset: extent.offset, expected: extent.crc, got });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn flip_a_bit_at(&self, offset: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset).unwrap();
        self.file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }

    /// Returns a file on a device that is full.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn on_a_full_disk() -> Self {
        let file = File::options().write(true).open("/dev/full");
        Self { file: file.expect("Linux has a device that is always full"), end: 0 }
    }
}
