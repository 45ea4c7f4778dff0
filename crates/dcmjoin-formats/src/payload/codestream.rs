//! What a walk over one codestream finds, and the walk over several joined end to end.
//!
//! Input: bytes that begin with a codestream. Output: where it ends, its geometry, and the transfer
//! syntaxes that may carry it. Nothing is decoded: the structure alone is followed.
//!
//! **Invariants:** a walk is linear in the bytes it passes, never panics, and never looks behind
//! the codestream's end. A codestream cut short in its headers or in a part of declared length is
//! `payload_damaged`; one that only lacks its end marker is kept and noted.

use std::ops::Range;

use dcmjoin_model::{PixelDescription, Reason, Rejection, TransferSyntax};

use super::magic::{Form, JP2_SIGNATURE};
use super::{PayloadLimits, j2k, jp2, jpeg, rle};

/// One codestream, walked from its first to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codestream {
    /// The codestream's own bytes, without boxes around it.
    pub(super) range: Range<usize>,
    /// One past the last byte of the codestream and of the boxes around it.
    pub(super) end: usize,
    /// The end marker stands where it belongs.
    pub(super) terminated: bool,
    /// The JP2 box structure that stood around it.
    pub(super) boxes: Option<Boxes>,
    /// The transfer syntaxes that may carry it, the strictest first.
    pub(super) syntaxes: &'static [TransferSyntax],
    /// Lines of the first component.
    pub(super) rows: u32,
    /// Samples in a line of the first component.
    pub(super) columns: u32,
    /// Components.
    pub(super) samples: u16,
    /// Bits in a sample of the first component; `None` where the form does not say.
    pub(super) precision: Option<u8>,
    /// The samples are two's complement; `None` where the form does not say.
    pub(super) signed: Option<bool>,
    /// The coding loses information for certain.
    pub(super) lossy: bool,
    /// The colour transform that the codestream declares.
    pub(super) colour: Option<Colour>,
}

/// A JP2 box structure around a codestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boxes {
    /// Bytes between the codestream's end and that of its box are not padding.
    pub(super) trailing: bool,
}

impl Codestream {
    /// Bytes other than padding follow in the codestream's own box.
    pub(super) fn has_trailing(&self) -> bool {
        self.boxes.is_some_and(|boxes| boxes.trailing)
    }
}

/// A codestream's own statement on its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// J2K, multiple component transform with the 5/3 wavelet (ISO 15444-1 G.2).
    Reversible,
    /// J2K, multiple component transform with the 9/7 wavelet (ISO 15444-1 G.3).
    Irreversible,
    /// J2K without a multiple component transform.
    Untransformed,
    /// JPEG: luminance and chrominance.
    Ybr,
    /// JPEG: red, green and blue.
    Rgb,
}

/// Returns the rejection for a structure that is broken or cut short.
pub(super) fn damaged(detail: impl Into<String>) -> Rejection {
    Rejection::new(Reason::PayloadDamaged, detail)
}

/// Walks the codestream that `bytes` begin with, or returns `None` where they begin with none.
pub(super) fn parse(
    bytes: &[u8],
    pixels: &PixelDescription,
) -> Option<Result<Codestream, Rejection>> {
    match Form::of(bytes)? {
        Form::J2k => Some(j2k::parse(bytes)),
        Form::Jp2 => Some(jp2::parse(bytes)),
        Form::Jpeg => Some(jpeg::parse(bytes)),
        Form::Rle => Some(rle::parse(bytes, pixels)),
        Form::Items | Form::JpegXl | Form::Video(_) => None,
    }
}

/// Codestreams that stand end to end, with nothing but padding between them.
#[derive(Debug)]
pub(super) struct Joined {
    /// The codestreams, with places in the bytes that were walked.
    pub(super) streams: Vec<Codestream>,
    /// Bytes that are neither a codestream nor padding stand behind the last one.
    pub(super) trailing: bool,
}

/// Where bytes stand in the payload, for the details of a rejection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of the first frame in them, from 1.
    pub(super) frame: usize,
    /// The place of their first byte.
    pub(super) at: usize,
}

impl Place {
    /// Says in which frame a walk failed, and where that frame begins.
    pub(super) fn of(self, error: &Rejection) -> Rejection {
        let Self { frame, at } = self;
        Rejection::new(error.reason, format!("frame {frame} at byte {at}: {}", error.detail))
    }
}

/// Walks codestreams end to end.
pub(super) fn joined(
    bytes: &[u8],
    place: Place,
    pixels: &PixelDescription,
    limits: &PayloadLimits,
) -> Result<Joined, Rejection> {
    let mut streams = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| parse(rest, pixels)) {
        let mut stream = next.map_err(|error| {
            Place { frame: place.frame + streams.len(), at: place.at + at }.of(&error)
        })?;
        stream.range = stream.range.start + at..stream.range.end + at;
        stream.end += at;
        at = skip_padding(bytes, stream.end);
        streams.push(stream);
        if streams.len() > limits.frames_max {
            let detail = format!("expected at most {} frames, got more", limits.frames_max);
            return Err(Rejection::new(Reason::FrameCount, detail));
        }
    }
    Ok(Joined { streams, trailing: at < bytes.len() })
}

/// Returns the place of the first byte at or after `at` that is not padding.
///
/// Padding is NUL (PS3.5 A.4). Some encoders fill up to an even length with one FF behind EOI, and
/// ISO 10918-1 B.1.1.2 allows any number of FF before a marker.
pub(super) fn skip_padding(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let nul = rest.iter().take_while(|&&byte| byte == 0).count();
    // The signature of JP2 begins with three NUL of its own.
    let signature = nul.saturating_sub(3);
    if rest[signature..].starts_with(JP2_SIGNATURE) {
        return at + signature;
    }
    let fill = rest[nul..].iter().take_while(|&&byte| byte == 0xff).count();
    let behind = nul + fill;
    match rest.get(behind) {
        // The last FF is the first byte of the next marker.
        Some(_) if fill > 0 => at + behind - 1,
        None if fill == 1 => at + behind,
        _ => at + nul,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_nul_or_fill_bytes() {
        let check = |bytes: &[u8], expect: usize| assert_eq!(skip_padding(bytes, 1), expect);
        check(&[1], 1);
        check(&[1, 0, 0], 3);
        check(&[1, 0xff], 2);
        check(&[1, 0xff, 0xff], 1);
        check(&[1, 0, 0xff, 0xd8, 0xff], 2);
        check(&[1, 0xff, 0xff, 0xff, 0xd8], 3);
        check(&[1, 7], 1);
        check(b"\x01\0\0\0\0\x0cjP  \r\n\x87\n", 2);
    }
}
