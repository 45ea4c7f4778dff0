//! The records that found no room on their pages, in the order of their fingerprints.
//!
//! On disk a record is two words, little-endian: its page and check, then its place and, in the
//! upper 16 bits, what it has of a CRC-32.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::page::Record;
use crate::Error;

const RECORD_BYTES: usize = 16;
const PLACE_BITS: u32 = 48;
const PAGE_BITS: u32 = 32;
const WRITE_BUFFER_BYTES: usize = 64 << 10;

type Words = [u64; 2];

/// Records by number.
#[derive(Debug)]
pub(super) enum Overflow {
    Memory(Vec<Words>),
    Disk { file: File, len: usize },
}

fn key(page: usize, check: u32) -> u64 {
    ((page as u64) << PAGE_BITS) | u64::from(check)
}

impl Overflow {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(records) => records.len(),
            Self::Disk { len, .. } => *len,
        }
    }

    /// Returns the bytes that the records take.
    pub(super) fn bytes(&self) -> usize {
        self.len() * RECORD_BYTES
    }

    /// Returns the page on which the record found no room.
    pub(super) fn page(&self, number: usize) -> Result<usize, Error> {
        Ok((self.get(number)?[0] >> PAGE_BITS) as usize)
    }

    /// Returns the record's place.
    pub(super) fn place(&self, number: usize) -> Result<u64, Error> {
        Ok(self.get(number)?[1] & ((1 << PLACE_BITS) - 1))
    }

    /// Returns which records have the check, on a page whose records begin at `from`.
    pub(super) fn find(&self, from: usize, page: usize, check: u32) -> Result<Range<usize>, Error> {
        let key = key(page, check);
        let start = self.first_from(from, |other| other < key)?;
        Ok(start..self.first_from(start, |other| other <= key)?)
    }

    /// Returns the first record from a number on for which `is_before` no longer holds. Looks at
    /// the nearest first: where nobody planted fingerprints, a page has one or two records here.
    fn first_from(&self, from: usize, is_before: impl Fn(u64) -> bool) -> Result<usize, Error> {
        let (mut low, mut step) = (from, 1);
        let mut high = loop {
            let at = low + step - 1;
            if at >= self.len() {
                break self.len();
            }
            if !is_before(self.get(at)?[0]) {
                break at;
            }
            low = at + 1;
            step *= 2;
        };
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.get(middle)?[0]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn get(&self, number: usize) -> Result<Words, Error> {
        match self {
            Self::Memory(records) => Ok(records[number]),
            Self::Disk { file, .. } => {
                let (mut bytes, offset) = ([0; RECORD_BYTES], (number * RECORD_BYTES) as u64);
                file.read_exact_at(&mut bytes, offset).map_err(Error::io("read"))?;
                let value = u128::from_le_bytes(bytes);
                let words = [value as u64, (value >> 64) as u64];
                let (expected, got) = (words[1] >> PLACE_BITS, crc(words));
                if got != expected {
                    let [expected, got] = [expected, got].map(|crc| crc as u32);
                    return Err(Error::Damaged { offset, expected, got });
                }
                Ok(words)
            }
        }
    }
}

/// Returns 16 bits of the CRC-32 of a record's other bits.
fn crc([key, rest]: Words) -> u64 {
    let place = rest & ((1 << PLACE_BITS) - 1);
    let record = u128::from(key) | (u128::from(place) << 64);
    u64::from(crc32fast::hash(&record.to_le_bytes())) >> 16
}

/// Appends records.
#[derive(Debug)]
pub(super) enum Writer {
    Memory(Vec<Words>),
    Disk { writer: BufWriter<File>, len: usize },
}

impl Writer {
    pub(super) fn in_memory() -> Self {
        Self::Memory(Vec::new())
    }

    pub(super) fn on_disk(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create"))?;
        Ok(Self::Disk { writer: BufWriter::with_capacity(WRITE_BUFFER_BYTES, file), len: 0 })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(records) => records.len(),
            Self::Disk { len, .. } => *len,
        }
    }

    pub(super) fn append(&mut self, page: usize, record: Record) -> Result<(), Error> {
        let key = key(page, record.check);
        let words = [key, record.place | (crc([key, record.place]) << PLACE_BITS)];
        match self {
            Self::Memory(records) => records.push(words),
            Self::Disk { writer, len } => {
                let value = u128::from(words[0]) | (u128::from(words[1]) << 64);
                writer.write_all(&value.to_le_bytes()).map_err(Error::io("append to"))?;
                *len += 1;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Overflow, Error> {
        match self {
            Self::Memory(mut records) => {
                records.shrink_to_fit();
                Ok(Overflow::Memory(records))
            }
            Self::Disk { writer, len } => match writer.into_inner() {
                Ok(file) => Ok(Overflow::Disk { file, len }),
                Err(error) => Err(Error::io("append to")(error.into_error())),
            },
        }
    }
}
