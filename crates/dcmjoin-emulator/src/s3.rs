//! The S3 service: the calls that are served, each in the file of its kind.

mod buckets;
mod checksum;
mod listing;
mod objects;
mod reading;
mod uploads;

use std::sync::Arc;

use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, dto, s3_error};

use crate::options::{Access, KeyPair};
use crate::world::Shared;

/// Serves S3's calls from the world.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    shared: Arc<Shared>,
}

/// Knows the secrets.
struct Secrets(Vec<KeyPair>);

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let pair = self.0.iter().find(|pair| pair.access_key == access_key);
        let pair = pair.ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(SecretKey::from(pair.secret_key.as_str()))
    }
}

/// Builds the service; without keys, signatures are not looked at.
pub(crate) fn service(shared: Arc<Shared>, access: &Access) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Service { shared: shared.clone() });
    builder.set_route(crate::batch::Route { shared });
    if let Access::Keys(pairs) = access {
        builder.set_auth(Secrets(pairs.clone()));
    }
    builder.build()
}

type Asked<T> = S3Request<T>;
type Answered<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        r: Asked<dto::CreateBucketInput>,
    ) -> Answered<dto::CreateBucketOutput> {
        self.create_bucket(&r.input)
    }

    async fn delete_bucket(
        &self,
        r: Asked<dto::DeleteBucketInput>,
    ) -> Answered<dto::DeleteBucketOutput> {
        self.delete_bucket(&r.input)
    }

    async fn head_bucket(&self, r: Asked<dto::HeadBucketInput>) -> Answered<dto::HeadBucketOutput> {
        self.head_bucket(&r.input)
    }

    async fn list_buckets(
        &self,
        _: Asked<dto::ListBucketsInput>,
    ) -> Answered<dto::ListBucketsOutput> {
        Ok(self.list_buckets())
    }

    async fn get_bucket_location(
        &self,
        r: Asked<dto::GetBucketLocationInput>,
    ) -> Answered<dto::GetBucketLocationOutput> {
        self.get_bucket_location(&r.input)
    }

    async fn get_bucket_versioning(
        &self,
        r: Asked<dto::GetBucketVersioningInput>,
    ) -> Answered<dto::GetBucketVersioningOutput> {
        self.get_bucket_versioning(&r.input)
    }

    async fn put_bucket_versioning(
        &self,
        r: Asked<dto::PutBucketVersioningInput>,
    ) -> Answered<dto::PutBucketVersioningOutput> {
        self.put_bucket_versioning(&r.input)
    }

    async fn get_bucket_notification_configuration(
        &self,
        r: Asked<dto::GetBucketNotificationConfigurationInput>,
    ) -> Answered<dto::GetBucketNotificationConfigurationOutput> {
        self.get_notifications(&r.input)
    }

    async fn put_bucket_notification_configuration(
        &self,
        r: Asked<dto::PutBucketNotificationConfigurationInput>,
    ) -> Answered<dto::PutBucketNotificationConfigurationOutput> {
        self.put_notifications(&r.input)
    }

    async fn put_object(&self, r: Asked<dto::PutObjectInput>) -> Answered<dto::PutObjectOutput> {
        self.put_object(r).await
    }

    async fn get_object(&self, r: Asked<dto::GetObjectInput>) -> Answered<dto::GetObjectOutput> {
        self.get_object(&r)
    }

    async fn head_object(&self, r: Asked<dto::HeadObjectInput>) -> Answered<dto::HeadObjectOutput> {
        self.head_object(&r.input)
    }

    async fn delete_object(
        &self,
        r: Asked<dto::DeleteObjectInput>,
    ) -> Answered<dto::DeleteObjectOutput> {
        self.delete_object(&r.input)
    }

    async fn delete_objects(
        &self,
        r: Asked<dto::DeleteObjectsInput>,
    ) -> Answered<dto::DeleteObjectsOutput> {
        self.delete_objects(r.input)
    }

    async fn copy_object(&self, r: Asked<dto::CopyObjectInput>) -> Answered<dto::CopyObjectOutput> {
        self.copy_object(r.input)
    }

    async fn restore_object(
        &self,
        r: Asked<dto::RestoreObjectInput>,
    ) -> Answered<dto::RestoreObjectOutput> {
        self.restore_object(&r)
    }

    async fn list_objects_v2(
        &self,
        r: Asked<dto::ListObjectsV2Input>,
    ) -> Answered<dto::ListObjectsV2Output> {
        self.list_objects(r.input)
    }

    async fn list_object_versions(
        &self,
        r: Asked<dto::ListObjectVersionsInput>,
    ) -> Answered<dto::ListObjectVersionsOutput> {
        self.list_versions(r.input)
    }

    async fn create_multipart_upload(
        &self,
        r: Asked<dto::CreateMultipartUploadInput>,
    ) -> Answered<dto::CreateMultipartUploadOutput> {
        self.create_upload(r.input)
    }

    async fn upload_part(&self, r: Asked<dto::UploadPartInput>) -> Answered<dto::UploadPartOutput> {
        self.upload_part(r).await
    }

    async fn upload_part_copy(
        &self,
        r: Asked<dto::UploadPartCopyInput>,
    ) -> Answered<dto::UploadPartCopyOutput> {
        self.upload_part_copy(&r.input)
    }

    async fn complete_multipart_upload(
        &self,
        r: Asked<dto::CompleteMultipartUploadInput>,
    ) -> Answered<dto::CompleteMultipartUploadOutput> {
        self.complete_upload(r.input)
    }

    async fn abort_multipart_upload(
        &self,
        r: Asked<dto::AbortMultipartUploadInput>,
    ) -> Answered<dto::AbortMultipartUploadOutput> {
        self.abort_upload(&r.input)
    }

    async fn list_parts(&self, r: Asked<dto::ListPartsInput>) -> Answered<dto::ListPartsOutput> {
        self.list_parts(&r.input)
    }

    async fn list_multipart_uploads(
        &self,
        r: Asked<dto::ListMultipartUploadsInput>,
    ) -> Answered<dto::ListMultipartUploadsOutput> {
        self.list_uploads(&r.input)
    }
}
