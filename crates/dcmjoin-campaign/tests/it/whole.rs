//! Whole campaigns, with nothing amiss.

use dcmjoin_emulator::{Options, Shape, Tier};

use crate::scene::{IMAGES, Scene};

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
async fn every_shape_of_events_will_do() {
    for shape in [Shape::Notification, Shape::SnsNotification, Shape::SnsEventBridge] {
        let standing = Scene::with(Options::default(), shape).balances().await;
        assert_eq!(standing.counts.get("events_unreadable"), None);
    }
}
