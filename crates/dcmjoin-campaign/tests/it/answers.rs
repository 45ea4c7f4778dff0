//! Answers of every kind, and copies that go.

use std::sync::Arc;
use std::time::Duration;

use dcmjoin_campaign::aws::Credentials;
use dcmjoin_campaign::ledger::Ledger;
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_emulator::{Access, Effect, KeyPair, Keys, Kind, Options, RequestFault, Shape, Time};
use dcmjoin_restore::moment::{DAY, Moment};

use crate::scene::{IMAGES, START, Scene, key};

async fn with(fault: RequestFault) -> dcmjoin_campaign::ledger::Standing {
    let scene = Scene::new();
    scene.emulator.faults().requests(fault);
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_pass() {
    for effect in [Effect::SlowDown, Effect::InternalError, Effect::Drop] {
        with(RequestFault::new(effect).on(Kind::Restore).times(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_given_up_and_the_rest_goes_on() {
    let scene = Scene::new();
    let fault = RequestFault::new(Effect::AccessDenied).on(Kind::Restore);
    scene.emulator.faults().requests(fault.keys(Keys::Is("images/i00003.tar".into())));
    let ledger = Arc::new(scene.create().await);
    assert!(matches!(scene.run(ledger.clone()).await.unwrap(), Outcome::Done(Some(_))));
    let standing = ledger.standing().unwrap();
    assert_eq!(standing.failures.get("access_denied"), Some(&1), "{:?}", standing.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_never_restores_holds_up_nothing() {
    let scene = Scene::new();
    let fault = RequestFault::new(Effect::NeverRestores).on(Kind::Restore);
    scene.emulator.faults().requests(fault.keys(Keys::Is("images/i00002.tar".into())));
    let ledger = Arc::new(scene.create().await);
    let Outcome::Done(Some(report)) = scene.run(ledger.clone()).await.unwrap() else { panic!() };
    let standing = ledger.standing().unwrap();
    assert_eq!(standing.failures.get("never_restored"), Some(&1), "{:?}", standing.failures);
    report.books().check().unwrap();
    assert_eq!(report.images.archives, u64::from(IMAGES) - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_already_is_read() {
    let scene = Scene::new();
    let place = |number: u32| dcmjoin_campaign::ledger::Place {
        bucket: "archive".into(),
        key: format!("images/i{number:05}.tar"),
        version: None,
    };
    let aws = scene.aws();
    // One is there (200), one is on its way (409).
    aws.restore(&place(0), "Expedited", Some(5)).await;
    scene.emulator.clock().advance(Duration::from_mins(10));
    aws.restore(&place(1), "Bulk", Some(5)).await;
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_goes_while_it_is_read_is_restored_again() {
    let scene = Scene::new();
    let fault = RequestFault::new(Effect::ExpireCopy { after: 1_000 }).on(Kind::Get).times(1);
    scene.emulator.faults().requests(fault.keys(Keys::Start("images/".into())));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    assert_eq!(scene.emulator.ledger().faults["expire_copy"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_does_no_harm() {
    let mut scene = Scene::new();
    scene.local = Some(|| {
        let now = Moment::parse_iso(START).unwrap();
        now.minus(DAY)
    });
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_replaced() {
    let start = Time::parse(START).unwrap();
    let ends = start + Duration::from_hours(10);
    let pairs = vec![
        KeyPair::new("test-key", "test-secret"),
        KeyPair::session("short-key", "short-secret", "token", ends),
    ];
    let options = Options { access: Access::Keys(pairs), ..Options::default() };
    let mut scene = Scene::with(options, Shape::EventBridge);
    let clock = scene.emulator.clock();
    scene.provider = Arc::new(move || {
        // The refreshed ones come an hour late.
        let late = ends + Duration::from_hours(1);
        Some(if clock.now() < late {
            Credentials {
                access_key: "short-key".into(),
                secret_key: "short-secret".into(),
                session_token: Some("token".into()),
            }
        } else {
            key()
        })
    });
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
}
