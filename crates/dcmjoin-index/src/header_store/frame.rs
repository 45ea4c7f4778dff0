//! A header as it lies in a store, or in a file of such.

use std::io::{self, Read};
use std::num::NonZeroU32;

use zstd::zstd_safe;

use crate::Error;

/// Bytes before the head: length of the body (u32), CRC-32 of the body (u32), CRC-32 of the head and of all
/// else before it (u32), length of the head (u16), all little-endian.
pub(super) const FRAME_HEAD_BYTES: usize = 14;
/// The longest head, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 192;
/// The length that says that the body is a dictionary.
const DICTIONARY: u16 = u16::MAX;
/// The longest body, in bytes.
const BODY_BYTES_MAX: u32 = 1 << 30;

/// A head in plain bytes, and a compressed body; or a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

/// What stands before the head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) body_bytes: u32,
    pub(super) body_crc32: u32,
    head_crc32: u32,
    head_bytes: u16,
}

impl Prefix {
    fn parse(bytes: &[u8; FRAME_HEAD_BYTES]) -> Self {
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| bytes[at + n]));
        Self {
            body_bytes: number(0),
            body_crc32: number(4),
            head_crc32: number(8),
            head_bytes: u16::from_le_bytes([bytes[12], bytes[13]]),
        }
    }

    fn head_len(self) -> usize {
        if self.head_bytes == DICTIONARY { 0 } else { self.head_bytes.into() }
    }

    /// Returns what stands before a head, and the head.
    pub(super) fn of(bytes: &[u8], offset: u64) -> Result<(Self, &[u8]), Error> {
        let damaged = |expected, got| Error::Damaged { offset, expected, got };
        let (before, rest) = bytes.split_first_chunk().ok_or_else(|| damaged(0, 0))?;
        let prefix = Self::parse(before);
        let head = rest.get(..prefix.head_len()).ok_or_else(|| damaged(prefix.head_crc32, 0))?;
        let got = head_crc32(before, head);
        if got != prefix.head_crc32 {
            return Err(damaged(prefix.head_crc32, got));
        }
        Ok((prefix, head))
    }

    pub(super) fn check_body(self, body: &[u8], offset: u64) -> Result<(), Error> {
        let (expected, got) = (self.body_crc32, crc32fast::hash(body));
        if got == expected { Ok(()) } else { Err(Error::Damaged { offset, expected, got }) }
    }
}

fn head_crc32(before: &[u8; FRAME_HEAD_BYTES], head: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&before[..8]);
    crc.update(&before[12..]);
    crc.update(head);
    crc.finalize()
}

impl Frame {
    /// Makes a frame of bytes whose body stands in its place.
    pub(super) fn sealed(mut bytes: Vec<u8>, head: &[u8]) -> Result<Self, Error> {
        let before = FRAME_HEAD_BYTES + head.len();
        bytes[FRAME_HEAD_BYTES..before].copy_from_slice(head);
        Self::numbered(bytes, before, head.len() as u16)
    }

    /// Makes a frame that holds a dictionary.
    pub(super) fn of_dictionary(dictionary: &[u8]) -> Result<Self, Error> {
        let mut bytes = vec![0; FRAME_HEAD_BYTES];
        bytes.extend_from_slice(dictionary);
        Self::numbered(bytes, FRAME_HEAD_BYTES, DICTIONARY)
    }

    fn numbered(mut bytes: Vec<u8>, before: usize, head_bytes: u16) -> Result<Self, Error> {
        let body_bytes = u32::try_from(bytes.len() - before).ok();
        let body_bytes = body_bytes
            .filter(|&bytes| bytes <= BODY_BYTES_MAX)
            .ok_or(Error::Limit { what: "bytes in a header", limit: BODY_BYTES_MAX.into() })?;
        let body_crc32 = crc32fast::hash(&bytes[before..]);
        bytes[..4].copy_from_slice(&body_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&body_crc32.to_le_bytes());
        bytes[12..14].copy_from_slice(&head_bytes.to_le_bytes());
        let mut frame = Self(bytes);
        frame.seal_head();
        Ok(frame)
    }

    fn seal_head(&mut self) {
        let before = self.before();
        if let Some((numbers, rest)) = self.0.split_first_chunk_mut::<FRAME_HEAD_BYTES>() {
            let crc = head_crc32(numbers, &rest[..before - FRAME_HEAD_BYTES]);
            numbers[8..12].copy_from_slice(&crc.to_le_bytes());
        }
    }

    /// Bytes before the body.
    fn before(&self) -> usize {
        let prefix = self.0.first_chunk().map(Prefix::parse);
        FRAME_HEAD_BYTES + prefix.map_or(0, Prefix::head_len)
    }

    /// Reads the next frame; `None` at the end. The body is not checked: the file's own checksum is for that.
    ///
    /// # Errors
    /// What the reader returns; [`io::ErrorKind::InvalidData`] where there is no frame.
    pub fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let mut numbers = [0; FRAME_HEAD_BYTES];
        match reader.read(&mut numbers[..1])? {
            0 => return Ok(None),
            _ => reader.read_exact(&mut numbers[1..])?,
        }
        let prefix = Prefix::parse(&numbers);
        let before = FRAME_HEAD_BYTES + prefix.head_len();
        if prefix.body_bytes > BODY_BYTES_MAX || before > FRAME_HEAD_BYTES + HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; before + prefix.body_bytes as usize];
        bytes[..FRAME_HEAD_BYTES].copy_from_slice(&numbers);
        reader.read_exact(&mut bytes[FRAME_HEAD_BYTES..])?;
        match Prefix::of(&bytes, 0) {
            Ok(_) => Ok(Some(Self(bytes))),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Returns the frame as it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the head.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.0[FRAME_HEAD_BYTES..self.before()]
    }

    /// Changes the head, whose length stays.
    pub fn edit_head(&mut self, edit: impl FnOnce(&mut [u8])) {
        let before = self.before();
        edit(&mut self.0[FRAME_HEAD_BYTES..before]);
        self.seal_head();
    }

    /// Returns true where the frame holds a dictionary.
    #[must_use]
    pub fn is_dictionary(&self) -> bool {
        self.0.first_chunk().is_some_and(|numbers| Prefix::parse(numbers).head_bytes == DICTIONARY)
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.0[self.before()..]
    }

    /// Returns the number of the dictionary that the body needs.
    #[must_use]
    pub fn dictionary(&self) -> Option<NonZeroU32> {
        if self.is_dictionary() { None } else { zstd_safe::get_dict_id_from_frame(self.body()) }
    }
}
