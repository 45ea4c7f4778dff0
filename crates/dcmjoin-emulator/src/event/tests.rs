use super::*;
use crate::body::Body;
use crate::class::StorageClass;

fn event(kind: EventKind) -> Event {
    let body = Body::from("hello");
    let time = Time::parse("2021-11-12T10:00:00Z").unwrap();
    let tag = Tag::of(&body, 1);
    let object = Object::new(1, body, tag, StorageClass::Glacier, time);
    let mut event = Event::new(kind, time, ("bucket".into(), "a b/ü.tar".into()), &object, 7);
    if kind == EventKind::Completed {
        event.expiry = Some(Time::parse("2021-11-13T00:00:00Z").unwrap());
    }
    event
}

fn parsed(kind: EventKind, shape: Shape) -> Value {
    serde_json::from_str(&event(kind).message(shape)).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn event_bridge_has_the_fields_of_the_reference() {
    let value = parsed(EventKind::Completed, Shape::EventBridge);
    assert_eq!(value["detail-type"], "Object Restore Completed");
    assert_eq!(value["source"], "aws.s3");
    assert_eq!(value["time"], "2021-11-12T10:00:00Z");
    assert_eq!(value["resources"][0], "arn:aws:s3:::bucket");
    let detail = &value["detail"];
    assert_eq!(detail["object"]["key"], "a b/ü.tar");
    assert_eq!(detail["object"]["size"], 5);
    assert_eq!(detail["object"]["etag"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(detail["restore-expiry-time"], "2021-11-13T00:00:00Z");
    assert_eq!(detail["source-storage-class"], "GLACIER");
    assert_eq!(detail["requester"], "s3.amazonaws.com");
}

#[test]
fn fields_differ_by_kind() {
    let initiated = parsed(EventKind::Initiated, Shape::EventBridge);
    assert_eq!(
        names(&initiated["detail"]),
        [
            "bucket",
            "object",
            "request-id",
            "requester",
            "source-ip-address",
            "source-storage-class",
            "version"
        ]
    );
    let expired = parsed(EventKind::Expired, Shape::EventBridge);
    assert_eq!(
        names(&expired["detail"]),
        ["bucket", "object", "request-id", "requester", "version"]
    );
    assert_eq!(names(&expired["detail"]["object"]), ["etag", "key"]);
}

#[test]
fn classic_notifications_encode_keys() {
    let value = parsed(EventKind::Completed, Shape::Notification);
    let record = &value["Records"][0];
    assert_eq!(record["eventName"], "ObjectRestore:Completed");
    assert_eq!(record["s3"]["object"]["key"], "a+b/%C3%BC.tar");
    let data = &record["glacierEventData"]["restoreEventData"];
    assert_eq!(data["lifecycleRestorationExpiryTime"], "2021-11-13T00:00:00.000Z");
    assert_eq!(data["lifecycleRestoreStorageClass"], "GLACIER");
}

#[test]
fn sns_wraps_both_forms_as_text() {
    for (shape, field) in
        [(Shape::SnsNotification, "Records"), (Shape::SnsEventBridge, "detail-type")]
    {
        let value = parsed(EventKind::Expired, shape);
        assert_eq!(value["Type"], "Notification");
        let inner: Value = serde_json::from_str(value["Message"].as_str().unwrap()).unwrap();
        assert!(!inner[field].is_null());
    }
}

#[test]
fn identifiers_have_their_forms() {
    assert_eq!(uuid(1).len(), 36);
    assert_ne!(uuid(1), uuid(2));
    assert_eq!(request_id(1).len(), 16);
}
