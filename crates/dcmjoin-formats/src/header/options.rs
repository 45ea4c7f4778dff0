//! What the transcoder accepts: limits, and how strict it is about values.

/// The deepest nesting that is ever accepted, whatever the options say: both passes recurse once a
/// level, and this many fit a thread's stack of 2 MiB with a wide margin, even unoptimised.
pub(super) const DEPTH_CEILING: u16 = 512;

/// The largest document that is ever accepted, whatever the options say: spans of a document are
/// 32 bits wide.
pub(super) const DOCUMENT_CEILING: usize = 0xFFFF_FFF0;

/// Limits on a document; beyond one it is rejected with `json_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// The most bytes a document may have.
    ///
    /// 256 MiB: enhanced multi-frame headers and structure sets of real archives reach tens of
    /// megabytes. A transcoder needs about three times the document in memory.
    pub document_bytes_max: usize,
    /// The deepest nesting of sequences.
    ///
    /// 256: structured reports nest by content tree, some dozens deep; hostile ones nest until a
    /// stack overflows. At most 512 is possible.
    pub depth_max: u16,
    /// The most elements and items in one document.
    ///
    /// 4 million: 10,000 frames with 100 elements each in their functional groups make 1 million;
    /// each costs at most 48 bytes while the
    /// document is read.
    pub elements_max: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { document_bytes_max: 256 << 20, depth_max: 256, elements_max: 4_000_000 }
    }
}

/// How documents are transcoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderOptions {
    /// Limits on a document.
    pub limits: HeaderLimits,
    /// Rejects a document where a value would not be in the file as JSON carried it: every
    /// [lossy](dcmjoin_model::WarningCode::is_lossy) warning becomes `value_invalid`.
    pub strict_values: bool,
}
