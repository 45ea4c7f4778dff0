//! The headers of one metadata archive, kept beside the catalogue: a run that finds them need not
//! read the archive again.
//!
//! A pack is a file of the header store's frames as they are, each dictionary before the first frame that names
//! it: another run appends them to its own store without decompressing them. A seal at its end tells what it is
//! of, and its size and CRC-32; a pack with another seal is not used. Machines that read the same archive at the
//! same time may write packs of other bytes over each other: each of them is as good, whoever's commit stands.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::path::Path;

use dcmjoin_index::{Frame, HeaderStore, Learnt, digest};
use tempfile::NamedTempFile;

use crate::error::RunError;
use crate::record::{Head, renumber};

/// Bytes of a pack that are read or written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What a seal begins with.
const MARK: [u8; 8] = *b"dcmjpack";
/// Mark, what the pack is of, bytes before the seal, and their CRC-32.
const SEAL_BYTES: usize = 8 + 16 + 8 + 4;

/// What a pack is of: an archive's version, read under some settings.
///
/// **Invariant:** packs of the same have the same headers, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOf(u128);

impl PackOf {
    /// Names a version of an archive, and a digest of all settings that may change an outcome.
    #[must_use]
    pub fn new(url: &str, version: Option<&str>, settings: &str) -> Self {
        let version = version.unwrap_or_default();
        Self(digest(format!("{}:{url}{}:{version}{settings}", url.len(), version.len()).as_bytes()))
    }
}

/// A pack that is being written.
pub struct PackWriter {
    file: BufWriter<NamedTempFile>,
    of: PackOf,
    /// The dictionary that stands before.
    dictionary: Option<NonZeroU32>,
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackWriter").field("of", &self.of).finish_non_exhaustive()
    }
}

impl PackWriter {
    /// Begins a pack in a folder.
    ///
    /// # Errors
    /// [`RunError::Io`] where the folder cannot be written.
    pub fn create(spill: &Path, of: PackOf) -> Result<Self, RunError> {
        let file = NamedTempFile::new_in(spill).map_err(failed("create"))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { file, of, dictionary: None })
    }

    /// Adds a header as it lies in a store.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn push(&mut self, store: &HeaderStore, frame: &Frame) -> Result<(), RunError> {
        let named = frame.dictionary();
        if let Some(number) = named.filter(|number| self.dictionary != Some(*number)) {
            let gone = || RunError::Internal("a header's dictionary is gone".to_owned());
            let dictionary = store.dictionary(number)?.ok_or_else(gone)?;
            self.file.write_all(dictionary.as_bytes()).map_err(failed("append to"))?;
            self.dictionary = named;
        }
        self.file.write_all(frame.as_bytes()).map_err(failed("append to"))
    }

    /// Seals the pack.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn finish(self) -> Result<NamedTempFile, RunError> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let mut file = file.map_err(failed("append to"))?;
        let bytes = file.stream_position().map_err(failed("append to"))?;
        let crc32 = sum(file.as_file_mut(), bytes)?;
        file.write_all(&seal(self.of, bytes, crc32)).map_err(failed("append to"))?;
        Ok(file)
    }
}

/// Gives the headers of a pack, under another number of their archive, each as it may be appended to a
/// store with what was learnt of the pack.
///
/// # Errors
/// [`RunError::Invalid`] where the file is cut or damaged, or of something else: nothing was given
/// then.
pub fn unpack(
    mut file: File,
    of: PackOf,
    archive: u32,
    store: &HeaderStore,
    mut take: impl FnMut(Head, &Frame, &Learnt) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let bytes = check_seal(&mut file, of)?;
    file.rewind().map_err(failed("read"))?;
    let mut frames = BufReader::with_capacity(BUFFER_BYTES, file.take(bytes));
    let mut learnt = Learnt::default();
    while let Some(mut frame) = Frame::read(&mut frames).map_err(foreign)? {
        if frame.is_dictionary() {
            store.learn(&frame, &mut learnt)?;
            continue;
        }
        frame.edit_head(|head| renumber(head, archive));
        take(Head::of(frame.head())?, &frame, &learnt)?;
    }
    Ok(())
}

fn seal(PackOf(of): PackOf, bytes: u64, crc32: u32) -> [u8; SEAL_BYTES] {
    let mut seal = [0; SEAL_BYTES];
    seal[..8].copy_from_slice(&MARK);
    seal[8..24].copy_from_slice(&of.to_le_bytes());
    seal[24..32].copy_from_slice(&bytes.to_le_bytes());
    seal[32..].copy_from_slice(&crc32.to_le_bytes());
    seal
}

/// Checks a pack against its seal, and returns how many bytes stand before that.
fn check_seal(file: &mut File, of: PackOf) -> Result<u64, RunError> {
    let size = file.seek(SeekFrom::End(0)).map_err(failed("read"))?;
    let Some(bytes) = size.checked_sub(SEAL_BYTES as u64) else {
        return Err(invalid(format!("expected {SEAL_BYTES} bytes or more, got {size}")));
    };
    let crc32 = sum(file, bytes)?;
    let mut got = [0; SEAL_BYTES];
    file.read_exact(&mut got).map_err(failed("read"))?;
    if got == seal(of, bytes, crc32) {
        return Ok(bytes);
    }
    Err(invalid(format!("expected the seal of {bytes} bytes with CRC-32 {crc32:08x}, got another")))
}

/// Returns the CRC-32 (IEEE) of a file's first bytes, and leaves it after them.
fn sum(file: &mut File, bytes: u64) -> Result<u32, RunError> {
    file.rewind().map_err(failed("read"))?;
    let mut crc = crc32fast::Hasher::new();
    let mut piece = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut piece[..room]).map_err(failed("read"))?;
        if read == 0 {
            return Err(invalid(format!("expected {bytes} bytes, got {left} fewer")));
        }
        crc.update(&piece[..read]);
        left -= read as u64;
    }
    Ok(crc.finalize())
}

/// A file with its seal that has no frames is of another release.
fn foreign(error: io::Error) -> RunError {
    if error.kind() != io::ErrorKind::InvalidData {
        return failed("read")(error);
    }
    invalid("expected frames of this release, got something else".to_owned())
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> RunError {
    RunError::io(action, "a header pack")
}

fn invalid(detail: String) -> RunError {
    RunError::Invalid { place: "a header pack".to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use dcmjoin_model::SopInstanceUid;

    use super::*;
    use crate::record::Record;

    fn of(version: &str) -> PackOf {
        PackOf::new("a.tar", Some(version), "settings")
    }

    fn pack(uids: &[&str]) -> NamedTempFile {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let mut writer = PackWriter::create(&std::env::temp_dir(), of("1")).unwrap();
        for uid in uids {
            let record = Record::image(SopInstanceUid::parse(uid).unwrap());
            writer.push(&store, &record.append(&store).unwrap().1).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read_back(file: File, of: PackOf) -> Result<Vec<String>, RunError> {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let mut uids = Vec::new();
        unpack(file, of, 7, &store, |head, frame, learnt| {
            let place = store.append_frame(frame, learnt)?;
            assert_eq!(head.origin.archive, 7);
            assert_eq!(Head::read(&store, place)?, head);
            uids.push(head.uid.to_string());
            Ok(())
        })
        .map(|()| uids)
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        for uids in [&["1.2", "2.25.1", "1.3"][..], &[]] {
            let file = pack(uids);
            assert_eq!(read_back(file.reopen().unwrap(), of("1")).unwrap(), uids);
        }
    }

    #[test]
    fn a_pack_that_is_damaged_or_of_another_version_gives_nothing() {
        let file = pack(&["1.2", "1.3"]);
        let whole = std::fs::read(file.path()).unwrap();
        let refused = |bytes: &[u8], version: &str| {
            std::fs::write(file.path(), bytes).unwrap();
            let error = read_back(file.reopen().unwrap(), of(version)).unwrap_err();
            assert!(matches!(error, RunError::Invalid { .. }), "{error}");
        };
        for at in [0, whole.len() / 2, whole.len() - SEAL_BYTES - 1, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            refused(&bytes, "1");
            refused(&whole[..at], "1");
        }
        refused(&[whole.clone(), whole.clone()].concat(), "1");
        refused(&whole, "2");
    }

    #[test]
    fn what_a_pack_is_of_is_not_mixed_up() {
        let all = [
            PackOf::new("a.tar", Some("1"), "s"),
            PackOf::new("a.tar1", None, "s"),
            PackOf::new("a.tar", None, "1s"),
            PackOf::new("a.ta", Some("r1"), "s"),
        ];
        for (at, of) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(of));
        }
    }
}
