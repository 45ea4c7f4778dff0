//! Objects: put, read, copied, deleted, restored.

use std::ops::Range;

use http::StatusCode;
use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::checksum::{self, Claim};
use super::reading::Reading;
use super::{Answered, Service};
use crate::body::Body;
use crate::class::{StorageClass, Tier};
use crate::error;
use crate::fault::Effect;
use crate::front::{Planned, Status};
use crate::object::{Object, Said, Tag};
use crate::restore::Ask;
use crate::restoring::Mood;
use crate::time::Time;
use crate::world::World;

pub(super) fn timestamp(time: Time) -> dto::Timestamp {
    std::time::SystemTime::from(time).into()
}

/// Returns a length in the form that the answers want.
pub(super) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Reads a storage class that a client asks for.
pub(super) fn class_of(asked: Option<&dto::StorageClass>) -> S3Result<StorageClass> {
    let Some(asked) = asked else { return Ok(StorageClass::Standard) };
    StorageClass::from_name(asked.as_str()).ok_or_else(|| {
        s3_error!(InvalidStorageClass, "The storage class you specified is not valid")
    })
}

/// Returns the class as answers have it: Standard goes without saying.
fn class_header(class: StorageClass) -> Option<dto::StorageClass> {
    (class != StorageClass::Standard).then(|| dto::StorageClass::from_static(class.name()))
}

/// Holds a write against the object that is there.
pub(super) fn check_write(
    world: &World,
    (bucket, key): (&str, &str),
    if_match: Option<&dto::ETagCondition>,
    if_none_match: Option<&dto::ETagCondition>,
) -> S3Result<()> {
    let there = match world.object(bucket, key, None) {
        Ok(object) => Some(object.tag),
        Err(error) if *error.code() == s3s::S3ErrorCode::NoSuchKey => None,
        Err(error) => return Err(error),
    };
    match (if_match, there) {
        (Some(_), None) => return Err(error::missing(crate::bucket::Missing::Key)),
        (Some(condition), Some(tag)) if !tag.meets(condition) => {
            return Err(error::precondition_failed());
        }
        _ => {}
    }
    match (if_none_match, there) {
        (Some(condition), Some(tag)) if tag.meets(condition) => Err(error::precondition_failed()),
        _ => Ok(()),
    }
}

impl Service {
    pub(super) async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> Answered<dto::PutObjectOutput> {
        let input = request.input;
        let class = class_of(input.storage_class.as_ref())?;
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
        check_write(&world, place, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let said = Said {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default(),
            checksum: taken.checksum.clone(),
        };
        let version_id = world.put_said(place, taken.body, taken.tag, class, said)?;
        Ok(S3Response::new(dto::PutObjectOutput {
            e_tag: Some(taken.tag.dto()),
            version_id,
            checksum_crc32: taken.checksum.checksum_crc32,
            checksum_crc32c: taken.checksum.checksum_crc32c,
            checksum_crc64nvme: taken.checksum.checksum_crc64nvme,
            checksum_sha1: taken.checksum.checksum_sha1,
            checksum_sha256: taken.checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    /// Takes in a client's bytes, and counts them.
    pub(super) async fn take(
        &self,
        blob: Option<dto::StreamingBlob>,
        claim: Claim,
    ) -> S3Result<checksum::Taken> {
        let bytes_max = self.shared.enter().options.memory_bytes_max;
        let taken = checksum::take(blob, claim, self.shared.spool.as_ref(), bytes_max).await?;
        self.shared.enter().book.ledger.bytes_written += taken.body.length();
        Ok(taken)
    }

    pub(super) fn get_object(
        &self,
        request: &S3Request<dto::GetObjectInput>,
    ) -> Answered<dto::GetObjectOutput> {
        let input = &request.input;
        let effect = request.extensions.get::<Planned>().map(|planned| planned.0.clone());
        let world = self.shared.enter();
        let bucket = world.bucket(&input.bucket)?;
        let object = world.object(&input.bucket, &input.key, input.version_id.as_deref())?;
        check_read(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        if !object.is_readable() {
            return Err(error::archived(object.class));
        }
        let length = object.body.length();
        let span = Span::of(input.range, length, effect.as_ref())?;
        let reading = Reading {
            shared: self.shared.clone(),
            bucket: bucket.name.clone(),
            key: bucket.name_of(&input.key).ok_or_else(error::internal)?,
            id: object.id,
            body: object.body.clone(),
            left: span.sent,
            sent: 0,
            archived: object.class.archive().is_some(),
            effect,
        };
        let sent = reading.left.end - reading.left.start;
        let said = object.said.as_deref().cloned().unwrap_or_default();
        let checksum = match input.checksum_mode {
            Some(_) if span.said.is_none() => said.checksum,
            _ => dto::Checksum::default(),
        };
        Ok(S3Response::new(dto::GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(dto::StreamingBlob::wrap(Box::pin(reading.pieces()))),
            content_length: Some(size(sent)),
            content_range: span.said,
            content_type: said.content_type.or_else(|| Some("binary/octet-stream".into())),
            content_encoding: said.content_encoding,
            e_tag: Some(object.tag.dto()),
            last_modified: Some(timestamp(object.modified)),
            metadata: (!said.metadata.is_empty()).then_some(said.metadata),
            restore: object.copy().map(crate::restore::Copy::header),
            storage_class: class_header(object.class),
            version_id: object.version_header(),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) fn head_object(
        &self,
        input: &dto::HeadObjectInput,
    ) -> Answered<dto::HeadObjectOutput> {
        let world = self.shared.enter();
        let object = world.object(&input.bucket, &input.key, input.version_id.as_deref())?;
        check_read(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let said = object.said.as_deref().cloned().unwrap_or_default();
        let checksum = input.checksum_mode.as_ref().map(|_| said.checksum).unwrap_or_default();
        Ok(S3Response::new(dto::HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            archive_status: object.class.archive_tier().map(dto::ArchiveStatus::from_static),
            content_length: Some(size(object.body.length())),
            content_type: said.content_type.or_else(|| Some("binary/octet-stream".into())),
            content_encoding: said.content_encoding,
            e_tag: Some(object.tag.dto()),
            last_modified: Some(timestamp(object.modified)),
            metadata: (!said.metadata.is_empty()).then_some(said.metadata),
            restore: object.copy().map(crate::restore::Copy::header),
            storage_class: class_header(object.class),
            version_id: object.version_header(),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) fn delete_object(
        &self,
        input: &dto::DeleteObjectInput,
    ) -> Answered<dto::DeleteObjectOutput> {
        let version = input.version_id.as_deref();
        let deleted = self.shared.enter().delete(&input.bucket, &input.key, version)?;
        let (version_id, marker) = deleted.unzip();
        let delete_marker = marker.filter(|marker| *marker);
        let output = dto::DeleteObjectOutput { version_id, delete_marker, ..Default::default() };
        Ok(S3Response::new(output))
    }

    pub(super) fn delete_objects(
        &self,
        input: dto::DeleteObjectsInput,
    ) -> Answered<dto::DeleteObjectsOutput> {
        let mut world = self.shared.enter();
        world.bucket(&input.bucket)?;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            world.delete(&input.bucket, &object.key, object.version_id.as_deref())?;
            let (key, version_id) = (Some(object.key), object.version_id);
            deleted.push(dto::DeletedObject { key, version_id, ..Default::default() });
        }
        let deleted = (!input.delete.quiet.unwrap_or_default()).then_some(deleted);
        Ok(S3Response::new(dto::DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    pub(super) fn copy_object(
        &self,
        input: dto::CopyObjectInput,
    ) -> Answered<dto::CopyObjectOutput> {
        let mut world = self.shared.enter();
        let source = copy_source(&world, &input.copy_source)?;
        if !source.is_readable() {
            return Err(error::not_in_active_tier());
        }
        check_copy(
            source,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
        )?;
        let class = class_of(input.storage_class.as_ref())?;
        let (body, tag) = (source.body.clone(), source.tag);
        let mut said = source.said.as_deref().cloned().unwrap_or_default();
        if input.metadata_directive.is_some_and(|directive| directive.as_str() == "REPLACE") {
            said.content_type = input.content_type;
            said.content_encoding = input.content_encoding;
            said.metadata = input.metadata.unwrap_or_default();
        }
        let source_version = source.version_header();
        let place = (&*input.bucket, &*input.key);
        let version_id = world.put_said(place, body, tag, class, said)?;
        let result = dto::CopyObjectResult {
            e_tag: Some(tag.dto()),
            last_modified: Some(timestamp(world.now)),
            ..Default::default()
        };
        Ok(S3Response::new(dto::CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source_version,
            version_id,
            ..Default::default()
        }))
    }

    pub(super) fn restore_object(
        &self,
        request: &S3Request<dto::RestoreObjectInput>,
    ) -> Answered<dto::RestoreObjectOutput> {
        let input = &request.input;
        let asked = input.restore_request.as_ref().ok_or_else(error::malformed_xml)?;
        let ask = ask(asked)?;
        let effect = request.extensions.get::<Planned>().map(|planned| &planned.0);
        let mood = Mood {
            no_expedited_capacity: matches!(effect, Some(Effect::NoExpeditedCapacity)),
            never_completes: matches!(effect, Some(Effect::NeverRestores)),
            unmetered: false,
        };
        let place = (&*input.bucket, &*input.key, input.version_id.as_deref());
        let accepted = self.shared.enter().restore(place, ask, mood)?;
        let mut response = S3Response::new(dto::RestoreObjectOutput::default());
        if accepted {
            response.extensions.insert(Status(StatusCode::ACCEPTED));
        }
        Ok(response)
    }
}

impl World {
    /// Puts an object, and returns its version's id where the bucket keeps versions.
    pub(super) fn put_said(
        &mut self,
        (bucket, key): (&str, &str),
        body: Body,
        tag: Tag,
        class: StorageClass,
        said: Said,
    ) -> S3Result<Option<String>> {
        let id = self.next_id();
        let mut object = Object::new(id, body, tag, class, self.now);
        object.said = Some(Box::new(said));
        self.put_object(bucket, key, object)?;
        Ok(self.bucket(bucket)?.by_id(key, id).and_then(Object::version_header))
    }
}

fn ask(request: &dto::RestoreRequest) -> S3Result<Ask> {
    if request.select_parameters.is_some() || request.output_location.is_some() {
        return Err(s3_error!(NotImplemented, "S3 Select on archives is no more"));
    }
    let asked = request.glacier_job_parameters.as_ref().map(|job| &job.tier);
    let tier = match asked.or(request.tier.as_ref()) {
        Some(tier) => Tier::from_name(tier.as_str()).ok_or_else(error::malformed_xml)?,
        None => Tier::Standard,
    };
    // Days below zero are no days at all; both are refused alike.
    let days = request.days.map(|days| u32::try_from(days).unwrap_or_default());
    Ok(Ask { tier, days })
}

/// Holds a read against the conditions that came with it.
fn check_read(
    object: &Object,
    if_match: Option<&dto::ETagCondition>,
    if_none_match: Option<&dto::ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !object.tag.meets(condition)) {
        return Err(error::precondition_failed());
    }
    if if_none_match.is_some_and(|condition| object.tag.meets(condition)) {
        return Err(error::error(StatusCode::NOT_MODIFIED, "NotModified", "Not Modified"));
    }
    Ok(())
}

/// As for a read, but that no condition of a copy is answered with 304.
pub(super) fn check_copy(
    object: &Object,
    if_match: Option<&dto::ETagCondition>,
    if_none_match: Option<&dto::ETagCondition>,
) -> S3Result<()> {
    check_read(object, if_match, if_none_match).map_err(|_| error::precondition_failed())
}

/// Returns the object that is to be copied.
pub(super) fn copy_source<'a>(world: &'a World, source: &dto::CopySource) -> S3Result<&'a Object> {
    let dto::CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(s3_error!(NotImplemented, "copies from access points"));
    };
    world.object(bucket, key, version_id.as_deref())
}

/// Which bytes an answer sends, and what it says that they are.
struct Span {
    sent: Range<u64>,
    said: Option<String>,
}

impl Span {
    fn of(asked: Option<dto::Range>, length: u64, effect: Option<&Effect>) -> S3Result<Self> {
        let Some(asked) = asked.filter(|_| !matches!(effect, Some(Effect::IgnoreRange))) else {
            return Ok(Self { sent: shortened(0..length, effect), said: None });
        };
        let mut range = asked.check(length).map_err(|_| {
            error::error(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidRange",
                "The requested range is not satisfiable",
            )
        })?;
        if let Some(Effect::WrongRange { by }) = effect {
            range = (range.start + by).min(length - 1)..(range.end + by).min(length);
        }
        let said = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        Ok(Self { sent: shortened(range, effect), said: Some(said) })
    }
}

fn shortened(range: Range<u64>, effect: Option<&Effect>) -> Range<u64> {
    match effect {
        Some(Effect::ShortBody { by }) => {
            range.start..range.end.saturating_sub(*by).max(range.start)
        }
        _ => range,
    }
}
