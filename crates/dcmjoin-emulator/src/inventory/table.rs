//! A file of an inventory as Parquet: the schema that S3's own manifests name, snappy.
//!
//! Source: the S3 user guide, "Amazon S3 Inventory list". Keys stand as they are, not URL-encoded.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use s3s::S3Result;

use super::Row;
use crate::error;

/// The `fileSchema` of a bucket that keeps versions.
pub(super) const WITH_VERSIONS: &str = "message s3.inventory { required binary bucket (UTF8); \
    required binary key (UTF8); optional binary version_id (UTF8); optional boolean is_latest; \
    optional boolean is_delete_marker; optional int64 size; \
    optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); \
    optional binary storage_class (UTF8); }";
/// The `fileSchema` of any other.
pub(super) const WITHOUT_VERSIONS: &str = "message s3.inventory { required binary bucket (UTF8); \
    required binary key (UTF8); optional int64 size; \
    optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); \
    optional binary storage_class (UTF8); }";

pub(super) fn write(bucket: &str, rows: &[Row<'_>], versions: bool) -> S3Result<Vec<u8>> {
    written(bucket, rows, versions).map_err(|_| error::internal())
}

fn written(bucket: &str, rows: &[Row<'_>], versions: bool) -> Result<Vec<u8>, ParquetError> {
    let schema = if versions { WITH_VERSIONS } else { WITHOUT_VERSIONS };
    let schema = Arc::new(parse_message_type(schema)?);
    let settings = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(settings))?;
    fill(Group { writer: file.next_row_group()?, rows }, bucket, versions)?;
    file.into_inner()
}

fn fill(mut group: Group<'_, '_>, bucket: &str, versions: bool) -> Result<(), ParquetError> {
    group.texts(|_| Some(bucket.to_owned()))?;
    group.texts(|row| Some(row.key.to_owned()))?;
    if versions {
        group.texts(|row| Some(row.object.version()))?;
        group.column::<BoolType>(|row| Some(row.latest))?;
        group.column::<BoolType>(|row| Some(row.object.marker))?;
    }
    // A deletion has neither bytes nor a class.
    let there = |row: &Row<'_>| !row.object.marker;
    group.column::<Int64Type>(|row| there(row).then(|| row.object.body.length().cast_signed()))?;
    group.column::<Int64Type>(|row| Some(row.object.modified.millis().cast_signed()))?;
    group.texts(|row| there(row).then(|| row.object.tag.to_string()))?;
    group.texts(|row| there(row).then(|| row.object.class.name().to_owned()))?;
    group.writer.close()?;
    Ok(())
}

struct Group<'a, 'f> {
    writer: SerializedRowGroupWriter<'f, Vec<u8>>,
    rows: &'a [Row<'a>],
}

impl Group<'_, '_> {
    fn texts(&mut self, of: impl Fn(&Row<'_>) -> Option<String>) -> Result<(), ParquetError> {
        self.column::<ByteArrayType>(|row| of(row).map(|text| ByteArray::from(text.into_bytes())))
    }

    /// Writes the next column.
    fn column<T: DataType>(
        &mut self,
        of: impl Fn(&Row<'_>) -> Option<T::T>,
    ) -> Result<(), ParquetError> {
        let next = self.writer.next_column()?;
        let mut next = next.ok_or_else(|| ParquetError::General("no column is left".into()))?;
        let mut values = Vec::with_capacity(self.rows.len());
        let mut levels = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let value = of(row);
            levels.push(i16::from(value.is_some()));
            values.extend(value);
        }
        // A required column ignores the levels, and counts its values instead.
        next.typed::<T>().write_batch(&values, Some(&levels), None)?;
        next.close()
    }
}
