//! Manifests: which archives there are, row by row, in memory that does not grow with their number.
//!
//! | form | told by | a row |
//! | --- | --- | --- |
//! | list | any other name | a location: a path, `s3://bucket/key` |
//! | CSV | `.csv` | `bucket,key[,version][,size]`, as S3 Batch Operations takes it: no header row needed, keys URL-encoded |
//! | JSON lines | `.jsonl`, `.ndjson`, or a first byte `{` | `bucket` and `key`, or `url`; `version`, `size`, `storage_class` |
//! | inventory | `.json` | the `manifest.json` of an S3 Inventory, whose files lie beside it or below a folder above |
//! | Parquet | `.parquet` | a row of an S3 Inventory's Parquet file |
//!
//! Each but Parquet may be gz. In reading order: [`entry`] is what a row says, [`rows`] opens a file and reads
//! it, [`csv`], [`jsonl`], [`inventory`] and `table` (Parquet) are the
//! forms.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("archives.csv");
//! std::fs::write(&file, "archive,images/a%2Bb.tar,1048576\n")?;
//! for entry in dcmjoin_manifest::open(&file)? {
//!     let entry = entry?;
//!     assert_eq!(entry.place.to_string(), "s3://archive/images/a+b.tar");
//!     assert_eq!(entry.bytes, Some(1_048_576));
//! }
//! # Ok(()) }
//! ```
//!
//! **Invariants.** One row is in memory at a time, of Parquet a thousand; a row is at most [`rows::ROW_BYTES_MAX`] long. An
//! error names file and line, and never a key.

pub mod csv;
pub mod entry;
mod error;
pub mod inventory;
pub mod jsonl;
mod lines;
pub mod rows;
mod table;

pub use entry::{Entry, Place};
pub use error::Error;
pub use rows::{Rows, open};
