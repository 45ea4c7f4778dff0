//! Builds the index, from headers in the order of their fingerprints.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::records::{Writer, record};
use super::{BUCKET_BITS_MIN, PairingIndex, bucket_of, check_of};
use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::header_store::HeaderPlace;

/// Slots are kept in 32 bits.
const HEADERS_MAX: u64 = u32::MAX as u64;
/// A directory for the most headers.
const BUCKET_BITS_MAX: u32 = 30;
/// Places are kept in 48 bits: 256 TiB of headers.
const PLACE_MAX: u64 = 1 << 48;
/// In memory a bucket is to lie in one or two cache lines: 4 to 8 headers, since sizes double.
const BUCKET_IN_MEMORY: u64 = 4;
/// On disk a bucket is read at once, and its directory entry takes 8 bytes of memory.
const BUCKET_ON_DISK: u64 = 64;
/// What a header takes in memory at most: its record, its share of the directory, and a bit.
const HEADER_BYTES_MAX: u64 = 16;

/// Collects headers in the order of their fingerprints.
#[derive(Debug)]
pub struct PairingIndexBuilder {
    bits: u32,
    writer: Writer,
    starts: Vec<u32>,
    checksums: Vec<u32>,
    checksum: crc32fast::Hasher,
    len: u64,
    last: Fingerprint,
}

impl PairingIndexBuilder {
    /// Returns an empty collection for about `headers_max` headers.
    ///
    /// They are kept in memory where they fit `bytes_max`, else in a file in the spill folder. More
    /// headers than announced are found too, if less quickly.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn new(spill: &Path, bytes_max: u64, headers_max: u64) -> Result<Self, Error> {
        let headers_max = headers_max.min(HEADERS_MAX);
        let in_memory = headers_max * HEADER_BYTES_MAX <= bytes_max;
        let writer = match usize::try_from(headers_max) {
            Ok(records) if in_memory => Writer::in_memory(records),
            _ => Writer::on_disk(spill)?,
        };
        let bucket = if in_memory { BUCKET_IN_MEMORY } else { BUCKET_ON_DISK };
        let bits = (headers_max / bucket).checked_ilog2().unwrap_or(0);
        Ok(Self {
            bits: bits.clamp(BUCKET_BITS_MIN, BUCKET_BITS_MAX),
            writer,
            starts: Vec::new(),
            checksums: Vec::new(),
            checksum: crc32fast::Hasher::new(),
            len: 0,
            last: Fingerprint(0),
        })
    }

    /// Adds a header.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails, [`Error::Limit`] for more than 4.29 billion
    /// headers or 256 TiB of them.
    ///
    /// # Panics
    /// Where fingerprints do not come in order: the merge that feeds the builder sorts them.
    pub fn push(&mut self, fingerprint: Fingerprint, place: HeaderPlace) -> Result<(), Error> {
        assert!(self.last <= fingerprint, "headers must come in the order of their fingerprints");
        if self.len == HEADERS_MAX {
            return Err(Error::Limit { what: "headers in one run", limit: HEADERS_MAX });
        }
        if place.0 >= PLACE_MAX {
            return Err(Error::Limit { what: "bytes in the header store", limit: PLACE_MAX });
        }
        self.start_up_to(bucket_of(fingerprint, self.bits));
        let record = record(check_of(fingerprint), place.0);
        if matches!(self.writer, Writer::Disk(_)) {
            self.checksum.update(&record);
        }
        self.writer.append(&record)?;
        self.last = fingerprint;
        self.len += 1;
        Ok(())
    }

    /// Ends all buckets before this one, and begins it.
    fn start_up_to(&mut self, bucket: usize) {
        while self.starts.len() <= bucket {
            if matches!(self.writer, Writer::Disk(_)) && !self.starts.is_empty() {
                self.checksums.push(std::mem::take(&mut self.checksum).finalize());
            }
            self.starts.push(self.len as u32);
        }
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails.
    pub fn seal(mut self) -> Result<PairingIndex, Error> {
        self.start_up_to(1 << self.bits);
        self.starts.shrink_to_fit();
        self.checksums.shrink_to_fit();
        let words = self.len.div_ceil(64);
        Ok(PairingIndex {
            bits: self.bits,
            starts: self.starts,
            checksums: self.checksums,
            records: self.writer.finish()?,
            claimed: (0..words).map(|_| AtomicU64::new(0)).collect(),
            len: self.len as usize,
        })
    }
}
