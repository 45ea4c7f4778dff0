//! Why the transcoder stops, inside the module.

use std::fmt;

use dcmjoin_model::{Reason, Rejection};

/// Why a pass over a document stopped.
///
/// Boxed, so that the results of the hot path stay two words.
#[derive(Debug)]
pub(super) enum Halt {
    /// The document cannot become a file.
    Rejected(Box<Rejection>),
    /// Text that the declared character set cannot hold: encode again, in `ISO_IR 192`.
    SwitchCharset,
}

/// The result of a step of a pass.
pub(super) type Step<T> = Result<T, Halt>;

impl Halt {
    /// Returns a rejection. Details name tags, positions and lengths, never values.
    #[cold]
    pub(super) fn reject(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Rejected(Box::new(Rejection::new(reason, detail)))
    }

    /// Returns a rejection that names an element.
    #[cold]
    pub(super) fn reject_element(reason: Reason, tag: u32, what: &str) -> Self {
        Self::reject(reason, format!("{}: {what}", TagName(tag)))
    }

    /// Returns a rejection for text that is not JSON.
    #[cold]
    pub(super) fn syntax(what: &str, at: usize) -> Self {
        Self::reject(Reason::JsonSyntax, format!("expected {what} at byte {at}"))
    }

    /// Returns a rejection for JSON that is not DICOM JSON.
    #[cold]
    pub(super) fn shape(what: &str, at: usize) -> Self {
        Self::reject(Reason::JsonShape, format!("{what} at byte {at}"))
    }
}

/// Displays a tag as `(0008,0018)`.
pub(super) struct TagName(pub(super) u32);

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.0 >> 16, self.0 & 0xFFFF)
    }
}
