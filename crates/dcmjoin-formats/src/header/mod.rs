//! The transcoder: a DICOM JSON document to the data set that goes into the file.

use bytes::Bytes;
use dcmjoin_model::{PixelDescription, SopInstanceUid, TransferSyntax, Uid, Warnings};

/// A header, checked and ready to be assembled: the data set without its pixel data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// (0008,0018)
    pub uid: SopInstanceUid,
    /// (0008,0016)
    pub sop_class: Uid,
    /// (0020,000D), where it is there and a UID.
    pub study: Option<Uid>,
    /// (0020,000E), where it is there and a UID.
    pub series: Option<Uid>,
    /// The transfer syntax that the document claims, in (0002,0010) or else (0008,3002)
    /// Available Transfer Syntax UID: a hint, the payload's bytes decide.
    pub transfer_syntax: Option<TransferSyntax>,
    /// What the header says of its pixels.
    pub pixels: PixelDescription,
    /// Pixel data that the document itself carried in (7FE0,0010) `InlineBinary`: native bytes, or
    /// an encapsulated value.
    pub inline_pixels: Option<Bytes>,
    /// The data set in Explicit VR Little Endian, in tag order, without group 0002, group lengths,
    /// pixel data (7FE0,0010) and extended offset tables (7FE0,0001), (7FE0,0002).
    pub data_set: Bytes,
    /// Where in `data_set` the pixel data element belongs.
    pub pixel_data_at: usize,
    /// What was repaired, kept or noted.
    pub warnings: Warnings,
}
