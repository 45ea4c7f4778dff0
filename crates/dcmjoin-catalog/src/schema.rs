//! The columns, and how each is stored.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};

use crate::error::Error;

/// The columns in the order of the file; `docs/catalog.md` says what each means. Numbers are
/// unsigned; digests are big-endian.
const COLUMNS: &str = "message dcmjoin_catalog {
    OPTIONAL BYTE_ARRAY uid (STRING);
    REQUIRED BYTE_ARRAY half (STRING);
    REQUIRED BYTE_ARRAY archive (STRING);
    OPTIONAL BYTE_ARRAY version (STRING);
    REQUIRED INT64 offset (INTEGER(64, false));
    REQUIRED INT64 length (INTEGER(64, false));
    OPTIONAL INT32 crc32c (INTEGER(32, false));
    OPTIONAL FIXED_LEN_BYTE_ARRAY (16) digest;
    OPTIONAL BYTE_ARRAY kind (STRING);
    REQUIRED BYTE_ARRAY state (STRING);
    OPTIONAL BYTE_ARRAY reason (STRING);
    OPTIONAL BYTE_ARRAY detail (STRING);
    OPTIONAL BYTE_ARRAY member (STRING);
    OPTIONAL FIXED_LEN_BYTE_ARRAY (16) header_digest;
    OPTIONAL BYTE_ARRAY key (STRING);
    OPTIONAL INT64 key_offset (INTEGER(64, false));
    OPTIONAL INT64 bytes (INTEGER(64, false));
    OPTIONAL INT32 crc32 (INTEGER(32, false));
    OPTIONAL BYTE_ARRAY warnings (JSON);
}";

/// The column of the UIDs: the one with a Bloom filter.
pub(crate) const UID: usize = 0;
/// The column that a row group is sorted by.
const OFFSET: i32 = 4;

/// The rows of a page.
const ROWS_IN_PAGE: usize = 2_048;
/// One look-up in so many reads a row group that does not hold the UID.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Higher levels cost more time than they save bytes: most columns are random digits.
const ZSTD_LEVEL: i32 = 3;

/// Returns the schema.
pub(crate) fn schema() -> Result<Arc<Type>, Error> {
    parse_message_type(COLUMNS).map(Arc::new).map_err(Error::parquet("describe"))
}

/// What the rows of a group are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Offset,
    /// They come as they come.
    None,
}

/// Returns how the columns are stored.
pub(crate) fn properties(rows_in_group: usize, order: Order) -> Result<WriterProperties, Error> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(Error::parquet("compress"))?;
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // Groups are flushed by hand.
        .set_max_row_group_row_count(None)
        // A look-up unpacks the page of the row, and of the UIDs all.
        .set_data_page_row_count_limit(ROWS_IN_PAGE)
        // Statistics of pages would be of use for the offset only.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_sorting_columns((order == Order::Offset).then(by_offset))
        .set_column_bloom_filter_enabled("uid".into(), true)
        .set_column_bloom_filter_fpp("uid".into(), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv("uid".into(), rows_in_group as u64);
    for counted in ["offset", "length", "key_offset", "bytes"] {
        builder = plain(builder, counted)
            .set_column_encoding(counted.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for random in ["uid", "crc32c", "digest", "header_digest", "detail", "member", "key", "crc32"] {
        builder = plain(builder, random);
    }
    // Nobody searches by these. Of unsigned 32 bits there must be none: Trino takes bounds beyond
    // 2^31 for corruption.
    for unsearched in
        ["version", "crc32c", "digest", "detail", "header_digest", "crc32", "warnings"]
    {
        let path = ColumnPath::from(unsearched);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(builder.build())
}

fn by_offset() -> Vec<SortingColumn> {
    vec![SortingColumn { column_idx: OFFSET, descending: false, nulls_first: false }]
}

type Builder = parquet::file::properties::WriterPropertiesBuilder;

/// Values that do not repeat gain nothing from a dictionary.
fn plain(builder: Builder, column: &str) -> Builder {
    builder.set_column_dictionary_enabled(column.into(), false)
}
