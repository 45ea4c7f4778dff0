//! A walk over the elements of a data set in three encodings (PS3.5 7.1, A.1 to A.3).
//!
//! Values of a defined length are passed by it; sequences and UN of undefined length are walked to
//! their delimiter. **Invariants:** no recursion, no panic, and every place is checked before it is
//! read.

use super::elements::{self, Tag, UNDEFINED, is_long};
use super::summary::ReadError;

/// Whether VRs stand in the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VrEncoding {
    /// Every element names its VR.
    Explicit,
    /// VRs are those of the dictionary.
    Implicit,
}

/// The byte order of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endianness {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// How elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) vr: VrEncoding,
    pub(super) endianness: Endianness,
}

impl Encoding {
    pub(super) const EXPLICIT_LITTLE: Self =
        Self { vr: VrEncoding::Explicit, endianness: Endianness::Little };
    pub(super) const IMPLICIT_LITTLE: Self =
        Self { vr: VrEncoding::Implicit, endianness: Endianness::Little };
    pub(super) const EXPLICIT_BIG: Self =
        Self { vr: VrEncoding::Explicit, endianness: Endianness::Big };

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self.endianness {
            Endianness::Little => u16::from_le_bytes(bytes),
            Endianness::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self.endianness {
            Endianness::Little => u32::from_le_bytes(bytes),
            Endianness::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The header of an element or item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) tag: Tag,
    /// `None` for items, and where VRs are implicit.
    pub(super) vr: Option<[u8; 2]>,
    pub(super) length: u32,
    /// Where the value begins.
    pub(super) value_at: usize,
}

/// The bytes of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Returns `N` bytes at a place.
    pub(super) fn take<const N: usize>(self, at: usize) -> Result<[u8; N], ReadError> {
        let found = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        found.copied().ok_or_else(|| self.short(at, N as u64))
    }

    fn short(self, at: usize, expected: u64) -> ReadError {
        let got = self.bytes.len().saturating_sub(at) as u64;
        ReadError::Short { offset: at as u64, expected, got }
    }

    /// Reads the header at a place.
    pub(super) fn element(self, at: usize, encoding: Encoding) -> Result<Element, ReadError> {
        let [g0, g1, e0, e1] = self.take(at)?;
        let tag = (encoding.u16([g0, g1]), encoding.u16([e0, e1]));
        if tag.0 == elements::ITEM.0 || encoding.vr == VrEncoding::Implicit {
            let length = encoding.u32(self.take(at + 4)?);
            return Ok(Element { tag, vr: None, length, value_at: at + 8 });
        }
        let vr: [u8; 2] = self.take(at + 4)?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(ReadError::Vr { offset: at as u64 + 4, got: vr });
        }
        let (length, value_at) = if is_long(vr) {
            (encoding.u32(self.take(at + 8)?), at + 12)
        } else {
            (encoding.u16(self.take(at + 6)?).into(), at + 8)
        };
        Ok(Element { tag, vr: Some(vr), length, value_at })
    }

    /// Returns the value of an element of defined length.
    pub(super) fn value(self, element: Element) -> Result<&'a [u8], ReadError> {
        let end = element.value_at.saturating_add(element.length as usize);
        let value = self.bytes.get(element.value_at..end);
        value.ok_or_else(|| self.short(element.value_at, element.length.into()))
    }

    /// Returns the place behind an element.
    pub(super) fn behind(self, element: Element, encoding: Encoding) -> Result<usize, ReadError> {
        if element.length != UNDEFINED {
            return self.value(element).map(|value| element.value_at + value.len());
        }
        let inside = inside(element, encoding);
        let mut levels = vec![Level::Sequence(inside)];
        let mut at = element.value_at;
        while let Some(&level) = levels.last() {
            at = self.step(at, level, &mut levels)?;
        }
        Ok(at)
    }

    /// Passes one item, element or delimiter within the innermost open level.
    fn step(self, at: usize, level: Level, levels: &mut Vec<Level>) -> Result<usize, ReadError> {
        let (Level::Sequence(encoding) | Level::Item(encoding)) = level;
        let found = self.element(at, encoding)?;
        match (level, found.tag) {
            (Level::Sequence(_), elements::SEQUENCE_END) | (Level::Item(_), elements::ITEM_END) => {
                levels.pop();
                Ok(found.value_at)
            }
            (Level::Sequence(_), elements::ITEM) if found.length == UNDEFINED => {
                levels.push(Level::Item(encoding));
                Ok(found.value_at)
            }
            (Level::Sequence(_), elements::ITEM) => self.behind(found, encoding),
            (Level::Item(_), (group, _)) if group != elements::ITEM.0 => {
                if found.length == UNDEFINED {
                    levels.push(Level::Sequence(inside(found, encoding)));
                    return Ok(found.value_at);
                }
                self.behind(found, encoding)
            }
            _ => Err(ReadError::Delimiter { offset: at as u64, got: found.tag }),
        }
    }
}

/// A sequence or item of undefined length that is open, and its encoding.
#[derive(Debug, Clone, Copy)]
enum Level {
    Sequence(Encoding),
    Item(Encoding),
}

/// Within UN of undefined length the encoding is Implicit VR Little Endian (PS3.5 6.2.2).
fn inside(element: Element, encoding: Encoding) -> Encoding {
    if element.vr == Some(*b"UN") { Encoding::IMPLICIT_LITTLE } else { encoding }
}
