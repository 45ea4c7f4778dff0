//! What the header store keeps of a half: a header with its origin, or the bare UID of an image
//! whose header was not found.

use bytes::Bytes;
use dcmjoin_formats::header::Header;
use dcmjoin_index::{HeaderPlace, HeaderStore};
use dcmjoin_model::{
    PixelDescription, Reason, Rejection, SopInstanceUid, TransferSyntax, Uid, Warnings,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::RunError;

/// Room for what stands beside a data set: most records then need no more.
const BESIDE_BYTES: usize = 512;

/// Where a half came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A record of the header store.
#[derive(Debug, Clone)]
pub enum Record {
    /// A header.
    Header(Box<Header>, Origin),
    /// The UID of an image without header.
    Image(SopInstanceUid),
}

/// The stored form: borrows what it can, so that nothing is copied on the way to the compressor.
#[derive(Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack")]
enum Stored<'a> {
    Header {
        uid: Uid,
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
        origin: Origin,
    },
    Image(Uid),
}

impl Record {
    /// Appends the record to a store.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be written.
    pub fn append(&self, store: &HeaderStore) -> Result<HeaderPlace, RunError> {
        Ok(store.append(&self.to_bytes()?)?)
    }

    /// Returns the record as the store and header packs hold it.
    ///
    /// # Errors
    /// [`RunError::Internal`]: a bug.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let bytes = match self {
            Self::Image(uid) => postcard::to_allocvec(&Stored::Image(uid.clone())),
            Self::Header(header, origin) => {
                let room = Vec::with_capacity(header.data_set.len() + BESIDE_BYTES);
                postcard::to_extend(&stored(header, *origin), room)
            }
        };
        bytes.map_err(|error| RunError::Internal(format!("encode a record: {error}")))
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// [`RunError::Index`] where the store cannot be read or is damaged.
    pub fn read(store: &HeaderStore, place: HeaderPlace) -> Result<Self, RunError> {
        Self::from_bytes(Bytes::from(store.read(place)?))
    }

    /// Returns the record of its bytes.
    ///
    /// # Errors
    /// [`RunError::Internal`] where they are none.
    #[expect(clippy::needless_pass_by_value, reason = "the record holds slices of the bytes")]
    pub fn from_bytes(bytes: Bytes) -> Result<Self, RunError> {
        let stored = postcard::from_bytes(&bytes)
            .map_err(|error| RunError::Internal(format!("decode a record: {error}")))?;
        Ok(match stored {
            Stored::Image(uid) => Self::Image(uid),
            Stored::Header {
                uid,
                sop_class,
                study,
                series,
                transfer_syntax,
                pixels,
                inline_pixels,
                float_pixels,
                data_set,
                pixel_data_at,
                warnings,
                origin,
            } => {
                let header = Header {
                    uid,
                    sop_class,
                    study,
                    series,
                    transfer_syntax,
                    pixels,
                    inline_pixels: inline_pixels.map(|slice| bytes.slice_ref(slice)),
                    float_pixels,
                    data_set: bytes.slice_ref(data_set),
                    pixel_data_at: usize::try_from(pixel_data_at).unwrap_or(usize::MAX),
                    warnings,
                };
                Self::Header(Box::new(header), origin)
            }
        })
    }

    /// Returns the UID, whichever record it is.
    #[must_use]
    pub fn uid(&self) -> &SopInstanceUid {
        match self {
            Self::Header(header, _) => &header.uid,
            Self::Image(uid) => uid,
        }
    }
}

/// By itself serde gives a slice byte by byte.
fn at_once<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn stored(header: &Header, origin: Origin) -> Stored<'_> {
    Stored::Header {
        uid: header.uid.clone(),
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
        origin,
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
