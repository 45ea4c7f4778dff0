//! What a root data set says of itself, collected while it is written.
//!
//! Values are taken from the bytes that go into the file, so that what is reported is what is
//! there, whatever form JSON had it in.

use dcmjoin_model::{PixelDescription, Reason, TransferSyntax, Uid};

use super::halt::{Halt, Step};
use super::vr::{Form, Number, Vr};

/// What was collected.
#[derive(Debug, Default)]
pub(super) struct Facts {
    instance: Option<Result<Uid, String>>,
    class: Option<Result<Uid, String>>,
    pub(super) study: Option<Uid>,
    pub(super) series: Option<Uid>,
    meta_syntax: Option<TransferSyntax>,
    available_syntax: Option<TransferSyntax>,
    pub(super) pixels: PixelDescription,
    /// The value of pixel data that stood in the document.
    pub(super) inline_pixels: Option<Vec<u8>>,
    /// The document carries (7FE0,0008) or (7FE0,0009).
    pub(super) float_pixels: bool,
    /// Where pixel data belongs.
    pub(super) pixel_data_at: Option<usize>,
}

impl Facts {
    /// Takes note of an element that was written.
    pub(super) fn observe(&mut self, tag: u32, vr: Vr, value: &[u8]) {
        let pixels = &mut self.pixels;
        match tag {
            0x0002_0010 => self.meta_syntax = text(value).and_then(TransferSyntax::from_uid),
            0x0008_0016 => self.class = uid(value),
            0x0008_0018 => self.instance = uid(value),
            0x0008_3002 => self.available_syntax = text(value).and_then(TransferSyntax::from_uid),
            0x0020_000D => self.study = uid(value).and_then(Result::ok),
            0x0020_000E => self.series = uid(value).and_then(Result::ok),
            0x0028_0002 => pixels.samples_per_pixel = small(vr, value),
            0x0028_0004 => {
                pixels.photometric_interpretation =
                    text(value).filter(|text| !text.is_empty()).map(str::to_owned);
            }
            0x0028_0006 => pixels.planar_configuration = small(vr, value),
            0x0028_0008 => pixels.number_of_frames = number(vr, value),
            0x0028_0010 => pixels.rows = number(vr, value),
            0x0028_0011 => pixels.columns = number(vr, value),
            0x0028_0100 => pixels.bits_allocated = small(vr, value),
            0x0028_0101 => pixels.bits_stored = small(vr, value),
            0x0028_0103 => pixels.pixel_representation = small(vr, value),
            0x0028_2110 => pixels.lossy = text(value) == Some("01"),
            _ => {}
        }
    }

    /// Returns (0008,0018).
    pub(super) fn instance(&mut self) -> Step<Uid> {
        required(self.instance.take(), Reason::UidMissing, "(0008,0018)")
    }

    /// Returns (0008,0016).
    pub(super) fn class(&mut self) -> Step<Uid> {
        required(self.class.take(), Reason::SopClassMissing, "(0008,0016)")
    }

    /// Returns the transfer syntax that the document claims.
    pub(super) fn transfer_syntax(&self) -> Option<TransferSyntax> {
        self.meta_syntax.or(self.available_syntax)
    }
}

fn required(uid: Option<Result<Uid, String>>, reason: Reason, name: &str) -> Step<Uid> {
    match uid {
        Some(Ok(uid)) => Ok(uid),
        Some(Err(why)) => Err(Halt::reject(reason, format!("{name}: {why}"))),
        None => Err(Halt::reject(reason, format!("{name} is absent or empty"))),
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(|text| text.trim_matches([' ', '\0']))
}

fn uid(value: &[u8]) -> Option<Result<Uid, String>> {
    let text = text(value).unwrap_or("?");
    (!text.is_empty()).then(|| Uid::parse(text).map_err(|error| error.to_string()))
}

/// Reads the first value of a number in whatever VR it was written.
fn number(vr: Vr, value: &[u8]) -> Option<u32> {
    match vr.form() {
        Form::Numbers(Number::Integer { bytes, .. }) => {
            let value = value.get(..usize::from(bytes))?;
            let sum = value
                .iter()
                .rev()
                .try_fold(0_u64, |sum, &byte| Some(sum.checked_mul(256)? | u64::from(byte)))?;
            u32::try_from(sum).ok()
        }
        Form::Numbers(_) | Form::Tag | Form::Bytes(_) | Form::Items => None,
        _ => text(value)?.split('\\').next()?.trim().parse().ok(),
    }
}

fn small(vr: Vr, value: &[u8]) -> Option<u16> {
    number(vr, value).and_then(|number| u16::try_from(number).ok())
}
