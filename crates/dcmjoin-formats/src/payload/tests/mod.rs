//! Tests of the recogniser.

pub(crate) mod build;
mod forms;
mod hostile;
mod pitfalls;

use bytes::Bytes;
use dcmjoin_model::{PayloadKind, PixelDescription, Reason, TransferSyntax, WarningCode};

use super::{PayloadLimits, PixelValue, Pixels, recognise};

fn pixels_of(payload: &[u8], header: &PixelDescription, claimed: Option<TransferSyntax>) -> Pixels {
    let payload = Bytes::copy_from_slice(payload);
    recognise(payload, header, claimed, &PayloadLimits::default()).unwrap()
}

fn reason_of(payload: &[u8], header: &PixelDescription, claimed: Option<TransferSyntax>) -> Reason {
    let payload = Bytes::copy_from_slice(payload);
    recognise(payload, header, claimed, &PayloadLimits::default()).unwrap_err().reason
}

fn codes(pixels: &Pixels) -> Vec<WarningCode> {
    pixels.warnings.iter().map(|(code, _)| code).collect()
}

/// The bytes of each frame, its fragments joined.
fn frames(pixels: &Pixels) -> Vec<Vec<u8>> {
    match &pixels.value {
        PixelValue::Encapsulated(frames) => frames.iter().map(|frame| frame.concat()).collect(),
        PixelValue::Native(_) => panic!("native"),
    }
}

fn native(pixels: &Pixels) -> &[u8] {
    assert_eq!(pixels.kind, PayloadKind::Native);
    match &pixels.value {
        PixelValue::Native(value) => value,
        PixelValue::Encapsulated(_) => panic!("encapsulated"),
    }
}
