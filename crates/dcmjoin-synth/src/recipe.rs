//! The recipes: what kinds of series there are, each with its SOP Class, pixels and payload form.
//!
//! One table holds all facts; the rest of the crate asks it. Sizes come in two presets: small ones
//! for a demo that is done in seconds, full ones as scanners make them.

use serde::{Deserialize, Serialize};

/// How an image member holds its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Uncompressed, as long as the geometry says.
    Native,
    /// The same, as a gzip stream.
    NativeGzip,
    /// One codestream.
    Bare(Codec),
    /// One codestream a frame, end to end.
    Joined(Codec),
    /// Items with an offset table, and no sequence delimiter: what Python programs get when they
    /// write out the value of Pixel Data.
    Encapsulated(Codec),
    /// None: the SOP Class has no pixels.
    Document,
}

/// An encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Jpeg2000,
    HighThroughput,
    Jpeg,
    JpegLossless,
    JpegLs,
    Rle,
}

/// What a phantom shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    HeadCt,
    HeadMr,
    Chest,
    Sector,
    Screen,
    Bones,
    Mask,
    Nothing,
}

/// The size of pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// CT of 128 by 128 and the like: thousands of instances a second, tens of kilobytes each.
    #[default]
    Small,
    /// As scanners make them: CT of 512 by 512, radiographs of megabytes.
    Full,
}

/// The pixels of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) frames: u32,
    pub(crate) samples: u32,
    pub(crate) bits_allocated: u32,
    pub(crate) bits_stored: u32,
    pub(crate) signed: bool,
    pub(crate) photometric: &'static str,
}

impl Geometry {
    /// Returns the bytes of one frame, for whole-byte samples.
    pub(crate) const fn frame_bytes(&self) -> usize {
        (self.rows * self.columns * self.samples * self.bits_allocated / 8) as usize
    }
}

/// The facts of a recipe.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) modality: &'static str,
    pub(crate) sop_class: &'static str,
    pub(crate) form: Form,
    pub(crate) scene: Scene,
    /// Rows, columns and frames of the two presets.
    small: [u32; 3],
    full: [u32; 3],
    samples: u32,
    /// Bits allocated and stored.
    bits: [u32; 2],
    signed: bool,
    photometric: &'static str,
    /// The fewest and the most instances of a series.
    pub(crate) series: [u32; 2],
    /// The default weight in the mix.
    weight: f64,
    /// How many different pictures are kept, in the two presets.
    variants: [usize; 2],
}

macro_rules! recipes {
    ($($(#[$doc:meta])* $name:ident = $word:literal { $($field:ident: $value:expr),* $(,)? })*) => {
        /// A kind of series: modality and payload form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Recipe { $($(#[$doc])* #[serde(rename = $word)] $name,)* }

        impl Recipe {
            /// All recipes, those without pixels last.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word for this recipe.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }

        static SPECS: &[Spec] = &[$(
            Spec { $($field: $value,)* ..Spec::BLANK },
        )*];
    };
}

impl Spec {
    const BLANK: Self = Self {
        modality: "",
        sop_class: "",
        form: Form::Document,
        scene: Scene::Nothing,
        small: [0, 0, 1],
        full: [0, 0, 1],
        samples: 1,
        bits: [16, 12],
        signed: false,
        photometric: "MONOCHROME2",
        series: [1, 1],
        weight: 1.0,
        variants: [32, 32],
    };
}

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
const US_MULTI_FRAME: &str = "1.2.840.10008.5.1.4.1.1.3.1";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

recipes! {
    /// CT, signed 16-bit native.
    CtNative = "ct_native" {
        modality: "CT", sop_class: CT, form: Form::Native, scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], bits: [16, 16], signed: true,
        series: [20, 120], weight: 22.0,
    }
    /// CT, bare JPEG 2000 codestreams.
    CtJpeg2000 = "ct_j2k" {
        modality: "CT", sop_class: CT, form: Form::Bare(Codec::Jpeg2000), scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], series: [20, 120], weight: 12.0,
    }
    /// CT, bare HTJ2K codestreams.
    CtHtj2k = "ct_htj2k" {
        modality: "CT", sop_class: CT, form: Form::Bare(Codec::HighThroughput),
        scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], series: [20, 80], weight: 4.0,
    }
    /// CT, bare JPEG-LS codestreams.
    CtJpegLs = "ct_jpeg_ls" {
        modality: "CT", sop_class: CT, form: Form::Bare(Codec::JpegLs), scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], series: [20, 80], weight: 5.0,
    }
    /// CT, JPEG Lossless SV1 as an encapsulated value.
    CtJpegLossless = "ct_jpeg_lossless" {
        modality: "CT", sop_class: CT, form: Form::Encapsulated(Codec::JpegLossless),
        scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], series: [20, 80], weight: 6.0,
    }
    /// CT, native pixels that someone put through gzip.
    CtGzip = "ct_gzip" {
        modality: "CT", sop_class: CT, form: Form::NativeGzip, scene: Scene::HeadCt,
        small: [128, 128, 1], full: [512, 512, 1], bits: [16, 16], signed: true,
        series: [10, 40], weight: 3.0,
    }
    /// MR, 12 of 16 bits native.
    MrNative = "mr_native" {
        modality: "MR", sop_class: MR, form: Form::Native, scene: Scene::HeadMr,
        small: [128, 128, 1], full: [256, 256, 1], series: [12, 60], weight: 15.0,
    }
    /// MR, bare RLE segments.
    MrRle = "mr_rle" {
        modality: "MR", sop_class: MR, form: Form::Bare(Codec::Rle), scene: Scene::HeadMr,
        small: [128, 128, 1], full: [256, 256, 1], series: [12, 60], weight: 5.0,
    }
    /// Enhanced MR, JPEG 2000 frames as an encapsulated value with an offset table.
    MrEnhanced = "mr_enhanced" {
        modality: "MR", sop_class: "1.2.840.10008.5.1.4.1.1.4.1",
        form: Form::Encapsulated(Codec::Jpeg2000), scene: Scene::HeadMr,
        small: [64, 64, 8], full: [256, 256, 24], series: [1, 2], weight: 1.0, variants: [8, 4],
    }
    /// Digital radiographs, 14 of 16 bits native.
    DxNative = "dx_native" {
        modality: "DX", sop_class: "1.2.840.10008.5.1.4.1.1.1.1", form: Form::Native,
        scene: Scene::Chest, bits: [16, 14],
        small: [256, 256, 1], full: [2048, 2048, 1], series: [1, 3], weight: 4.0, variants: [8, 2],
    }
    /// Computed radiographs, inverted, JPEG 2000.
    CrJpeg2000 = "cr_j2k" {
        modality: "CR", sop_class: "1.2.840.10008.5.1.4.1.1.1", form: Form::Bare(Codec::Jpeg2000),
        scene: Scene::Chest, bits: [16, 10], photometric: "MONOCHROME1",
        small: [256, 256, 1], full: [1760, 1760, 1], series: [1, 3], weight: 4.0, variants: [16, 4],
    }
    /// Ultrasound clips, RGB native.
    UsNative = "us_native" {
        modality: "US", sop_class: US_MULTI_FRAME, form: Form::Native, scene: Scene::Sector,
        samples: 3, bits: [8, 8], photometric: "RGB",
        small: [120, 160, 4], full: [480, 640, 24], series: [1, 8], weight: 3.0, variants: [4, 1],
    }
    /// Ultrasound clips, JPEG Baseline frames joined end to end.
    UsJpeg = "us_jpeg" {
        modality: "US", sop_class: US_MULTI_FRAME, form: Form::Joined(Codec::Jpeg),
        scene: Scene::Sector, samples: 3, bits: [8, 8], photometric: "YBR_FULL_422",
        small: [120, 160, 6], full: [480, 640, 40], series: [1, 8], weight: 4.0, variants: [8, 4],
    }
    /// Screen captures, RGB native.
    ScNative = "sc_native" {
        modality: "OT", sop_class: SECONDARY_CAPTURE, form: Form::Native, scene: Scene::Screen,
        samples: 3, bits: [8, 8], photometric: "RGB",
        small: [120, 160, 1], full: [768, 1024, 1], series: [1, 4], weight: 2.0, variants: [4, 2],
    }
    /// Screen captures, one JPEG Baseline codestream.
    ScJpeg = "sc_jpeg" {
        modality: "OT", sop_class: SECONDARY_CAPTURE, form: Form::Bare(Codec::Jpeg),
        scene: Scene::Screen, samples: 3, bits: [8, 8], photometric: "YBR_FULL_422",
        small: [120, 160, 1], full: [768, 1024, 1], series: [1, 4], weight: 3.0, variants: [16, 8],
    }
    /// Screen captures, JPEG 2000 with its reversible colour transform.
    ScJpeg2000 = "sc_j2k" {
        modality: "OT", sop_class: SECONDARY_CAPTURE, form: Form::Bare(Codec::Jpeg2000),
        scene: Scene::Screen, samples: 3, bits: [8, 8], photometric: "YBR_RCT",
        small: [120, 160, 1], full: [768, 1024, 1], series: [1, 4], weight: 1.0, variants: [8, 4],
    }
    /// Nuclear medicine, several frames native.
    NmNative = "nm_native" {
        modality: "NM", sop_class: NM, form: Form::Native, scene: Scene::Bones, bits: [16, 16],
        small: [64, 64, 8], full: [128, 128, 60], series: [1, 4], weight: 2.0, variants: [4, 2],
    }
    /// Nuclear medicine, JPEG 2000 frames joined end to end.
    NmJpeg2000 = "nm_j2k" {
        modality: "NM", sop_class: NM, form: Form::Joined(Codec::Jpeg2000), scene: Scene::Bones,
        bits: [16, 16],
        small: [64, 64, 4], full: [128, 128, 60], series: [1, 4], weight: 2.0, variants: [8, 4],
    }
    /// Segmentations, one bit a pixel, packed over all frames.
    SegBits = "seg_bits" {
        modality: "SEG", sop_class: "1.2.840.10008.5.1.4.1.1.66.4", form: Form::Native,
        scene: Scene::Mask, bits: [1, 1],
        small: [60, 60, 5], full: [500, 500, 11], series: [1, 1], weight: 1.0, variants: [4, 4],
    }
    /// Structured reports: no pixels.
    Report = "sr" {
        modality: "SR", sop_class: "1.2.840.10008.5.1.4.1.1.88.22", weight: 2.0,
    }
    /// Key object selections: no pixels.
    KeyObjects = "ko" {
        modality: "KO", sop_class: "1.2.840.10008.5.1.4.1.1.88.59", weight: 1.0,
    }
    /// Presentation states: no pixels.
    Presentation = "pr" {
        modality: "PR", sop_class: "1.2.840.10008.5.1.4.1.1.11.1", weight: 2.0,
    }
    /// Radiotherapy structure sets: no pixels.
    StructureSet = "rtstruct" {
        modality: "RTSTRUCT", sop_class: "1.2.840.10008.5.1.4.1.1.481.3", weight: 1.0,
    }
}

impl Recipe {
    /// Returns the facts of this recipe.
    pub(crate) fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// Returns true for recipes whose instances are complete with their header.
    #[must_use]
    pub fn is_header_only(self) -> bool {
        self.spec().form == Form::Document
    }

    /// Returns the weight that this recipe has by default among those of its kind.
    #[must_use]
    pub fn default_weight(self) -> f64 {
        self.spec().weight
    }
}

impl Spec {
    /// Returns the pixels of an instance.
    pub(crate) const fn geometry(&self, preset: Preset) -> Geometry {
        let [rows, columns, frames] = match preset {
            Preset::Small => self.small,
            Preset::Full => self.full,
        };
        Geometry {
            rows,
            columns,
            frames,
            samples: self.samples,
            bits_allocated: self.bits[0],
            bits_stored: self.bits[1],
            signed: self.signed,
            photometric: self.photometric,
        }
    }

    /// Returns how many different pictures are kept.
    pub(crate) const fn variants(&self, preset: Preset) -> usize {
        self.variants[preset as usize]
    }

    /// Returns true where the pixels have been through lossy compression.
    pub(crate) const fn is_lossy(&self) -> bool {
        matches!(self.form, Form::Bare(Codec::Jpeg) | Form::Joined(Codec::Jpeg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_whole() {
        for &recipe in Recipe::ALL {
            let spec = recipe.spec();
            assert_eq!(recipe.is_header_only(), spec.scene == Scene::Nothing);
            assert!(spec.variants(Preset::Small) > 0 && spec.series[0] <= spec.series[1]);
        }
    }
}
