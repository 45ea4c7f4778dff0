//! Header against codestreams: what must agree, what is noted, and which transfer syntax results.
//!
//! Geometry and the number of frames must agree: a reader sizes its buffers by the header. Depth,
//! sign and colour are kept as the header says them and noted (files with such differences are
//! common and readable).

use dcmjoin_model::{
    PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax, WarningCode, Warnings,
};

use super::codestream::{Codestream, Colour};
use super::frames::Frame;
use super::{PixelValue, Pixels, native};

/// Checks the frames against the header, and concludes.
pub(super) fn conclude(
    frames: Vec<Frame>,
    kind: PayloadKind,
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
    mut warnings: Warnings,
) -> Result<Pixels, Rejection> {
    frame_count(frames.len(), pixels)?;
    for (at, frame) in frames.iter().enumerate() {
        geometry(&frame.stream, pixels, at + 1)?;
        note_frame(frame, &mut warnings);
    }
    let transfer_syntax = transfer_syntax(&frames, pixels, claimed)?;
    if claimed.is_some_and(|claimed| claimed != transfer_syntax) {
        warnings.note(WarningCode::TransferSyntaxDiffers);
    }
    if let Some(first) = frames.first() {
        note_header(&first.stream, pixels, &mut warnings);
    }
    if frames.iter().any(|frame| frame.stream.lossy) && !pixels.lossy {
        warnings.note(WarningCode::LossyUndeclared);
    }
    let fragments = frames.into_iter().map(|frame| frame.fragments).collect();
    Ok(Pixels { kind, transfer_syntax, value: PixelValue::Encapsulated(fragments), warnings })
}

/// Rejects a header without the attributes that a reader of codestreams needs.
pub(super) fn geometry_present(pixels: &PixelDescription) -> Result<(), Rejection> {
    let all = pixels.rows.is_some() && pixels.columns.is_some() && pixels.bits_allocated.is_some();
    if all {
        return Ok(());
    }
    let detail = format!("a codestream, and {}", native::missing(pixels));
    Err(Rejection::new(Reason::GeometryMissing, detail))
}

/// Rejects a number of frames that is not the header's.
pub(super) fn frame_count(got: usize, pixels: &PixelDescription) -> Result<(), Rejection> {
    let expected = pixels.frames();
    if got == expected as usize {
        return Ok(());
    }
    let said = if pixels.number_of_frames.is_some() { "" } else { " (the header does not say)" };
    let detail = format!("expected {expected} frames{said}, got {got}");
    Err(Rejection::new(Reason::FrameCount, detail))
}

fn geometry(
    stream: &Codestream,
    pixels: &PixelDescription,
    number: usize,
) -> Result<(), Rejection> {
    geometry_present(pixels)?;
    let samples = pixels.samples_per_pixel.unwrap_or(1);
    let pairs = [
        ("Rows", pixels.rows, stream.rows),
        ("Columns", pixels.columns, stream.columns),
        ("Samples per Pixel", Some(samples.into()), stream.samples.into()),
    ];
    for (name, expected, got) in pairs {
        if expected != Some(got) {
            let expected = expected.unwrap_or_default();
            let detail = format!("frame {number}: expected {name} {expected}, got {got}");
            return Err(Rejection::new(Reason::GeometryMismatch, detail));
        }
    }
    Ok(())
}

fn note_frame(frame: &Frame, warnings: &mut Warnings) {
    let notes = [
        (!frame.stream.terminated, WarningCode::CodestreamUnterminated),
        (frame.stream.boxes.is_some(), WarningCode::PayloadUnboxed),
        (frame.trailing, WarningCode::PayloadTrailing),
        (frame.fragments.len() > 1, WarningCode::FrameFragmented),
    ];
    for (_, code) in notes.into_iter().filter(|&(is, _)| is) {
        warnings.note(code);
    }
}

fn note_header(stream: &Codestream, pixels: &PixelDescription, warnings: &mut Warnings) {
    let differs = |of_header: Option<u16>, of_stream: Option<u16>| {
        of_header.zip(of_stream).is_some_and(|(header, stream)| header != stream)
    };
    let signed = stream.signed.map(u16::from);
    if differs(pixels.bits_stored, stream.precision.map(u16::from))
        || differs(pixels.pixel_representation, signed)
    {
        warnings.note(WarningCode::PixelDepthDiffers);
    }
    let photometric = pixels.photometric_interpretation.as_deref();
    if photometric.zip(stream.colour).is_some_and(|(name, colour)| !colour.fits(name)) {
        warnings.note(WarningCode::PhotometricDiffers);
    }
}

impl Colour {
    /// Returns true where a Photometric Interpretation may stand over this (PS3.5 8.2.1, 8.2.4).
    fn fits(self, photometric: &str) -> bool {
        match self {
            Self::Reversible => photometric == "YBR_RCT",
            Self::Irreversible => photometric == "YBR_ICT",
            Self::Untransformed => !matches!(photometric, "YBR_RCT" | "YBR_ICT"),
            Self::Ybr => photometric.starts_with("YBR_"),
            Self::Rgb => photometric == "RGB",
        }
    }
}

/// Returns the transfer syntax: one that may carry every frame. The claimed one is kept where the
/// bytes are lawful under it; then 5/3 under a lossy header is `.91`, since a reversible wavelet
/// may have been cut off; then the strictest counts.
fn transfer_syntax(
    frames: &[Frame],
    pixels: &PixelDescription,
    claimed: Option<TransferSyntax>,
) -> Result<TransferSyntax, Rejection> {
    let of_first = frames.first().map_or(&[][..], |frame| frame.stream.syntaxes);
    let carries_all =
        |syntax: &TransferSyntax| frames.iter().all(|frame| frame.stream.syntaxes.contains(syntax));
    let lawful: Vec<_> = of_first.iter().copied().filter(carries_all).collect();
    let wanted = claimed.filter(|claimed| lawful.contains(claimed)).or_else(|| {
        let lossy = TransferSyntax::Jpeg2000;
        (pixels.lossy && lawful.contains(&lossy)).then_some(lossy)
    });
    wanted.or_else(|| lawful.first().copied()).ok_or_else(|| {
        let detail = "frames of different codings, which no one transfer syntax can carry";
        Rejection::new(Reason::PayloadUnsupported, detail)
    })
}
