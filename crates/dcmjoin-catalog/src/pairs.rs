//! Pairs that another engine made of catalogues: one row an instance, with the places of both halves.
//!
//! Columns are found by their names, in any order; others are not looked at. Numbers may be of any
//! whole type, since engines differ.

use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use dcmjoin_model::{ByteRange, SopInstanceUid};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};

use crate::error::Error;

/// Where a half lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairHalf {
    /// URL of the archive.
    pub archive: String,
    /// Its version, where the file tells it.
    pub version: Option<String>,
    /// The bytes of the member.
    pub range: ByteRange,
    /// CRC-32C of them, where the file tells it.
    pub crc32c: Option<u32>,
}

/// A pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The instance.
    pub uid: SopInstanceUid,
    /// Its header.
    pub metadata: PairHalf,
    /// Its payload.
    pub image: PairHalf,
}

/// A file of pairs.
pub struct Pairs {
    file: SerializedFileReader<File>,
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pairs").field("rows", &self.rows()).finish()
    }
}

impl Pairs {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error`] where it cannot be read, is no Parquet, or lacks a column.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let file = File::open(file).map_err(|source| Error::Io { action: "open", source })?;
        let file = caught(|| SerializedFileReader::new(file).map_err(Error::parquet("open")))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let has = |name: &str| schema.columns().iter().any(|column| column.name() == name);
        for name in REQUIRED {
            if !has(name) {
                return Err(Error::Pairs(format!("expected a column {name}, got none")));
            }
        }
        Ok(Self { file })
    }

    /// Returns how many pairs there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let groups = self.file.metadata().row_groups().iter();
        groups.map(|group| group.num_rows().cast_unsigned()).sum()
    }

    /// Gives the pairs in their order.
    ///
    /// # Errors
    /// [`Error`] for a row that makes no sense, and what `take` returns.
    pub fn each<E: From<Error>>(
        &self,
        mut take: impl FnMut(Pair) -> Result<(), E>,
    ) -> Result<(), E> {
        for at in 0..self.file.num_row_groups() {
            let group = caught(|| self.file.get_row_group(at).map_err(Error::parquet("read")))?;
            let mut rows = caught(|| group.get_row_iter(None).map_err(Error::parquet("read")))?;
            while let Some(pair) = caught(|| next(&mut rows))? {
                take(pair)?;
            }
        }
        Ok(())
    }
}

/// The columns that each file has.
const REQUIRED: [&str; 7] = [
    "uid",
    "metadata_archive",
    "metadata_offset",
    "metadata_length",
    "image_archive",
    "image_offset",
    "image_length",
];

fn next(
    rows: &mut impl Iterator<Item = parquet::errors::Result<Row>>,
) -> Result<Option<Pair>, Error> {
    rows.next().map(|row| pair(&row.map_err(Error::parquet("read"))?)).transpose()
}

fn pair(row: &Row) -> Result<Pair, Error> {
    let uid = SopInstanceUid::parse(&text(row, "uid")?.ok_or_else(|| lacks("uid"))?);
    let uid = uid.map_err(|error| Error::Pairs(format!("expected a UID: {error}")))?;
    Ok(Pair { uid, metadata: half(row, "metadata")?, image: half(row, "image")? })
}

fn half(row: &Row, side: &str) -> Result<PairHalf, Error> {
    let required = |name: String| number(row, &name)?.ok_or_else(|| lacks(&name));
    let start = required(format!("{side}_offset"))?;
    let length = required(format!("{side}_length"))?;
    let archive = format!("{side}_archive");
    let end = start.checked_add(length);
    let crc32c = number(row, &format!("{side}_crc32c"))?;
    Ok(PairHalf {
        archive: text(row, &archive)?.ok_or_else(|| lacks(&archive))?,
        version: text(row, &format!("{side}_version"))?,
        range: ByteRange { start, end: end.ok_or_else(|| lacks("a range"))? },
        crc32c: crc32c.and_then(|crc32c| u32::try_from(crc32c).ok()),
    })
}

fn lacks(name: &str) -> Error {
    Error::Pairs(format!("expected a value of {name} in each row"))
}

fn field<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field)
}

fn text(row: &Row, name: &str) -> Result<Option<String>, Error> {
    match field(row, name) {
        None | Some(Field::Null) => Ok(None),
        Some(Field::Str(text)) => Ok(Some(text.clone())),
        // Some engines do not say that bytes are text.
        Some(Field::Bytes(bytes)) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Error::Pairs(format!("expected text in {name}"))),
        },
        Some(_) => Err(Error::Pairs(format!("expected text in {name}"))),
    }
}

fn number(row: &Row, name: &str) -> Result<Option<u64>, Error> {
    let signed = |value: i64| {
        let negative = || Error::Pairs(format!("expected no number below zero in {name}"));
        u64::try_from(value).map(Some).map_err(|_| negative())
    };
    match field(row, name) {
        None | Some(Field::Null) => Ok(None),
        Some(Field::ULong(value)) => Ok(Some(*value)),
        Some(Field::UInt(value)) => Ok(Some(u64::from(*value))),
        Some(Field::Long(value)) => signed(*value),
        Some(Field::Int(value)) => signed(i64::from(*value)),
        Some(_) => Err(Error::Pairs(format!("expected a whole number in {name}"))),
    }
}

/// The Parquet library panics on some bytes that are not Parquet.
fn caught<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::Pairs("bytes that are not Parquet".into())))
}
