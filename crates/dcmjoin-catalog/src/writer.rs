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

/// The rows of a row group: what is held in memory, and what a look-up reads.
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
/// **Invariants.** At most [`ROWS_IN_GROUP`] rows are in memory. Rows of a group are sorted by
/// offset, so the same rows pushed in any order give the same bytes, as long as each group gets
/// the same rows: who pushes more than a group pushes in the order of the archive, or nearly so.
/// A file is one only once [`Writer::finish`] has returned: without its footer no reader takes it.
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
        if self.entries.len() >= ROWS_IN_GROUP || self.text_bytes >= GROUP_TEXT_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file with what is known of the archive now, and returns what it was written to.
    ///
    /// # Errors
    /// [`Error::Io`] where the rest cannot be written.
    pub fn finish(mut self, extra: serde_json::Value) -> Result<(W, Written), Error> {
        self.flush()?;
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

    /// Writes the rows that are held as a row group.
    fn flush(&mut self) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.entries.sort_by(|(_, a), (_, b)| {
            (a.offset, a.length, &a.uid, a.digest).cmp(&(b.offset, b.length, &b.uid, b.digest))
        });
        let failed = || Error::parquet("write");
        let mut group = self.file.next_row_group().map_err(failed())?;
        encode::group(&mut group, &self.entries).map_err(failed())?;
        group.close().map_err(failed())?;
        self.file.flush().map_err(Error::io("write"))?;
        let column = self.file.flushed_row_groups().last().map(|group| group.column(UID));
        let bloom = column.and_then(ColumnChunkMetaData::bloom_filter_offset);
        let bloom = bloom.and_then(|start| u64::try_from(start).ok());
        self.pieces.push(self.file.inner_mut().group(bloom)?);
        self.rows_written += self.entries.len() as u64;
        self.entries.clear();
        self.text_bytes = 0;
        Ok(())
    }
}
