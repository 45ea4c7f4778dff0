//! The header block: 512 bytes to type flag, size and name.
//!
//! The layout is that of POSIX pax(1), "ustar Interchange Format", and of the GNU tar manual,
//! "Basic Tar Format". A block is believed by its checksum alone, as v7 has no magic.

use std::borrow::Cow;

use super::error::Fault;

/// The length of a block.
pub(super) const BLOCK: usize = 512;

/// The largest size that GNU tar takes (`off_t`), so that sums of two never leave `u64`.
pub(super) const SIZE_MAX: u64 = i64::MAX as u64;

const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;

/// What 512 bytes are.
pub(super) enum Block<'a> {
    /// Zeros: an end marker.
    Zero,
    /// A header, its checksum right.
    Header(Header<'a>),
    /// Something else.
    Neither(Fault),
}

/// Which rules the block's other fields follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// No magic: v7, or anything else.
    V7,
    /// `ustar` and NUL: POSIX, with a prefix to the name.
    Ustar,
    /// `ustar` and two spaces: GNU, with other fields in the prefix's place.
    Gnu,
}

/// A header block whose checksum is right.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Block<'a> {
    pub(super) fn read(bytes: &'a [u8; BLOCK]) -> Self {
        let sum = sum(bytes);
        if sum == 0 {
            return Self::Zero;
        }
        // The checksum counts its own field as blanks (POSIX pax(1), "chksum").
        let field: u32 = bytes[CHECKSUM].iter().map(|&byte| u32::from(byte)).sum();
        let sum = sum - field + 8 * u32::from(b' ');
        match number(&bytes[CHECKSUM], false) {
            Ok(stored) if stored == u64::from(sum) || signed_sum_is(bytes, sum, stored) => {
                Self::Header(Header(bytes))
            }
            Ok(stored) => Self::Neither(Fault::new(
                "a header with its checksum",
                format!("{stored} where the bytes add up to {sum}"),
            )),
            Err(_) => Self::Neither(Fault::new(
                "a header with its checksum",
                "no octal number in the checksum's place",
            )),
        }
    }
}

impl<'a> Header<'a> {
    pub(super) fn type_flag(self) -> u8 {
        self.0[TYPE_FLAG]
    }

    pub(super) fn format(self) -> Format {
        match &self.0[MAGIC] {
            [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            _ => Format::V7,
        }
    }

    pub(super) fn size(self) -> Result<u64, Fault> {
        number(&self.0[SIZE], true)
            .map_err(|got| Fault::new("an octal or base-256 size in the header", got))
    }

    /// Returns the name, with the prefix that ustar splits off longer ones.
    pub(super) fn name(self) -> Cow<'a, [u8]> {
        let name = until_nul(&self.0[NAME]);
        // GNU tar keeps times and the sparse map in the prefix's place.
        if self.0[PREFIX.start] == 0 || self.format() != Format::Ustar {
            return Cow::Borrowed(name);
        }
        Cow::Owned([until_nul(&self.0[PREFIX]), b"/", name].concat())
    }

    pub(super) fn bytes(self) -> &'a [u8; BLOCK] {
        self.0
    }
}

/// Returns what comes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| byte == 0).map_or(bytes, |end| &bytes[..end])
}

/// Adds up the bytes, four lanes of 16 bits at a time: 128 bytes a lane of at most 255 fit.
fn sum(bytes: &[u8; BLOCK]) -> u32 {
    const LANES: u64 = 0x00ff_00ff_00ff_00ff;
    let mut lanes = 0;
    for word in bytes.as_chunks::<8>().0 {
        let word = u64::from_ne_bytes(*word);
        lanes += (word & LANES) + ((word >> 8) & LANES);
    }
    (0..4).map(|lane| (lanes >> (16 * lane)) as u32 & 0xffff).sum()
}

/// Returns whether the bytes add up to `stored` when taken as signed, as some old tars did.
fn signed_sum_is(bytes: &[u8; BLOCK], sum: u32, stored: u64) -> bool {
    let all = bytes[..CHECKSUM.start].iter().chain(&bytes[CHECKSUM.end..]);
    let high = all.filter(|byte| **byte >= 0x80).count() as u64;
    u64::from(sum).checked_sub(256 * high) == Some(stored)
}

/// Reads a numeric field by GNU tar's rules: a leading NUL and blanks are passed over; octal digits
/// end at a NUL, a blank or the field's end; an empty field is 0, but a blank one is no number. With
/// `base_256`, a first byte of 0x80 is followed by a big-endian number (GNU tar manual,
/// "Extensions to the tar format").
pub(super) fn number(field: &[u8], base_256: bool) -> Result<u64, String> {
    let field = if field.first() == Some(&0) { &field[1..] } else { field };
    let start = field.iter().position(|byte| !is_blank(*byte)).ok_or("blanks")?;
    let field = &field[start..];
    match field[0] {
        0x80 if base_256 => return big_endian(&field[1..]),
        0xff if base_256 => return Err("a negative base-256 number".into()),
        _ => {}
    }
    // At most twelve octal digits: no overflow.
    let digits = field.iter().take_while(|byte| matches!(byte, b'0'..=b'7'));
    let (value, length) = digits
        .fold((0, 0), |(value, length), digit| (value << 3 | u64::from(digit - b'0'), length + 1));
    match field.get(length) {
        Some(&byte) if byte != 0 && !is_blank(byte) => Err(format!("byte {byte:#04x} in it")),
        _ => Ok(value),
    }
}

fn big_endian(bytes: &[u8]) -> Result<u64, String> {
    if bytes.is_empty() {
        return Err("a base-256 number without digits".into());
    }
    let add =
        |value: u64, byte: &u8| (value <= SIZE_MAX >> 8).then(|| value << 8 | u64::from(*byte));
    bytes.iter().try_fold(0, add).ok_or_else(|| format!("a base-256 number above {SIZE_MAX}"))
}

/// C's `isspace`, which is what GNU tar asks.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(field: &[u8]) -> Option<u64> {
        let mut padded = [0; 12];
        padded[..field.len()].copy_from_slice(field);
        number(&padded, true).ok()
    }

    #[test]
    fn numbers_are_read_as_gnu_tar_reads_them() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"00000001750\0", Some(1000)),
            (b"000000001750", Some(1000)),
            (b"       1750 ", Some(1000)),
            (b"\0      1750 ", Some(1000)),
            (b"1750 garbage", Some(1000)),
            (b"777777777777", Some((1 << 36) - 1)),
            (b"", Some(0)),
            (b"    \0", Some(0)),
            (b"            ", None),
            (b"00000001758\0", None),
            (b"0x10", None),
            (b"-1", None),
            (b"+1", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\0\x07", Some(7)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(SIZE_MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, expect) in cases {
            assert_eq!(size(field), *expect, "{field:x?}");
        }
    }

    #[test]
    fn a_base_256_number_needs_digits_and_leave() {
        assert!(number(b"\x80", true).is_err());
        assert!(number(b"\x80\0\0\x01", false).is_err(), "checksums are octal");
    }

    #[test]
    fn the_sum_is_the_sum_even_at_its_largest() {
        assert_eq!(sum(&[0xff; BLOCK]), 512 * 255);
        let mut bytes = [0; BLOCK];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (at * 7) as u8;
        }
        assert_eq!(sum(&bytes), bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>());
    }
}
