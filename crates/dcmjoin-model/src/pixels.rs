//! What a header says of its pixels (PS3.3 C.7.6.3), and what a payload turned out to be.

use serde::{Deserialize, Serialize};

/// The attributes of the Image Pixel Module that decide how a payload is read. A `None` means that
/// the header does not say, or says nothing usable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelDescription {
    /// (0028,0010)
    pub rows: Option<u32>,
    /// (0028,0011)
    pub columns: Option<u32>,
    /// (0028,0002)
    pub samples_per_pixel: Option<u16>,
    /// (0028,0100)
    pub bits_allocated: Option<u16>,
    /// (0028,0101)
    pub bits_stored: Option<u16>,
    /// (0028,0103): 0 unsigned, 1 two's complement.
    pub pixel_representation: Option<u16>,
    /// (0028,0006): 0 by pixel, 1 by plane.
    pub planar_configuration: Option<u16>,
    /// (0028,0008). `None` where the header does not say; it then counts as one frame.
    pub number_of_frames: Option<u32>,
    /// (0028,0004), without padding.
    pub photometric_interpretation: Option<String>,
    /// The VR that the header gives (7FE0,0010): true for OW, false for OB. It decides the order of
    /// bytes of big-endian pixels of up to 8 bits, and nothing else.
    pub pixel_data_words: Option<bool>,
    /// (0028,2110) is `01`: the pixels have been through lossy compression.
    pub lossy: bool,
}

impl PixelDescription {
    /// Returns the number of frames that a payload must hold, at least one.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.number_of_frames.unwrap_or(1).max(1)
    }

    /// Returns the length in bytes of the native value without padding, or `None` where the header
    /// lacks an attribute that decides it (PS3.5 8.1.1, 8.2, A.2).
    ///
    /// Single bits are packed over all frames (PS3.5 8.1.1); `YBR_FULL_422` and
    /// `YBR_PARTIAL_422` share chrominance between two pixels (PS3.3 C.7.6.3.1.2);
    /// `YBR_PARTIAL_420` between four.
    #[must_use]
    pub fn native_bytes(&self) -> Option<u64> {
        let pixels = u64::from(self.rows?).checked_mul(u64::from(self.columns?))?;
        let samples = u64::from(self.samples_per_pixel.unwrap_or(1));
        let bits_per_pixel = samples.checked_mul(u64::from(self.bits_allocated?))?;
        let bits = pixels.checked_mul(bits_per_pixel)?.checked_mul(u64::from(self.frames()))?;
        let bits = match self.photometric_interpretation.as_deref() {
            Some("YBR_FULL_422" | "YBR_PARTIAL_422") if samples == 3 => bits / 3 * 2,
            Some("YBR_PARTIAL_420") if samples == 3 => bits / 2,
            _ => bits,
        };
        Some(bits.div_ceil(8))
    }
}

/// The forms in which image members hold their pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// Uncompressed pixels, as long as the header's geometry says.
    Native,
    /// One bare codestream.
    Codestream,
    /// Several codestreams joined end to end, one a frame.
    Codestreams,
    /// An encapsulated value: items, with or without the sequence delimiter.
    Encapsulated,
    /// No bytes at all.
    Empty,
}

impl PayloadKind {
    /// Returns the word for this kind that reports and the catalogue use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Codestream => "codestream",
            Self::Codestreams => "codestreams",
            Self::Encapsulated => "encapsulated",
            Self::Empty => "empty",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(samples: u16, bits: u16, photometric: &str, frames: u32) -> PixelDescription {
        PixelDescription {
            rows: Some(3),
            columns: Some(6),
            samples_per_pixel: Some(samples),
            bits_allocated: Some(bits),
            number_of_frames: Some(frames),
            photometric_interpretation: Some(photometric.into()),
            ..PixelDescription::default()
        }
    }

    #[test]
    fn native_length_follows_the_geometry() {
        assert_eq!(image(1, 16, "MONOCHROME2", 1).native_bytes(), Some(36));
        assert_eq!(image(3, 8, "RGB", 2).native_bytes(), Some(108));
        assert_eq!(image(1, 1, "MONOCHROME2", 3).native_bytes(), Some(7), "54 bits over 3 frames");
        assert_eq!(
            image(1, 12, "MONOCHROME2", 1).native_bytes(),
            Some(27),
            "packed 12-bit samples"
        );
        assert_eq!(image(3, 8, "YBR_FULL_422", 1).native_bytes(), Some(36));
        assert_eq!(image(3, 8, "YBR_PARTIAL_420", 1).native_bytes(), Some(27));
    }

    #[test]
    fn a_geometry_with_gaps_or_beyond_all_bounds_has_no_length() {
        assert_eq!(PixelDescription::default().native_bytes(), None);
        let huge = PixelDescription {
            rows: Some(u32::MAX),
            columns: Some(u32::MAX),
            samples_per_pixel: Some(u16::MAX),
            bits_allocated: Some(u16::MAX),
            ..PixelDescription::default()
        };
        assert_eq!(huge.native_bytes(), None);
    }
}
