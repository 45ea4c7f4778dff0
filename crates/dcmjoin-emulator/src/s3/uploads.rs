//! Multipart uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::checksum::Claim;
use super::objects::{check_copy, check_write, class_of, copy_source, size, timestamp};
use super::{Answered, Service};
use crate::body::Body;
use crate::bucket::Bucket;
use crate::error;
use crate::event::uuid;
use crate::multipart::{PART_BYTES_MIN, PART_NUMBER_MAX, Part, Upload};
use crate::object::{Said, Tag};
use crate::world::World;

fn no_such_upload() -> s3s::S3Error {
    s3_error!(NoSuchUpload, "The specified upload does not exist.")
}

fn upload<'a>(bucket: &'a Bucket, key: &str, id: &str) -> S3Result<&'a Upload> {
    let upload = bucket.uploads.get(id).filter(|upload| &*upload.key == key);
    upload.ok_or_else(no_such_upload)
}

impl Service {
    pub(super) fn create_upload(
        &self,
        input: dto::CreateMultipartUploadInput,
    ) -> Answered<dto::CreateMultipartUploadOutput> {
        let class = class_of(input.storage_class.as_ref())?;
        let said = Said {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default(),
            checksum: dto::Checksum::default(),
        };
        let mut world = self.shared.enter();
        let id = uuid(world.row.draw()).replace('-', "");
        let (key, started) = (input.key.as_str().into(), world.now);
        let upload = Upload { key, class, said, started, parts: BTreeMap::new() };
        world.bucket_mut(&input.bucket)?.uploads.insert(id.clone(), upload);
        Ok(S3Response::new(dto::CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            ..Default::default()
        }))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> Answered<dto::UploadPartOutput> {
        let input = request.input;
        upload(self.shared.enter().bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        let claim = Claim {
            algorithm: input.checksum_algorithm,
            checksum: dto::Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                ..Default::default()
            },
            md5: input.content_md5,
            trailers: request.trailing_headers,
        };
        let taken = self.take(input.body, claim).await?;
        let mut world = self.shared.enter();
        let place = (&*input.bucket, &*input.key);
        world.put_part(place, &input.upload_id, input.part_number, taken.body, taken.tag)?;
        Ok(S3Response::new(dto::UploadPartOutput {
            e_tag: Some(taken.tag.dto()),
            checksum_crc32: taken.checksum.checksum_crc32,
            checksum_crc32c: taken.checksum.checksum_crc32c,
            checksum_crc64nvme: taken.checksum.checksum_crc64nvme,
            checksum_sha1: taken.checksum.checksum_sha1,
            checksum_sha256: taken.checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) fn upload_part_copy(
        &self,
        input: &dto::UploadPartCopyInput,
    ) -> Answered<dto::UploadPartCopyOutput> {
        let mut world = self.shared.enter();
        let source = copy_source(&world, &input.copy_source)?;
        if !source.is_readable() {
            return Err(error::archived(source.class));
        }
        check_copy(
            source,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
        )?;
        let length = source.body.length();
        let asked = input.copy_source_range.as_deref().map(dto::Range::parse).transpose();
        let asked = asked.map_err(|_| {
            error::invalid_argument("The x-amz-copy-source-range value is not valid")
        })?;
        let range = asked.map_or(Ok(0..length), |range| range.check(length));
        let range =
            range.map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
        let body = Body::Parts(Arc::new([(source.body.clone(), range)]));
        let tag = Tag::of(&body, source.id ^ u64::from(input.part_number.unsigned_abs()));
        let place = (&*input.bucket, &*input.key);
        world.put_part(place, &input.upload_id, input.part_number, body, tag)?;
        let result = dto::CopyPartResult {
            e_tag: Some(tag.dto()),
            last_modified: Some(timestamp(world.now)),
            ..Default::default()
        };
        let copy_part_result = Some(result);
        Ok(S3Response::new(dto::UploadPartCopyOutput { copy_part_result, ..Default::default() }))
    }

    pub(super) fn complete_upload(
        &self,
        input: dto::CompleteMultipartUploadInput,
    ) -> Answered<dto::CompleteMultipartUploadOutput> {
        let mut world = self.shared.enter();
        let upload = upload(world.bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (body, tag) = join(upload, &named)?;
        let place = (&*input.bucket, &*input.key);
        check_write(&world, place, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let upload = world.end_upload(&input.bucket, &input.upload_id)?;
        let version_id = world.put_said(place, body, tag, upload.class, upload.said)?;
        Ok(S3Response::new(dto::CompleteMultipartUploadOutput {
            location: Some(format!("http://127.0.0.1/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag.dto()),
            version_id,
            ..Default::default()
        }))
    }

    pub(super) fn abort_upload(
        &self,
        input: &dto::AbortMultipartUploadInput,
    ) -> Answered<dto::AbortMultipartUploadOutput> {
        let mut world = self.shared.enter();
        upload(world.bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        world.end_upload(&input.bucket, &input.upload_id)?;
        Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
    }

    pub(super) fn list_parts(&self, input: &dto::ListPartsInput) -> Answered<dto::ListPartsOutput> {
        let world = self.shared.enter();
        let upload = upload(world.bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        let part = |(&number, part): (&i32, &Part)| dto::Part {
            e_tag: Some(part.tag.dto()),
            last_modified: Some(timestamp(part.modified)),
            part_number: Some(number),
            size: Some(size(part.body.length())),
            ..Default::default()
        };
        Ok(S3Response::new(dto::ListPartsOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(input.upload_id.clone()),
            parts: Some(upload.parts.iter().map(part).collect()),
            is_truncated: Some(false),
            storage_class: Some(dto::StorageClass::from_static(upload.class.name())),
            ..Default::default()
        }))
    }

    pub(super) fn list_uploads(
        &self,
        input: &dto::ListMultipartUploadsInput,
    ) -> Answered<dto::ListMultipartUploadsOutput> {
        let world = self.shared.enter();
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let uploads = world.bucket(&input.bucket)?.uploads.iter();
        let uploads = uploads.filter(|(_, upload)| upload.key.starts_with(prefix));
        let row = |(id, upload): (&String, &Upload)| dto::MultipartUpload {
            key: Some(upload.key.to_string()),
            upload_id: Some(id.clone()),
            initiated: Some(timestamp(upload.started)),
            storage_class: Some(dto::StorageClass::from_static(upload.class.name())),
            ..Default::default()
        };
        Ok(S3Response::new(dto::ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            uploads: Some(uploads.map(row).collect()),
            is_truncated: Some(false),
            ..Default::default()
        }))
    }
}

impl World {
    fn put_part(
        &mut self,
        (bucket, key): (&str, &str),
        id: &str,
        number: i32,
        body: Body,
        tag: Tag,
    ) -> S3Result<()> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(error::invalid_argument(
                "Part number must be an integer between 1 and 10000, inclusive",
            ));
        }
        let bytes = body.memory_bytes();
        if self.memory_bytes + bytes > self.options.memory_bytes_max {
            return Err(error::internal());
        }
        let modified = self.now;
        let upload = self.bucket_mut(bucket)?.uploads.get_mut(id);
        let upload = upload.filter(|upload| &*upload.key == key).ok_or_else(no_such_upload)?;
        let before = upload.parts.insert(number, Part { body, tag, modified });
        self.memory_bytes += bytes;
        self.memory_bytes -= before.map_or(0, |part| part.body.memory_bytes());
        Ok(())
    }

    /// Takes an upload off; what its parts held of the memory is free for the object.
    fn end_upload(&mut self, bucket: &str, id: &str) -> S3Result<Upload> {
        let upload = self.bucket_mut(bucket)?.uploads.remove(id).ok_or_else(no_such_upload)?;
        let bytes: u64 = upload.parts.values().map(|part| part.body.memory_bytes()).sum();
        self.memory_bytes = self.memory_bytes.saturating_sub(bytes);
        Ok(upload)
    }
}

/// Puts the parts that are named together.
fn join(upload: &Upload, named: &[dto::CompletedPart]) -> S3Result<(Body, Tag)> {
    if named.is_empty() {
        return Err(error::malformed_xml());
    }
    if !named.is_sorted_by_key(|part| part.part_number) {
        return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order"));
    }
    let invalid =
        || s3_error!(InvalidPart, "One or more of the specified parts could not be found");
    let mut parts = Vec::with_capacity(named.len());
    for (at, part) in named.iter().enumerate() {
        let known = part.part_number.and_then(|number| upload.parts.get(&number));
        let known = known.ok_or_else(invalid)?;
        let said = part.e_tag.as_ref().ok_or_else(error::malformed_xml)?;
        if said.value() != known.tag.to_string() {
            return Err(invalid());
        }
        if at + 1 < named.len() && known.body.length() < PART_BYTES_MIN {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        parts.push(known);
    }
    let tags: Vec<Tag> = parts.iter().map(|part| part.tag).collect();
    let bodies = parts.iter().map(|part| (part.body.clone(), 0..part.body.length()));
    Ok((Body::Parts(bodies.collect()), Tag::of_parts(&tags)))
}
