//! The first bytes of the forms: what a payload or a fragment *may* be.
//!
//! A match here proves nothing: native pixels can begin with any bytes. The walk over the whole
//! structure decides, see [`super::recognise`].

use dcmjoin_model::TransferSyntax;

use super::scan::le32;

/// A form that bytes may have, by how they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An item tag (FFFE,E000): an encapsulated value (PS3.5 A.4).
    Items,
    /// SOC and SIZ: a J2K or HTJ2K codestream (ISO 15444-1 A).
    J2k,
    /// The JP2 signature box (ISO 15444-1 I.5.1).
    Jp2,
    /// SOI and a marker: JPEG or JPEG-LS.
    Jpeg,
    /// An RLE header: 1 to 15 segments, the first behind the header (PS3.5 G.5).
    Rle,
    /// A JPEG XL codestream or its signature box (ISO 18181-2).
    JpegXl,
    /// A video stream.
    Video(Video),
}

/// The kinds of video streams, as far as their first bytes tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Video {
    /// An MPEG2 sequence header (ISO 13818-2).
    Mpeg2,
    /// An MPEG program or transport stream, or MP4: containers for several codings.
    Container,
    /// H.264 NAL units with start codes.
    Avc,
    /// H.265 NAL units with start codes.
    Hevc,
}

impl Video {
    /// Returns true where a stream of this kind may stand under a transfer syntax.
    pub(super) fn fits(self, syntax: TransferSyntax) -> bool {
        use TransferSyntax as Ts;
        let mpeg2 = matches!(syntax, Ts::Mpeg2MainProfile | Ts::Mpeg2HighLevel);
        let avc = matches!(syntax, Ts::Mpeg4HighProfile | Ts::Mpeg4BdCompatible);
        let hevc = matches!(syntax, Ts::HevcMainProfile | Ts::HevcMain10Profile);
        match self {
            Self::Mpeg2 => mpeg2,
            Self::Container => mpeg2 || avc || hevc,
            Self::Avc => avc,
            Self::Hevc => hevc,
        }
    }
}

/// The tag (FFFE,E000) in little endian.
pub(super) const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
/// The tag (FFFE,E0DD) in little endian.
pub(super) const SEQUENCE_END: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];
/// The JP2 signature box, whole.
pub(super) const JP2_SIGNATURE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
const JXL_SIGNATURE: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n";
/// The length of an RLE header, and the place of the first segment.
pub(super) const RLE_HEADER: u32 = 64;
/// The length of a packet of an MPEG transport stream, which begins with `TS_SYNC`.
const TS_PACKET: usize = 188;
const TS_SYNC: u8 = 0x47;

impl Form {
    /// Returns the form that the bytes may have, or `None` where they begin like none.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        if starts(&ITEM) {
            Some(Self::Items)
        } else if starts(&[0xff, 0x4f, 0xff, 0x51]) {
            Some(Self::J2k)
        } else if starts(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if starts(JP2_SIGNATURE) {
            Some(Self::Jp2)
        } else if is_rle(bytes) {
            Some(Self::Rle)
        } else if starts(&[0xff, 0x0a]) || starts(JXL_SIGNATURE) {
            Some(Self::JpegXl)
        } else {
            video(bytes).map(Self::Video)
        }
    }
}

fn is_rle(bytes: &[u8]) -> bool {
    let word = |at| le32(bytes, at);
    bytes.len() >= RLE_HEADER as usize
        && word(0).is_some_and(|count| (1..=15).contains(&count))
        && word(4) == Some(RLE_HEADER)
}

fn video(bytes: &[u8]) -> Option<Video> {
    let start_code = match bytes {
        [0, 0, 0, 1, ..] => 4,
        [0, 0, 1, ..] => 3,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return Some(Video::Container),
        _ => {
            let sync = |packet: usize| bytes.get(packet * TS_PACKET) == Some(&TS_SYNC);
            return (sync(0) && sync(1) && sync(2)).then_some(Video::Container);
        }
    };
    match (bytes.get(start_code..)?, start_code) {
        ([0xb3, ..], 3) => Some(Video::Mpeg2),
        ([0xba, ..], 3) => Some(Video::Container),
        // Access unit delimiter, sequence parameter set (ISO 14496-10 7.4.1).
        ([0x09 | 0x27 | 0x47 | 0x67, ..], _) => Some(Video::Avc),
        // The same and the video parameter set, in a header of two bytes (ISO 23008-2 7.4.2).
        ([0x40 | 0x42 | 0x46, 0x01, ..], _) => Some(Video::Hevc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_by_their_first_bytes() {
        let check = |bytes: &[u8], expect| assert_eq!(Form::of(bytes), expect, "{bytes:02x?}");
        check(&[0xfe, 0xff, 0, 0xe0], Some(Form::Items));
        check(&[0xff, 0x4f, 0xff, 0x51], Some(Form::J2k));
        check(&[0xff, 0xd8, 0xff, 0xe0], Some(Form::Jpeg));
        check(b"\0\0\0\x0cjP  \r\n\x87\n", Some(Form::Jp2));
        check(&[0xff, 0x0a, 0], Some(Form::JpegXl));
        check(&[0, 0, 1, 0xb3], Some(Form::Video(Video::Mpeg2)));
        check(&[0, 0, 1, 0xba], Some(Form::Video(Video::Container)));
        check(b"\0\0\0\x18ftypmp42", Some(Form::Video(Video::Container)));
        check(&[0, 0, 0, 1, 0x67], Some(Form::Video(Video::Avc)));
        check(&[0, 0, 0, 1, 0x40, 1], Some(Form::Video(Video::Hevc)));
        check(&[0; 64], None);
        check(&[], None);
    }

    #[test]
    fn rle_needs_its_whole_header() {
        let mut header = [0; 64];
        header[0] = 3;
        header[4] = 64;
        assert_eq!(Form::of(&header), Some(Form::Rle));
        assert_eq!(Form::of(&header[..63]), None);
        header[0] = 16;
        assert_eq!(Form::of(&header), None);
    }
}
