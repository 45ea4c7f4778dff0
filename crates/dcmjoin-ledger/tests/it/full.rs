//! A disk that is full: what was acknowledged stays, and it goes on once there is space.

use std::path::Path;
use std::process::Command;

use dcmjoin_ledger::facts::{Fact, FactDepth};
use dcmjoin_ledger::{CampaignName, Error, FactLog, Sqlite};
use dcmjoin_model::{Half, SopInstanceUid};

/// Tells the same test that it is the one with no space.
const PLACE: &str = "DCMJOIN_TEST_FULL";
/// In blocks of 512 bytes, as `ulimit` counts in `dash`: no file may be larger.
const BLOCKS: u32 = 4_000;
const BATCH: u64 = 500;
/// Many times as much as the file may hold.
const BATCHES: u64 = 100;

fn batch(at: u64, half: Half) -> Vec<Fact> {
    let fact = |number: u64| Fact {
        fingerprint: u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        uid: SopInstanceUid::parse(&format!("2.25.{number}")).unwrap(),
        half,
        archive: "s3://archives/a-name-of-usual-length.tar".to_owned(),
        version: None,
        offset: number * 512,
        length: 100,
        digest: 1,
        crc32c: 1,
    };
    (at * BATCH..(at + 1) * BATCH).map(fact).collect()
}

fn name() -> CampaignName {
    "full".parse().unwrap()
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    if let Some(place) = std::env::var_os(PLACE) {
        return fill(Path::new(&place)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasks.db");
    let script = format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh");
    child.args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(PLACE, &file);
    child.args(["--exact", "full::a_full_disk_loses_nothing_that_was_acknowledged", "--nocapture"]);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged = said.lines().find_map(|line| line.split_once("acknowledged ")).unwrap().1;
    let acknowledged: u64 = acknowledged.trim().parse().unwrap();
    assert!((1..BATCHES).contains(&acknowledged), "{acknowledged} batches");

    // There is space again: it has all of them, and takes the rest.
    let log = Sqlite::open(&file).unwrap();
    let depth = log.depth(&name()).await.unwrap();
    assert_eq!(depth, FactDepth { facts: acknowledged * BATCH, open: depth.facts, pairs: 0 });
    for at in 0..=acknowledged {
        log.append(&name(), &batch(at, Half::Image)).await.unwrap();
        log.append(&name(), &batch(at, Half::Metadata)).await.unwrap();
    }
    let pairs = (acknowledged + 1) * BATCH;
    let depth = log.depth(&name()).await.unwrap();
    assert_eq!(depth, FactDepth { facts: 2 * pairs, open: 0, pairs });
}

/// Appends until there is no space, and says how often that went well.
async fn fill(file: &Path) {
    let log = Sqlite::open(file).unwrap();
    for at in 0..BATCHES {
        match log.append(&name(), &batch(at, Half::Image)).await {
            Ok(()) => {}
            Err(Error::Store { detail, .. }) => {
                assert!(detail.contains("full") || detail.contains("I/O"), "{detail}");
                println!("\nacknowledged {at}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there is no end of space");
}
