//! Forms that are recognised and kept as they are: video and JPEG XL.
//!
//! Their structure is not walked, so their bytes alone don't tell the transfer syntax: they are
//! kept only under a claimed one that they may stand for, and are `payload_unsupported` else.

use bytes::Bytes;
use dcmjoin_model::{
    PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax, WarningCode, Warnings,
};

use super::items::Items;
use super::magic::Form;
use super::{PixelValue, Pixels, check};

/// Keeps a bare stream.
pub(super) fn bare(
    payload: Bytes,
    form: Form,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    warnings: Warnings,
) -> Result<Pixels, Rejection> {
    let kind = PayloadKind::Codestream;
    keep(vec![vec![payload]], kind, form, pixels, claimed, warnings)
}

/// Keeps an encapsulated stream: a video in all its fragments, JPEG XL with a frame a fragment.
pub(super) fn encapsulated(
    payload: &Bytes,
    items: &Items,
    form: Form,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    mut warnings: Warnings,
) -> Result<Pixels, Rejection> {
    let fragments = items.fragments.iter().map(|part| payload.slice(part.clone()));
    let one_frame = matches!(form, Form::Video(_)) || pixels.frames() == 1;
    let frames: Vec<Vec<Bytes>> = if one_frame {
        vec![fragments.collect()]
    } else {
        fragments.map(|fragment| vec![fragment]).collect()
    };
    if one_frame && items.fragments.len() > 1 {
        warnings.note(WarningCode::FrameFragmented);
    }
    keep(frames, PayloadKind::Encapsulated, form, pixels, claimed, warnings)
}

fn keep(
    frames: Vec<Vec<Bytes>>,
    kind: PayloadKind,
    form: Form,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    warnings: Warnings,
) -> Result<Pixels, Rejection> {
    let Some(transfer_syntax) = claimed.filter(|&claimed| fits(form, claimed)) else {
        let detail = format!(
            "{} under no transfer syntax that says which",
            if matches!(form, Form::Video(_)) { "a video stream" } else { "JPEG XL" }
        );
        return Err(Rejection::new(Reason::PayloadUnsupported, detail));
    };
    check::geometry_present(pixels)?;
    if form == Form::JpegXl {
        check::frame_count(frames.len(), pixels)?;
    }
    Ok(Pixels { kind, transfer_syntax, value: PixelValue::Encapsulated(frames), warnings })
}

fn fits(form: Form, claimed: TransferSyntax) -> bool {
    use TransferSyntax as Ts;
    match form {
        Form::Video(video) => video.fits(claimed),
        Form::JpegXl => {
            matches!(claimed, Ts::JpegXlLossless | Ts::JpegXlRecompression | Ts::JpegXl)
        }
        Form::Items | Form::J2k | Form::Jp2 | Form::Jpeg | Form::Rle => false,
    }
}
