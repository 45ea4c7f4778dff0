//! Outputs that refuse: the campaign waits or pauses, and no archive bears it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use dcmjoin_campaign::ledger::{Ledger, Mode, Place, Select};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_campaign::scanner::{Asked, Batch, Scanned, Scanner};
use dcmjoin_campaign::{Error, Orchestrator};
use dcmjoin_emulator::{Effect, Keys, Kind, RequestFault};
use dcmjoin_model::Half;
use dcmjoin_pipeline::Report;
use dcmjoin_restore::task::ScanResult;
use tokio::sync::Notify;

use crate::scene::{IMAGES, Scene, report};

fn of_the_output(effect: Effect) -> RequestFault {
    RequestFault::new(effect).on(Kind::Put).keys(Keys::Start("out/".into()))
}

/// Scans that count against archives.
fn scans_counted(ledger: &dyn Ledger) -> u64 {
    let archives = [Half::Metadata, Half::Image]
        .into_iter()
        .flat_map(|half| ledger.page(Select::Half(half), 0, 100));
    archives.flatten().map(|archive| u64::from(archive.task.counts.scans)).sum()
}

/// Runs into an output that denies every write after so many; then the policy is mended.
async fn denied_after(writes: u32) {
    let scene = Scene::new();
    scene.emulator.faults().requests(of_the_output(Effect::AccessDenied).after(writes));
    let ledger = Arc::new(scene.create().await);
    let Outcome::Paused(reason) = scene.run(ledger.clone()).await.unwrap() else { panic!() };
    assert!(reason.contains("cannot write: access denied"), "{reason}");
    assert!(!reason.contains("2.25."), "{reason}");
    let standing = ledger.standing().unwrap();
    assert_eq!((standing.mode, standing.reason), (Mode::Paused, Some(reason)));
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scans_counted(&*ledger), 0, "after {writes} writes");

    scene.emulator.faults().clear();
    ledger.set_mode(Mode::Active, None).unwrap();
    let report = report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_denies_writes_pauses_the_campaign() {
    // The first lock, the first wave of metadata, one of images.
    for writes in [0, 3, 12, 20] {
        denied_after(writes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_passes_is_waited_for() {
    let scene = Scene::new();
    scene.emulator.faults().requests(of_the_output(Effect::ExpiredToken).after(12).times(4));
    let ledger = Arc::new(scene.create().await);
    let report = report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scans_counted(&*ledger), 0);
    assert_eq!(scene.emulator.ledger().faults["expired_token"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_does_not_pass_pauses_in_the_end() {
    let scene = Scene::new();
    scene.emulator.faults().requests(of_the_output(Effect::ExpiredToken));
    let ledger = Arc::new(scene.create().await);
    let Outcome::Paused(reason) = scene.run(ledger.clone()).await.unwrap() else { panic!() };
    assert!(reason.contains("credentials"), "{reason}");
    assert_eq!(scans_counted(&*ledger), 0);
}

/// A runner that one archive ends, with all that are read beside it.
struct Poisoned {
    inner: Arc<dyn Scanner>,
    key: &'static str,
}

/// A runner during whose scans the orchestrator is killed, so often.
struct Killed {
    inner: Arc<dyn Scanner>,
    kills: AtomicU16,
    now: Notify,
}

#[async_trait]
impl Scanner for Killed {
    async fn scan(&self, batch: Batch) -> Scanned {
        if self.kills.load(Ordering::Relaxed) > 0 {
            self.kills.fetch_sub(1, Ordering::Relaxed);
            self.now.notify_one();
            std::future::pending::<()>().await;
        }
        self.inner.scan(batch).await
    }

    async fn close(&self, metadata: &[Place], images: &[Place]) -> Result<(Report, Asked), Error> {
        self.inner.close(metadata, images).await
    }

    fn stop(&self) {
        self.inner.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_a_kill_ends_is_no_archives_fault() {
    let mut scene = Scene::new();
    scene.spec.wave_bytes = 1 << 30;
    let ledger = Arc::new(scene.create().await);
    let world = scene.world(ledger.clone());
    let kills = AtomicU16::new(scene.spec.policy.scans_max + 2);
    let scanner = Arc::new(Killed { inner: world.scanner.clone(), kills, now: Notify::new() });
    let outcome = loop {
        let mut world = world.clone();
        world.scanner = scanner.clone();
        let orchestrator = Orchestrator::take(world, "test").unwrap();
        tokio::select! {
            outcome = orchestrator.run() => break outcome.unwrap(),
            () = scanner.now.notified() => ledger.evict("test").unwrap(),
        }
    };
    let report = report(outcome);
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scans_counted(&*ledger), 0);
    assert_eq!(scanner.kills.load(Ordering::Relaxed), 0);
}

#[async_trait]
impl Scanner for Poisoned {
    async fn scan(&self, batch: Batch) -> Scanned {
        if batch.archives.iter().all(|archive| archive.place.key != self.key) {
            return self.inner.scan(batch).await;
        }
        let results = vec![ScanResult::Broke; batch.archives.len()];
        Scanned { results, asked: Asked::default(), trouble: None }
    }

    async fn close(&self, metadata: &[Place], images: &[Place]) -> Result<(Report, Asked), Error> {
        self.inner.close(metadata, images).await
    }

    fn stop(&self) {
        self.inner.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_ends_its_runner_takes_no_others_with_it() {
    let mut scene = Scene::new();
    // All images in one wave.
    scene.spec.wave_bytes = 1 << 30;
    let ledger = Arc::new(scene.create().await);
    let mut world = scene.world(ledger.clone());
    world.scanner = Arc::new(Poisoned { inner: world.scanner, key: "images/i00003.tar" });
    let orchestrator = Orchestrator::take(world, "test").unwrap();
    let Outcome::Done(Some(report)) = orchestrator.run().await.unwrap() else { panic!() };
    let standing = ledger.standing().unwrap();
    let expected = [("scan_keeps_failing".to_owned(), 1)].into();
    assert_eq!(standing.failures, expected);
    report.books().check().unwrap();
    assert_eq!(report.images.archives, u64::from(IMAGES) - 1);
}
