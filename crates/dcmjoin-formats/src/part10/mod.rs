//! Part 10 files (PS3.10 7): a header and pixels to a file, and a file to a summary.
//!
//! - [`assemble`]: the writer, in Explicit VR Little Endian;
//! - [`read`]: a small reader that checks a file's structure and sums it up.
//!
//! **Invariants:** the same input gives the same bytes: no time stamps, no random UIDs, one
//! [`IMPLEMENTATION_CLASS_UID`] for a version of this format. A file that was assembled is read
//! back by [`read`] with the same values.

mod elements;
mod meta;
mod read;
mod segments;
mod summary;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use read::read;
pub use summary::{OffsetTable, PixelDataSummary, ReadError, Summary};
pub use write::{Part10, assemble};

/// (0002,0012) Implementation Class UID of every file: a UUID-derived UID (PS3.5 B.2), made once.
/// It changes only with [`IMPLEMENTATION_VERSION_NAME`].
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.174195722147454379608986940824295555663";
/// (0002,0013) Implementation Version Name of every file: the version of this format, which changes
/// when the same input begins to give other bytes.
pub const IMPLEMENTATION_VERSION_NAME: &str = "DCMJOIN_0_1";

/// The preamble and the prefix `DICM` (PS3.10 7.1).
const PREAMBLE_BYTES: usize = 128;
const PREFIX: &[u8; 4] = b"DICM";
