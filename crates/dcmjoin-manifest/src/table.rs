//! Parquet files of an S3 Inventory, row by row (S3 User Guide, "Amazon S3 Inventory list").
//!
//! The columns are found by their names, in any order; keys are not URL-encoded, other than in CSV.
//! A batch of rows is in memory at a time, and the pages that it comes from.

use std::fs::File;
use std::path::Path;
use std::vec::IntoIter;

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use crate::csv::Column;
use crate::entry::{Entry, Place};
use crate::error::Error;
use crate::rows::ROW_BYTES_MAX;

/// Rows that are read at once.
const BATCH_ROWS: usize = 1_024;

const DAMAGED: &str = "expected a whole Parquet file of an S3 Inventory";

/// The rows of a file.
pub(crate) struct Table {
    file: SerializedFileReader<File>,
    place: String,
    /// Where each column that is of use stands.
    places: Places,
    next_group: usize,
    group: Option<Group>,
    batch: IntoIter<Cells>,
    row: u64,
}

#[derive(Default)]
struct Places {
    bucket: usize,
    key: usize,
    version: Option<usize>,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
    size: Option<usize>,
    storage_class: Option<usize>,
}

/// The columns of one row group.
struct Group {
    rows_left: usize,
    bucket: Values<ByteArrayType>,
    key: Values<ByteArrayType>,
    version: Option<Values<ByteArrayType>>,
    is_latest: Option<Values<BoolType>>,
    is_delete_marker: Option<Values<BoolType>>,
    size: Option<Values<Int64Type>>,
    storage_class: Option<Values<ByteArrayType>>,
}

struct Values<T: DataType> {
    reader: ColumnReaderImpl<T>,
    optional: bool,
}

/// One row, as it stands in the file.
#[derive(Default)]
struct Cells {
    bucket: Option<ByteArray>,
    key: Option<ByteArray>,
    version: Option<ByteArray>,
    is_latest: Option<bool>,
    is_delete_marker: Option<bool>,
    size: Option<i64>,
    storage_class: Option<ByteArray>,
}

impl Table {
    pub(crate) fn open(file: &Path) -> Result<Self, Error> {
        let place = file.display().to_string();
        let opened = File::open(file).map_err(Error::io(file))?;
        let wrong = |detail: &str| Error::Row { place: place.clone(), detail: detail.to_owned() };
        let file = SerializedFileReader::new(opened).map_err(|_| wrong(DAMAGED))?;
        let places = Places::of(&file).map_err(wrong)?;
        let batch = Vec::new().into_iter();
        Ok(Self { file, place, places, next_group: 0, group: None, batch, row: 0 })
    }

    /// Returns the next row; `Ok(None)` for an old version or a deletion.
    pub(crate) fn next(&mut self) -> Option<Result<Option<Entry>, Error>> {
        let cells = match self.next_cells() {
            Ok(Some(cells)) => cells,
            Ok(None) => return None,
            Err(_) => return Some(Err(self.wrong(DAMAGED))),
        };
        self.row += 1;
        Some(cells.entry(self.row).map_err(|detail| self.wrong(detail)))
    }

    fn wrong(&self, detail: &str) -> Error {
        Error::Row { place: format!("{}:{}", self.place, self.row), detail: detail.to_owned() }
    }

    fn next_cells(&mut self) -> Result<Option<Cells>, ParquetError> {
        loop {
            if let Some(cells) = self.batch.next() {
                return Ok(Some(cells));
            }
            match &mut self.group {
                Some(group) if group.rows_left > 0 => self.batch = group.batch()?.into_iter(),
                _ if self.next_group == self.file.num_row_groups() => return Ok(None),
                _ => {
                    let group = self.file.get_row_group(self.next_group)?;
                    self.group = Some(Group::open(group.as_ref(), &self.places)?);
                    self.next_group += 1;
                }
            }
        }
    }
}

impl Places {
    fn of(file: &SerializedFileReader<File>) -> Result<Self, &'static str> {
        let schema = file.metadata().file_metadata().schema_descr();
        let (mut places, mut bucket, mut key) = (Self::default(), None, None);
        for (at, column) in schema.columns().iter().enumerate() {
            let named = Column::named(column.name());
            let (place, expected) = match named {
                Column::Bucket => (&mut bucket, Physical::BYTE_ARRAY),
                Column::Key => (&mut key, Physical::BYTE_ARRAY),
                Column::Version => (&mut places.version, Physical::BYTE_ARRAY),
                Column::IsLatest => (&mut places.is_latest, Physical::BOOLEAN),
                Column::IsDeleteMarker => (&mut places.is_delete_marker, Physical::BOOLEAN),
                Column::Size => (&mut places.size, Physical::INT64),
                Column::StorageClass => (&mut places.storage_class, Physical::BYTE_ARRAY),
                Column::Other => continue,
            };
            let flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
            if !flat || column.physical_type() != expected || place.replace(at).is_some() {
                return Err("expected the columns of an S3 Inventory, each once and of its type");
            }
        }
        let (Some(bucket), Some(key)) = (bucket, key) else {
            return Err("expected columns bucket and key");
        };
        Ok(Self { bucket, key, ..places })
    }
}

impl Group {
    fn open(group: &dyn RowGroupReader, places: &Places) -> Result<Self, ParquetError> {
        Ok(Self {
            rows_left: usize::try_from(group.metadata().num_rows()).unwrap_or(0),
            bucket: Values::open(group, places.bucket)?,
            key: Values::open(group, places.key)?,
            version: Values::maybe(group, places.version)?,
            is_latest: Values::maybe(group, places.is_latest)?,
            is_delete_marker: Values::maybe(group, places.is_delete_marker)?,
            size: Values::maybe(group, places.size)?,
            storage_class: Values::maybe(group, places.storage_class)?,
        })
    }

    fn batch(&mut self) -> Result<Vec<Cells>, ParquetError> {
        let rows = self.rows_left.min(BATCH_ROWS);
        self.rows_left -= rows;
        let mut cells: Vec<Cells> = (0..rows).map(|_| Cells::default()).collect();
        self.bucket.spread(&mut cells, |cells| &mut cells.bucket)?;
        self.key.spread(&mut cells, |cells| &mut cells.key)?;
        spread(self.version.as_mut(), &mut cells, |cells| &mut cells.version)?;
        spread(self.is_latest.as_mut(), &mut cells, |cells| &mut cells.is_latest)?;
        spread(self.is_delete_marker.as_mut(), &mut cells, |cells| &mut cells.is_delete_marker)?;
        spread(self.size.as_mut(), &mut cells, |cells| &mut cells.size)?;
        spread(self.storage_class.as_mut(), &mut cells, |cells| &mut cells.storage_class)?;
        Ok(cells)
    }
}

fn spread<T: DataType>(
    values: Option<&mut Values<T>>,
    cells: &mut [Cells],
    cell: fn(&mut Cells) -> &mut Option<T::T>,
) -> Result<(), ParquetError> {
    values.map_or(Ok(()), |values| values.spread(cells, cell))
}

impl<T: DataType> Values<T> {
    fn open(group: &dyn RowGroupReader, column: usize) -> Result<Self, ParquetError> {
        let description = group.metadata().column(column).column_descr();
        let optional = description.max_def_level() > 0;
        Ok(Self { reader: get_typed_column_reader(group.get_column_reader(column)?), optional })
    }

    fn maybe(
        group: &dyn RowGroupReader,
        column: Option<usize>,
    ) -> Result<Option<Self>, ParquetError> {
        column.map(|column| Self::open(group, column)).transpose()
    }

    /// Reads a value, or none, for each row.
    fn spread(
        &mut self,
        cells: &mut [Cells],
        cell: fn(&mut Cells) -> &mut Option<T::T>,
    ) -> Result<(), ParquetError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut rows = 0;
        while rows < cells.len() {
            let wanted = cells.len() - rows;
            let defined = self.optional.then_some(&mut levels);
            let (read, ..) = self.reader.read_records(wanted, defined, None, &mut values)?;
            if read == 0 {
                return Err(ParquetError::EOF("a column is shorter than its row group".into()));
            }
            rows += read;
        }
        let mut values = values.into_iter();
        for (at, cells) in cells.iter_mut().enumerate() {
            if !self.optional || levels.get(at) == Some(&1) {
                *cell(cells) = values.next();
            }
        }
        Ok(())
    }
}

impl Cells {
    fn entry(self, row: u64) -> Result<Option<Entry>, &'static str> {
        if self.is_latest == Some(false) || self.is_delete_marker == Some(true) {
            return Ok(None);
        }
        let (bucket, key) = (text(self.bucket)?, text(self.key)?);
        let (Some(bucket), Some(key)) = (bucket, key) else {
            return Err("expected a bucket and a key");
        };
        let bytes = self.size.map(u64::try_from).transpose();
        Ok(Some(Entry {
            version: text(self.version)?,
            bytes: bytes.map_err(|_| "expected a size in bytes")?,
            storage_class: text(self.storage_class)?,
            ..Entry::new(Place::Object { bucket, key }, row)
        }))
    }
}

/// Returns a text; `None` for one without a character.
fn text(bytes: Option<ByteArray>) -> Result<Option<String>, &'static str> {
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    if bytes.len() > ROW_BYTES_MAX {
        return Err("expected a text of at most 65536 bytes");
    }
    bytes.as_utf8().map(|text| Some(text.to_owned())).map_err(|_| "expected UTF-8")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    const SCHEMA: &str = "message s3.inventory { REQUIRED BYTE_ARRAY bucket (STRING);
        REQUIRED BYTE_ARRAY key (STRING); OPTIONAL BOOLEAN is_latest; OPTIONAL INT64 size; }";

    /// Writes rows of a key, whether it is the latest, and a size; so many a row group.
    fn written(rows: &[(&str, Option<bool>, Option<i64>)], group: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let settings = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(dir.path().join("1.parquet")).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(settings)).unwrap();
        for rows in rows.chunks(group) {
            let mut to = writer.next_row_group().unwrap();
            let texts = |of: &dyn Fn(&str) -> ByteArray| -> Vec<ByteArray> {
                rows.iter().map(|(key, ..)| of(key)).collect()
            };
            for column in [texts(&|_| ByteArray::from("b")), texts(&|key| ByteArray::from(key))] {
                let mut next = to.next_column().unwrap().unwrap();
                next.typed::<ByteArrayType>().write_batch(&column, None, None).unwrap();
                next.close().unwrap();
            }
            let levels = |there: Vec<bool>| there.into_iter().map(i16::from).collect::<Vec<_>>();
            let latest: Vec<bool> = rows.iter().filter_map(|row| row.1).collect();
            let defined = levels(rows.iter().map(|row| row.1.is_some()).collect());
            let mut next = to.next_column().unwrap().unwrap();
            next.typed::<BoolType>().write_batch(&latest, Some(&defined), None).unwrap();
            next.close().unwrap();
            let sizes: Vec<i64> = rows.iter().filter_map(|row| row.2).collect();
            let defined = levels(rows.iter().map(|row| row.2.is_some()).collect());
            let mut next = to.next_column().unwrap().unwrap();
            next.typed::<Int64Type>().write_batch(&sizes, Some(&defined), None).unwrap();
            next.close().unwrap();
            to.close().unwrap();
        }
        writer.close().unwrap();
        dir
    }

    fn read(dir: &tempfile::TempDir) -> Vec<Result<Option<Entry>, Error>> {
        let mut table = Table::open(&dir.path().join("1.parquet")).unwrap();
        std::iter::from_fn(|| table.next()).collect()
    }

    #[test]
    fn rows_come_in_their_order_from_all_groups() {
        let keys: Vec<String> = (0..3_000).map(|number| format!("a+b%2F/{number}.tar")).collect();
        let latest = [None, Some(true), Some(false)];
        let rows: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| {
                let bytes = (at % 2 == 0).then(|| i64::try_from(at).unwrap());
                (key.as_str(), latest[at % 3], bytes)
            })
            .collect();
        let dir = written(&rows, 1_700);
        let entries: Vec<_> = read(&dir).into_iter().map(Result::unwrap).collect();
        assert_eq!(entries.len(), rows.len());
        for (at, entry) in entries.into_iter().enumerate() {
            let Some(entry) = entry else {
                assert_eq!(at % 3, 2, "an old version is passed over");
                continue;
            };
            assert_eq!(entry.place.to_string(), format!("s3://b/{}", keys[at]));
            assert_eq!(entry.bytes, (at % 2 == 0).then_some(at as u64));
            assert_eq!(entry.line, at as u64 + 1);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_row() {
        let dir = written(&[("a", None, Some(1)), ("secret", None, Some(-1))], 10);
        let error = read(&dir).pop().unwrap().unwrap_err().to_string();
        assert!(error.contains("1.parquet:2") && !error.contains("secret"), "{error}");
        let dir = written(&[("", None, Some(1))], 10);
        assert!(read(&dir)[0].is_err());
    }

    #[test]
    fn what_is_cut_or_no_parquet_is_refused() {
        let dir = written(&[("a", None, Some(1))], 10);
        let file = dir.path().join("1.parquet");
        let whole = std::fs::read(&file).unwrap();
        for length in [0, 4, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            assert!(Table::open(&file).is_err(), "{length} bytes");
        }
        let missing = Table::open(&dir.path().join("2.parquet")).err().unwrap();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }
}
