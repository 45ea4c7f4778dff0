//! Archives of buckets that keep versions: the version that was named is restored and read.

use std::sync::Arc;

use dcmjoin_campaign::ledger::Ledger;
use dcmjoin_emulator::{Body, StorageClass, Tier};

use crate::scene::{IMAGES, Scene, report};

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_was_named_is_restored_and_read() {
    let mut scene = Scene::new();
    let storage = scene.emulator.storage();
    storage.keep_versions("archive").unwrap();
    let mut sources = Vec::new();
    for side in ["metadata", "images"] {
        let file = scene.folder.path().join(format!("{side}.csv"));
        let mut rows = String::new();
        for key in storage.keys("archive", &format!("{side}/")).unwrap() {
            // What was put before versions were kept has none: put it again, then something else.
            let body = storage.body("archive", &key).unwrap();
            storage.put("archive", &key, body, StorageClass::Glacier).unwrap();
            let version = storage.version("archive", &key).unwrap().unwrap();
            rows.push_str(&format!("archive,{key},{version}\n"));
            let other = Body::from(vec![7; 100]);
            storage.put("archive", &key, other, StorageClass::Standard).unwrap();
        }
        std::fs::write(&file, rows).unwrap();
        sources.push(format!("@{}", file.display()));
    }
    scene.spec.images = vec![sources.remove(1)];
    scene.spec.metadata = sources;
    let ledger = Arc::new(scene.create().await);
    let report = report(scene.run(ledger.clone()).await.unwrap());
    let standing = scene.check(&report, &ledger.standing().unwrap());
    assert!(standing.failures.is_empty(), "{:?}", standing.failures);
    let asked = scene.emulator.ledger().retrieved(Tier::Bulk).requests;
    assert_eq!(asked, u64::from(IMAGES) + 1);
}
