//! Headers on local disk: appended once, compressed, and read back by place.
//!
//! The file is one [`Frame`] after the other: a head in plain bytes, whose meaning is the caller's, and
//! a body in zstd. The first bodies are compressed by themselves. A dictionary is made of them, and makes
//! those after it a quarter as large: they name it by its number. The file is private to a run
//! and gone with it; frames may be kept elsewhere, beside the dictionaries that they name, and
//! appended to another run's store as they are.
//!
//! **Invariants:** a place that [`HeaderStore::append`] returned is readable from then on, from any
//! thread; what [`HeaderStore::read`] returns is what was appended, or an error.

mod dictionary;
mod frame;

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zstd::zstd_safe::{self, CCtx, DCtx, DDict};

pub use self::dictionary::Learnt;
use self::dictionary::{Others, Trainer};
pub use self::frame::Frame;
use self::frame::{FRAME_HEAD_BYTES, HEAD_BYTES_MAX, Prefix};
use crate::Error;

/// Level 1 halves the time of level 3 for a tenth more bytes.
const ZSTD_LEVEL: i32 = 1;

/// Where a header lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderPlace(pub u64);

/// The headers of a run.
pub struct HeaderStore {
    file: File,
    end: AtomicU64,
    trainer: Trainer,
    others: Others,
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
        let (end, trainer, others) = (AtomicU64::new(0), Trainer::new(), Others::default());
        Ok(Self { file, end, trainer, others })
    }

    /// Appends a header; returns its place, and the frame that lies there. Threads may append at
    /// the same time.
    ///
    /// # Errors
    /// [`Error::Io`] where the device is full or fails; [`Error::Limit`] where the head is longer
    /// than 192 bytes.
    pub fn append(&self, head: &[u8], body: &[u8]) -> Result<(HeaderPlace, Frame), Error> {
        let frame = self.frame(head, body)?;
        let place = self.write(frame.as_bytes())?;
        Ok((place, frame))
    }

    /// Makes the frame that [`Self::append`] would append, and appends nothing.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn frame(&self, head: &[u8], body: &[u8]) -> Result<Frame, Error> {
        let frame = self.compressed(head, body)?;
        self.trainer.look_at(body, &self.others);
        Ok(frame)
    }

    /// Appends a frame of another store, which the dictionaries that stood before it must be learnt for.
    ///
    /// # Errors
    /// [`Error::Io`] where the device is full or fails, or the frame's dictionary was not learnt.
    pub fn append_frame(&self, frame: &Frame, learnt: &Learnt) -> Result<HeaderPlace, Error> {
        if self.is_readable(frame, learnt) {
            return self.write(frame.as_bytes());
        }
        let body = self.body_of(frame, learnt)?;
        self.append(frame.head(), &body).map(|(place, _)| place)
    }

    /// Returns the body of a frame of another store, as for [`Self::append_frame`].
    ///
    /// # Errors
    /// As [`Self::append_frame`].
    pub fn body_of(&self, frame: &Frame, learnt: &Learnt) -> Result<Vec<u8>, Error> {
        let body = match self.is_readable(frame, learnt) {
            true => self.plain(frame.body()),
            false => learnt.plain(frame),
        };
        body.map_err(Error::io("decompress a header for"))
    }

    fn is_readable(&self, frame: &Frame, learnt: &Learnt) -> bool {
        match frame.dictionary() {
            None => true,
            Some(number) => !learnt.is_own(number) && self.has(number),
        }
    }

    /// Learns the dictionary that a frame holds.
    ///
    /// # Errors
    /// [`Error::Io`] where it holds none.
    pub fn learn(&self, frame: &Frame, learnt: &mut Learnt) -> Result<(), Error> {
        let bytes = frame.body();
        let is_ours = |number| self.trainer.with_number(number).is_some();
        self.others.learn(bytes, is_ours, learnt).map_err(Error::io("learn a dictionary for"))
    }

    /// Returns the frame that holds a dictionary; `None` where the store does not know it.
    ///
    /// # Errors
    /// [`Error::Limit`]: a bug.
    pub fn dictionary(&self, number: NonZeroU32) -> Result<Option<Frame>, Error> {
        let bytes = match self.trainer.with_number(number) {
            Some(ours) => Some(ours.bytes.clone()),
            None => self.others.with_number(number).map(|other| other.bytes.clone()),
        };
        bytes.map(|bytes| Frame::of_dictionary(&bytes)).transpose()
    }

    fn has(&self, number: NonZeroU32) -> bool {
        self.trainer.with_number(number).is_some() || self.others.with_number(number).is_some()
    }

    fn compressed(&self, head: &[u8], body: &[u8]) -> Result<Frame, Error> {
        if head.len() > HEAD_BYTES_MAX {
            let (what, limit) = ("bytes before a header", HEAD_BYTES_MAX as u64);
            return Err(Error::Limit { what, limit });
        }
        let before = FRAME_HEAD_BYTES + head.len();
        if body.is_empty() {
            return Frame::sealed(vec![0; before], head);
        }
        let mut bytes = vec![0; before + zstd_safe::compress_bound(body.len())];
        let length = COMPRESSOR
            .with_borrow_mut(|compressor| {
                let compressor = reused(compressor, CCtx::try_create)?;
                let room = &mut bytes[before..];
                let compressed = match self.trainer.dictionary() {
                    Some(ours) => compressor.compress_using_cdict(room, body, &ours.encoder),
                    None => compressor.compress(room, body, ZSTD_LEVEL),
                };
                compressed.map_err(zstd_error)
            })
            .map_err(Error::io("compress a header for"))?;
        bytes.truncate(before + length);
        Frame::sealed(bytes, head)
    }

    fn write(&self, frame: &[u8]) -> Result<HeaderPlace, Error> {
        // Each thread writes where nobody else does, so no lock is needed.
        let offset = self.end.fetch_add(frame.len() as u64, Relaxed);
        self.file.write_all_at(frame, offset).map_err(Error::io("append to"))?;
        Ok(HeaderPlace(offset))
    }

    /// Reads a header back: its head, and its body.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Damaged`] where the bytes are not those that were appended.
    pub fn read(&self, place: HeaderPlace) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (prefix, head) = self.prefix(place)?;
        let start = place.0 + (FRAME_HEAD_BYTES + head.len()) as u64;
        let mut body = vec![0; prefix.body_bytes as usize];
        self.file.read_exact_at(&mut body, start).map_err(Error::io("read"))?;
        prefix.check_body(&body, place.0)?;
        let plain = self.plain(&body).map_err(Error::io("decompress a header of"))?;
        Ok((head, plain))
    }

    /// Reads the head of a header, and nothing else.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_head(&self, place: HeaderPlace) -> Result<Vec<u8>, Error> {
        self.prefix(place).map(|(_, head)| head)
    }

    /// Returns the head of a header without a body, or `None` where it has one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_bare_head(&self, place: HeaderPlace) -> Result<Option<Vec<u8>>, Error> {
        let (prefix, head) = self.prefix(place)?;
        Ok((prefix.body_bytes == 0).then_some(head))
    }

    fn prefix(&self, place: HeaderPlace) -> Result<(Prefix, Vec<u8>), Error> {
        let available = self.end.load(Relaxed).saturating_sub(place.0);
        let mut bytes = [0; FRAME_HEAD_BYTES + HEAD_BYTES_MAX];
        let bytes =
            &mut bytes[..available.min((FRAME_HEAD_BYTES + HEAD_BYTES_MAX) as u64) as usize];
        let read = read_at(&self.file, bytes, place.0).map_err(Error::io("read"))?;
        let (prefix, head) = Prefix::of(&bytes[..read], place.0)?;
        if u64::from(prefix.body_bytes) + (FRAME_HEAD_BYTES + head.len()) as u64 > available {
            return Err(Error::Damaged { offset: place.0, expected: prefix.body_crc32, got: 0 });
        }
        Ok((prefix, head.to_vec()))
    }

    fn plain(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        if body.is_empty() {
            return Ok(Vec::new());
        }
        // A body without a number was made before there was a dictionary.
        let Some(number) = zstd_safe::get_dict_id_from_frame(body) else {
            return plain(body, None);
        };
        if let Some(ours) = self.trainer.with_number(number) {
            return plain(body, Some(&ours.decoder));
        }
        let other = self.others.with_number(number);
        let other = other.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        plain(body, Some(&other.decoder))
    }

    /// Returns the bytes that the store takes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end.load(Relaxed)
    }
}

/// Reads as much as there is: others may be writing the frame that comes next.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn plain(body: &[u8], dictionary: Option<&DDict<'static>>) -> io::Result<Vec<u8>> {
    let size = zstd_safe::get_frame_content_size(body).ok().flatten();
    let capacity = size.and_then(|size| usize::try_from(size).ok());
    let capacity = capacity.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut header = Vec::with_capacity(capacity);
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = reused(decompressor, DCtx::try_create)?;
        let decompressed = match dictionary {
            Some(dictionary) => decompressor.decompress_using_ddict(&mut header, body, dictionary),
            None => decompressor.decompress(&mut header, body),
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

    fn store() -> (tempfile::TempDir, HeaderStore) {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        (spill, store)
    }

    #[test]
    fn headers_come_back_from_any_thread() {
        let (_spill, store) = store();
        let header = |n: usize| vec![n as u8; n * 37 % 4000];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..200 {
                        let header = header(thread * 200 + n);
                        let head = n.to_le_bytes();
                        let (place, frame) = store.append(&head, &header).unwrap();
                        assert_eq!(store.read(place).unwrap(), (head.to_vec(), header));
                        assert_eq!(store.read_head(place).unwrap(), head);
                        assert_eq!(frame.head(), head);
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
        let (_spill, store) = store();
        let mut places = Vec::new();
        let mut length = |from: usize, to: usize| -> u64 {
            let begin = store.bytes();
            for n in from..to {
                places.push(store.append(b"", &alike(n)).unwrap().0);
            }
            store.bytes() - begin
        };
        let before = length(0, 1_000);
        assert!(store.trainer.dictionary().is_none());
        length(1_000, 3_000);
        assert!(store.trainer.dictionary().is_some());
        let after = length(3_000, 4_000);
        assert!(after < before * 2 / 3, "{before} bytes before, {after} after");
        for (n, place) in places.into_iter().enumerate() {
            assert_eq!(store.read(place).unwrap().1, alike(n));
        }
    }

    /// Returns frames of a store as they are kept elsewhere: each dictionary before the first that names it.
    fn kept(store: &HeaderStore, numbers: std::ops::Range<usize>) -> Vec<Frame> {
        let (mut frames, mut told) = (Vec::new(), None);
        for n in numbers {
            let (_, frame) = store.append(&n.to_le_bytes(), &alike(n)).unwrap();
            if let Some(number) = frame.dictionary().filter(|number| told != Some(*number)) {
                told = Some(number);
                frames.push(store.dictionary(number).unwrap().unwrap());
            }
            frames.push(frame);
        }
        frames
    }

    #[test]
    fn frames_of_many_stores_are_read_in_one() {
        let (_spill, all) = store();
        // More than are remembered: the frames of the others are compressed anew.
        let stores = dictionary::OTHERS_MAX + 3;
        let mut places = Vec::new();
        for number in 0..stores {
            let (_spill, one) = store();
            // Each has a dictionary of its own.
            for n in 0..2_100 {
                one.append(b"", &alike(number * 100_000 + n)).unwrap();
            }
            let mut learnt = Learnt::default();
            let numbers = number * 1_000..number * 1_000 + 50;
            let mut heads = numbers.clone();
            for frame in kept(&one, numbers) {
                let mut written = frame.as_bytes();
                let frame = Frame::read(&mut written).unwrap().unwrap();
                if frame.is_dictionary() {
                    all.learn(&frame, &mut learnt).unwrap();
                } else {
                    let place = all.append_frame(&frame, &learnt).unwrap();
                    places.push((heads.next().unwrap(), place));
                }
            }
        }
        assert_eq!(places.len(), stores * 50);
        for (n, place) in places {
            assert_eq!(all.read(place).unwrap(), (n.to_le_bytes().to_vec(), alike(n)));
        }
    }

    #[test]
    fn a_frame_whose_dictionary_nobody_told_of_is_refused() {
        let ((_spill, one), (_other, all)) = (store(), store());
        (0..2_100).for_each(|n| drop(one.append(b"", &alike(n)).unwrap()));
        let (_, frame) = one.append(b"", &alike(7)).unwrap();
        assert!(all.append_frame(&frame, &Learnt::default()).is_err());
    }

    #[test]
    fn a_frame_can_be_made_without_being_appended() {
        let ((_spill, one), (_other, all)) = (store(), store());
        (0..2_100).for_each(|n| drop(one.append(b"", &alike(n)).unwrap()));
        let bytes = one.bytes();
        let frame = one.frame(b"head", &alike(7)).unwrap();
        assert_eq!(one.bytes(), bytes);
        let mut learnt = Learnt::default();
        let number = frame.dictionary().unwrap();
        all.learn(&one.dictionary(number).unwrap().unwrap(), &mut learnt).unwrap();
        assert_eq!(all.body_of(&frame, &learnt).unwrap(), alike(7));
        assert!(all.body_of(&frame, &Learnt::default()).is_ok(), "learnt by the store itself");
    }

    #[test]
    fn a_header_without_body_is_bare() {
        let (_spill, store) = store();
        let (bare, frame) = store.append(b"head", b"").unwrap();
        assert_eq!(frame.as_bytes().len() as u64, store.bytes());
        let (whole, _) = store.append(b"head", b"body").unwrap();
        assert_eq!(store.read_bare_head(bare).unwrap().unwrap(), b"head");
        assert_eq!(store.read_bare_head(whole).unwrap(), None);
        assert_eq!(store.read(bare).unwrap(), (b"head".to_vec(), Vec::new()));
    }

    #[test]
    fn headers_without_anything_in_common_need_no_dictionary() {
        let (_spill, store) = store();
        let places: Vec<_> = (0..3_000).map(|_| store.append(b"", b"").unwrap().0).collect();
        assert!(store.trainer.dictionary().is_none());
        assert!(places.into_iter().all(|place| store.read(place).unwrap().1.is_empty()));
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let whole = store().1.append(b"head", b"a header of some length").unwrap().1;
        for at in 0..whole.as_bytes().len() {
            let (_spill, store) = store();
            let (place, _) = store.append(b"head", b"a header of some length").unwrap();
            let flipped = whole.as_bytes()[at] ^ 1;
            store.file.write_all_at(&[flipped], at as u64).unwrap();
            assert!(matches!(store.read(place), Err(Error::Damaged { offset: 0, .. })), "{at}");
            // A head is read without the body, whose checksum is its own.
            let is_head = at < FRAME_HEAD_BYTES + 4;
            assert_eq!(store.read_head(place).is_err(), is_head, "{at}");
        }
    }

    #[test]
    fn a_place_beyond_the_end_is_an_error() {
        let (_spill, store) = store();
        store.append(b"", b"header").unwrap();
        assert!(store.read(HeaderPlace(3)).is_err());
        assert!(store.read(HeaderPlace(1 << 40)).is_err());
    }

    #[test]
    fn a_head_has_a_limit() {
        let (_spill, store) = store();
        assert!(store.append(&[0; HEAD_BYTES_MAX], b"").is_ok());
        assert!(matches!(store.append(&[0; HEAD_BYTES_MAX + 1], b""), Err(Error::Limit { .. })));
    }
}
