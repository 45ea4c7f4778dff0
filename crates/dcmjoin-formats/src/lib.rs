//! The formats: tar, DICOM JSON, pixel payloads, Part 10 files. Bytes in, values out.
//!
//! Nothing here reads a file, a socket or a clock: callers feed bytes and get events or values, so
//! the same code runs on a folder, on an object store and under a fuzzer. In the order of the way
//! of the data:
//!
//! - [`tar`]: archive bytes to members;
//! - [`compressed`]: gz and zst documents and payloads to plain bytes, within limits;
//! - [`header`]: a DICOM JSON document to the data set that goes into the file;
//! - [`payload`]: an image member's bytes to frames and a transfer syntax;
//! - [`sop_class`]: which instances have pixels at all;
//! - [`part10`]: header and pixels to a Part 10 file, and a Part 10 file to a summary.

pub mod compressed;
pub mod header;
pub mod part10;
pub mod payload;
pub mod sop_class;
pub mod tar;
