//! Readers that come and go, fall silent, or take their time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{FactDepth, Fencing, PARTITIONS, Pair};

use super::{
    Found, LOOK, PATIENCE, Subject, append, campaign, depth_becomes, done, facts, find, look,
};

pub(super) async fn check(subject: &Subject<'_>) {
    readers_share_the_partitions(subject).await;
    if let Some(silence) = subject.silence {
        a_killed_reader_leaves_its_pairs_to_another(subject).await;
        a_silent_reader_is_kept_out(subject, silence).await;
        a_slow_reader_keeps_its_partitions(subject, silence).await;
    }
}

/// Between two readers no partition is lost, and each has its part; a reader that leaves leaves its
/// part to the other.
async fn readers_share_the_partitions(subject: &Subject<'_>) {
    let mut one = subject.log.join("share-1").await.unwrap();
    let mut found = Found::new();
    let until = Instant::now() + PATIENCE;
    while one.partitions().len() < usize::from(PARTITIONS) {
        look(one.as_mut(), &mut found).await;
        assert!(Instant::now() < until, "one reader has {:?}", one.partitions());
    }
    let mut two = subject.other.join("share-2").await.unwrap();
    loop {
        look(one.as_mut(), &mut found).await;
        look(two.as_mut(), &mut found).await;
        let (mine, others): (BTreeSet<u16>, BTreeSet<u16>) =
            (one.partitions().into_iter().collect(), two.partitions().into_iter().collect());
        let all = mine.union(&others).count() == usize::from(PARTITIONS);
        if all && mine.is_disjoint(&others) && mine.len().min(others.len()) >= 20 {
            break;
        }
        assert!(Instant::now() < until, "shares of {} and {}", mine.len(), others.len());
    }
    one.leave().await.unwrap();
    while two.partitions().len() < usize::from(PARTITIONS) {
        look(two.as_mut(), &mut found).await;
        assert!(Instant::now() < until, "the other has {:?}", two.partitions());
    }
    assert!(found.is_empty());
    two.leave().await.unwrap();
}

/// Killed after it was given pairs, and after it said of a part that they are done.
async fn a_killed_reader_leaves_its_pairs_to_another(subject: &Subject<'_>) {
    let name = campaign("killed");
    append(subject.log, &name, &facts("killed", 50)).await;
    let mut reader = subject.log.join("killed").await.unwrap();
    let mut left = find(reader.as_mut(), 40).await;
    let finished: Found = (0..30).filter_map(|_| left.pop_first()).collect();
    done(reader.as_mut(), &finished).await;
    // Nothing is given back, and nobody is told.
    std::mem::forget(reader);
    let mut heir = subject.other.join("heir").await.unwrap();
    let inherited = find(heir.as_mut(), 10).await;
    assert!(inherited.keys().eq(left.keys()));
    done(heir.as_mut(), &inherited).await;
    depth_becomes(subject.log, &name, FactDepth { facts: 90, open: 10, pairs: 0 }).await;
    heir.leave().await.unwrap();
}

/// One that comes back after its lease can do no harm.
pub(crate) async fn a_silent_reader_is_kept_out(subject: &Subject<'_>, silence: Duration) {
    let name = campaign("silent");
    append(subject.log, &name, &facts("silent", 50)).await;
    let mut zombie = subject.log.join("zombie").await.unwrap();
    let given = find(zombie.as_mut(), 40).await;
    tokio::time::sleep(silence).await;
    let mut heir = subject.other.join("zombie-heir").await.unwrap();
    let found = find(heir.as_mut(), 40).await;
    done(heir.as_mut(), &found).await;
    let pairs: Vec<Pair> = given.values().cloned().collect();
    let said = zombie.done(&pairs).await;
    match subject.log.capabilities().fencing {
        Fencing::Refused => assert!(matches!(said, Err(Error::Fenced)), "{said:?}"),
        Fencing::Harmless => said.unwrap(),
    }
    depth_becomes(subject.log, &name, FactDepth { facts: 90, open: 10, pairs: 0 }).await;
    heir.leave().await.unwrap();
    zombie.leave().await.unwrap();
}

/// A reader that takes longer over all than a lease, and looks in between, keeps what it has; appends do
/// not wait for it, and it is given no more than it asks for.
async fn a_slow_reader_keeps_its_partitions(subject: &Subject<'_>, silence: Duration) {
    const ASKED: usize = 9;
    let name = campaign("slow");
    let all = facts("slow", 100);
    let mut appends = all.chunks(30);
    let mut reader = subject.log.join("slow").await.unwrap();
    let (mut found, began) = (0, Instant::now());
    while found < 80 {
        if let Some(chunk) = appends.next() {
            append(subject.other, &name, chunk).await;
        }
        let pairs = reader.next(ASKED, LOOK).await.unwrap();
        assert!(pairs.len() <= ASKED && began.elapsed() < PATIENCE, "found {found} of 80 pairs");
        if began.elapsed() < silence {
            tokio::time::sleep(silence / 4).await;
        }
        reader.done(&pairs).await.unwrap();
        found += pairs.len();
    }
    assert!(began.elapsed() > silence);
    assert_eq!(reader.partitions().len(), usize::from(PARTITIONS));
    depth_becomes(subject.log, &name, FactDepth { facts: 180, open: 20, pairs: 0 }).await;
    reader.leave().await.unwrap();
}
