//! A disk without space: appends fail, nothing that was acknowledged is lost, and it goes on once there
//! is space.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dcmjoin_ledger::facts::{FACTS_MAX, Fact, FactDepth, Pair, Until};
use dcmjoin_ledger::{CampaignName, Error, FactLog};
use dcmjoin_model::Half;
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::{
    Found, LOOK, PATIENCE, Subject, append, campaign, depth_becomes, done_after_all, fact, facts,
    find, look,
};

/// Who gets no answer for so long was not acknowledged, and gives up as a worker that is killed.
const ANSWER: Duration = Duration::from_secs(3);
/// Facts of an append, and how many of them may go well although there is no space.
const BATCH: u32 = 500;
const BATCHES: u32 = 100;
/// Instances whose halves both came before.
const EARLY: u32 = 100;

/// What a test may do to the disk that a log lies on.
pub(crate) struct Disk<'a> {
    /// Takes all space that is left.
    pub(crate) fill: &'a (dyn Fn() + Sync),
    /// Gives it back, and starts the server where it has ended.
    pub(crate) free: &'a (dyn Fn() + Sync),
    /// What the error says of it; nothing where the server ends.
    pub(crate) says: Option<&'static str>,
}

/// Asks a log whose disk is full, by a campaign's name that it does not hold.
pub(crate) async fn a_full_disk_loses_nothing(subject: &Subject<'_>, disk: &Disk<'_>, name: &str) {
    let (log, name) = (subject.log, campaign(name));
    append(log, &name, &facts("full", EARLY)).await;
    let mut reader = log.join(name.as_str()).await.unwrap();
    let mut found = find(reader.as_mut(), 80).await;

    block_in_place(disk.fill);
    let acknowledged = append_until_it_fails(log, disk, &name).await;
    block_in_place(disk.fill);
    let pairs: Vec<Pair> = found.values().cloned().collect();
    let said = timeout(ANSWER, reader.done(&pairs)).await;
    if let Ok(Err(error)) = &said {
        assert!(matches!(error, Error::Store { .. } | Error::Fenced), "{error}");
    }
    block_in_place(disk.free);

    let depth = depth_when_it_is_back(log, &name).await;
    assert!(depth.facts >= 180 + u64::from(acknowledged * BATCH), "{depth:?} of {acknowledged}");
    if matches!(said, Ok(Ok(()))) {
        assert_eq!(depth.pairs, 0, "it was done");
    }
    has_all(log, &name, acknowledged).await;
    for at in 0..=acknowledged {
        append(log, &name, &batch(at, Half::Image)).await;
        append(log, &name, &batch(at, Half::Metadata)).await;
    }
    done_after_all(reader.as_mut(), &mut found).await;
    let late = u64::from((acknowledged + 1) * BATCH);
    let until = Instant::now() + PATIENCE;
    while (found.len() as u64) < 80 + late {
        look(reader.as_mut(), &mut found).await;
        assert!(Instant::now() < until, "found {} of {} pairs", found.len(), 80 + late);
    }
    are_as_appended(&found);
    done_after_all(reader.as_mut(), &mut found).await;
    depth_becomes(log, &name, FactDepth { facts: 180 + 2 * late, open: 20, pairs: 0 }).await;
    reader.leave().await.unwrap();
}

fn batch(at: u32, half: Half) -> Vec<Fact> {
    let numbers = EARLY + at * BATCH..EARLY + (at + 1) * BATCH;
    numbers.map(|number| fact("full", number, half)).collect()
}

/// Returns how many batches of images were acknowledged.
async fn append_until_it_fails(log: &dyn FactLog, disk: &Disk<'_>, name: &CampaignName) -> u32 {
    for at in 0..BATCHES {
        // Some of it may have been given back.
        block_in_place(disk.fill);
        match timeout(ANSWER, log.append(name, &batch(at, Half::Image))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                assert!(matches!(error, Error::Store { .. }), "{error}");
                let (said, expected) = (error.to_string(), disk.says.unwrap_or_default());
                assert!(said.contains(expected), "{said:?} lacks {expected:?}");
                return at;
            }
            Err(_) => {
                assert_eq!(disk.says, None, "no answer");
                return at;
            }
        }
    }
    panic!("there is no end of space");
}

async fn depth_when_it_is_back(log: &dyn FactLog, name: &CampaignName) -> FactDepth {
    let until = Instant::now() + PATIENCE;
    loop {
        match log.depth(name).await {
            Ok(depth) => return depth,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Asserts that all images are there whose append was acknowledged.
async fn has_all(log: &dyn FactLog, name: &CampaignName, acknowledged: u32) {
    let open = log.unpaired(name, Until::Now, None, FACTS_MAX).await.unwrap();
    let open: BTreeSet<&str> = open.iter().map(|fact| fact.uid.as_str()).collect();
    let lost = (0..acknowledged).flat_map(|at| batch(at, Half::Image));
    let lost = lost.filter(|fact| !open.contains(fact.uid.as_str())).count();
    assert_eq!(lost, 0, "facts that were acknowledged");
}

fn are_as_appended(found: &Found) {
    for ((_, uid), pair) in found {
        let number = uid.as_str().trim_start_matches("2.25.").parse().unwrap();
        assert_eq!(pair.metadata, fact("full", number, Half::Metadata));
        assert_eq!(pair.image, fact("full", number, Half::Image));
    }
}
