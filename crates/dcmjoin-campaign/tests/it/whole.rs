//! Whole campaigns, with nothing amiss.

use std::sync::Arc;

use dcmjoin_campaign::ledger::Ledger;
use dcmjoin_emulator::{Kind, Options, Shape, Tier};

use crate::scene::{IMAGES, Scene, report};

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_ends_with_balanced_books() {
    let scene = Scene::new();
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert!(standing.waves.len() > 2, "{:?}", standing.waves);
    let bulk = scene.emulator.ledger().retrieved(Tier::Bulk);
    assert_eq!(bulk.requests, u64::from(IMAGES) + 1, "an archive was restored twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_tell_size_and_class_need_no_listing() {
    let mut scene = Scene::new();
    let storage = scene.emulator.storage();
    let mut sources = Vec::new();
    for side in ["metadata", "images"] {
        let file = scene.folder.path().join(format!("{side}.jsonl"));
        let keys = storage.keys("archive", &format!("{side}/")).unwrap().into_iter();
        let rows = keys.map(|key| {
            let size = storage.body("archive", &key).unwrap().length();
            let row = serde_json::json!({
                "bucket": "archive", "key": key, "size": size, "storage_class": "GLACIER",
            });
            format!("{row}\n")
        });
        std::fs::write(&file, rows.collect::<String>()).unwrap();
        sources.push(format!("@{}", file.display()));
    }
    scene.spec.images = vec![sources.remove(1)];
    scene.spec.metadata = sources;
    let ledger = Arc::new(scene.create().await);
    assert_eq!(scene.emulator.ledger().count(Kind::List), 0);
    let report = report(scene.run(ledger.clone()).await.unwrap());
    scene.check(&report, &ledger.standing().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_events_will_do() {
    for shape in [Shape::Notification, Shape::SnsNotification, Shape::SnsEventBridge] {
        let standing = Scene::with(Options::default(), shape).balances().await;
        assert_eq!(standing.counts.get("events_unreadable"), None);
    }
}
