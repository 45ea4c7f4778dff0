//! The headers of one metadata archive, kept beside the catalogue: a run that finds them need not
//! read the archive again.
//!
//! A pack is one zstd stream of records, each a length (u32, little-endian) and that many bytes of
//! a [`Record`](crate::record::Record). Headers of one archive are alike, so a stream takes a third of what they take one
//! by one in the header store. The catalogue tells its size and CRC-32; a pack that differs is not
//! used.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::RunError;
use crate::record::renumber;

/// Packs are written once and read rarely; level 1 costs less than half a header's transcoding.
const ZSTD_LEVEL: i32 = 1;
/// The largest record of a pack, in bytes: a header, and room for what stands beside it.
const RECORD_BYTES_MAX: u32 = 1 << 30;

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
    stream: zstd::stream::write::Encoder<'static, BufWriter<NamedTempFile>>,
    headers: u64,
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
        let stream = zstd::stream::write::Encoder::new(BufWriter::new(file), ZSTD_LEVEL);
        Ok(Self { stream: stream.map_err(failed("create"))?, headers: 0 })
    }

    /// Adds a header's record.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn push(&mut self, record: &[u8]) -> Result<(), RunError> {
        let length = u32::try_from(record.len()).ok().filter(|&length| length <= RECORD_BYTES_MAX);
        let length =
            length.ok_or_else(|| failed("append to")(io::ErrorKind::FileTooLarge.into()))?;
        self.headers += 1;
        self.stream
            .write_all(&length.to_le_bytes())
            .and_then(|()| self.stream.write_all(record))
            .map_err(failed("append to"))
    }

    /// Ends the pack.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn finish(self) -> Result<(NamedTempFile, PackInfo), RunError> {
        let headers = self.headers;
        let file = self.stream.finish().and_then(|buffered| Ok(buffered.into_inner()?));
        let mut file = file.map_err(failed("append to"))?;
        let (bytes, crc32) = sum(file.as_file_mut())?;
        Ok((file, PackInfo { headers, bytes, crc32 }))
    }
}

/// Gives the records of a pack, in the order in which they were pushed, under another number of
/// their archive.
///
/// # Errors
/// [`RunError::Invalid`] where the file is not the one that the catalogue tells of: nothing was
/// given then.
pub fn read(
    mut file: File,
    told: &PackInfo,
    archive: u32,
    mut take: impl FnMut(&[u8]) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let (bytes, crc32) = sum(&mut file)?;
    if (bytes, crc32) != (told.bytes, told.crc32) {
        return Err(damaged(told, bytes, crc32));
    }
    file.rewind().map_err(failed("read"))?;
    let stream = zstd::stream::read::Decoder::new(file).map_err(failed("read"))?;
    let mut stream = BufReader::new(stream);
    let mut record = Vec::new();
    for _ in 0..told.headers {
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(failed("read"))?;
        let length = u32::from_le_bytes(length).min(RECORD_BYTES_MAX);
        record.resize(length as usize, 0);
        stream.read_exact(&mut record).map_err(failed("read"))?;
        renumber(&mut record, archive);
        take(&record)?;
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
    use crate::record::{Head, Record};

    fn pack(uids: &[&str]) -> (NamedTempFile, PackInfo) {
        let mut writer = PackWriter::create(&std::env::temp_dir()).unwrap();
        for uid in uids {
            let record = Record::Image(SopInstanceUid::parse(uid).unwrap());
            writer.push(&record.to_bytes().unwrap()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read_back(file: File, told: &PackInfo) -> Result<Vec<String>, RunError> {
        let mut uids = Vec::new();
        read(file, told, 7, |record| {
            let (head, _) = Head::of(record)?;
            assert_eq!(head.origin.archive, 7);
            uids.push(head.uid.to_string());
            Ok(())
        })
        .map(|()| uids)
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        for uids in [&["1.2", "2.25.1", "1.3"][..], &[]] {
            let (file, info) = pack(uids);
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
