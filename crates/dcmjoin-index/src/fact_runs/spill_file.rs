//! Facts on disk: extents of one unnamed file, each with its checksum in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;
use crate::fact::{FACT_BYTES, Packed};

/// A file that is written from front to back and read by extent, then goes with the value.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    end: u64,
    bytes: Vec<u8>,
}

/// Facts that were written at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    facts: u32,
    crc: u32,
}

impl Extent {
    pub(super) fn facts(self) -> usize {
        self.facts as usize
    }
}

impl SpillFile {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create"))?;
        Ok(Self { file, end: 0, bytes: Vec::new() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn append(&mut self, facts: &[Packed]) -> Result<Extent, Error> {
        self.bytes.clear();
        for word in facts.as_flattened() {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.file.write_all_at(&self.bytes, self.end).map_err(Error::io("append to"))?;
        let crc = crc32fast::hash(&self.bytes);
        let extent = Extent { offset: self.end, facts: facts.len() as u32, crc };
        self.end += self.bytes.len() as u64;
        Ok(extent)
    }

    /// Appends the facts of an extent to `facts`; `bytes` is room to read into.
    pub(super) fn read(
        &self,
        extent: Extent,
        bytes: &mut Vec<u8>,
        facts: &mut Vec<Packed>,
    ) -> Result<(), Error> {
        bytes.resize(extent.facts() * FACT_BYTES, 0);
        self.file.read_exact_at(bytes, extent.offset).map_err(Error::io("read"))?;
        let got = crc32fast::hash(bytes);
        if got != extent.crc {
            return Err(Error::Damaged { offset: extent.offset, expected: extent.crc, got });
        }
        let (words, _) = bytes.as_chunks::<8>();
        let (records, _) = words.as_chunks::<7>();
        facts.extend(records.iter().map(|record| record.map(u64::from_le_bytes)));
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn flip_a_bit_at(&self, offset: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset).unwrap();
        self.file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut file = SpillFile { file, end: 0, bytes: Vec::new() };
        let failed = file.append(&[[1; 7]; 100]);
        let kind = std::io::ErrorKind::StorageFull;
        assert!(matches!(failed, Err(Error::Io { action: "append to", kind: k }) if k == kind));
    }
}
