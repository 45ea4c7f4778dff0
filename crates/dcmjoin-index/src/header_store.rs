//! Headers on local disk: appended once, compressed, and read back by place.
//!
//! The file is one record after the other: length of the frame (u32), CRC-32 of the frame (u32),
//! the frame (zstd), all little-endian. It is private to a run and gone with it.
//!
//! **Invariants:** a place that [`HeaderStore::append`] returned is readable from then on, from any
//! thread; what [`HeaderStore::read`] returns is what was appended, or an error.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Error;

/// Level 1 halves the time of level 3 for a tenth more bytes.
const ZSTD_LEVEL: i32 = 1;
/// Length and checksum before each frame, in bytes.
const RECORD_HEAD_BYTES: u64 = 8;

/// Where a header lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderPlace(pub u64);

/// The headers of a run.
#[derive(Debug)]
pub struct HeaderStore {
    file: File,
    end: AtomicU64,
}

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

impl HeaderStore {
    /// Creates an empty store in a folder; its file has no name and goes when the store does.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn create(spill: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(spill).map_err(Error::io("create"))?;
        Ok(Self { file, end: AtomicU64::new(0) })
    }

    /// Appends a header. Threads may append at the same time.
    ///
    /// # Errors
    /// [`Error::Io`] where the device is full or fails.
    pub fn append(&self, header: &[u8]) -> Result<HeaderPlace, Error> {
        let record = record(header).map_err(Error::io("compress a header for"))?;
        // Each thread writes where nobody else does, so no lock is needed.
        let offset = self.end.fetch_add(record.len() as u64, Relaxed);
        self.file.write_all_at(&record, offset).map_err(Error::io("append to"))?;
        Ok(HeaderPlace(offset))
    }

    /// Reads a header back.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Damaged`] where the bytes are not those that were appended.
    pub fn read(&self, place: HeaderPlace) -> Result<Vec<u8>, Error> {
        let offset = place.0;
        let mut head = [0; RECORD_HEAD_BYTES as usize];
        self.file.read_exact_at(&mut head, offset).map_err(Error::io("read"))?;
        let [length, expected] = [&head[..4], &head[4..]].map(le_u32);
        let available = self.end.load(Relaxed).saturating_sub(offset + RECORD_HEAD_BYTES);
        if u64::from(length) > available {
            return Err(Error::Damaged { offset, expected, got: 0 });
        }
        let mut frame = vec![0; length as usize];
        self.file
            .read_exact_at(&mut frame, offset + RECORD_HEAD_BYTES)
            .map_err(Error::io("read"))?;
        let got = crc32fast::hash(&frame);
        if got != expected {
            return Err(Error::Damaged { offset, expected, got });
        }
        plain(&frame).map_err(Error::io("decompress a header of"))
    }

    /// Returns the bytes that the store takes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end.load(Relaxed)
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u32::from(byte))
}

fn record(header: &[u8]) -> io::Result<Vec<u8>> {
    let mut record =
        vec![0; RECORD_HEAD_BYTES as usize + zstd::zstd_safe::compress_bound(header.len())];
    let (head, frame) = record.split_at_mut(RECORD_HEAD_BYTES as usize);
    let length = COMPRESSOR.with_borrow_mut(|compressor| {
        reused(compressor, || zstd::bulk::Compressor::new(ZSTD_LEVEL))?
            .compress_to_buffer(header, frame)
    })?;
    let stored = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    head[..4].copy_from_slice(&stored.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(&frame[..length]).to_le_bytes());
    record.truncate(RECORD_HEAD_BYTES as usize + length);
    Ok(record)
}

fn plain(frame: &[u8]) -> io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let capacity = size.and_then(|size| usize::try_from(size).ok());
    let capacity = capacity.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        reused(decompressor, zstd::bulk::Decompressor::new)?.decompress(frame, capacity)
    })
}

fn reused<T>(slot: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&mut T> {
    if slot.is_none() {
        *slot = Some(make()?);
    }
    slot.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_from_any_thread() {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let header = |n: usize| vec![n as u8; n * 37 % 4000];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..200 {
                        let header = header(thread * 200 + n);
                        let place = store.append(&header).unwrap();
                        assert_eq!(store.read(place).unwrap(), header);
                    }
                });
            }
        });
        assert!(store.bytes() > 0);
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let place = store.append(b"a header of some length").unwrap();
        let mut byte = [0];
        store.file.read_exact_at(&mut byte, 12).unwrap();
        store.file.write_all_at(&[byte[0] ^ 1], 12).unwrap();
        assert!(matches!(store.read(place), Err(Error::Damaged { offset: 0, .. })));
    }

    #[test]
    fn a_place_beyond_the_end_is_an_error() {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        store.append(b"header").unwrap();
        assert!(store.read(HeaderPlace(3)).is_err());
        assert!(store.read(HeaderPlace(1 << 40)).is_err());
    }
}
