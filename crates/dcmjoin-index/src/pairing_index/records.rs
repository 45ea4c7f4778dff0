//! The index's records: in memory, or in an unnamed file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;

/// A record: 64 bits of the fingerprint (the check), and 48 bits of a place.
pub(super) const RECORD_BYTES: usize = 14;
const WRITE_BUFFER_BYTES: usize = 256 << 10;

pub(super) type Record = [u8; RECORD_BYTES];

/// Appends records.
#[derive(Debug)]
pub(super) enum Writer {
    Memory(Vec<u8>),
    Disk(BufWriter<File>),
}

impl Writer {
    pub(super) fn in_memory(records: usize) -> Self {
        // Memory that is reserved and not yet written to does not count.
        Self::Memory(Vec::with_capacity(records.saturating_mul(RECORD_BYTES)))
    }

    pub(super) fn on_disk(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create"))?;
        Ok(Self::Disk(BufWriter::with_capacity(WRITE_BUFFER_BYTES, file)))
    }

    pub(super) fn append(&mut self, record: &Record) -> Result<(), Error> {
        match self {
            Self::Memory(records) => records.extend_from_slice(record),
            Self::Disk(writer) => writer.write_all(record).map_err(Error::io("append to"))?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Records, Error> {
        match self {
            Self::Memory(mut records) => {
                records.shrink_to_fit();
                Ok(Records::Memory(records))
            }
            Self::Disk(writer) => match writer.into_inner() {
                Ok(file) => Ok(Records::Disk(file)),
                Err(error) => Err(Error::io("append to")(error.into_error())),
            },
        }
    }
}

/// All records, in the order of their fingerprints.
#[derive(Debug)]
pub(super) enum Records {
    Memory(Vec<u8>),
    Disk(File),
}

impl Records {
    /// Returns one record.
    pub(super) fn get(&self, slot: usize) -> Result<Record, Error> {
        let mut record = [0; RECORD_BYTES];
        match self {
            Self::Memory(records) => record.copy_from_slice(slice(records, slot..slot + 1)),
            Self::Disk(file) => read(file, slot, &mut record)?,
        }
        Ok(record)
    }
}

/// Returns the bytes of some records.
pub(super) fn slice(records: &[u8], slots: Range<usize>) -> &[u8] {
    &records[slots.start * RECORD_BYTES..slots.end * RECORD_BYTES]
}

/// Reads records from a slot on.
pub(super) fn read(file: &File, slot: usize, records: &mut [u8]) -> Result<(), Error> {
    file.read_exact_at(records, (slot * RECORD_BYTES) as u64).map_err(Error::io("read"))
}

/// Returns the record of a check and a place.
pub(super) fn record(check: u64, place: u64) -> Record {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&check.to_le_bytes());
    record[8..].copy_from_slice(&place.to_le_bytes()[..6]);
    record
}

/// Returns the check of a record.
pub(super) fn check(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |check| u64::from_le_bytes(*check))
}

/// Returns the place of a record.
pub(super) fn place(record: &Record) -> u64 {
    record[8..].iter().rfold(0, |place, &byte| (place << 8) | u64::from(byte))
}
