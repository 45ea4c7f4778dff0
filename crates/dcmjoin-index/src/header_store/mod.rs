//! Headers on local disk: appended once, compressed, and read back by place.
//!
//! The file is one record after the other: length of the frame (u32), CRC-32 of the frame (u32),
//! the frame (zstd), all little-endian. The first headers are frames by themselves. A dictionary is
//! made of them, goes into the file as a record of its own (not compressed), and makes the frames
//! after it a quarter as large: those name it by its number. The file is private to a run and gone
//! with it.
//!
//! **Invariants:** a place that [`HeaderStore::append`] returned is readable from then on, from any
//! thread; what [`HeaderStore::read`] returns is what was appended, or an error.

mod dictionary;

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zstd::zstd_safe::{self, CCtx, DCtx};

use self::dictionary::{Dictionary, Trainer};
use crate::Error;

/// Level 1 halves the time of level 3 for a tenth more bytes.
const ZSTD_LEVEL: i32 = 1;
/// Length and checksum before each frame, in bytes.
const RECORD_HEAD_BYTES: u64 = 8;

/// Where a header lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderPlace(pub u64);

/// The headers of a run.
pub struct HeaderStore {
    file: File,
    end: AtomicU64,
    trainer: Trainer,
}

impl fmt::Debug for HeaderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderStore").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

impl HeaderStore {
    /// Creates an empty store in a folder; its file has no name and goes when the store does.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn create(spill: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(spill).map_err(Error::io("create"))?;
        Ok(Self { file, end: AtomicU64::new(0), trainer: Trainer::new() })
    }

    /// Appends a header. Threads may append at the same time.
    ///
    /// # Errors
    /// [`Error::Io`] where the device is full or fails.
    pub fn append(&self, header: &[u8]) -> Result<HeaderPlace, Error> {
        let dictionary = self.trainer.dictionary();
        let record = record(header, dictionary).map_err(Error::io("compress a header for"))?;
        let place = self.write(&record)?;
        if let Some(dictionary) = self.trainer.look_at(header) {
            let mut record = vec![0; RECORD_HEAD_BYTES as usize];
            record.extend_from_slice(&dictionary);
            fill_head(&mut record).map_err(Error::io("make a dictionary for"))?;
            self.write(&record)?;
        }
        Ok(place)
    }

    fn write(&self, record: &[u8]) -> Result<HeaderPlace, Error> {
        // Each thread writes where nobody else does, so no lock is needed.
        let offset = self.end.fetch_add(record.len() as u64, Relaxed);
        self.file.write_all_at(record, offset).map_err(Error::io("append to"))?;
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
        plain(&frame, self.trainer.dictionary()).map_err(Error::io("decompress a header of"))
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

fn record(header: &[u8], dictionary: Option<&Dictionary>) -> io::Result<Vec<u8>> {
    let head = RECORD_HEAD_BYTES as usize;
    let mut record = vec![0; head + zstd_safe::compress_bound(header.len())];
    let length = COMPRESSOR.with_borrow_mut(|compressor| {
        let compressor = reused(compressor, CCtx::try_create)?;
        let frame = &mut record[head..];
        let compressed = match dictionary {
            Some(dictionary) => compressor.compress_using_cdict(frame, header, &dictionary.encoder),
            None => compressor.compress(frame, header, ZSTD_LEVEL),
        };
        compressed.map_err(zstd_error)
    })?;
    record.truncate(head + length);
    fill_head(&mut record)?;
    Ok(record)
}

/// Puts length and checksum before a frame.
fn fill_head(record: &mut [u8]) -> io::Result<()> {
    let (head, frame) = record.split_at_mut(RECORD_HEAD_BYTES as usize);
    let length = u32::try_from(frame.len());
    let length = length.map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(frame).to_le_bytes());
    Ok(())
}

fn plain(frame: &[u8], dictionary: Option<&Dictionary>) -> io::Result<Vec<u8>> {
    let size = zstd_safe::get_frame_content_size(frame).ok().flatten();
    let capacity = size.and_then(|size| usize::try_from(size).ok());
    let capacity = capacity.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut header = Vec::with_capacity(capacity);
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = reused(decompressor, DCtx::try_create)?;
        // A frame without a number was made before there was a dictionary.
        let dictionary = dictionary.filter(|_| zstd_safe::get_dict_id_from_frame(frame).is_some());
        let decompressed = match dictionary {
            Some(dictionary) => {
                decompressor.decompress_using_ddict(&mut header, frame, &dictionary.decoder)
            }
            None => decompressor.decompress(&mut header, frame),
        };
        decompressed.map_err(zstd_error)
    })?;
    Ok(header)
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

fn reused<T>(slot: &mut Option<T>, make: impl FnOnce() -> Option<T>) -> io::Result<&mut T> {
    if slot.is_none() {
        *slot = make();
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

    /// A header that shares much with others.
    fn alike(n: usize) -> Vec<u8> {
        let shared = "0008,0016 UI 1.2.840.10008.5.1.4.1.1.2 0008,0070 LO SOME VENDOR 0018,0050 DS";
        format!("{shared} {n} {shared:?} {:x}", crate::digest(&n.to_le_bytes())).into_bytes()
    }

    #[test]
    fn a_dictionary_makes_later_headers_smaller_and_none_unreadable() {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let length = |from: usize, to: usize| -> u64 {
            let begin = store.bytes();
            for n in from..to {
                store.append(&alike(n)).unwrap();
            }
            store.bytes() - begin
        };
        let before = length(0, 1_000);
        assert!(store.trainer.dictionary().is_none());
        length(1_000, 3_000);
        assert!(store.trainer.dictionary().is_some());
        let after = length(3_000, 4_000);
        assert!(after < before * 2 / 3, "{before} bytes before, {after} after");

        // The records lie one after the other, so that each place is known; one is the dictionary.
        let (mut place, mut headers) = (0, Vec::new());
        while place < store.bytes() {
            let mut head = [0; RECORD_HEAD_BYTES as usize];
            store.file.read_exact_at(&mut head, place).unwrap();
            headers.extend(store.read(HeaderPlace(place)).ok());
            place += RECORD_HEAD_BYTES + u64::from(le_u32(&head[..4]));
        }
        assert!(headers == (0..4_000).map(alike).collect::<Vec<_>>());
    }

    #[test]
    fn headers_without_anything_in_common_need_no_dictionary() {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let places: Vec<_> = (0..3_000).map(|_| store.append(b"").unwrap()).collect();
        assert!(store.trainer.dictionary().is_none());
        assert!(places.into_iter().all(|place| store.read(place).unwrap().is_empty()));
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
