//! What all requests together do to a store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcmjoin_objects::{Error, Object};
use dcmjoin_testkit::Fault;
use tokio::task::JoinSet;

use crate::arranged::{Arranged, bytes};

const RANGE: usize = 10_000;

/// Reads ranges of an object side by side.
async fn read_all(object: &Object, ranges: usize) -> Vec<Result<(usize, bytes::Bytes), Error>> {
    let mut reads = JoinSet::new();
    for number in 0..ranges {
        let object = object.clone();
        reads.spawn(async move {
            let start = (number * RANGE) as u64;
            object.read(start..start + RANGE as u64).await.map(|read| (number, read))
        });
    }
    reads.join_all().await
}

/// The law of the retry budget, with its constants as they are documented.
fn retries_max(requests: usize, time: Duration) -> usize {
    10 + requests.div_ceil(10) + usize::try_from(time.as_millis().div_ceil(200)).unwrap()
}

#[tokio::test]
async fn a_storm_passes_without_loss() {
    const READS: usize = 60;
    const REFUSED: usize = 40;
    let arranged = Arranged::new();
    let all = bytes(READS * RANGE);
    let object = arranged.object("a.tar", &all).await;
    arranged.proxy.on("GET", "/a.tar").take(REFUSED).does(Fault::SlowDown);
    let start = Instant::now();
    for read in read_all(&object, READS).await {
        let (number, read) = read.unwrap();
        assert!(read == all[number * RANGE..(number + 1) * RANGE], "other bytes");
    }
    let counted = arranged.counted();
    assert_eq!(counted.retries.throttled, REFUSED as u64);
    assert_eq!(counted.throttled, REFUSED as u64);
    assert_eq!(counted.retries.all(), REFUSED as u64);
    assert!(!counted.waited.is_zero());
    let requests = arranged.seen("GET", "/a.tar").len();
    assert_eq!(requests as u64, (READS + REFUSED) as u64 + counted.hedges);
    let most = retries_max(READS + 1, start.elapsed());
    assert!(REFUSED <= most, "{REFUSED} retries, at most {most} were allowed");
}

#[tokio::test]
async fn a_lasting_storm_is_not_made_worse() {
    const READS: usize = 100;
    let arranged = Arranged::new();
    let object = arranged.object("a.tar", &bytes(READS * RANGE)).await;
    arranged.proxy.on("GET", "/a.tar").does(Fault::SlowDown);
    let start = Instant::now();
    let reads = tokio::time::timeout(Duration::from_secs(4), read_all(&object, READS)).await;
    assert!(reads.is_err(), "an answer came out of nothing");
    let most = retries_max(READS + 1, start.elapsed());
    let requests = arranged.seen("GET", "/a.tar").len();
    assert!(requests > READS, "nothing was tried again");
    let retries = requests - READS;
    assert!(retries <= most, "{retries} retries, at most {most} were allowed");
}

#[tokio::test]
async fn a_late_read_is_asked_for_on_another_connection() {
    /// Each brings a fiftieth of a second request.
    const READS: usize = 110;
    let arranged = Arranged::new();
    let all = bytes(RANGE);
    let object = arranged.object("a.tar", &all).await;
    for _ in 0..READS {
        object.read(0..RANGE as u64).await.unwrap();
    }
    arranged.proxy.on("GET", "/a.tar").take(1).does(Fault::Silent);
    assert_eq!(object.read(0..RANGE as u64).await.unwrap(), all);
    let counted = arranged.counted();
    assert!(counted.hedges_won >= 1);
    assert_eq!(counted.retries.all(), 0);
    assert_eq!(counted.reads, READS as u64 + 1);
    let reads = arranged.seen("GET", "/a.tar");
    assert_eq!(reads.len() as u64, counted.reads + counted.hedges);
    let [.., silent, second] = reads.as_slice() else { panic!("no reads") };
    assert_eq!(silent.fault, Some(Fault::Silent));
    assert_ne!(silent.connection, second.connection);
    assert_eq!(silent.header("range"), second.header("range"));
    assert!(reads.iter().all(|read| read.header("if-match") == object.version()));
}

#[tokio::test]
async fn a_slow_store_is_not_asked_twice_for_everything() {
    const READS: usize = 100;
    let arranged = Arranged::new();
    let object = arranged.object("a.tar", &bytes(RANGE)).await;
    for _ in 0..READS {
        object.read(0..RANGE as u64).await.unwrap();
    }
    arranged.proxy.on("GET", "/a.tar").does(Fault::Late(Duration::from_millis(600)));
    for _ in 0..8 {
        object.read(0..RANGE as u64).await.unwrap();
    }
    let counted = arranged.counted();
    assert!(counted.hedges * 50 <= counted.reads, "{} of {}", counted.hedges, counted.reads);
}

#[tokio::test]
async fn connections_are_used_again() {
    const READS: usize = 100;
    let arranged = Arranged::new();
    let object = arranged.object("a.tar", &bytes(READS * RANGE)).await;
    arranged.proxy.on("GET", "/a.tar").skip(10).take(1).does(Fault::SlowDown);
    for number in 0..READS as u64 {
        let start = number * RANGE as u64;
        object.read(start..start + RANGE as u64).await.unwrap();
    }
    let connections = arranged.proxy.connections();
    // One and, should a read have been late, one or two in its place.
    assert!(connections <= 5, "{connections} connections for {READS} reads");
}

#[tokio::test]
async fn one_rate_is_shared_by_all_that_opens_a_bucket() {
    let arranged = Arranged::new();
    let object = arranged.object("a/1.tar", &bytes(RANGE)).await;
    arranged.proxy.on("GET", "/a/1.tar").take(1).does(Fault::SlowDown);
    object.read(0..10).await.unwrap();
    let before = arranged.counted().waited;
    let other = arranged.stores.open(&"s3://bucket/b".parse().unwrap()).unwrap();
    let other = Arc::new(other);
    let mut looks = JoinSet::new();
    for _ in 0..10 {
        let other = Arc::clone(&other);
        looks.spawn(async move { other.object("x").await.map(|found| found.is_none()) });
    }
    for look in looks.join_all().await {
        assert!(look.unwrap());
    }
    // Ten turns at 10 requests a second, reserved one after the other: 0.1 s, 0.2 s ... 0.9 s.
    let waited = arranged.counted().waited.saturating_sub(before);
    assert!(waited > Duration::from_secs(1), "{waited:?}");
}
