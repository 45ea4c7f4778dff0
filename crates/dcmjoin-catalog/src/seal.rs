//! The seal: checksums over every byte that a row comes from.
//!
//! Parquet's own page checksums leave footer, statistics and Bloom filters open, and a flipped
//! bit there hides a row from a look-up. So the file is parted into *pieces*, the rows and the
//! Bloom filter of each row group, which tile it from its head to its footer. Their checksums
//! stand in the footer under [`PIECES_KEY`]; the footer's own stands in it under [`FOOTER_KEY`],
//! made while sixteen zeros were in its place. Other engines see two more keys in the metadata.

use std::io::Write;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;

/// The key of the pieces' checksums.
pub(crate) const PIECES_KEY: &str = "dcmjoin.pieces";
/// The key of the footer's checksum.
pub(crate) const FOOTER_KEY: &str = "dcmjoin.footer_xxh3";
/// What stands for the footer's checksum while it is made.
pub(crate) const NO_CHECKSUM: &str = "0000000000000000";
/// The mark at both ends of a Parquet file.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// A stretch of the file, and the checksum of its bytes (XXH3-64).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, Hex)", into = "(u64, u64, Hex)")]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) end: u64,
    xxh3: u64,
}

impl Piece {
    fn of(start: u64, bytes: &[u8]) -> Self {
        Self { start, end: start + bytes.len() as u64, xxh3: xxh3_64(bytes) }
    }

    /// Checks that these are the bytes that were written.
    pub(crate) fn check(&self, part: &'static str, bytes: &[u8]) -> Result<(), Error> {
        let (expected, got) = (self.xxh3, xxh3_64(bytes));
        if expected == got {
            return Ok(());
        }
        Err(Error::Damaged { part, start: self.start, end: self.end, expected, got })
    }
}

/// The pieces of one row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupPieces {
    pub(crate) rows: Piece,
    pub(crate) bloom: Piece,
}

/// A checksum in JSON: sixteen digits, since not every reader keeps 64 bits of a number.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex(u64);

impl TryFrom<String> for Hex {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        format!("{:016x}", hex.0)
    }
}

impl From<(u64, u64, Hex)> for Piece {
    fn from((start, end, Hex(xxh3)): (u64, u64, Hex)) -> Self {
        Self { start, end, xxh3 }
    }
}

impl From<Piece> for (u64, u64, Hex) {
    fn from(piece: Piece) -> Self {
        (piece.start, piece.end, Hex(piece.xxh3))
    }
}

/// A writer that holds the bytes of one row group back until they are checksummed.
#[derive(Debug)]
pub(crate) struct Held<W> {
    inner: W,
    waiting: Vec<u8>,
    written: u64,
}

impl<W: Write> Held<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, waiting: Vec::new(), written: 0 }
    }

    /// Writes the head of the file on.
    pub(crate) fn head(&mut self) -> Result<(), Error> {
        self.pass_on()
    }

    /// Writes a row group on; `bloom_start` is where its Bloom filter begins in the file.
    pub(crate) fn group(&mut self, bloom_start: Option<u64>) -> Result<GroupPieces, Error> {
        let rows_bytes =
            bloom_start.map_or(self.waiting.len() as u64, |start| start - self.written);
        let (rows, bloom) = self.waiting.split_at(rows_bytes as usize);
        let rows = Piece::of(self.written, rows);
        let pieces = GroupPieces { rows, bloom: Piece::of(rows.end, bloom) };
        self.pass_on()?;
        Ok(pieces)
    }

    /// Writes the footer on, with its checksum in it; returns what it wrote to and how much.
    pub(crate) fn footer(mut self) -> Result<(W, u64), Error> {
        let place = checksum_place(&self.waiting);
        let place =
            place.ok_or_else(|| Error::Form("footer without a place for its seal".into()))?;
        let checksum = format!("{:016x}", xxh3_64(&self.waiting));
        self.waiting[place].copy_from_slice(checksum.as_bytes());
        self.pass_on()?;
        self.inner.flush().map_err(Error::io("write"))?;
        Ok((self.inner, self.written))
    }

    fn pass_on(&mut self) -> Result<(), Error> {
        self.inner.write_all(&self.waiting).map_err(Error::io("write"))?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Held<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Checks a footer, from its first byte to the end of the file, which begins at `start`.
pub(crate) fn check_footer(start: u64, footer: &[u8]) -> Result<(), Error> {
    let place = checksum_place(footer).ok_or(Error::Foreign("its footer is not sealed"))?;
    let written = footer[place.clone()].to_vec();
    let mut unsealed = footer.to_vec();
    unsealed[place].copy_from_slice(NO_CHECKSUM.as_bytes());
    let got = xxh3_64(&unsealed);
    if format!("{got:016x}").as_bytes() == written {
        return Ok(());
    }
    let digits = std::str::from_utf8(&written).ok();
    let expected = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let expected = expected.ok_or_else(|| Error::Form("footer's seal is no number".into()))?;
    let end = start + footer.len() as u64;
    Err(Error::Damaged { part: "its footer", start, end, expected, got })
}

/// Finds the footer's checksum: the last place where its key is followed by a Thrift string of
/// sixteen bytes. Statistics, which may hold any bytes, stand before it.
fn checksum_place(footer: &[u8]) -> Option<std::ops::Range<usize>> {
    // A KeyValue in the compact protocol: field 1 has been named; field 2, a string, and its length.
    let mut mark = FOOTER_KEY.as_bytes().to_vec();
    mark.extend([0x18, NO_CHECKSUM.len() as u8]);
    let at = footer.windows(mark.len()).rposition(|window| window == mark)?;
    let start = at + mark.len();
    footer.get(start..start + NO_CHECKSUM.len())?;
    Some(start..start + NO_CHECKSUM.len())
}
