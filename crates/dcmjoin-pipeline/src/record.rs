//! What the header store keeps of a half: a header with its origin, or no more than whose half it is.

use bytes::Bytes;
use dcmjoin_formats::header::Header;
use dcmjoin_index::{Frame, HeaderPlace, HeaderStore, Learnt};
use dcmjoin_model::{
    PixelDescription, Reason, Rejection, SopInstanceUid, TransferSyntax, Uid, Warnings,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::RunError;

/// Room for what stands beside a data set: most records then need no more.
const BESIDE_BYTES: usize = 512;

/// Where a half came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The number of its archive on its side's list.
    pub archive: u32,
    /// Its first byte in the plain tar.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Of its bytes as they lie in the archive.
    pub digest: u128,
}

impl Origin {
    /// What stands in the place of an origin that nobody asks for.
    pub const UNKNOWN: Self = Self { archive: 0, offset: 0, length: 0, digest: 0 };
}

/// Bytes of an origin in a record.
const ORIGIN_BYTES: usize = 36;

/// What stands before every record, in plain bytes: whose it is, and where it came from. Who asks no
/// more need not decode the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The instance.
    pub uid: SopInstanceUid,
    /// Where the half came from; [`Origin::UNKNOWN`] of an image's record.
    pub origin: Origin,
}

/// A record of the header store.
#[derive(Debug, Clone)]
pub enum Record {
    /// A header.
    Header(Box<Header>, Origin),
    /// The head alone: of an image without header, or of a header that no image asks for.
    Bare(Head),
}

/// What stands after the head: borrows what it can, so that nothing is copied on the way to the
/// compressor.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    sop_class: Uid,
    study: Option<Uid>,
    series: Option<Uid>,
    transfer_syntax: Option<TransferSyntax>,
    pixels: PixelDescription,
    inline_pixels: Option<&'a [u8]>,
    float_pixels: bool,
    #[serde(serialize_with = "at_once")]
    data_set: &'a [u8],
    pixel_data_at: u64,
    warnings: Warnings,
}

impl Head {
    /// Returns the head of its bytes.
    ///
    /// # Errors
    /// [`RunError::Internal`] where the bytes are none.
    pub fn of(bytes: &[u8]) -> Result<Self, RunError> {
        let broken = || RunError::Internal("a record's head is broken".to_owned());
        let (origin, uid) = bytes.split_at_checked(ORIGIN_BYTES).ok_or_else(broken)?;
        let uid = str::from_utf8(uid).ok().and_then(|uid| Uid::parse(uid).ok());
        let number = |from: usize, to: usize| {
            origin[from..to].iter().rev().fold(0, |sum, &byte| sum << 8 | u128::from(byte))
        };
        let origin = Origin {
            archive: number(0, 4) as u32,
            offset: number(4, 12) as u64,
            length: number(12, 20) as u64,
            digest: number(20, ORIGIN_BYTES),
        };
        Ok(Self { uid: uid.ok_or_else(broken)?, origin })
    }

    /// Reads the head of a record of a store.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be read or is damaged.
    pub fn read(store: &HeaderStore, place: HeaderPlace) -> Result<Self, RunError> {
        Self::of(&store.read_head(place)?)
    }

    /// Reads the head of a record of a store, where the record is no more than that.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_bare(store: &HeaderStore, place: HeaderPlace) -> Result<Option<Self>, RunError> {
        store.read_bare_head(place)?.map(|head| Self::of(&head)).transpose()
    }

    /// Returns the head of a record that came from no archive.
    #[must_use]
    pub fn without_origin(uid: &SopInstanceUid) -> Vec<u8> {
        Self::bytes(uid, Origin::UNKNOWN)
    }

    fn bytes(uid: &Uid, origin: Origin) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ORIGIN_BYTES + uid.as_str().len());
        bytes.extend_from_slice(&origin.archive.to_le_bytes());
        bytes.extend_from_slice(&origin.offset.to_le_bytes());
        bytes.extend_from_slice(&origin.length.to_le_bytes());
        bytes.extend_from_slice(&origin.digest.to_le_bytes());
        bytes.extend_from_slice(uid.as_str().as_bytes());
        bytes
    }
}

/// Gives a record's archive another number.
pub fn renumber(head: &mut [u8], archive: u32) {
    if let Some(number) = head.first_chunk_mut() {
        *number = archive.to_le_bytes();
    }
}

impl Record {
    /// Returns the record of an image without header.
    #[must_use]
    pub fn image(uid: SopInstanceUid) -> Self {
        Self::Bare(Head { uid, origin: Origin::UNKNOWN })
    }

    /// Appends the record to a store; returns its place, and how it lies there.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be written.
    pub fn append(&self, store: &HeaderStore) -> Result<(HeaderPlace, Frame), RunError> {
        let (head, body) = self.parts()?;
        Ok(store.append(&head, &body)?)
    }

    /// Returns how the record would lie in a store, and appends nothing.
    ///
    /// # Errors
    /// [`RunError::Index`] where a dictionary cannot be used.
    pub fn frame(&self, store: &HeaderStore) -> Result<Frame, RunError> {
        let (head, body) = self.parts()?;
        Ok(store.frame(&head, &body)?)
    }

    fn parts(&self) -> Result<(Vec<u8>, Vec<u8>), RunError> {
        match self {
            Self::Bare(head) => Ok((Head::bytes(&head.uid, head.origin), Vec::new())),
            Self::Header(header, origin) => {
                let room = Vec::with_capacity(header.data_set.len() + BESIDE_BYTES);
                let body = postcard::to_extend(&stored(header), room)
                    .map_err(|error| RunError::Internal(format!("encode a record: {error}")))?;
                Ok((Head::bytes(&header.uid, *origin), body))
            }
        }
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be read or is damaged.
    pub fn read(store: &HeaderStore, place: HeaderPlace) -> Result<Self, RunError> {
        let (head, body) = store.read(place)?;
        Self::of(Head::of(&head)?, Bytes::from(body))
    }

    /// Decodes a record of another store, as it lies in a pack.
    ///
    /// # Errors
    /// [`RunError::Index`] where its dictionary was not learnt.
    pub fn of_frame(store: &HeaderStore, frame: &Frame, learnt: &Learnt) -> Result<Self, RunError> {
        let body = store.body_of(frame, learnt)?;
        Self::of(Head::of(frame.head())?, Bytes::from(body))
    }

    #[expect(clippy::needless_pass_by_value, reason = "the record holds slices of the bytes")]
    fn of(head: Head, bytes: Bytes) -> Result<Self, RunError> {
        if bytes.is_empty() {
            return Ok(Self::Bare(head));
        }
        let Head { uid, origin } = head;
        let stored: Stored<'_> = postcard::from_bytes(&bytes)
            .map_err(|error| RunError::Internal(format!("decode a record: {error}")))?;
        let header = Header {
            uid,
            sop_class: stored.sop_class,
            study: stored.study,
            series: stored.series,
            transfer_syntax: stored.transfer_syntax,
            pixels: stored.pixels,
            inline_pixels: stored.inline_pixels.map(|slice| bytes.slice_ref(slice)),
            float_pixels: stored.float_pixels,
            data_set: bytes.slice_ref(stored.data_set),
            pixel_data_at: usize::try_from(stored.pixel_data_at).unwrap_or(usize::MAX),
            warnings: stored.warnings,
        };
        Ok(Self::Header(Box::new(header), origin))
    }
}

/// By itself serde gives a slice byte by byte.
fn at_once<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn stored(header: &Header) -> Stored<'_> {
    Stored {
        sop_class: header.sop_class.clone(),
        study: header.study.clone(),
        series: header.series.clone(),
        transfer_syntax: header.transfer_syntax,
        pixels: header.pixels.clone(),
        inline_pixels: header.inline_pixels.as_deref(),
        float_pixels: header.float_pixels,
        data_set: &header.data_set,
        pixel_data_at: header.pixel_data_at as u64,
        warnings: header.warnings.clone(),
    }
}

/// Checks that a member's name and its header tell the same UID.
///
/// # Errors
/// `uid_mismatch`.
pub fn same_uid(name: &SopInstanceUid, header: &Header) -> Result<(), Rejection> {
    if *name == header.uid {
        return Ok(());
    }
    let detail = "expected the UID of the member's name in (0008,0018), got another one";
    Err(Rejection::new(Reason::UidMismatch, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_its_bytes() {
        let uid = Uid::parse("2.25.1").unwrap();
        let origin = Origin { archive: 1, offset: 1 << 40, length: u64::MAX, digest: u128::MAX };
        let mut bytes = Head::bytes(&uid, origin);
        renumber(&mut bytes, 0x0102_0304);
        let head = Head { uid, origin: Origin { archive: 0x0102_0304, ..origin } };
        assert_eq!(Head::of(&bytes).unwrap(), head);
        for cut in [0, 3, ORIGIN_BYTES] {
            assert!(Head::of(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
