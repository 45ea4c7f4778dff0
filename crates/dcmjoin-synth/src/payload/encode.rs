//! Frames to codestreams.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use oxideav_jpeg2000::encode::{EncodeOptions, encode_j2k, encode_j2k_u16};

use super::{jpeg_lossless, jpeg_ls, rle};
use crate::error::SynthError;
use crate::recipe::{Codec, Geometry};

/// JPEG's scale of 1 to 100; high enough that letters stay sharp.
const JPEG_QUALITY: u8 = 85;

/// Returns the codestream of each frame.
pub(super) fn all(
    codec: Codec,
    frames: &[Vec<u8>],
    geometry: &Geometry,
) -> Result<Vec<Vec<u8>>, SynthError> {
    frames.iter().map(|frame| one(codec, frame, geometry)).collect()
}

/// Returns the codestream of a frame.
fn one(codec: Codec, frame: &[u8], geometry: &Geometry) -> Result<Vec<u8>, SynthError> {
    match codec {
        Codec::Jpeg2000 => jpeg2000(frame, geometry, false),
        Codec::HighThroughput => jpeg2000(frame, geometry, true),
        Codec::Jpeg => jpeg(frame, geometry),
        Codec::JpegLossless => Ok(jpeg_lossless::encode(&words(frame), geometry)),
        Codec::JpegLs => Ok(jpeg_ls::encode(&words(frame), geometry)),
        Codec::Rle => Ok(rle::encode(frame, geometry)),
    }
}

/// Encodes with the reversible wavelet, and the reversible colour transform where there are
/// colours.
fn jpeg2000(
    frame: &[u8],
    geometry: &Geometry,
    high_throughput: bool,
) -> Result<Vec<u8>, SynthError> {
    let mut options = EncodeOptions::default();
    options.decomposition_levels = 5;
    options.mct = Some(geometry.samples == 3);
    options.high_throughput = high_throughput;
    if high_throughput {
        // OpenJPEG refuses some larger high-throughput blocks that OpenJPH reads.
        options.code_block_exp = (4, 4);
    }
    let (width, height) = (geometry.columns, geometry.rows);
    let encoded = if geometry.bits_allocated == 8 {
        let planes = planes(frame, geometry.samples as usize);
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        encode_j2k(&planes, width, height, &options)
    } else {
        let bits = geometry.bits_stored as u8;
        encode_j2k_u16(&[&words(frame)], width, height, bits, &options)
    };
    encoded.map_err(|error| SynthError::Encode { codec: "JPEG 2000", detail: error.to_string() })
}

/// Encodes as JPEG Baseline, with chrominance shared between two pixels.
fn jpeg(frame: &[u8], geometry: &Geometry) -> Result<Vec<u8>, SynthError> {
    let mut codestream = Vec::new();
    let mut encoder = Encoder::new(&mut codestream, JPEG_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
    encoder
        .encode(frame, geometry.columns as u16, geometry.rows as u16, ColorType::Rgb)
        .map_err(|error| SynthError::Encode { codec: "JPEG", detail: error.to_string() })?;
    Ok(codestream)
}

/// Returns the samples of each colour.
fn planes(frame: &[u8], samples: usize) -> Vec<Vec<u8>> {
    (0..samples)
        .map(|sample| frame.iter().skip(sample).step_by(samples).copied().collect())
        .collect()
}

/// Returns 16-bit samples.
fn words(frame: &[u8]) -> Vec<u16> {
    frame.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}
