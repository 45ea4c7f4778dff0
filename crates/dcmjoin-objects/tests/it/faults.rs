//! One fault at a time: the bytes are right, or the error says what it was.

use std::time::Duration;

use bytes::Bytes;
use dcmjoin_objects::{ErrorKind, PutMode, Retries};
use dcmjoin_testkit::Fault;

use crate::arranged::{Arranged, bytes};

const LEN: usize = 1_000_000;

#[tokio::test]
async fn a_spoiled_answer_is_asked_for_again() {
    let arranged = Arranged::with([("AWS_TIMEOUT", "2s")]);
    let all = bytes(LEN);
    let object = arranged.object("a.tar", &all).await;
    let none = Retries::default();
    for (fault, cause) in [
        (Fault::SlowDown, Retries { throttled: 1, ..none }),
        (Fault::TooManyRequests, Retries { throttled: 1, ..none }),
        (Fault::Silent, Retries { timed_out: 1, ..none }),
        (Fault::InternalError, Retries { unavailable: 1, ..none }),
        (Fault::Lost, Retries { unavailable: 1, ..none }),
        (Fault::Cut(0), Retries { bad_answer: 1, ..none }),
        (Fault::Cut(70_000), Retries { bad_answer: 1, ..none }),
        (Fault::Short(70_000), Retries { bad_answer: 1, ..none }),
        (Fault::Short(0), Retries { bad_answer: 1, ..none }),
        (Fault::Whole, Retries { bad_answer: 1, ..none }),
        (Fault::OtherRange, Retries { bad_answer: 1, ..none }),
        (Fault::Late(Duration::from_millis(300)), none),
    ] {
        let before = arranged.counted().retries;
        arranged.proxy.on("GET", "/a.tar").take(1).does(fault);
        let range = 1_000..LEN as u64 - 1_000;
        let read = object.read(range).await.unwrap();
        assert!(read == all[1_000..LEN - 1_000], "other bytes after {fault:?}");
        let after = arranged.counted().retries;
        let counted = Retries {
            throttled: after.throttled - before.throttled,
            timed_out: after.timed_out - before.timed_out,
            unavailable: after.unavailable - before.unavailable,
            bad_answer: after.bad_answer - before.bad_answer,
        };
        assert_eq!(counted, cause, "{fault:?}");
    }
    let reads = arranged.seen("GET", "/a.tar");
    assert!(reads.iter().all(|read| read.header("if-match") == object.version()));
}

#[tokio::test]
async fn an_archive_that_goes_in_the_middle_is_named() {
    for (fault, kind) in
        [(Fault::Archived, ErrorKind::Archived), (Fault::PreconditionFailed, ErrorKind::Changed)]
    {
        let arranged = Arranged::new();
        let all = bytes(LEN);
        let object = arranged.object("a.tar", &all).await;
        arranged.proxy.on("GET", "/a.tar").skip(2).does(fault);
        let range = |number: u64| number * 1_000..(number + 1) * 1_000;
        for number in 0..2 {
            assert_eq!(object.read(range(number)).await.unwrap().len(), 1_000);
        }
        assert_eq!(object.read(range(2)).await.unwrap_err().kind, kind);
        assert_eq!(arranged.counted().retries.all(), 0);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_known_for_ours() {
    let arranged = Arranged::new();
    let put = async |key: &str, text: &'static str, mode| {
        arranged.root.put(key, vec!["the ".into(), Bytes::from(text)], mode).await
    };
    arranged.proxy.on("PUT", "/mine").take(1).does(Fault::Lost);
    put("mine", "first", PutMode::Create).await.unwrap();
    let again = put("mine", "first", PutMode::Create).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Exists, "not tried again, so not ours");

    let standing = arranged.root.object("mine").await.unwrap().unwrap();
    let over = PutMode::Over(standing.version().map(str::to_owned));
    arranged.proxy.on("PUT", "/mine").take(1).does(Fault::Lost);
    put("mine", "other", over).await.unwrap();
    assert_eq!(arranged.bucket.get("mine").unwrap(), b"the other");

    // Of the same length, and of another one.
    for theirs in ["the older", "another"] {
        arranged.bucket.put("theirs", theirs).unwrap();
        arranged.proxy.on("PUT", "/theirs").take(1).does(Fault::InternalError);
        let refused = put("theirs", "first", PutMode::Create).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Exists);
        assert_eq!(arranged.bucket.get("theirs").unwrap(), theirs.as_bytes());
    }
    assert_eq!(arranged.counted().retries.unavailable, 4);
    assert_eq!(arranged.counted().writes, 2);
}

#[tokio::test]
async fn a_look_and_a_removal_are_tried_again() {
    let arranged = Arranged::new();
    arranged.proxy.on("HEAD", "/x").take(2).does(Fault::SlowDown);
    arranged.proxy.on("DELETE", "/x").take(1).does(Fault::SlowDown);
    let object = arranged.object("x", b"body").await;
    assert_eq!(object.size(), 4);
    arranged.root.delete("x").await.unwrap();
    arranged.root.delete("x").await.unwrap();
    assert!(arranged.bucket.list("").unwrap().is_empty());
    assert_eq!(arranged.counted().retries.throttled, 3);
}

#[tokio::test]
async fn a_listing_goes_on_where_it_broke() {
    /// A page of S3 has 1,000 keys.
    const OBJECTS: usize = 1_010;
    let arranged = Arranged::new();
    for number in 0..OBJECTS {
        arranged.bucket.put(&format!("in/{number:04}.tar"), "").unwrap();
    }
    arranged.proxy.on("GET", "continuation-token").take(1).does(Fault::SlowDown);
    let listed = arranged.root.list().await.unwrap();
    assert_eq!(listed.len(), OBJECTS);
    assert!(listed.is_sorted_by(|a, b| a.url() < b.url()));
    let pages = arranged.seen("GET", "list-type=2");
    assert_eq!(pages.len(), 3, "the first page was asked for again");
    assert!(pages[2].target.contains("start-after=in%2F0999.tar"), "{}", pages[2].target);
}
