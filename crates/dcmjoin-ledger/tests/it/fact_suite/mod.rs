//! What every fact log must do, asked of any: [`check`] on one that holds no campaign.
//!
//! Readers that share, die and fall silent are in `readers`, a disk without space in `full`.

pub(crate) mod full;
pub(crate) mod readers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::facts::{Fact, FactDepth, FactReader, Pair, Until};
use dcmjoin_ledger::{CampaignName, Error, FactLog};
use dcmjoin_model::{Half, SopInstanceUid};

/// A log answers within seconds; a busy machine is not a failed test.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(500);
/// Has a table with what each log promises.
const PAGE: &str = include_str!("../../../../../docs/fact-log.md");
/// How often an append is made again while the server is away.
const TRIES: usize = 100;

/// A log, and what a test may do to it.
pub(crate) struct Subject<'a> {
    /// As one machine has it.
    pub(crate) log: &'a dyn FactLog,
    /// The same, as another machine has it.
    pub(crate) other: &'a dyn FactLog,
    /// Kills the server and starts it again; where there is none, nothing.
    pub(crate) restart: &'a (dyn Fn() + Sync),
    /// A worker that is silent for longer has lost its partitions; where that takes too long for a
    /// test, nothing.
    pub(crate) silence: Option<Duration>,
}

/// Asks a log that holds no campaign.
///
/// # Panics
/// Where it does not do what the trait promises.
pub(crate) async fn check(subject: &Subject<'_>) {
    what_it_promises_is_documented(subject.log);
    it_is_one_task_stores(subject).await;
    pairs_come_in_any_order_and_the_rest_is_listed(subject).await;
    the_same_fact_a_hundred_times_is_one(subject).await;
    what_is_not_done_is_given_again(subject).await;
    readers::check(subject).await;
    a_server_that_is_killed_loses_nothing(subject).await;
}

/// A fact with a number; halves with the same number belong together.
fn fact(campaign: &str, number: u32, half: Half) -> Fact {
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Fact {
        fingerprint: spread,
        uid: SopInstanceUid::parse(&format!("2.25.{number}")).unwrap(),
        half,
        archive: format!("s3://archives/{campaign}/{half}-{}.tar", number % 3),
        version: number.is_multiple_of(2).then(|| format!("\"etag-{half}\"")),
        offset: u64::from(number) * 512,
        length: 10 + u64::from(number),
        digest: spread.rotate_left(7),
        crc32c: u32::MAX - number,
    }
}

/// Facts of numbers from 0: of each ten, one has no image and one has no header.
fn facts(campaign: &str, count: u32) -> Vec<Fact> {
    let has = |number: u32, half| match number % 10 {
        3 => half == Half::Metadata,
        7 => half == Half::Image,
        _ => true,
    };
    let halves = (0..count).flat_map(|number| [(number, Half::Metadata), (number, Half::Image)]);
    let mut facts: Vec<Fact> = halves
        .filter(|&(number, half)| has(number, half))
        .map(|(number, half)| fact(campaign, number, half))
        .collect();
    // In an order that has nothing to do with theirs.
    facts.sort_by_key(|fact| fact.digest.wrapping_mul(u128::from(3 + fact.half as u8)));
    facts
}

fn is_alone(fact: &Fact) -> bool {
    fact.uid.as_str().ends_with(['3', '7'])
}

fn campaign(name: &str) -> CampaignName {
    name.parse().unwrap()
}

/// Appends as a worker does: again, where the log fails.
async fn append(log: &dyn FactLog, campaign: &CampaignName, facts: &[Fact]) {
    let mut last = None;
    for _ in 0..TRIES {
        match log.append(campaign, facts).await {
            Ok(()) => return,
            Err(error @ Error::Store { .. }) => last = Some(error),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("the log did not come back: {last:?}");
}

type Found = BTreeMap<(CampaignName, SopInstanceUid), Pair>;

/// Looks once, and returns how many pairs came that were not among those found.
async fn look(reader: &mut dyn FactReader, found: &mut Found) -> usize {
    let before = found.len();
    match reader.next(150, LOOK).await {
        Ok(pairs) => {
            assert!(pairs.len() <= 150);
            for pair in pairs {
                found.insert((pair.campaign.clone(), pair.metadata.uid.clone()), pair);
            }
        }
        Err(Error::Store { .. }) => tokio::time::sleep(LOOK).await,
        Err(error) => panic!("{error}"),
    }
    found.len() - before
}

/// Looks until so many pairs are found; then, that there are no more.
async fn find(reader: &mut dyn FactReader, count: usize) -> Found {
    let (mut found, until) = (Found::new(), Instant::now() + PATIENCE);
    while found.len() < count {
        // A sign of life gives nothing away.
        assert!(reader.look(0).await.unwrap().is_empty());
        look(reader, &mut found).await;
        assert!(Instant::now() < until, "found {} of {count} pairs", found.len());
    }
    assert_eq!(look(reader, &mut found).await, 0, "more pairs than there are");
    found
}

async fn done(reader: &mut dyn FactReader, found: &Found) {
    let pairs: Vec<Pair> = found.values().cloned().collect();
    reader.done(&pairs).await.unwrap();
}

/// Says it until it is heard: a reader may have lost its partitions with the server, and has them
/// again soon. What it is given meanwhile is added.
async fn done_after_all(reader: &mut dyn FactReader, found: &mut Found) {
    let pairs: Vec<Pair> = found.values().cloned().collect();
    let until = Instant::now() + PATIENCE;
    while let Err(error) = reader.done(&pairs).await {
        assert!(Instant::now() < until, "{error}");
        look(reader, found).await;
    }
}

/// Waits until the depth is as expected: some logs know a little later what is done.
async fn depth_becomes(log: &dyn FactLog, name: &CampaignName, expected: FactDepth) {
    let until = Instant::now() + PATIENCE;
    loop {
        let depth = log.depth(name).await.unwrap();
        if depth == expected {
            return;
        }
        assert!(Instant::now() < until, "expected {expected:?}, got {depth:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Lists what has no partner, in pages.
async fn unpaired(log: &dyn FactLog, name: &CampaignName, until: Until) -> Vec<Fact> {
    let mut all: Vec<Fact> = Vec::new();
    loop {
        let page = log.unpaired(name, until, all.last(), 7).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn in_order(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by(|one, other| {
        let key = |fact: &Fact| (fact.fingerprint, fact.uid.as_str().to_owned());
        let place = |fact: &Fact| (fact.half as u8, fact.archive.clone(), fact.offset);
        (key(one), place(one)).cmp(&(key(other), place(other)))
    });
    facts
}

fn what_it_promises_is_documented(log: &dyn FactLog) {
    let is = log.capabilities();
    let workers = if is.is_shared { "many machines" } else { "one machine" };
    let row = format!(
        "| `{}` | {:?} | {:?} | {:?} | {:?} | {:?} | {workers} |",
        is.name, is.durable, is.dedup, is.fencing, is.pairing, is.assignment
    );
    assert!(PAGE.lines().any(|line| line == row), "docs/fact-log.md lacks {row}");
}

/// Of two stores that come at the same moment one has it, and the other is refused wherever it asks.
async fn it_is_one_task_stores(subject: &Subject<'_>) {
    let ids: [StoreId; 2] = ["0".repeat(32), "f".repeat(32)].map(|id| id.parse().unwrap());
    let said = tokio::join!(subject.log.bind(&ids[0]), subject.other.bind(&ids[1]));
    let (first, second) = match said {
        (Ok(()), Err(Error::Bound)) => (&ids[0], &ids[1]),
        (Err(Error::Bound), Ok(())) => (&ids[1], &ids[0]),
        said => panic!("{said:?}"),
    };
    for log in [subject.log, subject.other] {
        log.bind(first).await.unwrap();
        assert!(matches!(log.bind(second).await, Err(Error::Bound)));
    }
}

/// Both campaigns at once, from two machines, with a fifth of the numbers alone.
pub(crate) async fn pairs_come_in_any_order_and_the_rest_is_listed(subject: &Subject<'_>) {
    let names = [campaign("any-order"), campaign("any_order_2")];
    let all = [facts("one", 400), facts("two", 100)];
    let one = async {
        for (first, second) in all[0].chunks(50).zip(all[1].chunks(10).cycle()) {
            append(subject.log, &names[0], first).await;
            append(subject.log, &names[1], second).await;
        }
    };
    let other = async {
        for chunk in all[0].chunks(77).rev() {
            append(subject.other, &names[0], chunk).await;
        }
        append(subject.other, &names[1], &all[1]).await;
    };
    tokio::join!(one, other);

    let mut reader = subject.other.join("any").await.unwrap();
    let found = find(reader.as_mut(), 320 + 80).await;
    for ((name, uid), pair) in &found {
        let of = names.iter().position(|known| known == name).unwrap();
        let number = uid.as_str().trim_start_matches("2.25.").parse().unwrap();
        let label = ["one", "two"][of];
        assert_eq!(pair.metadata, fact(label, number, Half::Metadata));
        assert_eq!(pair.image, fact(label, number, Half::Image));
    }
    done(reader.as_mut(), &found).await;
    depth_becomes(subject.log, &names[0], FactDepth { facts: 720, open: 80, pairs: 0 }).await;
    depth_becomes(subject.other, &names[1], FactDepth { facts: 180, open: 20, pairs: 0 }).await;

    let alone: Vec<Fact> = all[0].iter().filter(|fact| is_alone(fact)).cloned().collect();
    assert_eq!(unpaired(subject.log, &names[0], Until::Now).await, in_order(alone));
    let hour = Until::Waited(Duration::from_secs(3600));
    assert!(unpaired(subject.log, &names[0], hour).await.is_empty());

    // A half that was listed still pairs; what was done is not given again with it.
    append(subject.log, &names[0], &[fact("one", 3, Half::Image)]).await;
    append(subject.log, &names[0], &all[0][..99]).await;
    let late = find(reader.as_mut(), 1).await;
    assert_eq!(late.values().next().unwrap().image.uid.as_str(), "2.25.3");
    done(reader.as_mut(), &late).await;
    depth_becomes(subject.log, &names[0], FactDepth { facts: 721, open: 79, pairs: 0 }).await;

    subject.log.forget(&names[0]).await.unwrap();
    depth_becomes(subject.other, &names[0], FactDepth::default()).await;
    depth_becomes(subject.log, &names[1], FactDepth { facts: 180, open: 20, pairs: 0 }).await;
    // A campaign of the same name may begin anew.
    append(subject.log, &names[0], &all[0]).await;
    let again = find(reader.as_mut(), 320).await;
    assert!(again.keys().all(|(name, _)| *name == names[0]));
    done(reader.as_mut(), &again).await;
    depth_becomes(subject.other, &names[0], FactDepth { facts: 720, open: 80, pairs: 0 }).await;
    reader.leave().await.unwrap();
}

async fn the_same_fact_a_hundred_times_is_one(subject: &Subject<'_>) {
    let name = campaign("hundred-times");
    let all = facts("hundred", 20);
    let many: Vec<Fact> = (0..10).flat_map(|_| all.iter().cloned()).collect();
    for _ in 0..5 {
        let (log, other) = (subject.log, subject.other);
        tokio::join!(append(log, &name, &many), append(other, &name, &many));
    }
    depth_becomes(subject.log, &name, FactDepth { facts: 36, open: 4, pairs: 16 }).await;
    assert!(subject.other.has_pairs(&name).await.unwrap());
    let mut reader = subject.log.join("hundred").await.unwrap();
    let found = find(reader.as_mut(), 16).await;
    done(reader.as_mut(), &found).await;
    append(subject.other, &name, &many).await;
    let none = find(reader.as_mut(), 0).await;
    assert!(none.is_empty());
    assert!(!subject.other.has_pairs(&name).await.unwrap());
    depth_becomes(subject.log, &name, FactDepth { facts: 36, open: 4, pairs: 0 }).await;
    reader.leave().await.unwrap();
}

async fn what_is_not_done_is_given_again(subject: &Subject<'_>) {
    let name = campaign("again");
    append(subject.log, &name, &facts("again", 50)).await;
    let mut reader = subject.log.join("again").await.unwrap();
    let mut left = find(reader.as_mut(), 40).await;
    let finished: Found = (0..15).filter_map(|_| left.pop_first()).collect();
    done(reader.as_mut(), &finished).await;
    assert!(find(reader.as_mut(), 0).await.is_empty());
    reader.again().await.unwrap();
    let again = find(reader.as_mut(), 25).await;
    assert!(again.keys().eq(left.keys()));
    done(reader.as_mut(), &again).await;
    depth_becomes(subject.log, &name, FactDepth { facts: 90, open: 10, pairs: 0 }).await;
    reader.leave().await.unwrap();
}

/// Killed in the middle of appends and of reads.
pub(crate) async fn a_server_that_is_killed_loses_nothing(subject: &Subject<'_>) {
    let name = campaign("restarted");
    let all = facts("restarted", 1_000);
    let mut reader = subject.log.join("restarted").await.unwrap();
    let appended = async {
        for chunk in all.chunks(60) {
            append(subject.log, &name, chunk).await;
        }
    };
    let killed = async {
        // Some are in by then, and some are under way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::task::block_in_place(subject.restart);
    };
    let read = async {
        let (mut found, until) = (Found::new(), Instant::now() + PATIENCE);
        while found.len() < 800 {
            look(reader.as_mut(), &mut found).await;
            assert!(Instant::now() < until, "found {} of 800 pairs", found.len());
        }
        found
    };
    let ((), (), mut found) = tokio::join!(appended, killed, read);
    done_after_all(reader.as_mut(), &mut found).await;
    depth_becomes(subject.other, &name, FactDepth { facts: 1_800, open: 200, pairs: 0 }).await;
    reader.leave().await.unwrap();
}
