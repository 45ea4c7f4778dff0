//! Buckets: made, looked for, configured.

use s3s::{S3Response, S3Result, dto, s3_error};

use super::{Answered, Service};
use crate::bucket::Versioning;
use crate::error;
use crate::event::{ACCOUNT, EventKind, REGION, Route, Shape, Target, test_message};

impl Service {
    pub(super) fn create_bucket(
        &self,
        input: &dto::CreateBucketInput,
    ) -> Answered<dto::CreateBucketOutput> {
        if !self.shared.enter().create_bucket(&input.bucket) {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket is yours already"));
        }
        let location = Some(format!("/{}", input.bucket));
        Ok(S3Response::new(dto::CreateBucketOutput { location }))
    }

    pub(super) fn delete_bucket(
        &self,
        input: &dto::DeleteBucketInput,
    ) -> Answered<dto::DeleteBucketOutput> {
        let mut world = self.shared.enter();
        if !world.bucket(&input.bucket)?.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        world.buckets.remove(input.bucket.as_str());
        Ok(S3Response::new(dto::DeleteBucketOutput::default()))
    }

    pub(super) fn head_bucket(
        &self,
        input: &dto::HeadBucketInput,
    ) -> Answered<dto::HeadBucketOutput> {
        self.shared.enter().bucket(&input.bucket)?;
        let bucket_region = Some(REGION.into());
        Ok(S3Response::new(dto::HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    pub(super) fn list_buckets(&self) -> S3Response<dto::ListBucketsOutput> {
        let world = self.shared.enter();
        let bucket = |bucket: &crate::bucket::Bucket| dto::Bucket {
            name: Some(bucket.name.to_string()),
            creation_date: Some(super::objects::timestamp(bucket.created)),
            bucket_region: Some(REGION.into()),
        };
        let buckets = Some(world.buckets.values().map(bucket).collect());
        let owner = Some(dto::Owner { id: Some(ACCOUNT.into()), display_name: None });
        S3Response::new(dto::ListBucketsOutput { buckets, owner, ..Default::default() })
    }

    pub(super) fn get_bucket_location(
        &self,
        input: &dto::GetBucketLocationInput,
    ) -> Answered<dto::GetBucketLocationOutput> {
        self.shared.enter().bucket(&input.bucket)?;
        // us-east-1 has no constraint.
        Ok(S3Response::new(dto::GetBucketLocationOutput::default()))
    }

    pub(super) fn get_bucket_versioning(
        &self,
        input: &dto::GetBucketVersioningInput,
    ) -> Answered<dto::GetBucketVersioningOutput> {
        let status = match self.shared.enter().bucket(&input.bucket)?.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(dto::BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(dto::BucketVersioningStatus::SUSPENDED),
        };
        let status = status.map(dto::BucketVersioningStatus::from_static);
        Ok(S3Response::new(dto::GetBucketVersioningOutput { status, ..Default::default() }))
    }

    pub(super) fn put_bucket_versioning(
        &self,
        input: &dto::PutBucketVersioningInput,
    ) -> Answered<dto::PutBucketVersioningOutput> {
        let status = input.versioning_configuration.status.as_ref();
        let versioning = match status.map(dto::BucketVersioningStatus::as_str) {
            Some(dto::BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(dto::BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(error::malformed_xml()),
        };
        self.shared.enter().bucket_mut(&input.bucket)?.versioning = versioning;
        Ok(S3Response::new(dto::PutBucketVersioningOutput::default()))
    }

    /// Takes `QueueConfigurations`, whose queues must be the emulator's. What goes by EventBridge
    /// is set with rules, and stays.
    pub(super) fn put_notifications(
        &self,
        input: &dto::PutBucketNotificationConfigurationInput,
    ) -> Answered<dto::PutBucketNotificationConfigurationOutput> {
        let configuration = &input.notification_configuration;
        let queues = configuration.queue_configurations.iter().flatten();
        let routes: Vec<Route> = queues.map(route).collect::<S3Result<_>>()?;
        let mut world = self.shared.enter();
        world.bucket(&input.bucket)?;
        for route in &routes {
            let Target::Queue(name) = &route.target else { continue };
            if !world.queues.contains_key(name) {
                return Err(error::invalid_argument(
                    "Unable to validate the following destination configurations",
                ));
            }
        }
        let now = world.now;
        for route in &routes {
            let Target::Queue(name) = &route.target else { continue };
            let number = world.row.draw();
            world.send(name, test_message(&input.bucket, now, number).as_str().into());
        }
        let bucket = world.bucket_mut(&input.bucket)?;
        bucket.event_bridge = configuration.event_bridge_configuration.is_some();
        bucket.routes.retain(|route| route.shape != Shape::Notification);
        bucket.routes.extend(routes);
        Ok(S3Response::new(dto::PutBucketNotificationConfigurationOutput {}))
    }

    pub(super) fn get_notifications(
        &self,
        input: &dto::GetBucketNotificationConfigurationInput,
    ) -> Answered<dto::GetBucketNotificationConfigurationOutput> {
        let world = self.shared.enter();
        let bucket = world.bucket(&input.bucket)?;
        let routes = bucket.routes.iter().filter(|route| route.shape == Shape::Notification);
        let queues: Vec<_> = routes.filter_map(configuration).collect();
        Ok(S3Response::new(dto::GetBucketNotificationConfigurationOutput {
            queue_configurations: (!queues.is_empty()).then_some(queues),
            event_bridge_configuration: bucket.event_bridge.then(Default::default),
            ..Default::default()
        }))
    }
}

fn route(configuration: &dto::QueueConfiguration) -> S3Result<Route> {
    let queue = configuration.queue_arn.rsplit(':').next().unwrap_or_default();
    let mut route = Route::to_queue(Shape::Notification, queue);
    let asked = |kind: &EventKind| {
        let name = format!("s3:{}", kind.event_name());
        let named =
            |event: &dto::Event| [name.as_str(), "s3:ObjectRestore:*"].contains(&event.as_ref());
        configuration.events.iter().any(named)
    };
    route.kinds.retain(asked);
    let rules = configuration.filter.as_ref().and_then(|filter| filter.key.as_ref());
    for rule in rules.and_then(|key| key.filter_rules.as_ref()).into_iter().flatten() {
        let name = rule.name.as_ref().map(|name| name.as_str().to_ascii_lowercase());
        if name.as_deref() != Some("prefix") {
            return Err(s3_error!(NotImplemented, "filters other than by prefix"));
        }
        route.prefix = rule.value.clone().unwrap_or_default();
    }
    Ok(route)
}

fn configuration(route: &Route) -> Option<dto::QueueConfiguration> {
    let Target::Queue(name) = &route.target else { return None };
    let events = route.kinds.iter().map(|kind| format!("s3:{}", kind.event_name()).into());
    let rule = dto::FilterRule {
        name: Some(dto::FilterRuleName::from_static(dto::FilterRuleName::PREFIX)),
        value: Some(route.prefix.clone()),
    };
    let key = dto::S3KeyFilter { filter_rules: Some(vec![rule]) };
    let filter = dto::NotificationConfigurationFilter { key: Some(key) };
    Some(dto::QueueConfiguration {
        events: events.collect(),
        filter: (!route.prefix.is_empty()).then_some(filter),
        id: None,
        queue_arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"),
    })
}
