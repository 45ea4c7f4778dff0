//! UIDs (PS3.5 9.1): the names of instances, SOP Classes and transfer syntaxes.
//!
//! **Invariant:** a [`Uid`] holds only digits and single dots between digits, so it is safe as a
//! part of a path or key. Length and leading zeros are *not* enforced: archives hold UIDs that
//! break those two rules, and an instance is not lost for that; callers note it with
//! [`Uid::irregularities`].

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::warning::WarningCode;

/// The longest UID that is accepted, in bytes. The standard's own limit is [`UID_BYTES_STANDARD`];
/// real archives exceed it, and a key in an object store must stay well below 1,024 bytes.
pub const UID_BYTES_MAX: usize = 128;
/// The longest UID that the standard allows, in bytes (PS3.5 9.1).
pub const UID_BYTES_STANDARD: usize = 64;

/// A UID: dot-separated numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(Box<str>);

/// The UID of one instance, (0008,0018): the key that pairs the halves.
pub type SopInstanceUid = Uid;

/// Why a text is not a UID.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum UidError {
    /// Nothing is left after the padding is taken away.
    #[error("empty UID")]
    Empty,
    /// Longer than [`UID_BYTES_MAX`].
    #[error("UID of {got} bytes, at most {UID_BYTES_MAX} are accepted")]
    TooLong {
        /// The length found, in bytes.
        got: usize,
    },
    /// A byte other than a digit or a dot, or a dot that does not stand between digits.
    #[error("not a UID: unexpected byte at position {at}")]
    Character {
        /// Zero-based position of the byte in the text without its padding.
        at: usize,
    },
}

impl Uid {
    /// Parses a UID; trailing NUL and space padding is not part of it.
    ///
    /// # Errors
    /// [`UidError`] when the text is empty, too long, or not dot-separated numbers.
    pub fn parse(text: &str) -> Result<Self, UidError> {
        let text = text.trim_end_matches(['\0', ' ']);
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > UID_BYTES_MAX {
            return Err(UidError::TooLong { got: text.len() });
        }
        let mut after_digit = false;
        for (at, byte) in text.bytes().enumerate() {
            let fits = byte.is_ascii_digit() || (byte == b'.' && after_digit);
            if !fits {
                return Err(UidError::Character { at });
            }
            after_digit = byte.is_ascii_digit();
        }
        if !after_digit {
            return Err(UidError::Character { at: text.len() - 1 });
        }
        Ok(Self(text.into()))
    }

    /// Returns the UID as text, without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what the standard would object to, though the UID is usable.
    pub fn irregularities(&self) -> impl Iterator<Item = WarningCode> + '_ {
        let too_long = self.0.len() > UID_BYTES_STANDARD;
        let leading_zero = self.0.split('.').any(|part| part.len() > 1 && part.starts_with('0'));
        [
            too_long.then_some(WarningCode::UidTooLong),
            leading_zero.then_some(WarningCode::UidLeadingZero),
        ]
        .into_iter()
        .flatten()
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;
    fn try_from(text: String) -> Result<Self, UidError> {
        Self::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0.into()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UIDs identify people's examinations: the debug form is for tests, not for logs.
impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({})", self.0)
    }
}

macro_rules! transfer_syntaxes {
    ($($(#[$doc:meta])* $name:ident = $uid:literal, $text:literal;)*) => {
        /// The transfer syntaxes that dcmjoin reads or writes (PS3.6 A).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum TransferSyntax { $($(#[$doc])* #[serde(rename = $uid)] $name,)* }

        impl TransferSyntax {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the Transfer Syntax UID.
            #[must_use]
            pub const fn uid(self) -> &'static str {
                match self { $(Self::$name => $uid,)* }
            }

            /// Returns the name that people know it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

transfer_syntaxes! {
    /// Native, VRs implied by the dictionary; never written.
    ImplicitVrLittleEndian = "1.2.840.10008.1.2", "Implicit VR Little Endian";
    /// Native; what dcmjoin writes for native pixels and for header-only instances.
    ExplicitVrLittleEndian = "1.2.840.10008.1.2.1", "Explicit VR Little Endian";
    /// The data set as a zlib stream; never written.
    DeflatedExplicitVrLittleEndian = "1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian";
    /// Native, retired; its pixels are byte-swapped on the way.
    ExplicitVrBigEndian = "1.2.840.10008.1.2.2", "Explicit VR Big Endian";
    /// SOF0.
    JpegBaseline = "1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)";
    /// SOF1, 8 or 12 bits.
    JpegExtended = "1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)";
    /// SOF3 with any predictor.
    JpegLossless = "1.2.840.10008.1.2.4.57", "JPEG Lossless (Process 14)";
    /// SOF3 with predictor 1.
    JpegLosslessSv1 = "1.2.840.10008.1.2.4.70", "JPEG Lossless (Process 14, SV1)";
    /// NEAR = 0.
    JpegLsLossless = "1.2.840.10008.1.2.4.80", "JPEG-LS Lossless";
    /// NEAR > 0.
    JpegLsNearLossless = "1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless";
    /// 5/3 wavelet.
    Jpeg2000Lossless = "1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless";
    /// 9/7 wavelet, or 5/3 where the header says lossy.
    Jpeg2000 = "1.2.840.10008.1.2.4.91", "JPEG 2000";
    /// Recognised, kept as it is.
    Mpeg2MainProfile = "1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level";
    /// Recognised, kept as it is.
    Mpeg2HighLevel = "1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level";
    /// Recognised, kept as it is.
    Mpeg4HighProfile = "1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1";
    /// Recognised, kept as it is.
    Mpeg4BdCompatible = "1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible";
    /// Recognised, kept as it is.
    HevcMainProfile = "1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1";
    /// Recognised, kept as it is.
    HevcMain10Profile = "1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1";
    /// JPEG XL, lossless.
    JpegXlLossless = "1.2.840.10008.1.2.4.110", "JPEG XL Lossless";
    /// JPEG XL, a recompressed JPEG.
    JpegXlRecompression = "1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression";
    /// JPEG XL.
    JpegXl = "1.2.840.10008.1.2.4.112", "JPEG XL";
    /// HTJ2K, reversible.
    Htj2kLossless = "1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless";
    /// HTJ2K, reversible, RPCL with TLM.
    Htj2kLosslessRpcl = "1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 Lossless RPCL";
    /// HTJ2K, irreversible.
    Htj2k = "1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000";
    /// `PackBits` by byte plane (PS3.5 G).
    RleLossless = "1.2.840.10008.1.2.5", "RLE Lossless";
}

impl TransferSyntax {
    /// Returns the syntax of a UID, or `None` for one that is not in the list.
    #[must_use]
    pub fn from_uid(uid: &str) -> Option<Self> {
        let uid = uid.trim_end_matches(['\0', ' ']);
        Self::ALL.iter().copied().find(|syntax| syntax.uid() == uid)
    }

    /// Returns true where pixel data is a sequence of fragments (PS3.5 A.4).
    #[must_use]
    pub const fn is_encapsulated(self) -> bool {
        !matches!(
            self,
            Self::ImplicitVrLittleEndian
                | Self::ExplicitVrLittleEndian
                | Self::DeflatedExplicitVrLittleEndian
                | Self::ExplicitVrBigEndian
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_uids_and_their_padding() {
        for text in ["2.25.1", "1.2.840.10008.1.2\0", "1.2.3 ", "0.1", "1.02.3", "7"] {
            assert!(Uid::parse(text).is_ok(), "{text:?}");
        }
        assert_eq!(Uid::parse("1.2\0").unwrap().as_str(), "1.2");
    }

    #[test]
    fn refuses_what_could_be_a_path() {
        for text in
            ["", "\0", ".", "..", "1..2", ".1", "1.", "1/2", "../1.2", "1.2a", "1.2\n", "１"]
        {
            assert!(Uid::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Uid::parse(&"1".repeat(129)), Err(UidError::TooLong { got: 129 }));
    }

    #[test]
    fn notes_what_the_standard_objects_to() {
        let codes = |text: &str| Uid::parse(text).unwrap().irregularities().collect::<Vec<_>>();
        assert_eq!(codes("1.2.3"), []);
        assert_eq!(codes("1.2.0"), []);
        assert_eq!(codes("1.02"), [WarningCode::UidLeadingZero]);
        assert_eq!(codes(&"1".repeat(65)), [WarningCode::UidTooLong]);
    }

    #[test]
    fn transfer_syntaxes_are_found_by_their_uid() {
        for &syntax in TransferSyntax::ALL {
            assert_eq!(TransferSyntax::from_uid(syntax.uid()), Some(syntax));
        }
        assert_eq!(TransferSyntax::from_uid("1.2.3"), None);
    }
}
