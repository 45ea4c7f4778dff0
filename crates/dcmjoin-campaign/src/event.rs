//! Messages of a queue to events of archives: `EventBridge`, classic S3 notifications, and either
//! inside an SNS notification (Amazon S3 User Guide, "Using `EventBridge`", "Event message
//! structure").

use dcmjoin_manifest::entry::url_decoded;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::{Event, EventKind};
use serde_json::Value;

use crate::ledger::Place;

/// The longest message (SQS: 256 KiB; 1 MiB from 2025 on).
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Reads a message. What is no restore event gives nothing: it is deleted and counted.
#[must_use]
pub fn read(body: &str) -> Vec<(Place, Event)> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Vec::new();
    }
    let Ok(value) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    if let (Some("Notification"), Some(inner)) = (value["Type"].as_str(), value["Message"].as_str())
    {
        let inner = serde_json::from_str::<Value>(inner).unwrap_or_default();
        return of_service(&inner);
    }
    of_service(&value)
}

fn of_service(value: &Value) -> Vec<(Place, Event)> {
    match value["Records"].as_array() {
        Some(records) => records.iter().filter_map(record).collect(),
        None => bridged(value).into_iter().collect(),
    }
}

fn bridged(value: &Value) -> Option<(Place, Event)> {
    let detail = &value["detail"];
    let expiry = detail["restore-expiry-time"].as_str();
    let kind = kind(value["detail-type"].as_str()?, expiry)?;
    let place = Place {
        bucket: detail["bucket"]["name"].as_str()?.to_owned(),
        key: detail["object"]["key"].as_str()?.to_owned(),
        version: text(&detail["object"]["version-id"]),
    };
    let time = Moment::parse_iso(value["time"].as_str()?).ok()?;
    Some((place, Event { kind, time }))
}

/// A record of a classic notification, whose key is URL-encoded.
fn record(record: &Value) -> Option<(Place, Event)> {
    let restored = &record["glacierEventData"]["restoreEventData"];
    let expiry = restored["lifecycleRestorationExpiryTime"].as_str();
    let kind = kind(record["eventName"].as_str()?, expiry)?;
    let place = Place {
        bucket: record["s3"]["bucket"]["name"].as_str()?.to_owned(),
        key: url_decoded(record["s3"]["object"]["key"].as_str()?).ok()?,
        version: text(&record["s3"]["object"]["versionId"]),
    };
    let time = Moment::parse_iso(record["eventTime"].as_str()?).ok()?;
    Some((place, Event { kind, time }))
}

fn kind(name: &str, expiry: Option<&str>) -> Option<EventKind> {
    let expiry = expiry.and_then(|expiry| Moment::parse_iso(expiry).ok());
    match name.trim_start_matches("s3:") {
        "Object Restore Initiated" | "ObjectRestore:Post" => Some(EventKind::Initiated),
        "Object Restore Completed" | "ObjectRestore:Completed" => {
            Some(EventKind::Completed { expiry })
        }
        "Object Restore Expired" | "ObjectRestore:Delete" => Some(EventKind::Expired),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bridge() -> Value {
        json!({"detail-type": "Object Restore Completed", "time": "2026-03-10T10:00:00Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a b+.tar"},
                "restore-expiry-time": "2026-03-13T00:00:00Z"}})
    }

    fn classic() -> Value {
        json!({"Records": [{"eventName": "ObjectRestore:Completed",
            "eventTime": "2026-03-10T10:00:00.000Z",
            "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2B.tar"}},
            "glacierEventData": {"restoreEventData":
                {"lifecycleRestorationExpiryTime": "2026-03-13T00:00:00.000Z"}}}]})
    }

    #[test]
    fn all_shapes_say_the_same() {
        let wrap = |inner: Value| json!({"Type": "Notification", "Message": inner.to_string()});
        let expected = read(&bridge().to_string());
        assert_eq!(expected.len(), 1);
        assert_eq!(expected[0].0.key, "a b+.tar");
        for message in [classic(), wrap(bridge()), wrap(classic())] {
            assert_eq!(read(&message.to_string()), expected);
        }
    }

    #[test]
    fn what_is_no_restore_event_gives_nothing() {
        for body in ["", "{}", "[]", "{\"Event\":\"s3:TestEvent\"}", "{\"Records\":[{}]}"] {
            assert!(read(body).is_empty(), "{body}");
        }
    }
}
