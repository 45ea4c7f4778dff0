//! The bytes of image members: pictures in all the forms that archives hold them in.
//!
//! Encoding is slow and drawing not free, so each recipe keeps a pool of pictures in their final
//! form, made when first needed. Native instances are retouched from there, each with a mark and a
//! number of its own; codestreams are taken as they are.
//!
//! The encoders here and the crates behind them were chosen by decoding what they write with
//! independent decoders: OpenJPEG, `CharLS`, libjpeg and pydicom.

mod encapsulate;
mod encode;
mod jpeg_lossless;
mod jpeg_ls;
mod native;
mod rle;

use std::io::Write as _;
use std::sync::OnceLock;

use flate2::write::GzEncoder;

use crate::error::SynthError;
use crate::layout::Version;
use crate::phantom;
use crate::plan::Instance;
use crate::recipe::{Form, Geometry, Preset, Recipe};
use crate::roles::Fault;

/// The pictures that are kept.
pub(crate) struct Pool {
    preset: Preset,
    /// By recipe, then by variant.
    pictures: Vec<Vec<OnceLock<Picture>>>,
}

/// A picture in its final form.
struct Picture {
    payload: Vec<u8>,
    /// Where the last frame begins; 0 for a single one.
    last_frame: usize,
}

impl Pool {
    /// Returns an empty pool.
    pub(crate) fn new(preset: Preset) -> Self {
        let pictures = Recipe::ALL
            .iter()
            .map(|recipe| (0..recipe.spec().variants(preset)).map(|_| OnceLock::new()).collect())
            .collect();
        Self { preset, pictures }
    }

    /// Appends an instance's payload to the buffer, which is empty.
    pub(crate) fn write(
        &self,
        instance: &Instance<'_>,
        version: Version,
        buffer: &mut Vec<u8>,
    ) -> Result<(), SynthError> {
        let other = usize::from(version == Version::Other);
        let variants = instance.spec().variants(self.preset);
        let native = instance.spec().form == Form::Native;
        // Retouching tells native versions apart; the others need another picture.
        let step = if native { 0 } else { other };
        let variant = (instance.variant() + step) % variants;
        let picture = self.picture(instance.series.recipe, variant)?;
        match version {
            Version::Broken(Fault::PayloadEmpty) => return Ok(()),
            Version::Broken(Fault::PayloadMissingFrame) => {
                buffer.extend_from_slice(&picture.payload[..picture.last_frame]);
                return Ok(());
            }
            _ => buffer.extend_from_slice(&picture.payload),
        }
        if native {
            native::retouch(buffer, instance, other as u32);
        }
        if version == Version::Broken(Fault::PayloadShort) {
            let geometry = instance.geometry();
            buffer.truncate(buffer.len() - geometry.frame_bytes() / geometry.rows as usize);
        }
        Ok(())
    }

    /// Returns a picture, which is made the first time.
    fn picture(&self, recipe: Recipe, variant: usize) -> Result<&Picture, SynthError> {
        let place = &self.pictures[recipe as usize][variant];
        if let Some(picture) = place.get() {
            return Ok(picture);
        }
        // Two threads may make the same picture at once; the bytes are the same.
        let picture = make(recipe, self.preset, variant)?;
        Ok(place.get_or_init(|| picture))
    }
}

/// Draws a picture and brings it into its form.
fn make(recipe: Recipe, preset: Preset, variant: usize) -> Result<Picture, SynthError> {
    let spec = recipe.spec();
    let geometry = spec.geometry(preset);
    let frames = draw(recipe, preset, &geometry, variant);
    let (payload, last_frame) = match spec.form {
        Form::Document => (Vec::new(), 0),
        Form::Native => (native::join(&frames, &geometry), 0),
        Form::NativeGzip => (gzip(&native::join(&frames, &geometry)), 0),
        Form::Bare(codec) | Form::Joined(codec) => {
            let codestreams = encode::all(codec, &frames, &geometry)?;
            let before_last = &codestreams[..codestreams.len() - 1];
            let last_frame = before_last.iter().map(Vec::len).sum();
            (codestreams.concat(), last_frame)
        }
        Form::Encapsulated(codec) => {
            (encapsulate::value(&encode::all(codec, &frames, &geometry)?), 0)
        }
    };
    Ok(Picture { payload, last_frame })
}

/// Draws all frames, each as bytes.
#[expect(clippy::cast_precision_loss, reason = "a few dozen variants")]
fn draw(recipe: Recipe, preset: Preset, geometry: &Geometry, variant: usize) -> Vec<Vec<u8>> {
    let spec = recipe.spec();
    let view = (variant as f64 + 0.5) / spec.variants(preset) as f64;
    let label = if spec.form == Form::Native {
        spec.modality.to_owned()
    } else {
        format!("{} V{variant}", spec.modality)
    };
    (0..geometry.frames)
        .map(|frame| {
            let moment = (f64::from(frame) + 0.5) / f64::from(geometry.frames);
            phantom::render(spec.scene, geometry, view, moment, &label)
                .bytes(geometry.bits_allocated)
        })
        .collect()
}

/// Returns the bytes as a gzip stream without a time.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Mix, Shares, SynthOptions};
    use crate::plan::Plan;

    fn payload(recipe: Recipe, version: Version) -> Vec<u8> {
        let options = SynthOptions {
            mix: Mix::of(&[(recipe, 1.0)]),
            shares: Shares::CLEAN,
            ..SynthOptions::new(3, 1)
        };
        let plan = Plan::new(&options);
        let mut buffer = Vec::new();
        Pool::new(Preset::Small).write(&plan.instance(1), version, &mut buffer).unwrap();
        buffer
    }

    #[test]
    fn native_payloads_are_as_long_as_their_geometry_says() {
        for (recipe, bytes) in [
            (Recipe::CtNative, 128 * 128 * 2),
            (Recipe::UsNative, 120 * 160 * 3 * 4),
            (Recipe::NmNative, 64 * 64 * 2 * 8),
            (Recipe::SegBits, 60 * 60 * 5 / 8),
        ] {
            assert_eq!(payload(recipe, Version::Right).len(), bytes, "{recipe:?}");
        }
        let short = payload(Recipe::CtNative, Version::Broken(Fault::PayloadShort));
        assert_eq!(short.len(), 128 * 127 * 2);
    }

    #[test]
    fn payloads_begin_like_what_they_are() {
        for (recipe, first) in [
            (Recipe::CtJpeg2000, &[0xFF, 0x4F, 0xFF, 0x51][..]),
            (Recipe::CtHtj2k, &[0xFF, 0x4F, 0xFF, 0x51]),
            (Recipe::CtJpegLs, &[0xFF, 0xD8, 0xFF, 0xF7]),
            (Recipe::CtJpegLossless, &[0xFE, 0xFF, 0x00, 0xE0]),
            (Recipe::CtGzip, &[0x1F, 0x8B]),
            (Recipe::MrRle, &[2, 0, 0, 0, 64, 0, 0, 0]),
            (Recipe::ScJpeg, &[0xFF, 0xD8]),
        ] {
            assert!(payload(recipe, Version::Right).starts_with(first), "{recipe:?}");
        }
    }

    #[test]
    fn another_version_has_other_bytes() {
        for &recipe in Recipe::ALL.iter().filter(|recipe| !recipe.is_header_only()) {
            let (right, other) = (payload(recipe, Version::Right), payload(recipe, Version::Other));
            assert_ne!(right, other, "{recipe:?}");
            assert_eq!(right, payload(recipe, Version::Right), "{recipe:?}");
        }
    }

    #[test]
    fn a_missing_frame_leaves_whole_codestreams() {
        let right = payload(Recipe::UsJpeg, Version::Right);
        let fewer = payload(Recipe::UsJpeg, Version::Broken(Fault::PayloadMissingFrame));
        assert!(right.starts_with(&fewer));
        assert!(fewer.ends_with(&[0xFF, 0xD9]));
        assert!(right[fewer.len()..].starts_with(&[0xFF, 0xD8]));
    }
}
