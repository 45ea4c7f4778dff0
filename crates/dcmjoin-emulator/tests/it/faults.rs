//! Faults on demand, each as a client meets it.

use dcmjoin_emulator::{
    Body, Effect, EventEffect, EventKind, Fault, Keys, Kind, Route, Shape, StorageClass,
};

use super::*;

fn readable() -> Scene {
    let scene = Scene::new();
    scene.put("k", "0123456789", StorageClass::Standard);
    scene
}

fn strike(scene: &Scene, kind: Kind, effect: Effect) {
    scene.emulator.faults().requests(Fault::new(effect).on(kind).times(1));
}

#[test]
fn a_storm_passes() {
    let scene = readable();
    let storm = Fault::new(Effect::SlowDown).during(at(START), at(START) + MINUTE);
    scene.emulator.faults().requests(storm);
    refused(&scene.get("k"), 503, "SlowDown");
    scene.advance(MINUTE);
    assert_eq!(scene.get("k").status, 200);
    assert_eq!(scene.emulator.ledger().faults.get("slow_down"), Some(&1));
}

#[test]
fn refusals_on_demand() {
    let scene = readable();
    strike(&scene, Kind::Get, Effect::InternalError);
    refused(&scene.get("k"), 500, "InternalError");
    strike(&scene, Kind::Get, Effect::ExpiredToken);
    refused(&scene.get("k"), 400, "ExpiredToken");
    let denied = Fault::new(Effect::AccessDenied).keys(Keys::Is("secret".into()));
    scene.emulator.faults().requests(denied);
    scene.put("secret", "x", StorageClass::Standard);
    refused(&scene.get("secret"), 403, "AccessDenied");
    assert_eq!(scene.head("secret").status, 403);
    assert_eq!(scene.get("k").status, 200);
    scene.emulator.faults().clear();
    assert_eq!(scene.get("secret").status, 200);
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    let scene = readable();
    let range = [("range", "bytes=2-5")];
    strike(&scene, Kind::Get, Effect::CutBody { after: 4 });
    let cut = scene.get("k");
    assert_eq!((cut.header("content-length"), cut.text().as_str()), (Some("10"), "0123"));
    strike(&scene, Kind::Get, Effect::ShortBody { by: 1 });
    let short = scene.get_with("k", &range);
    assert_eq!((short.header("content-length"), short.text().as_str()), (Some("3"), "234"));
    assert_eq!(short.header("content-range"), Some("bytes 2-5/10"));
    strike(&scene, Kind::Get, Effect::WrongRange { by: 3 });
    let wrong = scene.get_with("k", &range);
    assert_eq!(
        (wrong.header("content-range"), wrong.text().as_str()),
        (Some("bytes 5-8/10"), "5678")
    );
    strike(&scene, Kind::Get, Effect::IgnoreRange);
    let whole = scene.get_with("k", &range);
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    strike(&scene, Kind::Get, Effect::FlipBit { at: 1 });
    assert_eq!(scene.get_with("k", &range).text(), "2245");
    assert_eq!(scene.get_with("k", &range).text(), "2345");
}

#[test]
fn a_connection_that_drops() {
    let scene = readable();
    strike(&scene, Kind::Head, Effect::Drop);
    let ask = dcmjoin_testkit::Ask { method: "HEAD", path: "/archive/k", ..Default::default() };
    assert!(scene.client.send(&ask).is_err());
    assert_eq!(scene.head("k").status, 200);
}

#[test]
fn a_copy_that_goes_while_it_is_read() {
    let scene = Scene::archived();
    scene.restore("a.tar", "Expedited", 5);
    scene.advance(HOUR);
    strike(&scene, Kind::Get, Effect::ExpireCopy { after: 3 });
    assert_eq!(scene.get("a.tar").text(), "012");
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
    assert_eq!(scene.restore("a.tar", "Expedited", 5).status, 202);
}

#[test]
fn a_copy_goes_at_its_time_also_while_it_is_read() {
    let scene = Scene::new();
    // More than the sockets' buffers hold, so that the server must wait for the reader.
    let length = 64 << 20;
    scene.put("big", Body::Generated { length, seed: 1 }, StorageClass::Glacier);
    scene.restore("big", "Expedited", 1);
    scene.advance(HOUR);
    let clock = scene.emulator.clock();
    let end = at("2026-03-12T00:00:00Z");
    // The clock passes the end somewhere in the middle of the read.
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| scene.get("big").body.len() as u64);
        while scene.emulator.ledger().bytes_read < 1 << 20 {
            std::thread::yield_now();
        }
        clock.advance_to(end);
        reader.join().unwrap()
    });
    assert!(reads < length, "{reads}");
    refused(&scene.get("big"), 403, "InvalidObjectState");
}

#[test]
fn an_object_that_is_overwritten_between_reads() {
    let scene = Scene::archived();
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(HOUR);
    let tag = scene.head("a.tar").header("etag").unwrap().to_owned();
    let condition = [("if-match", tag.as_str())];
    let overwrite = Effect::Overwrite(Body::from("other"));
    scene.emulator.faults().requests(Fault::new(overwrite).on(Kind::Get).after(1).times(1));
    assert_eq!(scene.get_with("a.tar", &condition).text(), "0123456789");
    refused(&scene.get_with("a.tar", &condition), 412, "PreconditionFailed");
    assert_eq!(scene.get("a.tar").text(), "other");
    scene.emulator.clock().advance_to(at("2026-03-12T00:00:00Z"));
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
}

#[test]
fn expedited_capacity_can_be_gone() {
    let scene = Scene::archived();
    strike(&scene, Kind::Restore, Effect::NoExpeditedCapacity);
    let refusal = scene.restore("a.tar", "Expedited", 1);
    refused(&refusal, 503, "GlacierExpeditedRetrievalNotAvailable");
    strike(&scene, Kind::Restore, Effect::NoExpeditedCapacity);
    assert_eq!(scene.restore("a.tar", "Standard", 1).status, 202);
}

#[test]
fn a_restore_can_take_for_ever() {
    let scene = Scene::archived();
    strike(&scene, Kind::Restore, Effect::NeverRestores);
    assert_eq!(scene.restore("a.tar", "Bulk", 1).status, 202);
    scene.advance(400 * DAY);
    refused(&scene.get("a.tar"), 403, "InvalidObjectState");
    refused(&scene.restore("a.tar", "Bulk", 1), 409, "RestoreAlreadyInProgress");
    assert_eq!(scene.emulator.clock().next_due(), None);
}

/// Restores objects under a fault of the completed events; returns the keys as they came.
fn completed(effect: EventEffect) -> Vec<String> {
    let scene = Scene::new();
    scene.emulator.queues().create("events");
    let mut route = Route::to_queue(Shape::EventBridge, "events");
    route.kinds = vec![EventKind::Completed];
    scene.emulator.storage().add_route("archive", route).unwrap();
    let fault = Fault::new(effect).on(EventKind::Completed).keys(Keys::End("3.tar".into()));
    scene.emulator.faults().events(fault);
    for number in 0..6 {
        let key = format!("{number}.tar");
        scene.put(&key, "x", StorageClass::Glacier);
        // An hour apart, each within minutes: in order.
        scene.restore(&key, "Expedited", 10);
        scene.advance(HOUR);
    }
    scene.advance(5 * HOUR);
    let events = scene.emulator.queues().drain("events");
    let key = |text: &String| {
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        event["detail"]["object"]["key"].as_str().unwrap()[..1].to_owned()
    };
    events.iter().map(key).collect()
}

#[test]
fn events_get_lost_doubled_and_late() {
    assert_eq!(completed(EventEffect::Lose).concat(), "01245");
    let doubled = EventEffect::Duplicate { times: 2, within: Duration::ZERO };
    assert_eq!(completed(doubled).concat(), "01233345");
    let late = EventEffect::Delay { least: 90 * MINUTE, most: 110 * MINUTE };
    assert_eq!(completed(late).concat(), "012435");
}
