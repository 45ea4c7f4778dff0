//! Objects written piece by piece.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dcmjoin_objects::{Error, ErrorKind, PutMode, Writer};
use dcmjoin_testkit::Fault;

use crate::arranged::{Arranged, bytes};

/// Two parts and a half.
const LEN: usize = 40 << 20;
const PIECE: usize = 7_000_000;

async fn push(writer: &mut Writer, all: &Bytes) -> Result<(), Error> {
    for start in (0..all.len()).step_by(PIECE) {
        writer.push(all.slice(start..all.len().min(start + PIECE))).await?;
    }
    Ok(())
}

async fn write(arranged: &Arranged, all: &Bytes, mode: PutMode) -> Result<(), Error> {
    let mut writer = arranged.root.writer("large", all.len() as u64, mode).await?;
    push(&mut writer, all).await?;
    writer.finish().await
}

#[tokio::test]
async fn parts_become_one_object_under_its_condition() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    write(&arranged, &all, PutMode::Create).await.unwrap();
    assert!(arranged.bucket.get("large").unwrap() == all, "other bytes");
    let ends = arranged.seen("POST", "uploadId=");
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].header("if-none-match"), Some("*"));
    // A beginning, three parts, an end; one object.
    assert_eq!((arranged.counted().parts, arranged.counted().writes), (5, 1));

    let again = write(&arranged, &all, PutMode::Create).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Exists);
    let other = all.slice(1..);
    write(&arranged, &other, PutMode::Replace).await.unwrap();
    let standing = arranged.root.object("large").await.unwrap().unwrap();
    let over = PutMode::Over(standing.version().map(str::to_owned));
    write(&arranged, &all, over.clone()).await.unwrap();
    assert_eq!(write(&arranged, &other, over).await.unwrap_err().kind, ErrorKind::Changed);
    assert!(arranged.bucket.get("large").unwrap() == all, "other bytes");
    assert!(arranged.bucket.uploads().unwrap().is_empty());
}

#[tokio::test]
async fn a_place_taken_meanwhile_is_kept() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    let begin = || arranged.root.writer("large", LEN as u64, PutMode::Create);
    let mut writer = begin().await.unwrap();
    push(&mut writer, &all).await.unwrap();
    arranged.bucket.put("large", "first").unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind, ErrorKind::Exists);
    assert_eq!(arranged.bucket.get("large").unwrap(), b"first");
    assert!(arranged.bucket.uploads().unwrap().is_empty());
}

#[tokio::test]
async fn no_parts_are_left() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    let begun = async || {
        let mut writer = arranged.root.writer("large", LEN as u64, PutMode::Create).await.unwrap();
        push(&mut writer, &all.slice(..LEN - 1)).await.unwrap();
        assert_eq!(arranged.bucket.uploads().unwrap().len(), 1);
        writer
    };
    begun().await.abort().await;
    assert!(arranged.bucket.uploads().unwrap().is_empty());
    assert_eq!(begun().await.finish().await.unwrap_err().kind, ErrorKind::Invalid);
    assert!(arranged.bucket.uploads().unwrap().is_empty());
    drop(begun().await);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !arranged.bucket.uploads().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the parts are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(arranged.bucket.list("").unwrap().is_empty());
}

#[tokio::test]
async fn parts_are_tried_again() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    arranged.proxy.on("POST", "uploads").take(1).does(Fault::SlowDown);
    arranged.proxy.on("PUT", "partNumber=2").take(2).does(Fault::SlowDown);
    arranged.proxy.on("PUT", "partNumber=3").take(1).does(Fault::Lost);
    arranged.proxy.on("POST", "uploadId=").take(1).does(Fault::InternalError);
    write(&arranged, &all, PutMode::Create).await.unwrap();
    assert!(arranged.bucket.get("large").unwrap() == all, "other bytes");
    let retries = arranged.counted().retries;
    assert_eq!((retries.throttled, retries.unavailable, retries.all()), (3, 2, 5));
}

#[tokio::test]
async fn an_upload_whose_last_answer_is_lost_is_known_for_ours() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    arranged.proxy.on("POST", "uploadId=").take(1).does(Fault::Lost);
    write(&arranged, &all, PutMode::Create).await.unwrap();
    assert!(arranged.bucket.get("large").unwrap() == all, "other bytes");
    assert!(arranged.bucket.uploads().unwrap().is_empty());
}

#[tokio::test]
async fn an_upload_that_another_one_has_won_is_not_ours() {
    let arranged = Arranged::new();
    let all = bytes(LEN);
    let mut writer = arranged.root.writer("large", LEN as u64, PutMode::Create).await.unwrap();
    push(&mut writer, &all).await.unwrap();
    let mut other = all.to_vec();
    other[LEN - 1] ^= 1;
    arranged.bucket.put("large", &other).unwrap();
    // Tried again for a reason of its own, and refused for the other's object.
    arranged.proxy.on("POST", "uploadId=").take(1).does(Fault::InternalError);
    assert_eq!(writer.finish().await.unwrap_err().kind, ErrorKind::Exists);
    assert!(arranged.bucket.get("large").unwrap() == other, "it was overwritten");
}
