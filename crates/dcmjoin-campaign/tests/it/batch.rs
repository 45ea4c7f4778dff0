//! Campaigns that ask by S3 Batch Operations jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dcmjoin_campaign::Sqlite;
use dcmjoin_campaign::clockwork::{Clockwork, ScanEnd};
use dcmjoin_campaign::ledger::{Lease, Ledger as _};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_campaign::spec::Batch;
use dcmjoin_emulator::{Effect, Fault, Keys, Kind, Options, ReportColumns, Shape, Tier};
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::money::Usd;

use crate::journal::Dies;
use crate::scene::{IMAGES, Scene};

const ROLE: &str = "arn:aws:iam::111122223333:role/restores";

fn scene(options: Options) -> Scene {
    let mut scene = Scene::with(options, Shape::EventBridge);
    scene.emulator.storage().create_bucket("jobs").unwrap();
    scene.spec.batch = Batch::new(ROLE, "s3://jobs/campaign");
    scene
}

/// Asks the orchestrator to stop at its first wait: its jobs have begun, and are not done.
struct StopsAtOnce(Arc<dyn Clockwork>, Arc<AtomicBool>);

#[async_trait]
impl Clockwork for StopsAtOnce {
    async fn wait(&self, now: Moment, wake: Option<Moment>, scan: Option<ScanEnd>) {
        self.1.store(true, Ordering::Relaxed);
        self.0.wait(now, wake, scan).await;
    }

    fn scan_counts_from(&self, begun: Moment, secs: u64) -> Option<Moment> {
        self.0.scan_counts_from(begun, secs)
    }
}

fn restores(scene: &Scene) -> u64 {
    scene.emulator.ledger().count(Kind::Restore)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_asks_by_jobs_alone() {
    for report_columns in [ReportColumns::AsInExample, ReportColumns::AsInSchema] {
        let scene = scene(Options { report_columns, ..Options::default() });
        let standing = scene.balances().await;
        let ledger = scene.emulator.ledger();
        assert!(standing.failures.is_empty(), "{:?}", standing.failures);
        assert_eq!(ledger.batch_jobs, standing.waves.len() as u64, "a job a wave");
        assert_eq!(ledger.batch_tasks, u64::from(IMAGES) + 1);
        assert_eq!(ledger.retrieved(Tier::Bulk).requests, u64::from(IMAGES) + 1);
        assert_eq!(restores(&scene), 0, "no key was asked for by itself");
        assert_eq!(standing.counts.get("batch_keys_failed"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_a_job_fails_on_are_asked_for_one_by_one() {
    let scene = scene(Options::default());
    let keys = scene.emulator.storage().keys("archive", "images/").unwrap();
    let fault = |effect, key: &str| Fault::new(effect).on(Kind::Batch).keys(Keys::Is(key.into()));
    scene.emulator.faults().requests(fault(Effect::AccessDenied, &keys[1]));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(standing.counts.get("batch_keys_failed"), Some(&1));
    assert_eq!(restores(&scene), 1);
}

/// A job may ask twice for a key, and report the second answer: 409, as its restore runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_asked_for_twice_is_on_its_way() {
    let scene = scene(Options::default());
    scene.emulator.faults().requests(Fault::new(Effect::RepeatTask).on(Kind::Batch));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(restores(&scene), 0, "409 is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jobs_keys_are_asked_for_one_by_one() {
    let mut scene = scene(Options::default());
    scene.spec.batch = Batch::new(ROLE, "s3://none/campaign");
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scene.emulator.ledger().batch_jobs, 0);
    assert_eq!(restores(&scene), u64::from(IMAGES) + 1);
}

/// A report says that restores were asked for; nothing is read before copies are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_not_taken_for_a_copy() {
    let scene = scene(Options::default());
    scene.balances().await;
    let refused = scene.emulator.ledger().refused;
    assert_eq!(refused.get(&403), None, "an archive was read before its copy was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_goes_on_takes_up_the_jobs_of_the_one_before() {
    let scene = scene(Options::default());
    let ledger = Arc::new(scene.create().await);
    let mut world = scene.world(ledger.clone());
    let (clock, stop) = (Arc::clone(&world.clockwork), Arc::clone(&world.stop));
    world.clockwork = Arc::new(StopsAtOnce(clock, stop));
    let one = dcmjoin_campaign::Orchestrator::take(world, "one").unwrap();
    let outcome = one.run().await.unwrap();
    assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
    let report = crate::scene::report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scene.emulator.ledger().batch_jobs, standing.waves.len() as u64, "a job a wave");
    assert_eq!(restores(&scene), 0, "no key was asked for by itself");
    assert_eq!(ledger.jobs().unwrap(), []);
}

/// Each key is asked for once, by a job or, where the writes part it from its job, by itself.
async fn a_job_survives_a_death_at(at: usize, after: bool) -> bool {
    let scene = scene(Options::default());
    let inner = scene.create().await;
    let dying = Arc::new(Dies::at(inner, at, after));
    if let Ok(Outcome::Done(_)) = scene.run(dying).await {
        return false;
    }
    let ledger = Arc::new(Sqlite::open(&scene.file()).unwrap());
    ledger.release(Lease { epoch: 1 }).unwrap();
    let report = crate::scene::report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "write {at}: {:?}", standing.failures);
    let made = scene.emulator.ledger();
    assert_eq!(made.retrieved(Tier::Bulk).requests, u64::from(IMAGES) + 1, "write {at}");
    assert!(made.batch_jobs <= standing.waves.len() as u64, "write {at}: a job was made twice");
    assert_eq!(ledger.jobs().unwrap(), [], "write {at}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_may_die_at_any_write_about_jobs() {
    // Those of the first turns, when jobs are made, and some of when they are looked at.
    for (at, after) in
        [(0, true), (1, false), (1, true), (2, false), (3, true), (5, false), (9, true)]
    {
        assert!(a_job_survives_a_death_at(at, after).await, "only {at} writes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_stops_the_keys_of_a_job() {
    let mut scene = scene(Options::default());
    scene.spec.budget = Usd::from_dollars(0.0001);
    let ledger = Arc::new(scene.create().await);
    let outcome = scene.run(ledger.clone()).await.unwrap();
    assert!(matches!(outcome, Outcome::Paused(_)), "{outcome:?}");
    assert_eq!(scene.emulator.ledger().batch_jobs, 0, "a job alone costs 25 cents");
    ledger.set_budget(None).unwrap();
    ledger.set_mode(dcmjoin_campaign::ledger::Mode::Active, None).unwrap();
    let report = crate::scene::report(scene.run(ledger.clone()).await.unwrap());
    scene.check(&report, &ledger.standing().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_making_is_not_answered_is_asked_for_again() {
    let scene = scene(Options::default());
    scene.emulator.faults().requests(Fault::new(Effect::Drop).on(Kind::Batch).times(2));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scene.emulator.ledger().batch_jobs, standing.waves.len() as u64, "a job a wave");
    assert_eq!(restores(&scene), 0, "no key was asked for by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_nobody_makes_are_given_up() {
    let scene = scene(Options::default());
    scene.emulator.faults().requests(Fault::new(Effect::InternalError).on(Kind::Batch));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scene.emulator.ledger().batch_jobs, 0);
    assert_eq!(restores(&scene), u64::from(IMAGES) + 1);
    // Each was paid for once, and no job was.
    let spent = standing.spend.spent();
    assert!(spent < Usd::from_dollars(0.1).unwrap(), "{spent}");
}
