//! The sealed headers: which fingerprints there are, where each header lies, and which an image
//! has claimed.
//!
//! Fingerprints come sorted out of the merge, so the index is a sorted array of records of 14
//! bytes, and a directory: for each value of the upper bits of a fingerprint, where its bucket of
//! records begins. What the directory implies is not stored again: 64 bits after the first 16 are,
//! so 80 of 128 bits are compared. Headers that share them have neighbouring slots, and callers
//! compare UIDs in any case. Together it takes 15 bytes a header.
//!
//! Where that is more memory than there is to be, the records are in a file, in larger buckets, of
//! which a probe reads one and checks its checksum; 0.3 bytes a header remain in memory.

mod builder;
mod records;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use self::builder::PairingIndexBuilder;
use self::records::{RECORD_BYTES, Records, check, place, read, slice};
use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::header_store::HeaderPlace;

/// The number of a header in the index.
pub type Slot = usize;

/// The upper bits that no record holds: there are at least as many buckets.
const BUCKET_BITS_MIN: u32 = 16;
/// Records in a bucket above which it is bisected: only where fingerprints are not spread evenly.
/// Twice what is usual on disk, so that a bucket's checksum is as good as always checked.
const SCAN_MAX: usize = 256;
/// Probes in flight at once: more than memory can serve at once, few enough for the first cache.
const LOT: usize = 32;

fn bucket_of(fingerprint: Fingerprint, bits: u32) -> usize {
    (fingerprint.0 >> (u128::BITS - bits)) as usize
}

fn check_of(fingerprint: Fingerprint) -> u64 {
    (fingerprint.0 >> (u64::BITS - BUCKET_BITS_MIN)) as u64
}

/// The sealed headers.
#[derive(Debug)]
pub struct PairingIndex {
    bits: u32,
    /// The first slot of each bucket, and the end of the last.
    starts: Vec<u32>,
    /// Of each bucket on disk.
    checksums: Vec<u32>,
    records: Records,
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
        let records = if self.is_on_disk() { 0 } else { self.len * RECORD_BYTES };
        (records + 4 * (self.starts.len() + self.checksums.len()) + 8 * self.claimed.len()) as u64
    }

    /// Returns the bytes that the index takes on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        if self.is_on_disk() { (self.len * RECORD_BYTES) as u64 } else { 0 }
    }

    /// Returns true where the records are on disk.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.records, Records::Disk(_))
    }

    /// Returns the slots of the headers with this fingerprint: mostly none or one.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`], where the records are on disk.
    pub fn probe(&self, fingerprint: Fingerprint) -> Result<Range<Slot>, Error> {
        let bucket = bucket_of(fingerprint, self.bits);
        self.find(bucket, &self.slots_of(bucket), check_of(fingerprint))
    }

    /// Probes for many fingerprints; puts the slots of each into `found`.
    ///
    /// In memory this takes a third of the time of single probes: a probe waits for memory twice,
    /// and those of a lot wait together.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`], where the records are on disk.
    pub fn probe_all(
        &self,
        fingerprints: &[Fingerprint],
        found: &mut Vec<Range<Slot>>,
    ) -> Result<(), Error> {
        found.clear();
        for lot in fingerprints.chunks(LOT) {
            let mut slots = [const { 0..0 }; LOT];
            for (slots, &fingerprint) in slots.iter_mut().zip(lot) {
                *slots = self.slots_of(bucket_of(fingerprint, self.bits));
            }
            if let Records::Memory(records) = &self.records {
                let first = |slots: &Range<Slot>| records.get(slots.start * RECORD_BYTES).copied();
                // Read for nothing but to have the bucket in the cache when its turn comes.
                black_box(slots.each_ref().map(first));
            }
            for (slots, &fingerprint) in slots.iter().zip(lot) {
                let bucket = bucket_of(fingerprint, self.bits);
                found.push(self.find(bucket, slots, check_of(fingerprint))?);
            }
        }
        Ok(())
    }

    fn slots_of(&self, bucket: usize) -> Range<Slot> {
        self.starts[bucket] as usize..self.starts[bucket + 1] as usize
    }

    fn find(&self, bucket: usize, slots: &Range<Slot>, key: u64) -> Result<Range<Slot>, Error> {
        if slots.len() > SCAN_MAX {
            let start = partition(slots, |slot| Ok(check(&self.records.get(slot)?) < key))?;
            let rest = start..slots.end;
            return Ok(start..partition(&rest, |slot| Ok(check(&self.records.get(slot)?) <= key))?);
        }
        let same = match &self.records {
            Records::Memory(records) => scan(slice(records, slots.clone()), key),
            Records::Disk(file) => self.scan_on_disk(file, bucket, slots, key)?,
        };
        Ok(slots.start + same.start..slots.start + same.end)
    }

    fn scan_on_disk(
        &self,
        file: &File,
        bucket: usize,
        slots: &Range<Slot>,
        key: u64,
    ) -> Result<Range<usize>, Error> {
        let mut records = [0; SCAN_MAX * RECORD_BYTES];
        let records = &mut records[..slots.len() * RECORD_BYTES];
        read(file, slots.start, records)?;
        let (expected, got) = (self.checksums[bucket], crc32fast::hash(records));
        if got != expected {
            let offset = (slots.start * RECORD_BYTES) as u64;
            return Err(Error::Damaged { offset, expected, got });
        }
        Ok(scan(records, key))
    }

    /// Returns the place of a slot's header.
    ///
    /// # Errors
    /// [`Error::Io`], where the records are on disk.
    ///
    /// # Panics
    /// Where the slot is not of this index.
    pub fn place(&self, slot: Slot) -> Result<HeaderPlace, Error> {
        assert!(slot < self.len, "slot {slot} of {}", self.len);
        Ok(HeaderPlace(place(&self.records.get(slot)?)))
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
}

/// Returns which of a bucket's records have the key. Counting has no branch to guess wrong.
fn scan(records: &[u8], key: u64) -> Range<usize> {
    let (records, _) = records.as_chunks::<RECORD_BYTES>();
    let (mut below, mut up_to) = (0, 0);
    for record in records {
        let check = check(record);
        below += usize::from(check < key);
        up_to += usize::from(check <= key);
    }
    below..up_to
}

/// Returns the first of the slots for which `is_before` no longer holds.
fn partition(
    slots: &Range<Slot>,
    is_before: impl Fn(Slot) -> Result<bool, Error>,
) -> Result<Slot, Error> {
    let Range { start: mut low, end: mut high } = *slots;
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
