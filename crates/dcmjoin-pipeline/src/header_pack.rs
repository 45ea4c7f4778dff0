//! The headers of one metadata archive, kept beside the catalogue: a run that finds them need not
//! read the archive again.
//!
//! A pack is a file of the header store's frames as they are, each dictionary before the first frame that names
//! it: another run appends them to its own store without decompressing them. The catalogue tells its size and
//! CRC-32; a pack that differs is not used.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::num::NonZeroU32;
use std::path::Path;

use dcmjoin_index::{Frame, HeaderStore, Learnt};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::RunError;
use crate::record::{Head, renumber};

/// Bytes of a pack that are read or written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What the catalogue tells of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackInfo {
    /// How many headers it has.
    pub headers: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// CRC-32 (IEEE) of it.
    pub crc32: u32,
}

/// A pack that is being written.
pub struct PackWriter {
    file: BufWriter<NamedTempFile>,
    headers: u64,
    /// The dictionary that stands before.
    dictionary: Option<NonZeroU32>,
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackWriter").field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl PackWriter {
    /// Begins a pack in a folder.
    ///
    /// # Errors
    /// [`RunError::Io`] where the folder cannot be written.
    pub fn create(spill: &Path) -> Result<Self, RunError> {
        let file = NamedTempFile::new_in(spill).map_err(failed("create"))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { file, headers: 0, dictionary: None })
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
        self.headers += 1;
        self.file.write_all(frame.as_bytes()).map_err(failed("append to"))
    }

    /// Ends the pack.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn finish(self) -> Result<(NamedTempFile, PackInfo), RunError> {
        let headers = self.headers;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let mut file = file.map_err(failed("append to"))?;
        let (bytes, crc32) = sum(file.as_file_mut())?;
        Ok((file, PackInfo { headers, bytes, crc32 }))
    }
}

/// Gives the headers of a pack, under another number of their archive, each as it may be appended to a
/// store with what was learnt of the pack.
///
/// # Errors
/// [`RunError::Invalid`] where the file is not the one that the catalogue tells of: nothing was
/// given then.
pub fn unpack(
    mut file: File,
    told: &PackInfo,
    archive: u32,
    store: &HeaderStore,
    mut take: impl FnMut(Head, &Frame, &Learnt) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let (bytes, crc32) = sum(&mut file)?;
    if (bytes, crc32) != (told.bytes, told.crc32) {
        return Err(damaged(told, bytes, crc32));
    }
    file.rewind().map_err(failed("read"))?;
    let mut frames = BufReader::with_capacity(BUFFER_BYTES, file);
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

fn sum(file: &mut File) -> Result<(u64, u32), RunError> {
    file.rewind().map_err(failed("read"))?;
    let (mut bytes, mut crc) = (0, crc32fast::Hasher::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut piece).map_err(failed("read"))?;
        if read == 0 {
            return Ok((bytes, crc.finalize()));
        }
        crc.update(&piece[..read]);
        bytes += read as u64;
    }
}

/// A file with the told checksum that has no frames is of another release.
fn foreign(error: io::Error) -> RunError {
    if error.kind() != io::ErrorKind::InvalidData {
        return failed("read")(error);
    }
    let detail = "expected frames of this release, got something else".to_owned();
    RunError::Invalid { place: "a header pack".to_owned(), detail }
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> RunError {
    RunError::io(action, "a header pack")
}

fn damaged(told: &PackInfo, bytes: u64, crc32: u32) -> RunError {
    let detail = format!(
        "expected {} bytes with CRC-32 {:08x}, got {bytes} with {crc32:08x}",
        told.bytes, told.crc32
    );
    RunError::Invalid { place: "a header pack".to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use dcmjoin_model::SopInstanceUid;

    use super::*;
    use crate::record::Record;

    fn pack(uids: &[&str]) -> (NamedTempFile, PackInfo) {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let mut writer = PackWriter::create(&std::env::temp_dir()).unwrap();
        for uid in uids {
            let record = Record::image(SopInstanceUid::parse(uid).unwrap());
            writer.push(&store, &record.append(&store).unwrap().1).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read_back(file: File, told: &PackInfo) -> Result<Vec<String>, RunError> {
        let spill = tempfile::tempdir().unwrap();
        let store = HeaderStore::create(spill.path()).unwrap();
        let mut uids = Vec::new();
        unpack(file, told, 7, &store, |head, frame, learnt| {
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
            let (file, info) = pack(uids);
            assert_eq!(info.headers, uids.len() as u64);
            assert_eq!(read_back(file.reopen().unwrap(), &info).unwrap(), uids);
        }
    }

    #[test]
    fn a_pack_that_is_not_the_told_one_gives_nothing() {
        let (file, info) = pack(&["1.2", "1.3"]);
        let mut bytes = std::fs::read(file.path()).unwrap();
        let cut = bytes.len() - 1;
        *bytes.last_mut().unwrap() ^= 1;
        for wrong in [&bytes[..], &bytes[..cut], &[]] {
            std::fs::write(file.path(), wrong).unwrap();
            let error = read_back(file.reopen().unwrap(), &info).unwrap_err();
            assert!(error.to_string().contains("CRC-32"), "{error}");
        }
    }
}
