//! Readers that come and go, fall silent, or take their time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dcmjoin_ledger::facts::{FactDepth, FactReader, Fencing, PARTITIONS, Pair};
use dcmjoin_ledger::{CampaignName, Error};

use super::{
    Found, LOOK, PATIENCE, Subject, append, campaign, depth_becomes, done, facts, find, look,
};

pub(super) async fn check(subject: &Subject<'_>) {
    partitions_move_while_pairs_are_in_hand(subject).await;
    if let Some(silence) = subject.silence {
        a_killed_reader_leaves_its_pairs_to_another(subject).await;
        a_silent_reader_is_kept_out(subject, silence).await;
        a_slow_reader_keeps_its_partitions(subject, silence).await;
    }
}

/// A reader has pairs in hand while another one comes, which leaves with pairs in hand itself, comes
/// again, and inherits what the first had when that leaves. No partition is lost or had twice, what
/// moved is given to the other, with the same facts, and nothing counts as done that was not said.
async fn partitions_move_while_pairs_are_in_hand(subject: &Subject<'_>) {
    let name = campaign("moving");
    let mut parts = Parts::new(subject, &name);
    let mut one = subject.log.join("moving-1").await.unwrap();
    parts.append().await;
    let mut given = find(one.as_mut(), PAIRS).await;
    assert_eq!(one.partitions().len(), usize::from(PARTITIONS));

    let mut two = subject.other.join("moving-2").await.unwrap();
    let mut moved = shared(one.as_mut(), two.as_mut(), &mut given).await;
    let kept = kept(&given, one.as_ref());
    find_rest(two.as_mut(), &mut moved, PAIRS - kept.len()).await;
    are_the_same(&moved, &given);
    let before: Vec<Pair> = moved.keys().map(|key| given[key].clone()).collect();
    let left = match (one.done(&before).await, subject.log.capabilities().fencing) {
        (Err(Error::Fenced), Fencing::Refused) => PAIRS,
        (Ok(()), Fencing::Harmless) => kept.len(),
        (said, fencing) => panic!("{fencing:?}, but {said:?}"),
    };
    parts.are_left(left).await;
    done(one.as_mut(), &kept).await;
    parts.are_left(left - kept.len()).await;
    done(two.as_mut(), &moved).await;
    parts.are_left(0).await;

    parts.append().await;
    let mut given = Found::new();
    find_rest(two.as_mut(), &mut given, 1).await;
    two.leave().await.unwrap();
    let mut all = Found::new();
    find_rest(one.as_mut(), &mut all, PAIRS).await;
    are_the_same(&given, &all);
    done(one.as_mut(), &all).await;
    parts.are_left(0).await;

    parts.append().await;
    let mut given = find(one.as_mut(), PAIRS).await;
    let mut two = subject.other.join("moving-2").await.unwrap();
    let mut all = shared(one.as_mut(), two.as_mut(), &mut given).await;
    one.leave().await.unwrap();
    find_rest(two.as_mut(), &mut all, PAIRS).await;
    are_the_same(&all, &given);
    assert_eq!(two.partitions().len(), usize::from(PARTITIONS));
    done(two.as_mut(), &all).await;
    parts.are_left(0).await;
    two.leave().await.unwrap();
}

/// Pairs of one part of a campaign.
const PAIRS: usize = 240;

/// A campaign whose facts come in parts.
struct Parts<'a> {
    subject: &'a Subject<'a>,
    name: &'a CampaignName,
    appended: u32,
}

impl<'a> Parts<'a> {
    fn new(subject: &'a Subject<'a>, name: &'a CampaignName) -> Self {
        Self { subject, name, appended: 0 }
    }

    async fn append(&mut self) {
        const NUMBERS: usize = PAIRS / 8 * 10;
        let from = self.appended as usize * NUMBERS;
        let mut part = facts("moving", u32::try_from(from + NUMBERS).unwrap());
        part.retain(|fact| fact.offset >= from as u64 * 512);
        append(self.subject.log, self.name, &part).await;
        self.appended += 1;
    }

    /// Asserts how many pairs are not done.
    async fn are_left(&self, pairs: usize) {
        let tens = u64::from(self.appended) * PAIRS as u64 / 8;
        let depth = FactDepth { facts: tens * 18, open: tens * 2, pairs: pairs as u64 };
        depth_becomes(self.subject.other, self.name, depth).await;
    }
}

/// Lets both look until each has its share and none has what the other has; returns what the second
/// was given.
async fn shared(one: &mut dyn FactReader, two: &mut dyn FactReader, given: &mut Found) -> Found {
    let (mut found, until) = (Found::new(), Instant::now() + PATIENCE);
    loop {
        look(one, given).await;
        look(two, &mut found).await;
        let (mine, others): (BTreeSet<u16>, BTreeSet<u16>) =
            (one.partitions().into_iter().collect(), two.partitions().into_iter().collect());
        let all = mine.union(&others).count() == usize::from(PARTITIONS);
        if all && mine.is_disjoint(&others) && mine.len().min(others.len()) >= 20 {
            found.retain(|_, pair| others.contains(&pair.partition()));
            return found;
        }
        assert!(Instant::now() < until, "shares of {} and {}", mine.len(), others.len());
    }
}

/// Returns the pairs whose partitions a reader still has.
fn kept(given: &Found, reader: &dyn FactReader) -> Found {
    let mut kept = given.clone();
    kept.retain(|_, pair| reader.partitions().contains(&pair.partition()));
    kept
}

/// Looks until so many pairs are found, and no more.
async fn find_rest(reader: &mut dyn FactReader, found: &mut Found, count: usize) {
    let until = Instant::now() + PATIENCE;
    while found.len() < count {
        look(reader, found).await;
        assert!(Instant::now() < until, "found {} of {count} pairs", found.len());
    }
}

/// Asserts that pairs that were given again are those that were given before.
fn are_the_same(again: &Found, before: &Found) {
    assert!(!again.is_empty());
    for (key, pair) in again {
        let known = &before[key];
        assert_eq!((&pair.metadata, &pair.image), (&known.metadata, &known.image));
    }
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
