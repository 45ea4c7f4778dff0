//! Native pixels: as long as the header's geometry says, in little endian when they leave here.
//!
//! **Big endian.** Under a claimed Explicit VR Big Endian, samples of 16, 32 and 64 bits are
//! swapped. (OW is a string of 16-bit words, yet pydicom and the files that it tests with swap wider
//! samples as wholes.) Samples of up to 8 bits are bytes under OB and pairs of bytes in 16-bit words
//! under OW (PS3.5 A.3, 8.1.2), and the payload does not say which VR it had. One case is certain: an
//! odd length whose padding NUL stands *before* the last byte was OW, and is swapped. All others
//! are kept as they are and noted, as the order of OB.

use bytes::Bytes;
use dcmjoin_model::{
    PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax, WarningCode, Warnings,
};

use super::{PayloadLimits, PixelValue, Pixels};

/// Returns true where the length is that of native pixels, with at most one byte of padding.
pub(super) fn fits(bytes: &[u8], pixels: &PixelDescription) -> bool {
    let Some(expected) = pixels.native_bytes().filter(|&expected| expected > 0) else {
        return false;
    };
    let got = bytes.len() as u64;
    // An even length needs no padding: one more byte must at least look like it.
    got == expected || (got == expected + 1 && (got.is_multiple_of(2) || bytes.last() == Some(&0)))
}

/// Reads native pixels.
pub(super) fn read(
    bytes: Bytes,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    limits: &PayloadLimits,
    mut warnings: Warnings,
) -> Result<Pixels, Rejection> {
    check_length(&bytes, pixels, claimed)?;
    if pixels.frames() as usize > limits.frames_max {
        let (expected, got) = (limits.frames_max, pixels.frames());
        let detail = format!("expected at most {expected} frames, the header says {got}");
        return Err(Rejection::new(Reason::FrameCount, detail));
    }
    let big_endian = claimed == Some(TransferSyntax::ExplicitVrBigEndian);
    let bytes = if big_endian { to_little_endian(bytes, pixels, &mut warnings)? } else { bytes };
    if claimed.is_some_and(TransferSyntax::is_encapsulated) {
        warnings.note(WarningCode::TransferSyntaxDiffers);
    }
    if pixels.samples_per_pixel > Some(1) && pixels.planar_configuration.is_none() {
        warnings.note(WarningCode::PlanarMissing);
    }
    Ok(Pixels {
        kind: PayloadKind::Native,
        transfer_syntax: TransferSyntax::ExplicitVrLittleEndian,
        value: PixelValue::Native(unpadded(&bytes, pixels, &mut warnings)),
        warnings,
    })
}

fn check_length(
    bytes: &[u8],
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
) -> Result<(), Rejection> {
    if fits(bytes, pixels) {
        return Ok(());
    }
    let got = bytes.len();
    let Some(expected) = pixels.native_bytes() else {
        let detail = format!("{got} bytes of no known codestream, and {}", missing(pixels));
        return Err(Rejection::new(Reason::GeometryMissing, detail));
    };
    let detail = format!("expected {expected} bytes of native pixels, got {got}");
    // A document that names a compressed syntax does not promise native pixels.
    let compressed = claimed.is_some_and(TransferSyntax::is_encapsulated);
    let reason = if compressed { Reason::PayloadUnrecognised } else { Reason::PayloadLength };
    Err(Rejection::new(reason, detail))
}

/// Says which attribute of the geometry is missing.
pub(super) fn missing(pixels: &PixelDescription) -> &'static str {
    if pixels.rows.is_none() {
        "the header lacks Rows"
    } else if pixels.columns.is_none() {
        "the header lacks Columns"
    } else if pixels.bits_allocated.is_none() {
        "the header lacks Bits Allocated"
    } else {
        "the header's geometry is beyond all bounds"
    }
}

/// Takes the padding off. It is even-length padding only behind an odd length, and NUL.
fn unpadded(bytes: &Bytes, pixels: &PixelDescription, warnings: &mut Warnings) -> Bytes {
    let expected = pixels.native_bytes().map_or(bytes.len(), |expected| expected as usize);
    if bytes.len() > expected && (expected.is_multiple_of(2) || bytes.last() != Some(&0)) {
        warnings.note(WarningCode::PayloadPadding);
    }
    bytes.slice(..expected.min(bytes.len()))
}

fn to_little_endian(
    bytes: Bytes,
    pixels: &PixelDescription,
    warnings: &mut Warnings,
) -> Result<Bytes, Rejection> {
    let unit = match pixels.bits_allocated.unwrap_or(0) {
        0..=8 if are_words(&bytes, pixels)? => 2,
        0..=8 => return Ok(bytes),
        32 => 4,
        64 => 8,
        // 16 bits, and samples packed into 16-bit words.
        _ => 2,
    };
    let mut swapped = bytes.to_vec();
    for sample in swapped.chunks_exact_mut(unit) {
        sample.reverse();
    }
    warnings.note(WarningCode::PayloadSwapped);
    Ok(swapped.into())
}

/// Tells words (OW), whose bytes are swapped, from bytes (OB), which are not: by the VR that the
/// header gives, else by the place of the padding of an odd length. Where neither says so, one of
/// the two would come out with each pair of pixels exchanged.
fn are_words(bytes: &[u8], pixels: &PixelDescription) -> Result<bool, Rejection> {
    let odd = pixels
        .native_bytes()
        .is_some_and(|expected| expected % 2 == 1 && bytes.len() as u64 == expected + 1);
    match (pixels.pixel_data_words, bytes) {
        (Some(words), _) => Ok(words),
        (None, [.., 0, last]) if odd && *last != 0 => Ok(true),
        (None, [.., before, 0]) if odd && *before != 0 => Ok(false),
        (None, _) => {
            let detail = "expected the VR of (7FE0,0010), OB or OW, in the header of big-endian \
                          pixels of up to 8 bits, got none";
            Err(Rejection::new(Reason::ByteOrderAmbiguous, detail))
        }
    }
}
