//! Rows to a file.

use std::io::Write;
use std::sync::Arc;

use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::writer::SerializedFileWriter;

use crate::archive::Archive;
use crate::encode::{self, Entry};
use crate::error::Error;
use crate::row::Row;
use crate::schema::{Order, UID, properties, schema};
use crate::seal::{FOOTER_KEY, GroupPieces, Held, NO_CHECKSUM, PIECES_KEY};

/// The rows of a row group: what a look-up reads.
pub const ROWS_IN_GROUP: usize = 16_384;
/// The bytes of names, details and keys at which a row group ends early.
pub const GROUP_TEXT_BYTES_MAX: usize = 32 << 20;

/// The key of the [`Archive`] in the Parquet metadata.
pub(crate) const ARCHIVE_KEY: &str = "dcmjoin.archive";

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many rows.
    pub rows: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Writes the file of one archive.
///
/// **Invariants.** At most twice [`ROWS_IN_GROUP`] rows are in memory. Rows are sorted by offset
/// before they are parted into groups, so the same rows give the same bytes in whatever order they
/// are pushed, as long as no row comes more than [`ROWS_IN_GROUP`] rows after its place. A file is
/// one only once [`Writer::finish`] has returned: without its footer no reader takes it.
pub struct Writer<W: Write + Send> {
    file: SerializedFileWriter<Held<W>>,
    archive: Arc<Archive>,
    entries: Vec<Entry>,
    text_bytes: usize,
    pieces: Vec<GroupPieces>,
    rows_written: u64,
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Io`] where its head cannot be written.
    pub fn create(to: W, archive: &Archive) -> Result<Self, Error> {
        let properties = Arc::new(properties(ROWS_IN_GROUP, Order::Offset)?);
        let mut file = SerializedFileWriter::new(Held::new(to), schema()?, properties)
            .map_err(Error::parquet("write"))?;
        file.flush().map_err(Error::io("write"))?;
        file.inner_mut().head()?;
        Ok(Self {
            file,
            archive: Arc::new(archive.clone()),
            entries: Vec::new(),
            text_bytes: 0,
            pieces: Vec::new(),
            rows_written: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Io`] where a full row group cannot be written.
    pub fn push(&mut self, row: Row) -> Result<(), Error> {
        self.text_bytes += row.text_bytes();
        self.entries.push((Arc::clone(&self.archive), row));
        let (rows_max, text_max) = (2 * ROWS_IN_GROUP, 2 * GROUP_TEXT_BYTES_MAX);
        if self.entries.len() >= rows_max || self.text_bytes >= text_max {
            self.write_group()?;
        }
        Ok(())
    }

    /// Ends the file with what is known of the archive now, and returns what it was written to.
    ///
    /// # Errors
    /// [`Error::Io`] where the rest cannot be written.
    pub fn finish(mut self, extra: serde_json::Value) -> Result<(W, Written), Error> {
        while !self.entries.is_empty() {
            self.write_group()?;
        }
        let archive = Archive { extra, ..Archive::clone(&self.archive) };
        let pieces = serde_json::to_string(&self.pieces)
            .map_err(|error| Error::Form(format!("pieces: {error}")))?;
        let mut note = |key: &str, value: String| {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        };
        note(ARCHIVE_KEY, archive.to_json()?);
        note(PIECES_KEY, pieces);
        note(FOOTER_KEY, NO_CHECKSUM.to_owned());
        let held = self.file.into_inner().map_err(Error::parquet("write"))?;
        let (to, bytes) = held.footer()?;
        Ok((to, Written { rows: self.rows_written, bytes }))
    }

    /// Writes the first of the rows that are held as a row group.
    fn write_group(&mut self) -> Result<(), Error> {
        self.entries.sort_by(|(_, a), (_, b)| {
            (a.offset, a.length, &a.uid, a.digest).cmp(&(b.offset, b.length, &b.uid, b.digest))
        });
        let (rows, text_bytes) = first_group(&self.entries);
        let failed = || Error::parquet("write");
        let mut group = self.file.next_row_group().map_err(failed())?;
        encode::group(&mut group, &self.entries[..rows]).map_err(failed())?;
        group.close().map_err(failed())?;
        self.file.flush().map_err(Error::io("write"))?;
        let column = self.file.flushed_row_groups().last().map(|group| group.column(UID));
        let bloom = column.and_then(ColumnChunkMetaData::bloom_filter_offset);
        let bloom = bloom.and_then(|start| u64::try_from(start).ok());
        self.pieces.push(self.file.inner_mut().group(bloom)?);
        self.rows_written += rows as u64;
        self.entries.drain(..rows);
        self.text_bytes -= text_bytes;
        Ok(())
    }
}

/// Returns how many rows the next group has, and the bytes of their text.
fn first_group(entries: &[Entry]) -> (usize, usize) {
    let mut text_bytes = 0;
    let mut rows = 0;
    for (_, row) in entries.iter().take(ROWS_IN_GROUP) {
        text_bytes += row.text_bytes();
        rows += 1;
        if text_bytes >= GROUP_TEXT_BYTES_MAX {
            break;
        }
    }
    (rows, text_bytes)
}
