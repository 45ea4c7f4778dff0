//! GNU's old sparse format: a map of the file in the header and in blocks that follow it (GNU tar
//! manual, "Old GNU Format").
//!
//! The map is not kept, only followed and checked: where it ends is where the stored bytes begin.
//! What GNU tar and others would read differently is refused.

use super::block::{BLOCK, Header, number};
use super::error::Fault;

/// The bytes of one entry: offset and length, 12 bytes each.
const ENTRY: usize = 24;
const IN_HEADER: std::ops::Range<usize> = 386..482;
const HEADER_EXTENDED: usize = 482;
const REAL_SIZE: std::ops::Range<usize> = 483..495;
const IN_BLOCK: std::ops::Range<usize> = 0..504;
const BLOCK_EXTENDED: usize = 504;

/// The sparse map of a member, on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map {
    real_size: u64,
    /// Whether another block of it follows.
    pub(super) extended: bool,
}

impl Map {
    /// Reads the part of the map that is in the header of a member of type `S`.
    pub(super) fn read(header: Header) -> Result<Self, Fault> {
        let bytes = header.bytes();
        let real_size = number(&bytes[REAL_SIZE], true)
            .map_err(|got| Fault::new("the real size of a sparse member", got))?;
        let map = Self { real_size, extended: bytes[HEADER_EXTENDED] != 0 };
        map.check(&bytes[IN_HEADER])?;
        Ok(map)
    }

    /// Reads the next block of the map.
    pub(super) fn read_on(&mut self, block: &[u8; BLOCK]) -> Result<(), Fault> {
        self.extended = block[BLOCK_EXTENDED] != 0;
        self.check(&block[IN_BLOCK])
    }

    fn check(&self, entries: &[u8]) -> Result<(), Fault> {
        for entry in entries.chunks_exact(ENTRY) {
            let (offset, length) = entry.split_at(ENTRY / 2);
            if length[0] == 0 {
                // GNU tar stops at an entry without length, others at the flag.
                return if self.extended {
                    Err(Fault::new("a full sparse map before its next block", "an empty entry"))
                } else {
                    Ok(())
                };
            }
            let fault = |got: String| Fault::new("a sparse map within the file's real size", got);
            let end = number(offset, true).map_err(fault)? + number(length, true).map_err(fault)?;
            if end > self.real_size {
                return Err(fault(format!("an entry up to byte {end} of {}", self.real_size)));
            }
        }
        Ok(())
    }
}
