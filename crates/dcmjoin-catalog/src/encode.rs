//! Rows to columns.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use dcmjoin_model::{PayloadKind, Reason, Uid, WarningCode, Warnings};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::SerializedRowGroupWriter;

use crate::archive::Archive;
use crate::row::Row;

/// A row and the archive that it is of.
pub(crate) type Entry = (Arc<Archive>, Row);

/// Writes the columns of one row group, in the order of the schema.
pub(crate) fn group<W: Write + Send>(
    writer: &mut SerializedRowGroupWriter<'_, W>,
    entries: &[Entry],
) -> Result<()> {
    let mut columns = Columns { writer, entries };
    columns.texts(|row| row.uid.as_ref().map(Uid::as_str))?;
    columns.of_archive(|archive| Some(archive.half.as_str()))?;
    columns.of_archive(|archive| Some(&archive.url))?;
    columns.of_archive(|archive| archive.version.as_deref())?;
    columns.values::<Int64Type>(|row| Some(row.offset.cast_signed()))?;
    columns.values::<Int64Type>(|row| Some(row.length.cast_signed()))?;
    columns.values::<Int32Type>(|row| row.crc32c.map(u32::cast_signed))?;
    columns.values::<FixedLenByteArrayType>(|row| row.digest.map(digest))?;
    columns.texts(|row| row.kind.map(PayloadKind::as_str))?;
    columns.texts(|row| Some(row.state.as_str()))?;
    columns.texts(|row| row.reason.map(Reason::code))?;
    columns.texts(|row| row.detail.as_deref())?;
    columns.texts(|row| row.member.as_deref())?;
    columns.values::<FixedLenByteArrayType>(|row| row.header_digest.map(digest))?;
    columns.texts(|row| row.key.as_deref())?;
    columns.values::<Int64Type>(|row| row.key_offset.map(u64::cast_signed))?;
    columns.values::<Int64Type>(|row| row.bytes.map(u64::cast_signed))?;
    columns.values::<Int32Type>(|row| row.crc32.map(u32::cast_signed))?;
    columns.values::<ByteArrayType>(|row| warnings(&row.warnings))
}

struct Columns<'a, 'b, W: Write> {
    writer: &'a mut SerializedRowGroupWriter<'b, W>,
    entries: &'a [Entry],
}

impl<W: Write + Send> Columns<'_, '_, W> {
    fn texts(&mut self, of: impl Fn(&Row) -> Option<&str>) -> Result<()> {
        self.values::<ByteArrayType>(|row| of(row).map(text))
    }

    fn of_archive(&mut self, of: impl Fn(&Archive) -> Option<&str>) -> Result<()> {
        self.write::<ByteArrayType>(|(archive, _)| of(archive).map(text))
    }

    fn values<T: DataType>(&mut self, of: impl Fn(&Row) -> Option<T::T>) -> Result<()> {
        self.write::<T>(|(_, row)| of(row))
    }

    /// Writes the next column.
    fn write<T: DataType>(&mut self, of: impl Fn(&Entry) -> Option<T::T>) -> Result<()> {
        let column = self.writer.next_column()?;
        let mut column = column.ok_or_else(|| ParquetError::General("no column is left".into()))?;
        let mut values = Vec::with_capacity(self.entries.len());
        let mut present = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            let value = of(entry);
            present.push(i16::from(value.is_some()));
            values.extend(value);
        }
        // A required column ignores the levels, and counts its values instead.
        column.typed::<T>().write_batch(&values, Some(&present), None)?;
        column.close()
    }
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn digest(digest: u128) -> FixedLenByteArray {
    FixedLenByteArray::from(digest.to_be_bytes().to_vec())
}

/// A JSON object of codes and how often each was noted; nothing where there is none.
fn warnings(warnings: &Warnings) -> Option<ByteArray> {
    if warnings.is_empty() {
        return None;
    }
    let counts: BTreeMap<WarningCode, u32> = warnings.iter().collect();
    // A map of names to numbers cannot fail to become JSON.
    serde_json::to_vec(&counts).ok().map(ByteArray::from)
}
