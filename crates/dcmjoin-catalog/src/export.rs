//! Rows of many archives to one file, for engines that want few large ones.

use std::io::Write;
use std::sync::Arc;

use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;

use crate::archive::Archive;
use crate::encode::{self, Entry};
use crate::error::Error;
use crate::row::Row;
use crate::schema::{Order, properties, schema};
use crate::writer::GROUP_TEXT_BYTES_MAX;

/// The rows of a row group of an export: what is held in memory.
pub const EXPORT_ROWS_IN_GROUP: usize = 65_536;

/// The form of an export.
const SCHEMA: &str = "dcmjoin.catalog-export/1";

/// Writes rows of many archives to one Parquet file with the catalogue's columns.
///
/// An export is for reading elsewhere. It is not sealed, and no run resumes by it: [`Reader`]
/// refuses it.
///
/// [`Reader`]: crate::Reader
pub struct Export<W: Write + Send> {
    file: SerializedFileWriter<W>,
    entries: Vec<Entry>,
    text_bytes: usize,
    rows_written: u64,
}

impl<W: Write + Send> Export<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error`] where its head cannot be written.
    pub fn create(to: W) -> Result<Self, Error> {
        let properties = Arc::new(properties(EXPORT_ROWS_IN_GROUP, Order::None)?);
        let file = SerializedFileWriter::new(to, schema()?, properties)
            .map_err(Error::parquet("write"))?;
        Ok(Self { file, entries: Vec::new(), text_bytes: 0, rows_written: 0 })
    }

    /// Adds a row of an archive.
    ///
    /// # Errors
    /// [`Error`] where a full row group cannot be written.
    pub fn push(&mut self, archive: &Arc<Archive>, row: Row) -> Result<(), Error> {
        self.text_bytes += row.text_bytes();
        self.entries.push((Arc::clone(archive), row));
        if self.entries.len() >= EXPORT_ROWS_IN_GROUP || self.text_bytes >= GROUP_TEXT_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file; returns what it was written to, and the number of rows.
    ///
    /// # Errors
    /// [`Error`] where the rest cannot be written.
    pub fn finish(mut self) -> Result<(W, u64), Error> {
        self.flush()?;
        let schema = KeyValue::new("dcmjoin.schema".to_owned(), SCHEMA.to_owned());
        self.file.append_key_value_metadata(schema);
        let to = self.file.into_inner().map_err(Error::parquet("write"))?;
        Ok((to, self.rows_written))
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let failed = || Error::parquet("write");
        let mut group = self.file.next_row_group().map_err(failed())?;
        encode::group(&mut group, &self.entries).map_err(failed())?;
        group.close().map_err(failed())?;
        self.rows_written += self.entries.len() as u64;
        self.entries.clear();
        self.text_bytes = 0;
        Ok(())
    }
}
