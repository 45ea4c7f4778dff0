//! What a file says of itself, and why it may say nothing.

use dcmjoin_model::{ByteRange, PayloadKind, PixelDescription, TransferSyntax, Uid};
use thiserror::Error;

/// Why a file could not be read.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// No preamble and `DICM`.
    #[error("no DICM prefix at byte 128")]
    Prefix,
    /// The file ends before something it announced.
    #[error("expected {expected} bytes at byte {offset}, got {got}")]
    Short {
        /// Where the bytes must be.
        offset: u64,
        /// How many.
        expected: u64,
        /// How many there are.
        got: u64,
    },
    /// Two bytes that are no VR.
    #[error("expected a VR at byte {offset}, got {got:02x?}")]
    Vr {
        /// Where it must be.
        offset: u64,
        /// What is there.
        got: [u8; 2],
    },
    /// An item or delimiter where none may be, or none where one must be.
    #[error("unexpected tag at byte {offset}: ({:04x},{:04x})", got.0, got.1)]
    Delimiter {
        /// Where.
        offset: u64,
        /// The tag found.
        got: (u16, u16),
    },
    /// (0002,0000) does not lead to the end of group 0002.
    #[error("expected group 0002 to end at byte {expected}, got {got}")]
    GroupLength {
        /// The end by (0002,0000).
        expected: u64,
        /// The end of the last element.
        got: u64,
    },
    /// The data set is a zlib stream, which this reader does not open.
    #[error("the data set from byte {offset} is deflated, and is not read")]
    Deflated {
        /// Where it begins.
        offset: u64,
    },
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// (0002,0010) as it stands.
    pub transfer_syntax_uid: String,
    /// (0002,0010), where it is a known one.
    pub transfer_syntax: Option<TransferSyntax>,
    /// (0002,0002)
    pub meta_sop_class: Option<Uid>,
    /// (0002,0003)
    pub meta_uid: Option<Uid>,
    /// (0002,0012)
    pub implementation_class: Option<Uid>,
    /// (0002,0013), without padding.
    pub implementation_version: Option<String>,
    /// (0008,0018)
    pub uid: Option<Uid>,
    /// (0008,0016)
    pub sop_class: Option<Uid>,
    /// (0020,000D)
    pub study: Option<Uid>,
    /// (0020,000E)
    pub series: Option<Uid>,
    /// (0008,0060), without padding.
    pub modality: Option<String>,
    /// The Image Pixel Module.
    pub pixels: PixelDescription,
    /// (7FE0,0010)
    pub pixel_data: Option<PixelDataSummary>,
    /// Where the data set begins.
    pub data_set_at: u64,
    /// Elements of the data set, without those in sequences.
    pub elements: usize,
    /// Elements whose tag is not above the one before.
    pub out_of_order: usize,
}

/// What stands in (7FE0,0010).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelDataSummary {
    /// The VR; `None` where VRs are implicit.
    pub vr: Option<[u8; 2]>,
    /// [`PayloadKind::Native`] or [`PayloadKind::Encapsulated`].
    pub kind: PayloadKind,
    /// The value: native with padding, encapsulated through the sequence delimiter.
    pub value: ByteRange,
    /// Each fragment's bytes, with padding.
    pub fragments: Vec<ByteRange>,
    /// The offset table.
    pub offset_table: OffsetTable,
    /// Each frame's bytes, with padding. Empty where frames are not whole ranges, or cannot be told
    /// apart.
    pub frames: Vec<ByteRange>,
}

/// How an encapsulated value points at its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetTable {
    /// Not at all.
    Empty,
    /// The basic offset table, and whether each entry is the place of an item.
    Basic {
        /// Entries.
        entries: usize,
        /// Each is the place of an item.
        consistent: bool,
    },
    /// (7FE0,0001) and (7FE0,0002), and whether they are the places and lengths of the items.
    Extended {
        /// Entries.
        entries: usize,
        /// Each is the place and length of an item.
        consistent: bool,
    },
}
