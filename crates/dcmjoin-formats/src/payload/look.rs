//! A first look at a payload without its header: for people who want to know what they have.

use bytes::Bytes;
use dcmjoin_model::{PayloadKind, PixelDescription, TransferSyntax};

use super::{PayloadLimits, codestream, compressed, magic::Form};

/// A payload that is walked from its first byte.
const FIRST: codestream::Place = codestream::Place { frame: 1, at: 0 };

/// What a payload shows by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its kind; [`PayloadKind::Native`] is what is left where nothing else is recognised.
    pub kind: PayloadKind,
    /// It is gz or zst.
    pub compressed: bool,
    /// The transfer syntaxes that may carry it, the strictest first; empty where only a header
    /// could tell.
    pub transfer_syntaxes: &'static [TransferSyntax],
    /// Frames, where they can be told apart without a header.
    pub frames: Option<usize>,
    /// Rows, columns and samples of the first frame.
    pub geometry: Option<(u32, u32, u16)>,
    /// Bits in a sample.
    pub precision: Option<u8>,
    /// Bytes after decompression.
    pub bytes: usize,
}

/// Looks at a payload.
#[must_use]
pub fn look(payload: &Bytes, limits: &PayloadLimits) -> Sighting {
    let plain = compressed::plain(payload.clone(), limits.decompressed_bytes_max);
    let (plain, compressed) = plain.unwrap_or_else(|_| (payload.clone(), false));
    let mut sighting = Sighting {
        kind: if plain.is_empty() { PayloadKind::Empty } else { PayloadKind::Native },
        compressed,
        transfer_syntaxes: &[],
        frames: None,
        geometry: None,
        precision: None,
        bytes: plain.len(),
    };
    match Form::of(&plain) {
        Some(Form::Items) => {
            sighting.kind = PayloadKind::Encapsulated;
            if let Some(fragment) = first_fragment(&plain) {
                sighting.describe(fragment, limits);
                sighting.frames = None;
            }
        }
        Some(_) if sighting.describe(&plain, limits) => {
            let many = sighting.frames.is_some_and(|frames| frames > 1);
            sighting.kind = if many { PayloadKind::Codestreams } else { PayloadKind::Codestream };
        }
        Some(_) | None => {}
    }
    sighting
}

impl Sighting {
    fn describe(&mut self, bytes: &[u8], limits: &PayloadLimits) -> bool {
        let Ok(joined) = codestream::joined(bytes, FIRST, &PixelDescription::default(), limits)
        else {
            return false;
        };
        let Some(first) = joined.streams.first() else { return false };
        self.transfer_syntaxes = first.syntaxes;
        self.frames = Some(joined.streams.len());
        self.geometry = Some((first.rows, first.columns, first.samples));
        self.precision = first.precision;
        true
    }
}

/// Returns the value of the first item behind the offset table (PS3.5 A.4).
fn first_fragment(value: &[u8]) -> Option<&[u8]> {
    let length = |at: usize| {
        let bytes = value.get(at + 4..at + 8)?;
        Some(bytes.iter().rev().fold(0_usize, |length, &byte| (length << 8) | usize::from(byte)))
    };
    let at = length(0)?.checked_add(8)?;
    let from = at.checked_add(8)?;
    value.get(from..from.checked_add(length(at)?)?)
}
