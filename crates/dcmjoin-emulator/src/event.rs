//! Events of restores, in the forms that AWS sends them.
//!
//! Sources: the EventBridge events reference of Amazon S3; the S3 user guide, "Event message
//! structure" and "Using EventBridge"; the SNS developer guide for its envelope.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::bucket::Name;
use crate::object::{Object, Tag};
use crate::time::Time;

/// Whose buckets these are.
pub(crate) const ACCOUNT: &str = "111122223333";
/// Where they are.
pub(crate) const REGION: &str = "us-east-1";
/// Who ends a restore, and a copy.
const S3_ITSELF: &str = "s3.amazonaws.com";

/// What classic notifications leave of a key as it is.
const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A retrieval was asked for.
    Initiated,
    /// The copy is there.
    Completed,
    /// The copy is gone.
    Expired,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Initiated, Self::Completed, Self::Expired];

    /// Returns EventBridge's `detail-type`.
    #[must_use]
    pub const fn detail_type(self) -> &'static str {
        match self {
            Self::Initiated => "Object Restore Initiated",
            Self::Completed => "Object Restore Completed",
            Self::Expired => "Object Restore Expired",
        }
    }

    /// Returns the classic notification's `eventName`; in its configuration, `s3:` stands before.
    #[must_use]
    pub const fn event_name(self) -> &'static str {
        match self {
            Self::Initiated => "ObjectRestore:Post",
            Self::Completed => "ObjectRestore:Completed",
            Self::Expired => "ObjectRestore:Delete",
        }
    }
}

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An EventBridge event.
    EventBridge,
    /// A classic S3 notification: `{"Records": [...]}`.
    Notification,
    /// A classic notification as the `Message` of an SNS notification.
    SnsNotification,
    /// An EventBridge event as the `Message` of an SNS notification.
    SnsEventBridge,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A queue of this emulator, by its name.
    Queue(String),
    /// A queue of another SQS server, by its URL.
    External(String),
}

/// A bucket's events of some kinds on their way to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In which form.
    pub shape: Shape,
    /// Which ones.
    pub kinds: Vec<EventKind>,
    /// Where to.
    pub target: Target,
    /// Only of keys that start so.
    pub prefix: String,
}

impl Route {
    /// Returns a route of all kinds of events to a queue of the emulator.
    #[must_use]
    pub fn to_queue(shape: Shape, queue: &str) -> Self {
        let target = Target::Queue(queue.into());
        Self { shape, kinds: EventKind::ALL.to_vec(), target, prefix: String::new() }
    }

    pub(crate) fn takes(&self, event: &Event) -> bool {
        self.kinds.contains(&event.kind) && event.key.starts_with(&self.prefix)
    }
}

/// Something that happened to an object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) time: Time,
    pub(crate) bucket: Name,
    pub(crate) key: Name,
    size: u64,
    tag: Tag,
    version: Option<String>,
    class: &'static str,
    /// Until when a completed restore's copy stays.
    pub(crate) expiry: Option<Time>,
    /// From which all identifiers of its messages follow.
    pub(crate) number: u64,
}

impl Event {
    pub(crate) fn new(
        kind: EventKind,
        time: Time,
        (bucket, key): (Name, Name),
        object: &Object,
        number: u64,
    ) -> Self {
        Self {
            kind,
            time,
            bucket,
            key,
            size: object.body.length(),
            tag: object.tag,
            version: object.version_header(),
            class: object.class.name(),
            expiry: None,
            number,
        }
    }

    /// Returns the same event with other identifiers.
    pub(crate) fn numbered(self, number: u64) -> Self {
        Self { number, ..self }
    }

    pub(crate) fn message(&self, shape: Shape) -> String {
        match shape {
            Shape::EventBridge => self.event_bridge().to_string(),
            Shape::Notification => self.notification().to_string(),
            Shape::SnsNotification => self.sns(&self.notification()).to_string(),
            Shape::SnsEventBridge => self.sns(&self.event_bridge()).to_string(),
        }
    }

    pub(crate) fn event_bridge(&self) -> Value {
        json!({
            "version": "0",
            "id": uuid(self.number),
            "detail-type": self.kind.detail_type(),
            "source": "aws.s3",
            "account": ACCOUNT,
            "time": self.time.rfc3339(),
            "region": REGION,
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": self.detail(),
        })
    }

    /// The fields differ by kind, as they do in the schemas of AWS's registry.
    fn detail(&self) -> Value {
        let mut object = json!({"key": &*self.key, "etag": self.tag.to_string()});
        if self.kind != EventKind::Expired {
            object["size"] = self.size.into();
        }
        if let Some(version) = &self.version {
            object["version-id"] = version.as_str().into();
        }
        let by_client = self.kind == EventKind::Initiated;
        let mut detail = json!({
            "version": "0",
            "bucket": {"name": &*self.bucket},
            "object": object,
            "request-id": request_id(self.number),
            "requester": if by_client { ACCOUNT } else { S3_ITSELF },
        });
        if by_client {
            detail["source-ip-address"] = "127.0.0.1".into();
        }
        if self.kind != EventKind::Expired {
            detail["source-storage-class"] = self.class.into();
        }
        if let Some(expiry) = self.expiry {
            detail["restore-expiry-time"] = expiry.rfc3339().into();
        }
        detail
    }

    fn notification(&self) -> Value {
        let mut object = json!({
            "key": form_encoded(&self.key),
            "size": self.size,
            "eTag": self.tag.to_string(),
            "sequencer": format!("{:018X}", self.time.millis()),
        });
        if let Some(version) = &self.version {
            object["versionId"] = version.as_str().into();
        }
        let mut record = json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": self.time.rfc3339_millis(),
            "eventName": self.kind.event_name(),
            "userIdentity": {"principalId": ACCOUNT},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {
                "x-amz-request-id": request_id(self.number),
                "x-amz-id-2": uuid(self.number),
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "restores",
                "bucket": {
                    "name": &*self.bucket,
                    "ownerIdentity": {"principalId": ACCOUNT},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        });
        if let Some(expiry) = self.expiry {
            record["glacierEventData"] = json!({"restoreEventData": {
                "lifecycleRestorationExpiryTime": expiry.rfc3339_millis(),
                "lifecycleRestoreStorageClass": self.class,
            }});
        }
        json!({"Records": [record]})
    }

    fn sns(&self, message: &Value) -> Value {
        json!({
            "Type": "Notification",
            "MessageId": uuid(self.number.wrapping_add(1)),
            "TopicArn": format!("arn:aws:sns:{REGION}:{ACCOUNT}:restores"),
            "Subject": "Amazon S3 Notification",
            "Message": message.to_string(),
            "Timestamp": self.time.rfc3339_millis(),
            "SignatureVersion": "1",
            "Signature": "c2lnbmF0dXJl",
            "SigningCertURL": format!("https://sns.{REGION}.amazonaws.com/certificate.pem"),
            "UnsubscribeURL": format!("https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe"),
        })
    }
}

/// What S3 sends to a queue that a bucket's notifications are newly sent to.
pub(crate) fn test_message(bucket: &str, time: Time, number: u64) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": time.rfc3339_millis(),
        "Bucket": bucket,
        "RequestId": request_id(number),
        "HostId": uuid(number),
    })
    .to_string()
}

/// Encodes a key as classic notifications and manifests have it: `quote_plus(key, safe="/")`.
pub(crate) fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, UNRESERVED).to_string().replace("%20", "+")
}

/// Encodes a key as listings have it where the client asks for `encoding-type=url`.
pub(crate) fn listing_encoded(key: &str) -> String {
    form_encoded(key)
}

/// Returns an identifier in the form of a UUID.
pub(crate) fn uuid(number: u64) -> String {
    let high = crate::random::number(number, 0);
    let low = crate::random::number(number, 1);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// Returns an identifier in the form of S3's request ids.
pub(crate) fn request_id(number: u64) -> String {
    format!("{:016X}", crate::random::number(number, 2))
}

#[cfg(test)]
mod tests;
