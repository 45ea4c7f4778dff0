//! The recogniser: an image member's bytes to frames and a transfer syntax.

use bytes::Bytes;
use dcmjoin_model::{PayloadKind, TransferSyntax, Warnings};

/// Pixels as they go into the file, as slices of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// The form the payload had.
    pub kind: PayloadKind,
    /// The transfer syntax that its bytes show.
    pub transfer_syntax: TransferSyntax,
    /// The value of (7FE0,0010).
    pub value: PixelValue,
    /// What was repaired, kept or noted.
    pub warnings: Warnings,
}

/// The value of the pixel data element (PS3.5 8, A.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelValue {
    /// Native: the pixels, unpadded.
    Native(Bytes),
    /// Encapsulated: the fragments of each frame, in order, unpadded.
    Encapsulated(Vec<Vec<Bytes>>),
}
