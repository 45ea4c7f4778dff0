//! The bytes of a file as a list of slices, so that pixels are never copied.

use bytes::Bytes;

/// Parts below this are copied together: a slice of its own costs an allocation's worth of
/// bookkeeping here and an entry in every vectored write.
const COALESCE_BYTES: usize = 16 << 10;

/// Collects the segments of a file, in order.
#[derive(Debug, Default)]
pub(super) struct Segments {
    done: Vec<Bytes>,
    open: Vec<u8>,
    len: u64,
}

impl Segments {
    /// Returns how many bytes have been put so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Puts a few bytes, as a copy.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
    }

    /// Puts bytes, as a slice where they are many.
    pub(super) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < COALESCE_BYTES {
            self.put(bytes);
            return;
        }
        self.close();
        self.done.push(bytes.clone());
        self.len += bytes.len() as u64;
    }

    /// Puts a NUL where the bytes since `start` are odd in number.
    pub(super) fn pad(&mut self, start: u64) {
        if (self.len - start) % 2 == 1 {
            self.put(&[0]);
        }
    }

    /// Returns the segments.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_joined_and_large_ones_shared() {
        let large = Bytes::from(vec![7; COALESCE_BYTES]);
        let mut segments = Segments::default();
        segments.put(b"ab");
        segments.share(&Bytes::from_static(b"c"));
        segments.pad(0);
        segments.share(&large);
        segments.put(b"d");
        assert_eq!(segments.len(), 5 + COALESCE_BYTES as u64);
        let done = segments.finish();
        assert_eq!(done[0], &b"abc\0"[..]);
        assert_eq!(done[1].as_ptr(), large.as_ptr(), "the same bytes, not a copy");
        assert_eq!(done[2], &b"d"[..]);
    }
}
