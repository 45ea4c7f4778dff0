//! Events that come twice, late, in any order, or not at all.

use std::time::Duration;

use dcmjoin_emulator::{EventEffect, EventFault, EventKind};

use crate::scene::Scene;

const HOUR: Duration = Duration::from_secs(3600);

async fn with(fault: EventFault) -> dcmjoin_campaign::ledger::Standing {
    let scene = Scene::new();
    scene.emulator.faults().events(fault);
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_a_hundred_times_count_once() {
    let effect = EventEffect::Duplicate { times: 100, within: HOUR };
    let standing = with(EventFault::new(effect).on(EventKind::Completed)).await;
    assert!(standing.counts["duplicate"] > 100, "{:?}", standing.counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_tell_what_lost_events_would_have() {
    with(EventFault::new(EventEffect::Lose)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_change_places_do_no_harm() {
    let effect = EventEffect::Delay { least: Duration::ZERO, most: 60 * HOUR };
    with(EventFault::new(effect)).await;
}
