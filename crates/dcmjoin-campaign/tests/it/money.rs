//! The budget.

use std::sync::Arc;

use dcmjoin_campaign::ledger::{Ledger, Mode};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_emulator::Tier as Emulated;
use dcmjoin_restore::class::Tier;
use dcmjoin_restore::money::Usd;

use crate::scene::{IMAGES, Scene, report};

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_pauses_the_campaign_before_it_is_exceeded() {
    let mut scene = Scene::new();
    scene.spec.policy.tier = Tier::Expedited;
    // An Expedited request is a cent: three of seven.
    scene.spec.budget = Usd::from_dollars(0.035);
    let ledger = Arc::new(scene.create().await);
    let Outcome::Paused(reason) = scene.run(ledger.clone()).await.unwrap() else { panic!() };
    assert!(reason.contains("budget"), "{reason}");
    let standing = ledger.standing().unwrap();
    assert_eq!(standing.mode, Mode::Paused);
    assert!(standing.spend.spent() <= Usd::from_dollars(0.035).unwrap());
    let asked = scene.emulator.ledger().retrieved(Emulated::Expedited).requests;
    assert!((1..=3).contains(&asked), "{asked}");

    ledger.set_budget(Usd::from_dollars(1.0)).unwrap();
    ledger.set_mode(Mode::Active, None).unwrap();
    let report = report(scene.run(ledger.clone()).await.unwrap());
    scene.check(&report, &ledger.standing().unwrap());
    let asked = scene.emulator.ledger().retrieved(Emulated::Expedited).requests;
    assert_eq!(asked, u64::from(IMAGES) + 1);
}
