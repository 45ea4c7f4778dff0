//! The sealed headers: which fingerprints there are, where each header lies, and which an image
//! has claimed.
//!
//! Fingerprints are spread evenly, so the upper bits of one say on which *page* its record is. A page
//! in memory is a cache line of six records, and a probe waits for memory once. A record has ten
//! bytes: a place, and 31 bits of the fingerprint that the page does not imply. Pages are filled by
//! two thirds; what finds no room on its page, one header in 17, is in a list beside them, and the
//! page says where. Together that is 16 bytes a header.
//!
//! Where that is more memory than there is to be, the same pages are in a file, larger ones, of
//! which a probe reads one and checks its checksum; 0.2 bytes a header remain in memory.
//!
//! At a billion headers 59 bits of a fingerprint are compared, which decides nothing: one probe in
//! 500 million (27 million on disk) finds a header of another UID, and callers compare UIDs in any
//! case. Whoever plants fingerprints that share a page makes the list longer; it is in order, and
//! searched by bisection.

mod builder;
mod overflow;
mod page;
mod slots;
#[cfg(test)]
mod tests;

use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use self::builder::PairingIndexBuilder;
use self::overflow::Overflow;
use self::page::{LEAF_BYTES, LINE_BYTES, Pages};
pub use self::slots::{Slot, Slots, Unclaimed};
use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::header_store::HeaderPlace;

/// Probes in flight at once: more than memory can serve at once, few enough for the first cache.
const LOT: usize = 32;

/// Returns the page of a fingerprint, and the 31 bits that follow those that name it. Both grow with
/// the fingerprint.
#[inline]
fn page_and_check(fingerprint: Fingerprint, pages: usize) -> (usize, u32) {
    let scaled = (fingerprint.0 >> u64::BITS) * pages as u128;
    ((scaled >> u64::BITS) as usize, (scaled as u64 >> 33) as u32)
}

/// The sealed headers.
#[derive(Debug)]
pub struct PairingIndex {
    page_count: usize,
    pages: Pages,
    overflow: Overflow,
    /// A bit for each slot; the bits of free ones are set.
    claimed: Vec<AtomicU64>,
    len: usize,
}

impl PairingIndex {
    /// Returns the number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true where there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes that the index takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let claimed = size_of_val(self.claimed.as_slice());
        let pages = if self.is_on_disk() { 0 } else { self.page_count * LINE_BYTES };
        let overflow = if self.is_on_disk() { 0 } else { self.overflow.bytes() };
        (claimed + pages + overflow) as u64
    }

    /// Returns the bytes that the index takes on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let bytes = self.page_count * LEAF_BYTES + self.overflow.bytes();
        if self.is_on_disk() { bytes as u64 } else { 0 }
    }

    /// Returns true where the records are on disk.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.pages, Pages::Disk(_))
    }

    /// Returns the slots of the headers with this fingerprint, as far as it is compared: mostly none
    /// or one.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`], where the records are on disk.
    #[inline]
    pub fn probe(&self, fingerprint: Fingerprint) -> Result<Slots, Error> {
        let (page, check) = page_and_check(fingerprint, self.page_count);
        let first = page * self.pages.records_each();
        let found = self.pages.find(page, check)?;
        let overflow = match found.overflow {
            None => 0..0,
            Some(from) => self.overflowing(from, page, check)?,
        };
        Ok(Slots { on_page: first + found.start..first + found.end, overflow })
    }

    #[cold]
    fn overflowing(&self, from: u32, page: usize, check: u32) -> Result<Range<Slot>, Error> {
        let first = self.slots_on_pages();
        let found = self.overflow.find(from as usize, page, check)?;
        Ok(first + found.start..first + found.end)
    }

    /// Probes for many fingerprints; puts the slots of each into `found`.
    ///
    /// In memory this takes less time than single probes: those of a lot wait together.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`], where the records are on disk.
    pub fn probe_all(
        &self,
        fingerprints: &[Fingerprint],
        found: &mut Vec<Slots>,
    ) -> Result<(), Error> {
        found.clear();
        for lot in fingerprints.chunks(LOT) {
            if let Pages::Memory(lines) = &self.pages {
                for &fingerprint in lot {
                    let (page, _) = page_and_check(fingerprint, self.page_count);
                    // Read for nothing but to have the page in the cache when its turn comes.
                    black_box(lines[page].glimpse());
                }
            }
            for &fingerprint in lot {
                found.push(self.probe(fingerprint)?);
            }
        }
        Ok(())
    }

    /// Returns the slots on pages, free ones too; the others follow.
    fn slots_on_pages(&self) -> usize {
        self.page_count * self.pages.records_each()
    }

    /// Returns the place of a slot's header.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`], where the records are on disk.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    pub fn place(&self, slot: Slot) -> Result<HeaderPlace, Error> {
        if let Some(number) = slot.checked_sub(self.slots_on_pages()) {
            return Ok(HeaderPlace(self.overflow.place(number)?));
        }
        let each = self.pages.records_each();
        Ok(HeaderPlace(self.pages.place(slot / each, slot % each)?))
    }

    /// Claims a header for an image; true for the first claim only, whichever thread makes it.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    #[must_use]
    pub fn claim(&self, slot: Slot) -> bool {
        let bit = 1 << (slot % 64);
        self.claimed[slot / 64].fetch_or(bit, Relaxed) & bit == 0
    }

    /// Returns true where an image has claimed the header.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    #[must_use]
    pub fn is_claimed(&self, slot: Slot) -> bool {
        self.claimed[slot / 64].load(Relaxed) & (1 << (slot % 64)) != 0
    }

    /// Returns the slots that no image has claimed, in the order of their fingerprints.
    #[must_use]
    pub fn unclaimed(&self) -> Unclaimed<'_> {
        Unclaimed::of(self)
    }
}
