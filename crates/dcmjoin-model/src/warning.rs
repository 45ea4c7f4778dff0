//! What was repaired, kept or noted on the way, by code.
//!
//! A warning never stands for a lost value, except for those of [`WarningCode::is_lossy`], where
//! the value that JSON carried has no lawful form in DICOM; `--strict-values` turns these into
//! rejections.

use serde::{Deserialize, Serialize};

macro_rules! warnings {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// What was repaired, kept or noted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum WarningCode { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        impl WarningCode {
            /// All codes, in the order of the way of the data.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the code that reports and the catalogue use.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

warnings! {
    // The document.
    /// The document began with a UTF-8 byte order mark.
    JsonBom = "json_bom";
    /// The document was an array of one data set.
    JsonArray = "json_array";
    /// `NaN` or `Infinity` as bare tokens, which JSON does not have.
    JsonNan = "json_nan";
    /// A lone surrogate escape, replaced by U+FFFD.
    JsonLoneSurrogate = "json_lone_surrogate";
    /// A key in another form: a keyword, a tag with punctuation, a member's name in another case.
    KeyForm = "key_form";
    /// A key that stood twice; the last one counts.
    KeyDuplicate = "key_duplicate";
    /// Members of an element that DICOM JSON does not define.
    KeyExtra = "key_extra";

    // Value representations.
    /// No `vr`; taken from the dictionary, or by the JSON type of the value.
    VrMissing = "vr_missing";
    /// A `vr` that DICOM does not know; taken from the dictionary, or by the JSON type of the value.
    VrUnknown = "vr_unknown";
    /// An ambiguous `vr` such as `US or SS`, resolved by Pixel Representation or Bits Allocated.
    VrAmbiguous = "vr_ambiguous";
    /// A `Value` under `vr` UN, written with the VR of the dictionary, or by its JSON type.
    VrUnResolved = "vr_un_resolved";
    /// A value too long for its VR's 16-bit length, written as UN (PS3.5 6.2.2).
    VrOversize = "vr_oversize";

    // Values.
    /// A value that was not in an array.
    ValueScalar = "value_scalar";
    /// A `null` where DICOM JSON has an absent or empty value.
    ValueNull = "value_null";
    /// A number as a string, or text as a number.
    ValueTyped = "value_typed";
    /// An integer outside its VR's range, written as the bit pattern of the other sign.
    ValueWrapped = "value_wrapped";
    /// An AT in another spelling than eight hexadecimal digits.
    AttributeTagForm = "attribute_tag_form";
    /// A PN as plain text.
    PersonNameForm = "person_name_form";
    /// `InlineBinary` as an array, with white space, or unpadded.
    InlineBinaryForm = "inline_binary_form";
    /// A DS of more than 16 characters, rounded to the closest that fits.
    DecimalRounded = "decimal_rounded";
    /// Text longer than its VR allows, kept.
    TextTooLong = "text_too_long";
    /// Text outside ASCII in a VR that has only the default repertoire (CS, DA, UI …), kept in the
    /// data set's character set.
    TextNotAscii = "text_not_ascii";
    /// A DS or IS string that is not a number of its kind, kept.
    NumberForm = "number_form";
    /// A backslash inside a value: it separates values when read back.
    TextBackslash = "text_backslash";
    /// A UID longer than 64 characters, kept.
    UidTooLong = "uid_too_long";
    /// A UID with a component that starts with zero, kept.
    UidLeadingZero = "uid_leading_zero";
    /// A UI value that is not a UID, kept.
    UidForm = "uid_form";
    /// A `null` item, written as an empty one.
    SequenceNullItem = "sequence_null_item";
    /// A value that its VR cannot hold (a DS that is not finite, an IS with a fraction): written
    /// empty.
    ValueEmptied = "value_emptied";

    // The data set.
    /// File meta elements in the document; used as hints, then rebuilt.
    FileMetaRebuilt = "file_meta_rebuilt";
    /// Group lengths or elements of the command group, which do not belong in a file.
    GroupDropped = "group_dropped";
    /// A private element without its private creator, kept.
    PrivateCreatorMissing = "private_creator_missing";
    /// Non-ASCII text without (0008,0005): `ISO_IR 192` was declared.
    CharsetMissing = "charset_missing";
    /// Text that the declared character set cannot hold, or one that is not known: the data set
    /// was switched to `ISO_IR 192`.
    CharsetSwitched = "charset_switched";
    /// The header carried pixel data of its own.
    PixelDataInHeader = "pixel_data_in_header";

    // The payload.
    /// The image member was gz or zst.
    PayloadCompressed = "payload_compressed";
    /// A JP2 box structure was taken off a codestream (PS3.5 A.4.4).
    PayloadUnboxed = "payload_unboxed";
    /// Bytes after the end that are not padding; left out.
    PayloadTrailing = "payload_trailing";
    /// Native pixels had one byte of padding that is not the lawful NUL.
    PayloadPadding = "payload_padding";
    /// Big-endian native pixels, swapped to little-endian.
    PayloadSwapped = "payload_swapped";
    /// A codestream without its end marker, kept.
    CodestreamUnterminated = "codestream_unterminated";
    /// A frame in several fragments, kept so.
    FrameFragmented = "frame_fragmented";
    /// An offset table that the header carried, or that did not fit its fragments, was rebuilt.
    OffsetTableRebuilt = "offset_table_rebuilt";
    /// The header names another transfer syntax than the payload's bytes show; the bytes count.
    TransferSyntaxDiffers = "transfer_syntax_differs";
    /// Bits or sign of header and codestream differ; the header is kept.
    PixelDepthDiffers = "pixel_depth_differs";
    /// Photometric Interpretation and the codestream's colour transform differ; kept.
    PhotometricDiffers = "photometric_differs";
    /// A codestream that is lossy under a header that does not say so.
    LossyUndeclared = "lossy_undeclared";
    /// Several samples a pixel, and no Planar Configuration; colour by pixel is assumed by readers.
    PlanarMissing = "planar_missing";
}

impl WarningCode {
    /// Returns true where the value that JSON carried is not in the file as it was.
    #[must_use]
    pub const fn is_lossy(self) -> bool {
        matches!(
            self,
            Self::ValueEmptied
                | Self::DecimalRounded
                | Self::JsonLoneSurrogate
                | Self::KeyDuplicate
        )
    }
}

/// The warnings of one half or one pair: which codes, and how often each.
///
/// Small and sorted by code: an instance has few kinds of warnings, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warnings(Vec<(WarningCode, u32)>);

impl Warnings {
    /// Notes one warning.
    pub fn note(&mut self, code: WarningCode) {
        self.add(code, 1);
    }

    /// Notes `count` warnings of one code.
    pub fn add(&mut self, code: WarningCode, count: u32) {
        match self.0.binary_search_by_key(&code, |&(known, _)| known) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (code, count)),
        }
    }

    /// Notes all of another's warnings.
    pub fn extend(&mut self, other: &Self) {
        for &(code, count) in &other.0 {
            self.add(code, count);
        }
    }

    /// Returns the codes in order, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (WarningCode, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Returns true when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how often a code was noted.
    #[must_use]
    pub fn count(&self, code: WarningCode) -> u32 {
        self.iter().find(|&(known, _)| known == code).map_or(0, |(_, count)| count)
    }

    /// Returns the first code that stands for a value not kept as it was.
    #[must_use]
    pub fn first_lossy(&self) -> Option<WarningCode> {
        self.iter().map(|(code, _)| code).find(|code| code.is_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_code_in_order() {
        let mut warnings = Warnings::default();
        warnings.note(WarningCode::PlanarMissing);
        warnings.note(WarningCode::JsonBom);
        warnings.add(WarningCode::PlanarMissing, 2);
        let listed: Vec<_> = warnings.iter().collect();
        assert_eq!(listed, [(WarningCode::JsonBom, 1), (WarningCode::PlanarMissing, 3)]);
        assert_eq!(warnings.first_lossy(), None);
    }
}
