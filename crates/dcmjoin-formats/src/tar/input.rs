//! The bytes between the caller and the parser: one chunk, and a block that straddles two.

use bytes::{Buf, Bytes};

use super::block::BLOCK;

/// The chunk at hand, and where in the stream it stands.
///
/// **Invariant:** `straddling` has bytes only while a block is being collected, and then the chunk
/// is empty or about to complete it.
#[derive(Debug)]
pub(super) struct Input {
    chunk: Bytes,
    straddling: [u8; BLOCK],
    straddling_bytes: usize,
    /// The offset of the next byte that nobody took.
    offset: u64,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { chunk: Bytes::new(), straddling: [0; BLOCK], straddling_bytes: 0, offset: 0 }
    }

    pub(super) fn feed(&mut self, chunk: Bytes) {
        assert!(self.chunk.is_empty(), "a chunk was fed before the last one's events were taken");
        self.chunk = chunk;
    }

    /// Returns the offset of the next byte that was not taken; a straddling block counts as not
    /// taken until it is whole.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the start of a block whose rest is not there yet.
    pub(super) fn straddling(&self) -> &[u8] {
        &self.straddling[..self.straddling_bytes]
    }

    pub(super) fn chunk_is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Returns the next block when all of it is there, without taking it.
    pub(super) fn block(&mut self) -> Option<&[u8; BLOCK]> {
        if self.straddling_bytes == 0 && self.chunk.len() >= BLOCK {
            return self.chunk.first_chunk();
        }
        let missing = (BLOCK - self.straddling_bytes).min(self.chunk.len());
        let end = self.straddling_bytes + missing;
        self.straddling[self.straddling_bytes..end].copy_from_slice(&self.chunk[..missing]);
        self.chunk.advance(missing);
        self.straddling_bytes = end;
        (end == BLOCK).then_some(&self.straddling)
    }

    /// Takes the block that [`Input::block`] returned.
    pub(super) fn take_block(&mut self) {
        if self.straddling_bytes == 0 {
            self.chunk.advance(BLOCK);
        }
        self.straddling_bytes = 0;
        self.offset += BLOCK as u64;
    }

    /// Takes up to `bytes_max` bytes of the chunk.
    pub(super) fn take(&mut self, bytes_max: u64) -> Bytes {
        let length = self.available(bytes_max);
        self.offset += length as u64;
        self.chunk.split_to(length)
    }

    /// Passes over up to `bytes_max` bytes of the chunk, and returns over how many.
    pub(super) fn skip(&mut self, bytes_max: u64) -> u64 {
        let length = self.available(bytes_max);
        self.offset += length as u64;
        self.chunk.advance(length);
        length as u64
    }

    /// Passes over `bytes`, those that are not in the chunk too: they won't be fed.
    pub(super) fn pass(&mut self, bytes: u64) {
        let skipped = self.skip(bytes);
        self.offset += bytes - skipped;
    }

    /// Takes a straddling block back that is not to be one, and returns how many bytes it had.
    pub(super) fn drop_straddling(&mut self) -> u64 {
        let bytes = std::mem::take(&mut self.straddling_bytes) as u64;
        self.offset += bytes;
        bytes
    }

    /// Returns the offset of the first byte that was not fed.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.straddling_bytes as u64 + self.chunk.len() as u64
    }

    fn available(&self, bytes_max: u64) -> usize {
        usize::try_from(bytes_max).unwrap_or(usize::MAX).min(self.chunk.len())
    }
}
