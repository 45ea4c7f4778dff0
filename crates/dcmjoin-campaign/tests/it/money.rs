//! The budget.

use std::sync::Arc;

use async_trait::async_trait;
use dcmjoin_campaign::Orchestrator;
use dcmjoin_campaign::clockwork::{Clockwork, ScanEnd};
use dcmjoin_campaign::ledger::{Ledger, Mode};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_emulator::Tier as Emulated;
use dcmjoin_restore::class::Tier;
use dcmjoin_restore::moment::Moment;
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

/// A person who takes the budget away while the campaign waits.
struct Stingy(Arc<dyn Clockwork>, Arc<dyn Ledger>);

#[async_trait]
impl Clockwork for Stingy {
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>) {
        self.1.set_budget(Some(Usd::ZERO)).unwrap();
        self.0.wait(now, wake, scan).await;
    }

    fn scan_counts_from(&self, begun: Moment, secs: u64) -> Option<Moment> {
        self.0.scan_counts_from(begun, secs)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_counts_from_when_it_is_set() {
    let mut scene = Scene::new();
    scene.spec.waves_ahead = Some(1);
    let ledger = Arc::new(scene.create().await);
    let mut world = scene.world(ledger.clone());
    world.clockwork = Arc::new(Stingy(world.clockwork, ledger.clone()));
    let outcome = Orchestrator::take(world, "test").unwrap().run().await.unwrap();
    let Outcome::Paused(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("budget"), "{reason}");
    assert_eq!(ledger.budget().unwrap(), Some(Usd::ZERO), "what a person said stands");
    let asked = scene.emulator.ledger().retrieved(Emulated::Bulk).requests;
    assert!((1..=u64::from(IMAGES)).contains(&asked), "{asked}");
}
