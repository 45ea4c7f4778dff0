//! Slots: those that a probe found, and those that nobody claimed.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::PairingIndex;
use crate::Error;

/// The number of a header in the index. Numbers have gaps.
pub type Slot = usize;

/// The slots that a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    pub(super) on_page: Range<Slot>,
    pub(super) overflow: Range<Slot>,
}

impl Iterator for Slots {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        self.on_page.next().or_else(|| self.overflow.next())
    }
}

/// The slots that no image has claimed, in the order of their fingerprints.
#[derive(Debug)]
pub struct Unclaimed<'a> {
    index: &'a PairingIndex,
    /// Those on pages that are still to come.
    on_pages: Range<Slot>,
    /// Those without room that are still to come.
    overflow: Range<Slot>,
    /// The page on which the first of those found no room, where it was looked up.
    overflow_page: Option<usize>,
}

impl<'a> Unclaimed<'a> {
    pub(super) fn of(index: &'a PairingIndex) -> Self {
        let on_pages = 0..index.slots_on_pages();
        let overflow = on_pages.end..on_pages.end + index.overflow.len();
        Self { index, on_pages, overflow, overflow_page: None }
    }

    fn next_slot(&mut self) -> Result<Option<Slot>, Error> {
        self.on_pages.start = self.first_unclaimed(&self.on_pages);
        let overflow = self.first_unclaimed(&self.overflow);
        if overflow != self.overflow.start {
            (self.overflow.start, self.overflow_page) = (overflow, None);
        }
        if self.is_overflow_next()? {
            self.overflow_page = None;
            return Ok(self.overflow.next());
        }
        Ok(self.on_pages.next())
    }

    fn is_overflow_next(&mut self) -> Result<bool, Error> {
        if self.overflow.is_empty() {
            return Ok(false);
        }
        let index = self.index;
        let page = match self.overflow_page {
            Some(page) => page,
            None => index.overflow.page(self.overflow.start - index.slots_on_pages())?,
        };
        self.overflow_page = Some(page);
        Ok(self.on_pages.is_empty() || page < self.on_pages.start / index.pages.records_each())
    }

    /// Returns the first of some slots that nobody claimed, or their end.
    fn first_unclaimed(&self, slots: &Range<Slot>) -> Slot {
        let mut slot = slots.start;
        while slot < slots.end {
            let claimed = self.index.claimed[slot / 64].load(Relaxed) >> (slot % 64);
            let claimed_in_a_row = claimed.trailing_ones() as usize;
            if claimed_in_a_row < 64 - slot % 64 {
                return (slot + claimed_in_a_row).min(slots.end);
            }
            slot = (slot / 64 + 1) * 64;
        }
        slots.end
    }
}

impl Iterator for Unclaimed<'_> {
    type Item = Result<Slot, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_slot().transpose()
    }
}
