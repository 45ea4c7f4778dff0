//! Restores: what S3 answers, and what happens by the clock.

use dcmjoin_emulator::{
    AccessTier, Body, DaysFrom, EventKind, Options, Rate, Route, Shape, StorageClass, Tier,
    TimeKind,
};
use dcmjoin_testkit::Ask;
use serde_json::Value;

use super::*;

fn restore_header(scene: &Scene, key: &str) -> Option<String> {
    scene.head(key).header("x-amz-restore").map(str::to_owned)
}

#[test]
fn an_archive_is_read_once_it_is_restored() {
    let scene = Scene::archived();
    let refusal = scene.get("a.tar");
    refused(&refusal, 403, "InvalidObjectState");
    assert_eq!(refusal.element("StorageClass").as_deref(), Some("GLACIER"));
    assert_eq!(restore_header(&scene, "a.tar"), None);

    assert_eq!(scene.restore("a.tar", "Standard", 3).status, 202);
    assert_eq!(restore_header(&scene, "a.tar").as_deref(), Some(r#"ongoing-request="true""#));
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");

    scene.advance(5 * HOUR);
    let head = scene.head("a.tar");
    assert_eq!(head.header("x-amz-storage-class"), Some("GLACIER"));
    let expect = r#"ongoing-request="false", expiry-date="Sat, 14 Mar 2026 00:00:00 GMT""#;
    assert_eq!(head.header("x-amz-restore"), Some(expect));
    assert_eq!(scene.get("a.tar").body, b"0123456789");

    scene.emulator.clock().advance_to(at("2026-03-13T23:59:59Z"));
    assert_eq!(scene.get("a.tar").status, 200);
    scene.emulator.clock().advance_to(at("2026-03-14T00:00:00Z"));
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
    assert_eq!(restore_header(&scene, "a.tar"), None);
    assert_eq!(scene.restore("a.tar", "Bulk", 1).status, 202);
}

#[test]
fn each_tier_takes_its_time() {
    let classes = [StorageClass::Glacier, StorageClass::DeepArchive];
    let rows = [
        (0, "Expedited", MINUTE, 5 * MINUTE),
        (0, "Standard", 3 * HOUR, 5 * HOUR),
        (0, "Bulk", 5 * HOUR, 12 * HOUR),
        (1, "Standard", 9 * HOUR, 12 * HOUR),
        (1, "Bulk", 36 * HOUR, 48 * HOUR),
    ];
    for (class, tier, least, most) in rows {
        let scene = Scene::new();
        for number in 0..20 {
            let key = format!("{number}.tar");
            scene.put(&key, "x", classes[class]);
            assert_eq!(scene.restore(&key, tier, 1).status, 202);
        }
        let mut taken = Vec::new();
        for _ in 0..20 {
            taken.push(scene.emulator.clock().next().unwrap().since(at(START)));
        }
        assert!(taken.iter().all(|taken| (least..=most).contains(taken)), "{tier}: {taken:?}");
        assert_ne!(taken.first(), taken.last(), "{tier}: no spread");
        assert_eq!(scene.get("0.tar").status, 200);
    }
}

#[test]
fn a_running_restore_can_only_become_faster() {
    let scene = Scene::archived();
    assert_eq!(scene.restore("a.tar", "Bulk", 2).status, 202);
    refused(&scene.restore("a.tar", "Bulk", 2), 409, "RestoreAlreadyInProgress");
    refused(&scene.restore("a.tar", "Standard", 3), 409, "RestoreAlreadyInProgress");
    assert_eq!(scene.restore("a.tar", "Expedited", 2).status, 202);
    refused(&scene.restore("a.tar", "Standard", 2), 409, "RestoreAlreadyInProgress");
    scene.advance(5 * MINUTE);
    assert_eq!(scene.get("a.tar").status, 200);
    let ledger = scene.emulator.ledger();
    assert_eq!(ledger.retrieved(Tier::Bulk).bytes, 10);
    assert_eq!(ledger.retrieved(Tier::Expedited).requests, 1);
    assert_eq!(ledger.retrieved(Tier::Standard).requests, 0);
}

#[test]
fn asking_again_sets_the_expiry_anew_also_earlier() {
    let scene = Scene::archived();
    scene.restore("a.tar", "Expedited", 10);
    scene.advance(HOUR);
    assert!(restore_header(&scene, "a.tar").unwrap().contains("Sat, 21 Mar 2026 00:00:00 GMT"));
    assert_eq!(scene.restore("a.tar", "Bulk", 1).status, 200);
    assert!(restore_header(&scene, "a.tar").unwrap().contains("Thu, 12 Mar 2026 00:00:00 GMT"));
    assert_eq!(scene.emulator.clock().next_due(), Some(at("2026-03-12T00:00:00Z")));
    assert_eq!(scene.restore("a.tar", "Bulk", 5).status, 200);
    scene.emulator.clock().advance_to(at("2026-03-12T00:00:01Z"));
    assert_eq!(scene.get("a.tar").status, 200);
    assert_eq!(scene.emulator.ledger().retrieved(Tier::Bulk).requests, 0);
}

#[test]
fn days_can_count_from_the_request() {
    // Asked for on the 10th, there on the 11th: one day later it is the next midnight, or the
    // one after.
    for (days_from, expect) in
        [(DaysFrom::Request, "Thu, 12 Mar"), (DaysFrom::Completion, "Fri, 13 Mar")]
    {
        let scene = Scene::with(Options { days_from, ..Options::default() });
        scene.put("a.tar", "x", StorageClass::Glacier);
        scene.emulator.clock().advance_to(at("2026-03-10T22:00:00Z"));
        scene.restore("a.tar", "Standard", 1);
        scene.advance(5 * HOUR);
        let header = restore_header(&scene, "a.tar").unwrap();
        assert!(header.contains(expect), "{header}");
    }
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let scene = Scene::archived();
    scene.put("deep.tar", "x", StorageClass::DeepArchive);
    scene.put("plain.tar", "x", StorageClass::Standard);
    scene.put("instant.tar", "x", StorageClass::GlacierIr);
    scene.put("tiered.tar", "x", StorageClass::IntelligentTiering(AccessTier::Frequent));
    refused(&scene.restore("a.tar", "Bulk", 0), 400, "MalformedXML");
    refused(&scene.restore("a.tar", "Instant", 1), 400, "MalformedXML");
    refused(&scene.restore("none.tar", "Bulk", 1), 404, "NoSuchKey");
    refused(&scene.restore("deep.tar", "Expedited", 1), 400, "InvalidArgument");
    refused(&scene.restore("plain.tar", "Bulk", 1), 403, "InvalidObjectState");
    refused(&scene.restore("instant.tar", "Bulk", 1), 403, "InvalidObjectState");
    refused(&scene.restore("tiered.tar", "Bulk", 0), 403, "ObjectAlreadyInActiveTierError");
    let empty =
        Ask { method: "POST", path: "/archive/a.tar", query: &[("restore", "")], ..Ask::default() };
    refused(&scene.send(&empty), 400, "MalformedXML");
    refused(&scene.send(&Ask { body: b"<RestoreRequest><Days>", ..empty }), 400, "MalformedXML");
    assert_eq!(scene.emulator.ledger().retrieved.len(), 0);
}

#[test]
fn intelligent_tiering_moves_the_object_itself() {
    let scene = Scene::new();
    scene.put("a", "x", StorageClass::IntelligentTiering(AccessTier::DeepArchive));
    assert_eq!(scene.head("a").header("x-amz-archive-status"), Some("DEEP_ARCHIVE_ACCESS"));
    let refusal = scene.get("a");
    assert_eq!(refusal.element("AccessTier").as_deref(), Some("DEEP_ARCHIVE_ACCESS"));
    refused(&scene.restore("a", "Standard", 3), 400, "InvalidArgument");
    assert_eq!(scene.restore("a", "Standard", 0).status, 202);
    scene.advance(12 * HOUR);
    assert_eq!(scene.get("a").status, 200);
    assert_eq!(restore_header(&scene, "a"), None);
    scene.advance(100 * DAY);
    assert_eq!(scene.get("a").status, 200);
    assert_eq!(scene.emulator.ledger().copy_byte_millis, 0);
}

#[test]
fn versions_are_restored_one_by_one() {
    let scene = Scene::new();
    scene.emulator.storage().keep_versions("archive").unwrap();
    scene.put("a", "first", StorageClass::Glacier);
    scene.put("a", "second", StorageClass::Glacier);
    let list = scene.send(&Ask { path: "/archive", query: &[("versions", "")], ..Ask::default() });
    let text = list.text();
    let versions: Vec<&str> = text
        .split("<VersionId>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</VersionId>"))
        .map(|(version, _)| version)
        .collect();
    let &[second, first] = versions.as_slice() else { panic!("{text}") };
    assert_eq!(scene.restore_version("a", Some(first), "Expedited", 1).status, 202);
    refused(&scene.restore_version("a", Some("nonsense"), "Expedited", 1), 404, "NoSuchVersion");
    scene.advance(5 * MINUTE);
    refused(&scene.get("a"), 403, "InvalidObjectState");
    let get = |version| {
        scene.send(&Ask { path: "/archive/a", query: &[("versionId", version)], ..Ask::default() })
    };
    assert_eq!(get(first).body, b"first");
    refused(&get(second), 403, "InvalidObjectState");
}

#[test]
fn listings_tell_of_restores_when_they_are_asked_to() {
    let scene = Scene::archived();
    scene.put("b.tar", "x", StorageClass::Glacier);
    scene.put("c.tar", "x", StorageClass::Glacier);
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(HOUR);
    scene.restore("b.tar", "Bulk", 1);
    let query = &[("list-type", "2")];
    let plain = scene.send(&Ask { path: "/archive", query, ..Ask::default() }).text();
    assert!(!plain.contains("RestoreStatus"));
    assert_eq!(plain.matches("<StorageClass>GLACIER</StorageClass>").count(), 3);
    let headers = &[("x-amz-optional-object-attributes", "RestoreStatus")];
    let list = scene.send(&Ask { path: "/archive", query, headers, ..Ask::default() }).text();
    assert_eq!(list.matches("<RestoreStatus>").count(), 2);
    assert!(list.contains("<IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"));
    let expiry = "<RestoreExpiryDate>2026-03-12T00:00:00.000Z</RestoreExpiryDate>";
    assert!(list.contains(expiry), "{list}");
}

#[test]
fn events_follow_a_restore_through_its_life() {
    let scene = Scene::archived();
    scene.emulator.queues().create("events");
    let route = Route::to_queue(Shape::EventBridge, "events");
    scene.emulator.storage().add_route("archive", route).unwrap();
    scene.restore("a.tar", "Bulk", 1);
    // An upgrade is the same restore, and no event of its own.
    scene.restore("a.tar", "Standard", 1);
    let done = scene.emulator.clock().next().unwrap();
    let gone = scene.emulator.clock().next().unwrap();
    assert_eq!(gone, (done + DAY).midnight_up());
    assert_eq!(scene.emulator.clock().next(), None);
    let events: Vec<Value> = scene
        .emulator
        .queues()
        .drain("events")
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let types: Vec<_> = events.iter().map(|event| event["detail-type"].as_str().unwrap()).collect();
    assert_eq!(types, EventKind::ALL.map(EventKind::detail_type));
    assert_eq!(events[1]["time"], done.rfc3339());
    assert_eq!(events[1]["detail"]["restore-expiry-time"], gone.rfc3339());
    assert_eq!(events[2]["time"], gone.rfc3339());
}

#[test]
fn requests_are_taken_at_a_rate() {
    let rate = Rate { per_second: 5, time: TimeKind::Virtual };
    let scene = Scene::with(Options { restore_rate: Some(rate), ..Options::default() });
    for number in 0..7 {
        scene.put(&number.to_string(), "x", StorageClass::Glacier);
    }
    let statuses: Vec<u16> =
        (0..7).map(|number| scene.restore(&number.to_string(), "Bulk", 1).status).collect();
    assert_eq!(statuses, [202, 202, 202, 202, 202, 503, 503]);
    refused(&scene.restore("6", "Bulk", 1), 503, "ThrottlingException");
    scene.advance(std::time::Duration::from_secs(1));
    assert_eq!(scene.restore("6", "Bulk", 1).status, 202);
}

#[test]
fn copies_are_paid_for_as_long_as_they_are_there() {
    let scene = Scene::new();
    let gib = Body::Generated { length: 1 << 30, seed: 1 };
    scene.put("a", gib.clone(), StorageClass::Glacier);
    scene.put("b", gib, StorageClass::Glacier);
    scene.restore("a", "Standard", 2);
    scene.restore("b", "Standard", 2);
    let first = scene.emulator.clock().next().unwrap();
    let second = scene.emulator.clock().next().unwrap();
    // The second one is deleted a day later, the first one stays to its end.
    scene.advance(DAY);
    let delete = Ask { method: "DELETE", path: "/archive/b", ..Ask::default() };
    let first_was_a = scene.get("a").status == 200;
    assert!(first_was_a);
    assert_eq!(scene.send(&delete).status, 204);
    scene.advance(10 * DAY);
    let hours = scene.emulator.ledger().copy_gib_hours();
    let ends = at("2026-03-13T00:00:00Z");
    let latest = (ends.since(first) + DAY).as_secs_f64() / 3600.0;
    let other = (ends.since(second) + second.since(first) + DAY).as_secs_f64() / 3600.0;
    assert!((latest.min(other) - 5.0..=latest.max(other) + 5.0).contains(&hours), "{hours}");
}

#[test]
fn the_same_seed_takes_the_same_time() {
    let run = |seed| {
        let scene = Scene::with(Options { seed, ..Options::default() });
        let keys = ["a", "b", "c"];
        keys.iter().for_each(|key| scene.put(key, "x", StorageClass::Glacier));
        keys.iter().for_each(|key| drop(scene.restore(key, "Bulk", 1)));
        keys.map(|_| scene.emulator.clock().next().unwrap())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_clock_that_runs_completes_restores_by_itself() {
    let scene = Scene::archived();
    scene.emulator.queues().create("events");
    let mut route = Route::to_queue(Shape::EventBridge, "events");
    route.kinds = vec![EventKind::Completed];
    scene.emulator.storage().add_route("archive", route).unwrap();
    scene.restore("a.tar", "Standard", 1);
    // Five hours in a fifth of a second.
    scene.emulator.clock().run(5.0 * 3600.0 * 5.0);
    let receive = Ask {
        method: "POST",
        headers: &[
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "AmazonSQS.ReceiveMessage"),
        ],
        body: br#"{"QueueUrl": "http://localhost/1/events", "WaitTimeSeconds": 20}"#,
        service: "sqs",
        ..Ask::default()
    };
    let answer = scene.send(&receive).text();
    assert!(answer.contains("Object Restore Completed"), "{answer}");
}
