//! The embedded store, asked what every store is asked, and as two processes would.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dcmjoin_ledger::facts::{Fact, PARTITIONS, Until, partition};
use dcmjoin_ledger::{Error, FactLog, Sqlite};
use dcmjoin_model::{Half, SopInstanceUid};
use dcmjoin_testkit::{Ballast, Disk};

/// Bytes of a disk that holds the file and its log, and is full soon.
const DISK: u64 = 32 << 20;

/// Tells the test that it was started on that disk, and where it is.
const PLACE: &str = "DCMJOIN_TEST_DISK";
const FILE: &str = "tasks.sqlite";

fn open(dir: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&dir.path().join(FILE)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_task_store_does() {
    let dir = tempfile::tempdir().unwrap();
    crate::task_suite::check(&open(&dir)).await;
}

/// On a disk that only a process of its own sees: the same test, started again there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_fact_log_does() {
    if let Some(place) = std::env::var_os(PLACE) {
        return ask_the_log(Path::new(&place)).await;
    }
    let disk = Disk::new(DISK).unwrap();
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "sqlite::it_does_what_every_fact_log_does", "--nocapture"]);
    test.env(PLACE, disk.place());
    let output = disk.enter(&test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed") && disk.path().join(FILE).exists(), "{said}");
}

async fn ask_the_log(place: &Path) {
    let open = || Sqlite::open(&place.join(FILE)).unwrap();
    let lease = Duration::from_secs(5);
    let (log, other) = (open().with_lease(lease), open().with_lease(lease));
    let subject = crate::fact_suite::Subject {
        log: &log,
        other: &other,
        restart: &|| (),
        silence: Some(lease + Duration::from_secs(1)),
    };
    crate::fact_suite::check(&subject).await;
    let ballast = Ballast::at(place);
    let disk = crate::fact_suite::full::Disk {
        fill: &|| ballast.fill().unwrap(),
        free: &|| ballast.free().unwrap(),
        says: Some("full"),
    };
    crate::fact_suite::full::a_full_disk_loses_nothing(&subject, &disk, "full").await;
}

#[tokio::test]
async fn a_file_of_another_form_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let connection = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = Sqlite::open(&dir.path().join(FILE)).unwrap_err();
    assert!(error.to_string().contains("form 99"), "{error}");
}

/// A file as the first form had it: a pair that is done, one that is not, and a half alone.
const FIRST_FORM: &str = "
CREATE TABLE fact (
    partition INTEGER NOT NULL, campaign TEXT NOT NULL, fingerprint BLOB NOT NULL, uid TEXT NOT NULL,
    half INTEGER NOT NULL, archive TEXT NOT NULL, offset INTEGER NOT NULL, version TEXT,
    length INTEGER NOT NULL, digest BLOB NOT NULL, crc32c INTEGER NOT NULL, came INTEGER NOT NULL,
    paired INTEGER NOT NULL,
    PRIMARY KEY (campaign, fingerprint, uid, half, archive, offset)) WITHOUT ROWID;
CREATE TABLE pair (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, campaign TEXT NOT NULL,
    fingerprint BLOB NOT NULL, uid TEXT NOT NULL, done INTEGER NOT NULL,
    UNIQUE (campaign, fingerprint, uid));
CREATE INDEX pair_open ON pair (partition, id) WHERE done = 0;
PRAGMA user_version = 1;
";

#[tokio::test]
async fn a_file_of_the_first_form_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    connection.execute_batch(FIRST_FORM).unwrap();
    let mut before = Vec::new();
    for (number, halves) in [
        (1, &[Half::Metadata, Half::Image][..]),
        (2, &[Half::Metadata, Half::Image]),
        (3, &[Half::Image]),
    ] {
        let [key, uid] = [
            fact(number, Half::Image).fingerprint.to_be_bytes().to_vec(),
            fact(number, Half::Image).uid.as_str().as_bytes().to_vec(),
        ];
        let uid = String::from_utf8(uid).unwrap();
        for &half in halves {
            let fact = Fact { version: None, ..fact(number, half) };
            let sql =
                "INSERT INTO fact VALUES (?1, 'one', ?2, ?3, ?4, ?5, ?6, NULL, 10, ?7, ?8, 5, ?9)";
            let values = rusqlite::params![
                partition(fact.fingerprint),
                key,
                uid,
                half as i64,
                fact.archive,
                fact.offset,
                fact.digest.to_be_bytes(),
                fact.crc32c,
                i64::from(halves.len() == 2),
            ];
            connection.execute(sql, values).unwrap();
            before.push(fact);
        }
        if halves.len() == 2 {
            let sql = "INSERT INTO pair VALUES (?1, ?2, 'one', ?3, ?4, ?5)";
            let partition = partition(fact(number, Half::Image).fingerprint);
            let is_done = i64::from(number == 1);
            connection
                .execute(sql, rusqlite::params![number, partition, key, uid, is_done])
                .unwrap();
        }
    }
    drop(connection);
    let (log, name) = (open(&dir), "one".parse().unwrap());
    let depth = log.depth(&name).await.unwrap();
    assert_eq!((depth.facts, depth.open, depth.pairs), (5, 1, 1));
    let pairs = log.join("worker").await.unwrap().look(10).await.unwrap();
    assert_eq!(pairs.len(), 1);
    assert_eq!((&pairs[0].metadata, &pairs[0].image), (&before[2], &before[3]));
    assert_eq!(log.unpaired(&name, Until::Now, None, 10).await.unwrap(), before[4..]);
    // What was done stays done, also where another copy of a half comes.
    let again = Fact { archive: "other.tar".to_owned(), ..before[1].clone() };
    log.append(&name, &[before[0].clone(), again]).await.unwrap();
    assert_eq!(log.depth(&name).await.unwrap().pairs, 1);
}

fn fact(number: u32, half: Half) -> Fact {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Fact {
        fingerprint: spread,
        uid: SopInstanceUid::parse(&format!("2.25.{number}")).unwrap(),
        half,
        archive: format!("{half}.tar"),
        version: Some("v".to_owned()),
        offset: u64::from(number) * 512,
        length: 10,
        digest: u128::from(number),
        crc32c: number,
    }
}

#[tokio::test]
async fn facts_of_both_halves_become_pairs_in_any_order_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir);
    let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
    let images: Vec<_> = (0..200).map(|number| fact(number, Half::Image)).collect();
    let headers: Vec<_> = (0..160).map(|number| fact(number, Half::Metadata)).collect();
    log.append(&one, &headers[80..]).await.unwrap();
    for _ in 0..3 {
        log.append(&one, &images).await.unwrap();
    }
    log.append(&one, &headers[..80]).await.unwrap();
    log.append(&other, &images[..5]).await.unwrap();

    let mut reader = log.join("first").await.unwrap();
    let mut pairs = reader.next(100, Duration::ZERO).await.unwrap();
    pairs.extend(reader.next(100, Duration::ZERO).await.unwrap());
    assert_eq!(reader.partitions().len(), usize::from(PARTITIONS));
    assert_eq!(pairs.len(), 160);
    assert!(pairs.iter().all(|pair| pair.metadata.uid == pair.image.uid && pair.campaign == one));
    assert!(reader.next(100, Duration::ZERO).await.unwrap().is_empty());
    reader.done(&pairs[..150]).await.unwrap();
    reader.again().await.unwrap();
    assert_eq!(reader.next(100, Duration::ZERO).await.unwrap().len(), 10);

    let first = log.unpaired(&one, Until::Now, None, 30).await.unwrap();
    let rest = log.unpaired(&one, Until::Now, first.last(), 30).await.unwrap();
    assert_eq!((first.len(), rest.len()), (30, 10));
    let hour = Until::Waited(Duration::from_secs(3600));
    assert!(log.unpaired(&one, hour, None, 30).await.unwrap().is_empty());
    let depth = log.depth(&one).await.unwrap();
    assert_eq!((depth.facts, depth.open, depth.pairs), (360, 40, 10));
    log.forget(&one).await.unwrap();
    assert_eq!(log.depth(&one).await.unwrap().facts, 0);
    assert_eq!(log.depth(&other).await.unwrap().open, 5);
}

/// Pairs, and images alone at the end, in an order that is not theirs, and some twice.
#[tokio::test]
async fn more_facts_than_one_change_takes_in_are_all_found_once() {
    const PAIRS: u32 = 25_000;
    let dir = tempfile::tempdir().unwrap();
    let (log, name) = (open(&dir), "one".parse().unwrap());
    let images: Vec<_> = (0..PAIRS + 7).rev().map(|number| fact(number, Half::Image)).collect();
    let headers: Vec<_> = (0..PAIRS).map(|number| fact(number, Half::Metadata)).collect();
    log.append(&name, &images).await.unwrap();
    log.append(&name, &headers).await.unwrap();
    log.append(&name, &headers[..9_000]).await.unwrap();
    assert!(log.has_pairs(&name).await.unwrap());
    let mut reader = log.join("worker").await.unwrap();
    let mut found = HashSet::new();
    loop {
        let pairs = reader.look(6_000).await.unwrap();
        if pairs.is_empty() {
            break;
        }
        assert!(pairs.len() <= 6_000);
        for pair in &pairs {
            assert_eq!(pair.metadata.uid, pair.image.uid);
            assert!(found.insert(pair.image.crc32c), "given twice");
        }
        reader.done(&pairs).await.unwrap();
    }
    assert_eq!(found.len(), PAIRS as usize);
    assert!(!log.has_pairs(&name).await.unwrap());
    let depth = log.depth(&name).await.unwrap();
    assert_eq!((depth.facts, depth.open, depth.pairs), (u64::from(2 * PAIRS + 7), 7, 0));
    // The same again is still the same.
    log.append(&name, &images[..7]).await.unwrap();
    assert_eq!(log.unpaired(&name, Until::Now, None, 100).await.unwrap().len(), 7);
    reader.leave().await.unwrap();
}

#[tokio::test]
async fn a_second_reader_takes_its_share_and_the_first_cannot_finish_it() {
    let dir = tempfile::tempdir().unwrap();
    let (log, again) = (open(&dir), open(&dir));
    let name = "one".parse().unwrap();
    for half in [Half::Metadata, Half::Image] {
        let facts: Vec<_> = (0..200).map(|number| fact(number, half)).collect();
        log.append(&name, &facts).await.unwrap();
    }
    let mut first = log.join("first").await.unwrap();
    let pairs = first.next(1_000, Duration::ZERO).await.unwrap();
    assert_eq!(pairs.len(), 200);
    let mut second = again.join("second").await.unwrap();
    assert!(second.next(1_000, Duration::ZERO).await.unwrap().is_empty(), "all are held");
    assert!(first.next(1_000, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(first.partitions().len(), usize::from(PARTITIONS / 2), "it gives back a half");
    let taken = second.next(1_000, Duration::ZERO).await.unwrap();
    assert!(!taken.is_empty() && taken.len() < 200, "what was given and not done is given again");
    assert!(matches!(first.done(&taken[..1]).await, Err(Error::Fenced)));
    second.done(&taken).await.unwrap();
    let left = log.depth(&name).await.unwrap().pairs;
    assert_eq!(left as usize, 200 - taken.len());

    first.leave().await.unwrap();
    let rest = second.next(1_000, Duration::ZERO).await.unwrap();
    assert_eq!(rest.len() as u64, left, "the other half is free");
    second.done(&rest).await.unwrap();
    assert_eq!(log.depth(&name).await.unwrap().pairs, 0);
}
