//! What each scan learnt, in Parquet: one file an archive.
//!
//! A file of the catalogue is two things at once: the rows of one archive's halves, which any
//! engine reads, and the record that this archive was done, which a later run trusts. So it is
//! *sealed*: checksums cover every byte that a row comes from, and a reader refuses a file that
//! is cut, damaged or of another kind.
//!
//! - [`Archive`]: what is true of the whole archive, as JSON in the file's metadata;
//! - [`Row`]: one member that is a half, or was rejected;
//! - [`Writer`]: rows in, in bounded memory; the same rows give the same bytes;
//! - [`Reader`]: rows out by row groups, and look-ups by UID without reading what cannot hold it;
//! - [`Export`]: rows of many archives to one file, for other engines.
//!
//! ```
//! use dcmjoin_catalog::{Archive, Reader, Row, SCHEMA, State, Writer};
//! use dcmjoin_model::{Half, Uid};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let archive = Archive {
//!     schema: SCHEMA.to_owned(),
//!     half: Half::Image,
//!     url: "s3://archive/images/0001.tar".to_owned(),
//!     version: Some("\"9b2cf535f27731c9\"".to_owned()),
//!     size: 10_240,
//!     compressed: false,
//!     program: "0.1.0".to_owned(),
//!     settings: "5f1d".to_owned(),
//!     output: "s3://dicom/out".to_owned(),
//!     extra: serde_json::Value::Null,
//! };
//! let uid = Uid::parse("2.25.81")?;
//! let mut writer = Writer::create(Vec::new(), &archive)?;
//! writer.push(Row { uid: Some(uid.clone()), length: 7_000, ..Row::at(512, State::Open) })?;
//! let (file, written) = writer.finish(serde_json::json!({ "members": 1 }))?;
//! assert_eq!(written.rows, 1);
//!
//! let reader = Reader::open(bytes::Bytes::from(file))?;
//! assert_eq!(reader.archive().extra["members"], 1);
//! assert_eq!(reader.find(&uid)?[0].length, 7_000);
//! # Ok(()) }
//! ```

mod archive;
mod decode;
mod encode;
mod error;
mod export;
mod pairs;
mod reader;
mod row;
mod schema;
mod seal;
mod source;
mod writer;

pub use archive::{Archive, SCHEMA};
pub use error::Error;
pub use export::{EXPORT_ROWS_IN_GROUP, Export};
pub use pairs::{Pair, PairHalf, Pairs};
pub use reader::{Reader, Rows};
pub use row::{Row, State};
pub use source::Source;
pub use writer::{GROUP_TEXT_BYTES_MAX, ROWS_IN_GROUP, Writer, Written};
