//! Pages: where the records of an index lie, each on the page that its fingerprint names.
//!
//! A page is, little-endian: a check for each record (u32), a place for each (48 bits), and the
//! number of the first record that found no room here (u32). Its records are in order, and what is
//! free comes after them. In memory a page is one cache line; on disk it is larger, and its last
//! four bytes are the CRC-32 of those before.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;

/// Bytes of a page in memory: what a wait for memory brings.
pub(super) const LINE_BYTES: usize = 64;
pub(super) const LINE_RECORDS: usize = 6;
/// Bytes of a page on disk. A device reads 4 KiB in any case, but the system copies and a probe
/// checks no more than this.
pub(super) const LEAF_BYTES: usize = 1024;
pub(super) const LEAF_RECORDS: usize = 101;
const CRC_AT: usize = LEAF_BYTES - 4;

const CHECK_BYTES: usize = 4;
const PLACE_BYTES: usize = 6;
/// The check of a free record: larger than any other, since those have 31 bits.
const FREE: u32 = u32::MAX;
/// In the place of a number: every record found room.
const ALL_FIT: u32 = u32::MAX;
const WRITE_BUFFER_BYTES: usize = 256 << 10;

/// Part of a fingerprint, and where the header lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) check: u32,
    pub(super) place: u64,
}

/// What a page knows of a check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The first of its records that have it, and the end of those.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The first record without room, where some of those may have it.
    pub(super) overflow: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Page<const RECORDS: usize> {
    checks: [u32; RECORDS],
    places: [[u8; PLACE_BYTES]; RECORDS],
    overflow: u32,
}

/// A page in memory.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(Page<LINE_RECORDS>);

const _: () = assert!(size_of::<Line>() == LINE_BYTES);

impl<const RECORDS: usize> Page<RECORDS> {
    fn of(records: &[Record], overflow: Option<u32>) -> Self {
        let mut page = Self {
            checks: [FREE; RECORDS],
            places: [[0; PLACE_BYTES]; RECORDS],
            overflow: overflow.unwrap_or(ALL_FIT),
        };
        for (at, record) in records.iter().enumerate() {
            page.checks[at] = record.check;
            page.places[at].copy_from_slice(&record.place.to_le_bytes()[..PLACE_BYTES]);
        }
        page
    }

    /// Counting has no branch to guess wrong, so that the next probes need not wait for this one.
    #[inline]
    fn find(&self, check: u32) -> Found {
        let (mut start, mut end) = (0, 0);
        for other in self.checks {
            start += usize::from(other < check);
            end += usize::from(other <= check);
        }
        // Records are in order: what found no room is not below the last that did.
        let may_overflow = self.checks[RECORDS - 1] <= check && self.overflow != ALL_FIT;
        Found { start, end, overflow: may_overflow.then_some(self.overflow) }
    }

    fn place(&self, record: usize) -> u64 {
        self.places[record].iter().rfold(0, |place, &byte| (place << 8) | u64::from(byte))
    }
}

impl Line {
    #[inline]
    pub(super) fn find(&self, check: u32) -> Found {
        self.0.find(check)
    }

    /// Returns a part of the page: whoever reads it has the page in the cache afterwards.
    #[inline]
    pub(super) fn glimpse(&self) -> u32 {
        self.0.checks[0]
    }
}

impl Page<LEAF_RECORDS> {
    fn to_bytes(self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        let (checks, rest) = bytes.split_at_mut(LEAF_RECORDS * CHECK_BYTES);
        for (bytes, check) in checks.as_chunks_mut().0.iter_mut().zip(self.checks) {
            *bytes = check.to_le_bytes();
        }
        let (places, rest) = rest.split_at_mut(LEAF_RECORDS * PLACE_BYTES);
        places.copy_from_slice(self.places.as_flattened());
        rest[..CHECK_BYTES].copy_from_slice(&self.overflow.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn read(file: &File, page: usize) -> Result<Self, Error> {
        let (mut bytes, offset) = ([0; LEAF_BYTES], (page * LEAF_BYTES) as u64);
        file.read_exact_at(&mut bytes, offset).map_err(Error::io("read"))?;
        let (expected, got) = (u32_of(&bytes[CRC_AT..]), crc32fast::hash(&bytes[..CRC_AT]));
        if got != expected {
            return Err(Error::Damaged { offset, expected, got });
        }
        let (checks, rest) = bytes.split_at(LEAF_RECORDS * CHECK_BYTES);
        let (places, rest) = rest.split_at(LEAF_RECORDS * PLACE_BYTES);
        let mut page = Self::of(&[], Some(u32_of(rest)));
        for (check, bytes) in page.checks.iter_mut().zip(checks.as_chunks().0) {
            *check = u32::from_le_bytes(*bytes);
        }
        page.places.as_flattened_mut().copy_from_slice(places);
        Ok(page)
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// All pages, in the order of their numbers.
#[derive(Debug)]
pub(super) enum Pages {
    Memory(Vec<Line>),
    Disk(File),
}

impl Pages {
    /// Returns the records that fit a page.
    pub(super) fn records_each(&self) -> usize {
        if matches!(self, Self::Memory(_)) { LINE_RECORDS } else { LEAF_RECORDS }
    }

    /// Returns what a page knows of a check.
    #[inline]
    pub(super) fn find(&self, page: usize, check: u32) -> Result<Found, Error> {
        match self {
            Self::Memory(lines) => Ok(lines[page].find(check)),
            Self::Disk(file) => find_on_disk(file, page, check),
        }
    }

    /// Returns the place of a page's record.
    pub(super) fn place(&self, page: usize, record: usize) -> Result<u64, Error> {
        match self {
            Self::Memory(lines) => Ok(lines[page].0.place(record)),
            Self::Disk(file) => Ok(Page::read(file, page)?.place(record)),
        }
    }
}

#[cold]
fn find_on_disk(file: &File, page: usize, check: u32) -> Result<Found, Error> {
    Ok(Page::read(file, page)?.find(check))
}

/// Appends pages.
#[derive(Debug)]
pub(super) enum Writer {
    Memory(Vec<Line>),
    Disk(BufWriter<File>),
}

impl Writer {
    pub(super) fn in_memory(pages: usize) -> Self {
        // Memory that is reserved and not yet written to does not count.
        Self::Memory(Vec::with_capacity(pages))
    }

    pub(super) fn on_disk(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create"))?;
        Ok(Self::Disk(BufWriter::with_capacity(WRITE_BUFFER_BYTES, file)))
    }

    /// Returns the records that fit a page.
    pub(super) fn records_each(&self) -> usize {
        if matches!(self, Self::Memory(_)) { LINE_RECORDS } else { LEAF_RECORDS }
    }

    /// Appends a page; `overflow` is the number of the first record that found no room on it.
    pub(super) fn append(
        &mut self,
        records: &[Record],
        overflow: Option<u32>,
    ) -> Result<(), Error> {
        match self {
            Self::Memory(lines) => lines.push(Line(Page::of(records, overflow))),
            Self::Disk(writer) => {
                let page = Page::of(records, overflow).to_bytes();
                writer.write_all(&page).map_err(Error::io("append to"))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Pages, Error> {
        match self {
            Self::Memory(lines) => Ok(Pages::Memory(lines)),
            Self::Disk(writer) => match writer.into_inner() {
                Ok(file) => Ok(Pages::Disk(file)),
                Err(error) => Err(Error::io("append to")(error.into_error())),
            },
        }
    }
}
