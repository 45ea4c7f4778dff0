//! Bytes from a client: taken in, digested, and compared with what the client said of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use futures::StreamExt as _;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Result, TrailingHeaders, dto, s3_error};

use crate::body::Body;
use crate::error;
use crate::object::Tag;
use crate::spool::Spool;

/// What a client says of the bytes that it sends.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) algorithm: Option<dto::ChecksumAlgorithm>,
    pub(super) checksum: dto::Checksum,
    pub(super) md5: Option<String>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Bytes that came, and what they turned out to be.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) body: Body,
    pub(super) tag: Tag,
    pub(super) checksum: dto::Checksum,
}

/// Takes in a body, in memory or, where it is long and there is a spool, in a file.
pub(super) async fn take(
    blob: Option<dto::StreamingBlob>,
    claim: Claim,
    spool: Option<&Spool>,
    bytes_max: u64,
) -> S3Result<Taken> {
    let mut md5 = Md5::new();
    let mut hasher = hasher(&claim);
    let mut keep = BytesMut::new();
    let mut file = None;
    let mut blob = blob;
    while let Some(blob) = &mut blob {
        let Some(piece) = blob.next().await else { break };
        let piece = piece.map_err(|source| {
            s3s::S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, source)
        })?;
        md5.update(&piece);
        hasher.update(&piece);
        keep.extend_from_slice(&piece);
        match spool {
            Some(spool) if file.is_some() || keep.len() > Spool::FROM_BYTES => {
                let file = match &mut file {
                    Some(file) => file,
                    none => none.insert(spool.file().map_err(|_| error::internal())?),
                };
                file.append(&keep).map_err(|_| error::internal())?;
                keep.clear();
            }
            _ if keep.len() as u64 > bytes_max => return Err(error::internal()),
            _ => {}
        }
    }
    let body = match file {
        Some(file) => file.finish(),
        None => Body::Bytes(keep.freeze()),
    };
    let tag = Tag::whole(md5.finalize());
    let checksum = hasher.finalize();
    check(claim, tag, &checksum)?;
    Ok(Taken { body, tag, checksum })
}

fn hasher(claim: &Claim) -> ChecksumHasher {
    let named = claim.algorithm.as_ref().map(dto::ChecksumAlgorithm::as_str);
    let wants = |name, value: &Option<String>| named == Some(name) || value.is_some();
    let said = &claim.checksum;
    ChecksumHasher {
        crc32: wants("CRC32", &said.checksum_crc32).then(Default::default),
        crc32c: wants("CRC32C", &said.checksum_crc32c).then(Default::default),
        sha1: wants("SHA1", &said.checksum_sha1).then(Default::default),
        sha256: wants("SHA256", &said.checksum_sha256).then(Default::default),
        crc64nvme: wants("CRC64NVME", &said.checksum_crc64nvme).then(Default::default),
    }
}

fn check(mut claim: Claim, tag: Tag, found: &dto::Checksum) -> S3Result<()> {
    if let Some(trailers) = claim.trailers.and_then(|trailers| trailers.take()) {
        add_trailers(&mut claim.checksum, &trailers);
    }
    let said = &claim.checksum;
    let differs = |said: &Option<String>, found: &Option<String>| said.is_some() && said != found;
    let md5 = claim.md5.map(|md5| BASE64.decode(md5).unwrap_or_default());
    if md5.is_some_and(|md5| Tag::whole(md5.try_into().unwrap_or_default()) != tag)
        || differs(&said.checksum_crc32, &found.checksum_crc32)
        || differs(&said.checksum_crc32c, &found.checksum_crc32c)
        || differs(&said.checksum_sha1, &found.checksum_sha1)
        || differs(&said.checksum_sha256, &found.checksum_sha256)
        || differs(&said.checksum_crc64nvme, &found.checksum_crc64nvme)
    {
        return Err(s3_error!(
            BadDigest,
            "The checksum you specified did not match what we received."
        ));
    }
    Ok(())
}

fn add_trailers(said: &mut dto::Checksum, trailers: &HeaderMap) {
    let text = |name: &str| Some(trailers.get(name)?.to_str().ok()?.to_owned());
    let add = |field: &mut Option<String>, name| *field = text(name).or_else(|| field.take());
    add(&mut said.checksum_crc32, "x-amz-checksum-crc32");
    add(&mut said.checksum_crc32c, "x-amz-checksum-crc32c");
    add(&mut said.checksum_sha1, "x-amz-checksum-sha1");
    add(&mut said.checksum_sha256, "x-amz-checksum-sha256");
    add(&mut said.checksum_crc64nvme, "x-amz-checksum-crc64nvme");
}
