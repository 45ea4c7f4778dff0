//! Buffers for ranges of local files, used again and again: fresh memory must be cleared and mapped
//! page by page, which costs as much as reading a file that the system has in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

/// Smaller ranges get memory of their own, in bytes.
const LEAST_BYTES: usize = 256 << 10;
/// Buffers that lie idle at most.
const IDLE_MAX: usize = 16;

/// Buffers that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Reads a range of a file; less where the file ends before.
    pub(crate) fn read(self: &Arc<Self>, file: &File, range: Range<u64>) -> io::Result<Bytes> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        if len < LEAST_BYTES {
            return fresh(file, range.start, len).map(Bytes::from);
        }
        let mut lent = Lent { buffer: self.take(len), len: 0, home: Arc::clone(self) };
        lent.len = fill(file, &mut lent.buffer[..len], range.start)?;
        Ok(Bytes::from_owner(lent))
    }

    /// Returns a buffer of at least this length, and at most twice it.
    fn take(&self, len: usize) -> Vec<u8> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| buffer.len() >= len && buffer.len() / 2 <= len;
        if let Some(at) = idle.iter().position(fits) {
            return idle.swap_remove(at);
        }
        // In place of one that lies idle: all of them together are no more than were in use at once.
        drop(idle.pop());
        drop(idle);
        vec![0; len]
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(buffer);
        }
    }
}

/// A buffer that goes back when its last slice is dropped.
struct Lent {
    buffer: Vec<u8>,
    len: usize,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

/// Reads a range into memory of its own, which is not cleared before.
fn fresh(file: &File, start: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(len);
    while buffer.len() < len {
        let at = start + buffer.len() as u64;
        // It may have room for more than was asked for.
        match pread(file, spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(len);
    Ok(buffer)
}

/// Reads until the buffer is full or the file ends; returns how much was read.
fn fill(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], start + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_buffer_is_used_again_and_tells_nothing_of_its_past() {
        let buffers = Arc::new(Buffers::default());
        let bytes: Vec<u8> = (0..2 * LEAST_BYTES).map(|at| (at / 7) as u8).collect();
        let (whole, ones) = (file(&bytes), file(&vec![1; LEAST_BYTES + 5]));
        let first = buffers.read(&whole, 0..bytes.len() as u64).unwrap();
        assert_eq!(first, bytes);
        let slice = first.slice(5..7);
        drop(first);
        assert!(buffers.idle.lock().unwrap().is_empty(), "a slice holds it");
        drop(slice);
        assert_eq!(buffers.idle.lock().unwrap().len(), 1);
        // The file ends before the range does.
        let second = buffers.read(&ones, 0..bytes.len() as u64).unwrap();
        assert_eq!(second, vec![1; LEAST_BYTES + 5]);
        assert!(buffers.idle.lock().unwrap().is_empty(), "it was used again");
    }

    #[test]
    fn small_ranges_and_too_many_buffers_are_not_kept() {
        let buffers = Arc::new(Buffers::default());
        let (small, large) = (file(b"abc"), file(&vec![1; LEAST_BYTES]));
        assert_eq!(buffers.read(&small, 1..3).unwrap(), "bc");
        assert!(buffers.idle.lock().unwrap().is_empty());
        let many: Vec<_> = (0..IDLE_MAX + 3)
            .map(|_| buffers.read(&large, 0..LEAST_BYTES as u64).unwrap())
            .collect();
        drop(many);
        assert_eq!(buffers.idle.lock().unwrap().len(), IDLE_MAX);
    }
}
