//! The recogniser: an image member's bytes to frames and a transfer syntax.
//!
//! Input: a payload, what the header says of its pixels, and the transfer syntax that the document
//! claims. Output: [`Pixels`], whose bytes are slices of the payload. The file name plays no part.
//!
//! **How forms are told apart.** Any bytes can begin a native image, and those of a codestream have
//! any length, so neither first bytes nor length decide alone. A walk over the whole structure of
//! a codestream or of items, with the header's geometry and number of frames, wins; else a payload
//! as long as native pixels is native; else what its first bytes promise says why it is rejected.
//!
//! **Invariants:** no input panics; every walk is linear in the payload; nothing is decoded; bytes
//! are copied only out of gz and zst, to swap big endian, and to walk a frame that lies in several
//! fragments (or to join these where their lengths are odd). The same input gives the same result, a second time too.
//!
//! - `magic`: the first bytes; `scan`: words and markers at places;
//! - `codestream`, `jpeg`, `j2k`, `jp2`, `rle`: walks over one codestream, and over joined ones;
//! - `items`, `frames`: encapsulated values, and their fragments as frames;
//! - `opaque`: video and JPEG XL, kept unseen;
//! - `native`: lengths and byte order;
//! - `check`: header against codestreams.

mod check;
mod codestream;
mod frames;
pub(crate) mod items;
mod j2k;
mod jp2;
mod jpeg;
mod look;
mod magic;
mod native;
mod opaque;
mod rle;
mod scan;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use dcmjoin_model::{
    PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax, WarningCode, Warnings,
};

pub use self::look::{Sighting, look};
use self::magic::Form;
use crate::compressed;

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

/// How much a payload may make the recogniser hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Frames in a payload. Whole slide images reach a million; each costs 64 bytes here.
    pub frames_max: usize,
    /// Fragments in an encapsulated value: old toolkits cut frames into pieces of 64 KiB, so
    /// there can be more of them than frames.
    pub fragments_max: usize,
    /// Bytes out of gz or zst. Longer than any native value, which ends below 4 GiB (PS3.5 7.1.1),
    /// is a bomb.
    pub decompressed_bytes_max: u64,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self {
            frames_max: 1 << 22,
            fragments_max: 1 << 23,
            decompressed_bytes_max: u64::from(u32::MAX),
        }
    }
}

/// Recognises an image member by its bytes.
///
/// `claimed` is a hint: it chooses among transfer syntaxes that are lawful for the bytes, says the
/// byte order of native pixels, and names the coding of what is not walked. A claim that the bytes
/// contradict is noted.
///
/// An empty payload under a header that describes no pixels is [`PayloadKind::Empty`].
///
/// ```
/// use dcmjoin_formats::payload::{PayloadLimits, recognise};
/// use dcmjoin_model::{PayloadKind, PixelDescription};
///
/// let pixels = PixelDescription {
///     rows: Some(2),
///     columns: Some(3),
///     bits_allocated: Some(8),
///     ..PixelDescription::default()
/// };
/// let found = recognise(vec![0; 6].into(), &pixels, None, &PayloadLimits::default())?;
/// assert_eq!(found.kind, PayloadKind::Native);
/// # Ok::<(), dcmjoin_model::Rejection>(())
/// ```
///
/// # Errors
/// - `payload_empty`: no bytes, and the header describes pixels;
/// - `member_compression`: gz or zst that does not decompress;
/// - `payload_damaged`, `payload_unsupported`, `payload_unrecognised`, `payload_length`;
/// - `frame_count`, `geometry_missing`, `geometry_mismatch`: header and payload don't go together.
pub fn recognise(
    payload: Bytes,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    limits: &PayloadLimits,
) -> Result<Pixels, Rejection> {
    let mut warnings = Warnings::default();
    let payload = plain(payload, pixels, limits, &mut warnings)?;
    if payload.is_empty() {
        return empty(pixels, warnings);
    }
    let native_length = native::fits(&payload, pixels);
    match structured(&payload, pixels, claimed, limits, &warnings) {
        Some(Err(_)) if native_length => {}
        Some(result) => return result,
        None => {}
    }
    native::read(payload, pixels, claimed, limits, warnings)
}

/// Opens gz and zst. Native pixels can begin like them: what does not decompress, and is as long
/// as native pixels, is left alone.
fn plain(
    payload: Bytes,
    pixels: &PixelDescription,
    limits: &PayloadLimits,
    warnings: &mut Warnings,
) -> Result<Bytes, Rejection> {
    match compressed::plain(payload.clone(), limits.decompressed_bytes_max) {
        Ok((plain, was_compressed)) => {
            if was_compressed {
                warnings.note(WarningCode::PayloadCompressed);
            }
            Ok(plain)
        }
        Err(_) if native::fits(&payload, pixels) => Ok(payload),
        Err(error) => Err(error),
    }
}

fn empty(pixels: &PixelDescription, warnings: Warnings) -> Result<Pixels, Rejection> {
    let described =
        pixels.rows.is_some() || pixels.columns.is_some() || pixels.bits_allocated.is_some();
    if described {
        let detail = "the header describes pixels, got 0 bytes";
        return Err(Rejection::new(Reason::PayloadEmpty, detail));
    }
    Ok(Pixels {
        kind: PayloadKind::Empty,
        transfer_syntax: TransferSyntax::ExplicitVrLittleEndian,
        value: PixelValue::Native(Bytes::new()),
        warnings,
    })
}

/// Reads the payload as the form that its first bytes promise, or returns `None` where they promise
/// none.
fn structured(
    payload: &Bytes,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    limits: &PayloadLimits,
    warnings: &Warnings,
) -> Option<Result<Pixels, Rejection>> {
    let warnings = warnings.clone();
    Some(match Form::of(payload)? {
        Form::Items => encapsulated(payload, pixels, claimed, limits, warnings),
        form @ (Form::JpegXl | Form::Video(_)) => {
            opaque::bare(payload.clone(), form, pixels, claimed, warnings)
        }
        Form::J2k | Form::Jp2 | Form::Jpeg | Form::Rle => {
            codestreams(payload, pixels, claimed, limits, warnings)
        }
    })
}

/// The place of a payload's first frame.
const START: codestream::Place = codestream::Place { frame: 1, at: 0 };

fn codestreams(
    payload: &Bytes,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    limits: &PayloadLimits,
    warnings: Warnings,
) -> Result<Pixels, Rejection> {
    let found = codestream::joined(payload, START, pixels, limits)?;
    let last = found.streams.len().saturating_sub(1);
    let kind = if last == 0 { PayloadKind::Codestream } else { PayloadKind::Codestreams };
    let frame = |(at, stream): (usize, codestream::Codestream)| frames::Frame {
        fragments: vec![payload.slice(stream.range.clone())],
        trailing: stream.has_trailing() || (at == last && found.trailing),
        stream,
    };
    let frames = found.streams.into_iter().enumerate().map(frame).collect();
    check::conclude(frames, kind, pixels, claimed, warnings)
}

fn encapsulated(
    payload: &Bytes,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    limits: &PayloadLimits,
    mut warnings: Warnings,
) -> Result<Pixels, Rejection> {
    let items = items::parse(payload, limits)?;
    if items.trailing {
        warnings.note(WarningCode::PayloadTrailing);
    }
    let first = items.fragments.first().cloned().unwrap_or_default();
    if let Some(form @ (Form::JpegXl | Form::Video(_))) = Form::of(&payload[first]) {
        return opaque::encapsulated(payload, &items, form, pixels, claimed, warnings);
    }
    let expected = pixels.frames() as usize;
    let groups = frames::group(payload, &items, expected, &mut warnings);
    let mut found = Vec::with_capacity(groups.len());
    for group in groups {
        let fragments = &items.fragments[group];
        found.extend(frames::read(payload, fragments, found.len() + 1, pixels, limits)?);
    }
    check::conclude(found, PayloadKind::Encapsulated, pixels, claimed, warnings)
}
