//! Builds the index, from headers in the order of their fingerprints.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::page::{self, LEAF_RECORDS, LINE_RECORDS, Record};
use super::{PairingIndex, overflow, page_and_check};
use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::header_store::HeaderPlace;

/// Records without room are counted in 32 bits.
const HEADERS_MAX: u64 = u32::MAX as u64;
/// Places are kept in 48 bits: 256 TiB of headers.
const PLACE_MAX: u64 = 1 << 48;
/// Headers that 100 pages in memory are for. They have room for 600: one header in 17 finds none.
/// Fuller pages make more probes wait twice, emptier ones take more memory.
const HEADERS_IN_100_LINES: u64 = 425;
/// Headers that 100 pages on disk are for. They have room for 10,100: one in 2,000 finds none.
const HEADERS_IN_100_LEAVES: u64 = 8_000;
/// What a header takes in memory at most: its share of a page, of the overflow, and a bit or two.
const HEADER_BYTES_MAX: u64 = 17;

/// Collects headers in the order of their fingerprints.
#[derive(Debug)]
pub struct PairingIndexBuilder {
    writer: page::Writer,
    overflow: overflow::Writer,
    pages: usize,
    /// Pages that were appended: the number of the one that is being filled.
    page: usize,
    records: Vec<Record>,
    /// The first record that found no room on the page.
    page_overflow: Option<u32>,
    /// A bit for each record of the pages: set where it is free, so that nobody claims it.
    claimed: Vec<u64>,
    len: u64,
    last: Fingerprint,
}

impl PairingIndexBuilder {
    /// Returns an empty collection for about `headers_max` headers.
    ///
    /// They are kept in memory where they fit `bytes_max`, else in files in the spill folder. More
    /// headers than announced are found too, if less quickly; fewer take no less room.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written.
    pub fn new(spill: &Path, bytes_max: u64, headers_max: u64) -> Result<Self, Error> {
        let headers_max = headers_max.clamp(1, HEADERS_MAX);
        let in_memory = headers_max * HEADER_BYTES_MAX <= bytes_max;
        let headers_in_100 = if in_memory { HEADERS_IN_100_LINES } else { HEADERS_IN_100_LEAVES };
        let pages = (headers_max * 100).div_ceil(headers_in_100);
        let pages = usize::try_from(pages)
            .map_err(|_| Error::Limit { what: "headers in one run", limit: HEADERS_MAX })?;
        let (writer, overflow) = if in_memory {
            (page::Writer::in_memory(pages), overflow::Writer::in_memory())
        } else {
            (page::Writer::on_disk(spill)?, overflow::Writer::on_disk(spill)?)
        };
        let records = Vec::with_capacity(LEAF_RECORDS.max(LINE_RECORDS));
        let slots = pages * writer.records_each();
        Ok(Self {
            writer,
            overflow,
            pages,
            page: 0,
            records,
            page_overflow: None,
            claimed: vec![0; slots.div_ceil(64)],
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
        let (page, check) = page_and_check(fingerprint, self.pages);
        while self.page < page {
            self.end_page()?;
        }
        let record = Record { check, place: place.0 };
        if self.records.len() < self.writer.records_each() {
            self.records.push(record);
        } else {
            self.page_overflow.get_or_insert(self.overflow.len() as u32);
            self.overflow.append(page, record)?;
        }
        self.last = fingerprint;
        self.len += 1;
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), Error> {
        self.writer.append(&self.records, self.page_overflow.take())?;
        let first = self.page * self.writer.records_each();
        for slot in first + self.records.len()..first + self.writer.records_each() {
            self.claimed[slot / 64] |= 1 << (slot % 64);
        }
        self.records.clear();
        self.page += 1;
        Ok(())
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is full or fails.
    pub fn seal(mut self) -> Result<PairingIndex, Error> {
        while self.page < self.pages {
            self.end_page()?;
        }
        let slots = self.pages * self.writer.records_each() + self.overflow.len();
        self.claimed.resize(slots.div_ceil(64), 0);
        Ok(PairingIndex {
            page_count: self.pages,
            pages: self.writer.finish()?,
            overflow: self.overflow.finish()?,
            claimed: self.claimed.into_iter().map(AtomicU64::new).collect(),
            len: self.len as usize,
        })
    }
}
