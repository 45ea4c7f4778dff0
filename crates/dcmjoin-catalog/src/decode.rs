//! Columns to rows.

use std::collections::{BTreeMap, HashSet};
use std::io::Cursor;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use dcmjoin_model::{SopInstanceUid, WarningCode, Warnings};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{RowGroupMetaData, page_index::RowGroupPageIndex};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};

use crate::error::Error;
use crate::row::Row;
use crate::schema::UID;

/// Rows of a group, by their places in it.
pub(crate) type Span = std::ops::Range<usize>;

/// The bytes of one piece, which the reader asks for by their place in the file.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
}

impl Stretch {
    fn slice(&self, start: u64, length: Option<usize>) -> ParquetResult<Bytes> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let from = from.filter(|&from| from <= self.bytes.len());
        let to = from.and_then(|from| match length {
            Some(length) => from.checked_add(length).filter(|&to| to <= self.bytes.len()),
            None => Some(self.bytes.len()),
        });
        match (from, to) {
            (Some(from), Some(to)) => Ok(self.bytes.slice(from..to)),
            _ => Err(ParquetError::EOF("a column outside its row group".into())),
        }
    }
}

impl Length for Stretch {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Stretch {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        self.slice(start, None).map(Cursor::new)
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.slice(start, Some(length))
    }
}

/// The columns of one row group.
pub(crate) struct Columns<'a> {
    group: SerializedRowGroupReader<'a, Stretch>,
    rows: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn open(metadata: &'a RowGroupMetaData, stretch: Stretch) -> Result<Self, Error> {
        let rows = usize::try_from(metadata.num_rows())
            .map_err(|_| Error::Form("a row group of less than no rows".into()))?;
        let group = SerializedRowGroupReader::new(
            Arc::new(stretch),
            metadata,
            RowGroupPageIndex::new(0, None),
            Arc::new(ReaderProperties::builder().set_read_bloom_filter(false).build()),
        )
        .map_err(Error::parquet("read"))?;
        Ok(Self { group, rows })
    }

    /// Returns which rows have one of these UIDs.
    pub(crate) fn matches(&self, uids: &HashSet<SopInstanceUid>) -> Result<Vec<Span>, Error> {
        let texts: HashSet<&[u8]> = uids.iter().map(|uid| uid.as_str().as_bytes()).collect();
        let mut column = self.values::<ByteArrayType>(UID, slice::from_ref(&self.all()))?;
        let mut spans = Vec::new();
        for at in 0..self.rows {
            if column.next()?.is_some_and(|value| texts.contains(value.data())) {
                spans.push(at..at + 1);
            }
        }
        Ok(spans)
    }

    /// Returns the span of all rows.
    pub(crate) fn all(&self) -> Span {
        0..self.rows
    }

    /// Reads the rows of some spans, which ascend, in the order of the schema; half, archive and
    /// version are the file's.
    pub(crate) fn rows(&self, spans: &[Span]) -> Result<Vec<Row>, Error> {
        let mut uid = self.texts(UID, spans)?;
        let mut offset = self.values::<Int64Type>(4, spans)?;
        let mut length = self.values::<Int64Type>(5, spans)?;
        let mut crc32c = self.values::<Int32Type>(6, spans)?;
        let mut digests = self.values::<FixedLenByteArrayType>(7, spans)?;
        let mut kind = self.texts(8, spans)?;
        let mut state = self.texts(9, spans)?;
        let mut reason = self.texts(10, spans)?;
        let mut detail = self.texts(11, spans)?;
        let mut member = self.texts(12, spans)?;
        let mut header_digest = self.values::<FixedLenByteArrayType>(13, spans)?;
        let mut key = self.texts(14, spans)?;
        let mut key_offset = self.values::<Int64Type>(15, spans)?;
        let mut bytes = self.values::<Int64Type>(16, spans)?;
        let mut crc32 = self.values::<Int32Type>(17, spans)?;
        let mut noted = self.texts(18, spans)?;
        (0..spans.iter().map(Span::len).sum())
            .map(|_| {
                let noted = noted.next()?.map(|text| warnings(&text)).transpose()?;
                Ok(Row {
                    uid: uid.next()?.map(|text| parsed_uid(&text)).transpose()?,
                    offset: offset.required()?.cast_unsigned(),
                    length: length.required()?.cast_unsigned(),
                    crc32c: crc32c.next()?.map(i32::cast_unsigned),
                    digest: digests.next()?.map(|value| digest(&value)).transpose()?,
                    kind: kind.next()?.map(|text| word(&text, "payload kind")).transpose()?,
                    state: word(&state.required()?, "state")?,
                    reason: reason.next()?.map(|text| word(&text, "reason")).transpose()?,
                    detail: detail.next()?,
                    member: member.next()?,
                    header_digest: header_digest.next()?.map(|value| digest(&value)).transpose()?,
                    key: key.next()?,
                    key_offset: key_offset.next()?.map(i64::cast_unsigned),
                    bytes: bytes.next()?.map(i64::cast_unsigned),
                    crc32: crc32.next()?.map(i32::cast_unsigned),
                    warnings: noted.unwrap_or_default(),
                })
            })
            .collect()
    }

    fn texts(&self, column: usize, spans: &[Span]) -> Result<Values<String>, Error> {
        let Values { values, present } = self.values::<ByteArrayType>(column, spans)?;
        let texts = values.map(|value| {
            String::from_utf8(value.data().to_vec())
                .map_err(|_| Error::Form("text that is not UTF-8".into()))
        });
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        Ok(Values { values: texts.into_iter(), present })
    }

    /// Reads some spans of a column: its values, and for each row whether it has any.
    fn values<T: DataType>(&self, column: usize, spans: &[Span]) -> Result<Values<T::T>, Error> {
        let reader = self.group.get_column_reader(column).map_err(Error::parquet("read"))?;
        let mut reader = get_typed_column_reader::<T>(reader);
        let (mut values, mut present) = (Vec::new(), Vec::new());
        let mut at = 0;
        for span in spans {
            let gap = span.start - at;
            let skipped = reader.skip_records(gap).map_err(Error::parquet("read"))?;
            let (read, _, _) = reader
                .read_records(span.len(), Some(&mut present), None, &mut values)
                .map_err(Error::parquet("read"))?;
            if (skipped, read) != (gap, span.len()) {
                let got = at + skipped + read;
                let form = format!("expected {} rows in a column, got {got}", self.rows);
                return Err(Error::Form(form));
            }
            at = span.end;
        }
        if present.is_empty() {
            // A required column has no levels.
            present = vec![1; values.len()];
        }
        Ok(Values { values: values.into_iter(), present: present.into_iter() })
    }
}

/// A column's values, taken row by row.
struct Values<T> {
    values: std::vec::IntoIter<T>,
    present: std::vec::IntoIter<i16>,
}

impl<T> Values<T> {
    fn next(&mut self) -> Result<Option<T>, Error> {
        match self.present.next() {
            Some(0) => Ok(None),
            _ => self.required().map(Some),
        }
    }

    fn required(&mut self) -> Result<T, Error> {
        self.values.next().ok_or_else(|| Error::Form("a column with fewer values than rows".into()))
    }
}

fn parsed_uid(text: &str) -> Result<SopInstanceUid, Error> {
    SopInstanceUid::parse(text).map_err(|error| Error::Form(error.to_string()))
}

fn digest(value: &FixedLenByteArray) -> Result<u128, Error> {
    let bytes = <[u8; 16]>::try_from(value.data())
        .map_err(|_| Error::Form("a digest that is not 16 bytes long".into()))?;
    Ok(u128::from_be_bytes(bytes))
}

/// Reads one of the words of the model.
fn word<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, Error> {
    let deserializer: StrDeserializer<'a, WordError> = text.into_deserializer();
    T::deserialize(deserializer)
        .map_err(|_| Error::Form(format!("a {what} that this release does not know")))
}

fn warnings(text: &str) -> Result<Warnings, Error> {
    let counts: BTreeMap<WarningCode, u32> = serde_json::from_str(text)
        .map_err(|_| Error::Form("warnings that this release does not know".into()))?;
    let mut warnings = Warnings::default();
    counts.into_iter().for_each(|(code, count)| warnings.add(code, count));
    Ok(warnings)
}
