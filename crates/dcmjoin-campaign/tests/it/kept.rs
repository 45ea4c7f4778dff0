//! Copies of archives, kept while they stream past.

use std::sync::Arc;

use dcmjoin_campaign::ledger::{Ledger, Mode};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_emulator::{Effect, Keys, Kind, RequestFault};
use dcmjoin_objects::Stores;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::{Progress, Report, RunConfig, local};

use crate::scene::{IMAGES, Scene, report, variables};

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.emulator.storage().create_bucket("kept").unwrap();
    scene.spec.keep = Some("s3://kept/copies".into());
    scene
}

fn read(body: &dcmjoin_emulator::Body) -> Vec<u8> {
    body.read(0..body.length()).unwrap().into()
}

/// Each archive has its copy, byte for byte, and the mark that says so.
fn check_copies(scene: &Scene) {
    let storage = scene.emulator.storage();
    let archives = storage.keys("archive", "").unwrap();
    assert_eq!(archives.len(), IMAGES as usize + 1);
    for key in &archives {
        let copy = storage.body("kept", &format!("copies/archive/{key}")).unwrap();
        assert!(read(&copy) == read(&storage.body("archive", key).unwrap()), "{key}");
        storage.body("kept", &format!("copies/_dcmjoin/kept/archive/{key}.json")).unwrap();
    }
    assert_eq!(storage.keys("kept", "").unwrap().len(), 2 * archives.len());
}

/// Joins what lies below a prefix, without any restore.
async fn join(scene: &Scene, from: &str) -> Report {
    let source = |side: &str| -> Vec<Source> { vec![format!("{from}/{side}").parse().unwrap()] };
    let output = "memory://".parse().unwrap();
    let config = RunConfig::new(source("metadata"), source("images"), output);
    let stores = Stores::with_variables(variables(&scene.emulator.endpoint()));
    local::run_on(&stores, config, Arc::new(Progress::default())).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_read_once_and_their_copies_can_be_joined_again() {
    let scene = scene();
    // A second read of this one would be refused.
    let again = RequestFault::new(Effect::AccessDenied).on(Kind::Get).after(1);
    scene.emulator.faults().requests(again.keys(Keys::Is("images/i00003.tar".into())));
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    check_copies(&scene);
    let joined = join(&scene, "s3://kept/copies/archive").await;
    joined.books().check().unwrap();
    assert_eq!(joined.instances.published, scene.instances);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_catalogue_already_is_kept_too() {
    let mut scene = scene();
    let keep = scene.spec.keep.take();
    scene.balances().await;
    assert!(scene.emulator.storage().keys("kept", "").unwrap().is_empty());

    scene.spec.keep = keep;
    std::fs::remove_file(scene.file()).unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", scene.file().display()));
    }
    let standing = scene.balances().await;
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    check_copies(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_waits_for_a_place_that_takes_copies() {
    let scene = scene();
    let denied = RequestFault::new(Effect::AccessDenied).on(Kind::Put);
    scene.emulator.faults().requests(denied.keys(Keys::Start("copies/".into())));
    let ledger = Arc::new(scene.create().await);
    let Outcome::Paused(reason) = scene.run(ledger.clone()).await.unwrap() else { panic!() };
    assert!(reason.contains("cannot write: access denied"), "{reason}");
    assert_eq!(ledger.waves().unwrap()[0].states.get("done"), None, "done without its copy");

    scene.emulator.faults().clear();
    ledger.set_mode(Mode::Active, None).unwrap();
    let report = report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    check_copies(&scene);
}
