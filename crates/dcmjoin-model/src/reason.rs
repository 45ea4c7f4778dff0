//! Why a half, a pair or an archive cannot be used: the reasons of the dead letters.
//!
//! Each reason has one section in `docs/dead-letters.md`; a test fails where one is missing.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// Why something is in the dead letters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        impl Reason {
            /// All reasons, in the order of the way of the data.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the code that reports, metrics and pages use.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// The archive could not be read from its store: gone, denied, replaced mid-read.
    ArchiveUnreadable = "archive_unreadable";
    /// The archive's tar or compressed stream is broken; what stands before the break counts.
    ArchiveDamaged = "archive_damaged";
    /// The archive is beyond a limit: members, lengths of names, time, or compression ratio.
    ArchiveLimit = "archive_limit";

    /// The archive ends inside this member.
    MemberTruncated = "member_truncated";
    /// The member is larger than the limit for its half.
    MemberTooLarge = "member_too_large";
    /// A GNU or PAX sparse member, whose bytes are not the file's bytes.
    MemberSparse = "member_sparse";
    /// The member has the extension of a half, but its name is not a SOP Instance UID.
    MemberName = "member_name";
    /// The member is gz or zst, and does not decompress within its limits.
    MemberCompression = "member_compression";

    /// Not JSON, or not UTF-8.
    JsonSyntax = "json_syntax";
    /// JSON, but not one DICOM JSON data set (PS3.18 F.2).
    JsonShape = "json_shape";
    /// Beyond a limit on depth, elements or bytes.
    JsonLimit = "json_limit";
    /// No (0008,0018) in the header that is a UID.
    UidMissing = "uid_missing";
    /// The member's name and (0008,0018) differ, or the header holds two different UIDs.
    UidMismatch = "uid_mismatch";
    /// No usable (0008,0016) in the header: file meta information cannot be complete.
    SopClassMissing = "sop_class_missing";
    /// A value that no lawful encoding can hold, or whose meaning is ambiguous.
    ValueInvalid = "value_invalid";
    /// A value that lies elsewhere: `BulkDataURI` or `DataFragment`.
    BulkDataMissing = "bulk_data_missing";
    /// An element or data set beyond 4 GiB.
    DataSetTooLarge = "data_set_too_large";

    /// The header describes pixels, and the image half is empty.
    PayloadEmpty = "payload_empty";
    /// The SOP Class has no pixels, and the image half is not empty.
    PayloadUnexpected = "payload_unexpected";
    /// Neither a known codestream nor as long as native pixels of the header's geometry.
    PayloadUnrecognised = "payload_unrecognised";
    /// A known form whose structure is broken or cut short.
    PayloadDamaged = "payload_damaged";
    /// A known form that no transfer syntax can carry as it is.
    PayloadUnsupported = "payload_unsupported";
    /// Native pixels, shorter or longer than the header's geometry says.
    PayloadLength = "payload_length";
    /// Big-endian pixels of up to 8 bits, and nothing says whether they are bytes (OB) or words (OW).
    ByteOrderAmbiguous = "byte_order_ambiguous";
    /// The number of frames found is not the header's Number of Frames.
    FrameCount = "frame_count";
    /// The header lacks an attribute without which pixels cannot be read.
    GeometryMissing = "geometry_missing";
    /// Rows, Columns or Samples per Pixel of header and codestream differ.
    GeometryMismatch = "geometry_mismatch";

    /// The header lacks a UID that the output layout names.
    LayoutField = "layout_field";
    /// An object stands in the output's place already, and the run was told to fail then.
    OutputExists = "output_exists";
    /// An object with other bytes stands in the output's place, and the run was told to keep it.
    OutputDiffers = "output_differs";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A [`Reason`] with what a person needs to look into it.
///
/// `detail` says what was expected and what was found in structure and numbers; it never quotes a
/// header's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// Expected, got, tag, byte offset: lower case, no full stop.
    pub detail: String,
}

impl Rejection {
    /// Returns a rejection.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
