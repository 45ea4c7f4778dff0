//! gz and zst documents and payloads to plain bytes, within a limit.
//!
//! Recognised by their first bytes, never by a file name. Whole members only: compressed
//! *archives* are streams and are opened where their bytes arrive.

use std::io::Read;

use bytes::Bytes;
use dcmjoin_model::{Reason, Rejection};

/// The first bytes of a gzip stream (RFC 1952 2.3.1).
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of a Zstandard frame (RFC 8878 3.1.1).
pub const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

impl Compression {
    /// Returns how the bytes are compressed, or `None` for plain ones.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&GZIP_MAGIC) {
            Some(Self::Gzip)
        } else if bytes.starts_with(&ZSTD_MAGIC) {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Returns the plain bytes of a member, and whether it was compressed.
///
/// # Errors
/// `member_compression` where the stream is broken or holds more than `bytes_max` bytes.
pub fn plain(bytes: Bytes, bytes_max: u64) -> Result<(Bytes, bool), Rejection> {
    let plain = match Compression::of(&bytes) {
        None => return Ok((bytes, false)),
        Some(Compression::Gzip) => {
            read(flate2::bufread::MultiGzDecoder::new(&bytes[..]), bytes_max)
        }
        Some(Compression::Zstd) => zstd::stream::read::Decoder::with_buffer(&bytes[..])
            .map_err(broken)
            .and_then(|decoder| read(decoder, bytes_max)),
    };
    plain.map(|plain| (plain, true))
}

fn read(decoder: impl Read, bytes_max: u64) -> Result<Bytes, Rejection> {
    let mut plain = Vec::new();
    decoder.take(bytes_max.saturating_add(1)).read_to_end(&mut plain).map_err(broken)?;
    if plain.len() as u64 > bytes_max {
        let detail = format!("expected at most {bytes_max} bytes after decompression, got more");
        return Err(Rejection::new(Reason::MemberCompression, detail));
    }
    Ok(plain.into())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn broken(error: std::io::Error) -> Rejection {
    Rejection::new(
        Reason::MemberCompression,
        format!("compressed stream is broken: {}", error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_bytes_pass_through() {
        let (bytes, compressed) = plain(Bytes::from_static(b"{}"), 1).unwrap();
        assert_eq!((&bytes[..], compressed), (&b"{}"[..], false));
    }

    #[test]
    fn gzip_of_several_members_and_zstd_are_read() {
        let joined = [gzip(b"ab"), gzip(b"cd")].concat();
        assert_eq!(plain(joined.into(), 4).unwrap(), (Bytes::from_static(b"abcd"), true));
        let zst = zstd::bulk::compress(b"abcd", 1).unwrap();
        assert_eq!(plain(zst.into(), 4).unwrap(), (Bytes::from_static(b"abcd"), true));
    }

    #[test]
    fn bombs_and_stumps_are_rejected() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(
            plain(bomb.clone().into(), 1 << 10).unwrap_err().reason,
            Reason::MemberCompression
        );
        let stump = Bytes::from(bomb).slice(..600);
        assert_eq!(plain(stump, 1 << 21).unwrap_err().reason, Reason::MemberCompression);
    }
}
