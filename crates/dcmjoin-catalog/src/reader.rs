//! A file to rows.

use std::collections::HashSet;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::slice;

use bytes::Bytes;
use dcmjoin_model::SopInstanceUid;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::archive::Archive;
use crate::decode::{Columns, Stretch};
use crate::error::Error;
use crate::row::Row;
use crate::schema::{UID, schema};
use crate::seal::{self, GroupPieces, MAGIC, PIECES_KEY, Piece};
use crate::source::Source;
use crate::writer::{ARCHIVE_KEY, ROWS_IN_GROUP};

/// The bytes read from the end at first: enough for the footer of most archives.
const TAIL_BYTES: u64 = 64 << 10;
/// The longest footer that is read, in bytes: of some 100,000 row groups.
const FOOTER_BYTES_MAX: u64 = 512 << 20;
/// The longest row group that is read, in bytes.
const GROUP_BYTES_MAX: u64 = 256 << 20;
/// Head, length of the footer and mark at the end, in bytes.
const FRAME_BYTES: u64 = 12;

/// Reads the file of one archive.
///
/// **Invariant:** what it returns was written as it stands. Every byte that a row, a statistic or
/// a Bloom filter comes from has been checked against the seal.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    archive: Archive,
    metadata: ParquetMetaData,
    pieces: Vec<GroupPieces>,
}

impl<S: Source> Reader<S> {
    /// Opens a file: reads its footer and nothing else.
    ///
    /// # Errors
    /// [`Error`] where it cannot be read, is cut or damaged, or is not of the catalogue.
    pub fn open(source: S) -> Result<Self, Error> {
        let size = source.size().map_err(Error::io("look up"))?;
        let (start, footer) = footer(&source, size)?;
        seal::check_footer(start, &footer)?;
        let thrift = &footer[..footer.len() - 8];
        let metadata = guarded(|| {
            ParquetMetaDataReader::decode_metadata(thrift)
                .map_err(Error::parquet("read the layout of"))
        })?;
        let archive = Archive::from_json(value(&metadata, ARCHIVE_KEY)?)?;
        let pieces = serde_json::from_str(value(&metadata, PIECES_KEY)?)
            .map_err(|error| Error::Form(format!("pieces: at column {}", error.column())))?;
        let reader = Self { source, archive, metadata, pieces };
        reader.check_form(start)?;
        Ok(reader)
    }

    /// Returns what is true of the whole archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.metadata.row_groups().iter().map(|group| group.num_rows().unsigned_abs()).sum()
    }

    /// Returns true where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads all rows, a row group at a time; those of a group are in the order of their offsets.
    pub fn rows(&self) -> Rows<'_, S> {
        Rows { reader: self, next: 0, group: Vec::new().into_iter() }
    }

    /// Finds the rows of a UID, without reading row groups that cannot hold it.
    ///
    /// # Errors
    /// [`Error`] where what must be read cannot be.
    pub fn find(&self, uid: &SopInstanceUid) -> Result<Vec<Row>, Error> {
        self.find_all(&HashSet::from([uid.clone()]))
    }

    /// Finds the rows of several UIDs, in the order of the file; each row group is read once or
    /// not at all.
    ///
    /// # Errors
    /// [`Error`] where what must be read cannot be.
    pub fn find_all(&self, uids: &HashSet<SopInstanceUid>) -> Result<Vec<Row>, Error> {
        let mut found = Vec::new();
        for at in 0..self.pieces.len() {
            found.extend(guarded(|| self.find_in(at, uids))?);
        }
        Ok(found)
    }

    fn find_in(&self, at: usize, uids: &HashSet<SopInstanceUid>) -> Result<Vec<Row>, Error> {
        if !self.may_hold(at, uids)? {
            return Ok(Vec::new());
        }
        let columns = self.columns(at)?;
        let spans = columns.matches(uids)?;
        if spans.is_empty() { Ok(Vec::new()) } else { columns.rows(&spans) }
    }

    fn group(&self, at: usize) -> Result<Vec<Row>, Error> {
        let columns = self.columns(at)?;
        columns.rows(slice::from_ref(&columns.all()))
    }

    /// Returns false where statistics or the Bloom filter of a row group rule all UIDs out.
    fn may_hold(&self, at: usize, uids: &HashSet<SopInstanceUid>) -> Result<bool, Error> {
        let group = self.metadata.row_group(at);
        let mut inside = uids.iter().filter(|uid| within_bounds(group, uid.as_str().as_bytes()));
        let piece = self.pieces[at].bloom;
        let Some(first) = inside.next() else { return Ok(false) };
        if piece.start == piece.end {
            return Ok(true);
        }
        let bytes = self.piece("a Bloom filter", &piece)?;
        let filter = Sbbf::from_bytes(&bytes).map_err(Error::parquet("look into"))?;
        if filter.num_blocks() == 0 {
            return Err(Error::Form("a Bloom filter without a block".into()));
        }
        Ok(std::iter::once(first).chain(inside).any(|uid| filter.check(uid.as_str())))
    }

    fn columns(&self, at: usize) -> Result<Columns<'_>, Error> {
        let piece = self.pieces[at].rows;
        let bytes = self.piece("a row group", &piece)?;
        Columns::open(self.metadata.row_group(at), Stretch { start: piece.start, bytes })
    }

    fn piece(&self, part: &'static str, piece: &Piece) -> Result<Bytes, Error> {
        let bytes = self.source.read(piece.start..piece.end).map_err(Error::io("read"))?;
        piece.check(part, &bytes)?;
        Ok(bytes)
    }

    /// Checks that the pieces tile the file up to its footer, one pair a row group, and that
    /// columns and sizes are those that this release writes.
    fn check_form(&self, footer_start: u64) -> Result<(), Error> {
        let form = |text: &str| Err(Error::Form(text.to_owned()));
        if *self.metadata.file_metadata().schema() != *schema()? {
            return form("its columns are others");
        }
        let groups = self.metadata.row_groups();
        if groups.len() != self.pieces.len() {
            return form("its seal is of another number of row groups");
        }
        let fits = |rows: i64| usize::try_from(rows).is_ok_and(|rows| rows <= ROWS_IN_GROUP);
        if !groups.iter().all(|group| fits(group.num_rows())) {
            return form("a row group has too many rows");
        }
        let mut end = MAGIC.len() as u64;
        for piece in self.pieces.iter().flat_map(|pieces| [pieces.rows, pieces.bloom]) {
            if piece.start != end || piece.end < end || piece.end - end > GROUP_BYTES_MAX {
                return form("its pieces do not tile it");
            }
            end = piece.end;
        }
        if end == footer_start { Ok(()) } else { form("its pieces do not reach its footer") }
    }
}

/// The rows of a file, in bounded memory.
#[derive(Debug)]
pub struct Rows<'a, S> {
    reader: &'a Reader<S>,
    next: usize,
    group: std::vec::IntoIter<Row>,
}

impl<S: Source> Iterator for Rows<'_, S> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.group.next() {
                return Some(Ok(row));
            }
            if self.next == self.reader.pieces.len() {
                return None;
            }
            let rows = guarded(|| self.reader.group(self.next));
            self.next += 1;
            match rows {
                Ok(rows) => self.group = rows.into_iter(),
                Err(error) => {
                    // What follows a damaged group would look like all there is.
                    self.next = self.reader.pieces.len();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Reads the footer with length and end mark; returns where it starts.
fn footer(source: &impl Source, size: u64) -> Result<(u64, Bytes), Error> {
    if size < FRAME_BYTES {
        return Err(Error::Truncated { expected: FRAME_BYTES, got: size });
    }
    let read = |range: Range<u64>| source.read(range).map_err(Error::io("read"));
    let tail_start = size.saturating_sub(TAIL_BYTES);
    let tail = read(tail_start..size)?;
    let Some((rest, &[a, b, c, d, ref mark @ ..])) = tail.split_last_chunk::<8>() else {
        return Err(Error::Truncated { expected: FRAME_BYTES, got: size });
    };
    if mark != MAGIC {
        return match read(0..4)?.as_ref() == MAGIC {
            true => Err(Error::Unfinished { size }),
            false => Err(Error::Foreign("it is not Parquet")),
        };
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length + FRAME_BYTES > size {
        return Err(Error::Truncated { expected: length + FRAME_BYTES, got: size });
    }
    if length > FOOTER_BYTES_MAX {
        return Err(Error::Form(format!(
            "expected a footer of at most {FOOTER_BYTES_MAX} bytes, got {length}"
        )));
    }
    let start = size - 8 - length;
    match rest.len().checked_sub(length as usize) {
        Some(from) => Ok((start, tail.slice(from..))),
        None => Ok((start, read(start..size)?)),
    }
}

fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Result<&'a str, Error> {
    let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let mut values = pairs.filter(|pair| pair.key == key).filter_map(|pair| pair.value.as_deref());
    values.next().ok_or(Error::Foreign("its footer does not name an archive"))
}

/// Bounds may be cut short by the writer, and then still are bounds.
fn within_bounds(group: &RowGroupMetaData, uid: &[u8]) -> bool {
    let Some(statistics) = group.column(UID).statistics() else { return true };
    if statistics.null_count_opt() == Some(group.num_rows().unsigned_abs()) {
        return false;
    }
    statistics.min_bytes_opt().is_none_or(|min| min <= uid)
        && statistics.max_bytes_opt().is_none_or(|max| uid <= max)
}

/// Runs what decodes bytes whose seal is whole. The Parquet library takes its own bytes for
/// granted in places; only who forges a seal gets there, and gets an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let unwound = |_| Err(Error::Form("its seal fits bytes that are not Parquet".into()));
    // What the work has half done is dropped with it.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(unwound)
}
