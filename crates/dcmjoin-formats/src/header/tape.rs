//! The tape: a document as flat lists, between the pass that reads and the pass that writes.
//!
//! A data set is a [`Level`]: a run of elements, sorted by tag and without duplicates once its
//! level is closed. Nested levels lie before the level that holds them, because they close first.
//! Values stay in the document, as spans; only items have records of their own.
//!
//! **Invariant:** closing levels and item lists in reverse order of opening keeps each run
//! contiguous, so that no level needs a list of its own. All four lists keep their memory from
//! document to document.

use super::dictionary::Rule;
use super::lexer::{Span, Text, Token};

/// One element of a data set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) tag: u32,
    /// What the document says; `None` where it says nothing usable.
    pub(super) vr: Option<Rule>,
    pub(super) value: Value,
}

/// A value as it stands in the document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// No value, or an empty array.
    Absent,
    /// One token.
    One(Token),
    /// Several tokens: what stands between the brackets.
    Several(Span),
    /// Person names among which is at least one object: what stands between the brackets.
    Names(Span),
    /// Data sets.
    Items(Run),
    /// Base64 text.
    Binary(Text),
    /// `BulkDataURI` or `DataFragment`.
    Elsewhere,
}

/// A run of items in [`Tape::items`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    start: u32,
    end: u32,
}

/// A data set: a run of elements in [`Tape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    start: u32,
    end: u32,
}

impl Level {
    /// A `null` among items.
    pub(super) const NULL: Self = Self { start: u32::MAX, end: u32::MAX };
}

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Tape {
    elements: Vec<Element>,
    items: Vec<Level>,
    open_elements: Vec<Element>,
    open_items: Vec<Level>,
}

/// A level or item list that is being read: where its part of the open list starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open(usize);

impl Tape {
    /// Forgets the last document, not the memory.
    pub(super) fn clear(&mut self) {
        self.elements.clear();
        self.items.clear();
        self.open_elements.clear();
        self.open_items.clear();
    }

    /// Gives memory back beyond what ordinary documents need.
    pub(super) fn trim(&mut self, records_kept: usize) {
        self.clear();
        self.elements.shrink_to(records_kept);
        self.items.shrink_to(records_kept);
        self.open_elements.shrink_to(records_kept);
        self.open_items.shrink_to(records_kept);
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        let elements = self.elements.capacity() + self.open_elements.capacity();
        let items = self.items.capacity() + self.open_items.capacity();
        elements * size_of::<Element>() + items * size_of::<Level>()
    }

    pub(super) fn open_level(&self) -> Open {
        Open(self.open_elements.len())
    }

    pub(super) fn open_items(&self) -> Open {
        Open(self.open_items.len())
    }

    pub(super) fn push_element(&mut self, element: Element) {
        self.open_elements.push(element);
    }

    pub(super) fn push_item(&mut self, item: Level) {
        self.open_items.push(item);
    }

    /// Sorts and closes a level. Of elements with the same tag the last one stays; `dropped` is
    /// called with each pair, the one that goes and the one that follows it.
    pub(super) fn close_level(
        &mut self,
        Open(from): Open,
        mut dropped: impl FnMut(&Element, &Element),
    ) -> Level {
        let start = self.elements.len();
        let open = &mut self.open_elements[from..];
        if open.windows(2).any(|pair| pair[0].tag >= pair[1].tag) {
            // Stable, so that the last of equals in the document is the last here.
            open.sort_by_key(|element| element.tag);
            for (at, element) in open.iter().enumerate() {
                match open.get(at + 1) {
                    Some(next) if next.tag == element.tag => dropped(element, next),
                    _ => self.elements.push(*element),
                }
            }
        } else {
            self.elements.extend_from_slice(open);
        }
        self.open_elements.truncate(from);
        Level { start: start as u32, end: self.elements.len() as u32 }
    }

    /// Closes a list of items.
    pub(super) fn close_items(&mut self, Open(from): Open) -> Run {
        let start = self.items.len();
        self.items.extend_from_slice(&self.open_items[from..]);
        self.open_items.truncate(from);
        Run { start: start as u32, end: self.items.len() as u32 }
    }

    /// Forgets the items read since a list was opened.
    pub(super) fn abandon_items(&mut self, Open(from): Open) {
        self.open_items.truncate(from);
    }

    /// Returns the elements of a level, in tag order.
    pub(super) fn elements(&self, level: Level) -> &[Element] {
        self.elements.get(level.start as usize..level.end as usize).unwrap_or_default()
    }

    /// Returns the items of a sequence.
    pub(super) fn items(&self, run: Run) -> &[Level] {
        self.items.get(run.start as usize..run.end as usize).unwrap_or_default()
    }

    /// Returns the element of a level with a tag.
    pub(super) fn find(&self, level: Level, tag: u32) -> Option<&Element> {
        let elements = self.elements(level);
        elements.binary_search_by_key(&tag, |element| element.tag).ok().map(|at| &elements[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit on elements counts on it.
    #[test]
    fn records_are_small() {
        assert!(size_of::<Element>() <= 24, "{}", size_of::<Element>());
        assert_eq!(size_of::<Level>(), 8);
    }
}
