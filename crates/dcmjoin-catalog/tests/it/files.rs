//! What is written is read again, and found.

use std::collections::HashSet;

use bytes::Bytes;
use dcmjoin_catalog::{Error, GROUP_TEXT_BYTES_MAX, ROWS_IN_GROUP, Reader, Row, State};
use dcmjoin_model::{Half, Uid};

use crate::samples::{archive, file, row, uid};

fn read(file: &Bytes) -> Vec<Row> {
    Reader::open(file.clone()).unwrap().rows().collect::<Result<_, _>>().unwrap()
}

#[test]
fn rows_come_back_as_they_were() {
    let written: Vec<_> = (0..500).map(row).collect();
    let file = file(written.clone());
    let reader = Reader::open(file.clone()).unwrap();
    assert_eq!(reader.len(), 500);
    assert_eq!(reader.archive().half, Half::Image);
    assert_eq!(reader.archive().extra["members"], 3);
    assert_eq!(read(&file), written);
}

#[test]
fn numbers_keep_all_their_bits() {
    let extreme = Row {
        length: u64::MAX,
        crc32c: Some(u32::MAX),
        digest: Some(u128::MAX),
        header_digest: Some(1),
        key_offset: Some(u64::MAX),
        bytes: Some(1 << 63),
        crc32: Some(0),
        ..Row::at(u64::MAX, State::Open)
    };
    assert_eq!(read(&file([extreme.clone()])), [extreme]);
}

#[test]
fn an_archive_without_a_half_has_a_file_too() {
    let file = file([]);
    let reader = Reader::open(file).unwrap();
    assert!(reader.is_empty());
    assert_eq!(reader.rows().count(), 0);
    assert!(reader.find(&uid(1)).unwrap().is_empty());
}

#[test]
fn any_order_gives_the_same_bytes() {
    let forward = file((0..3_000).map(row));
    let backward = file((0..3_000).rev().map(row));
    assert!(forward == backward);
}

#[test]
fn rows_that_come_late_give_the_same_bytes_over_several_groups() {
    let rows: Vec<_> = (0..3 * ROWS_IN_GROUP as u64).map(row).collect();
    let forward = file(rows.clone());
    let mut late = rows;
    late.chunks_mut(ROWS_IN_GROUP / 2).for_each(<[Row]>::reverse);
    assert!(forward == file(late));
    assert_eq!(read(&forward).len(), 3 * ROWS_IN_GROUP);
}

#[test]
fn groups_are_bounded_in_rows_and_in_text() {
    let count = ROWS_IN_GROUP as u64 + 2;
    let rows = read(&file((0..count).map(row)));
    assert_eq!(rows.len() as u64, count);
    let long = |n| Row { detail: Some("x".repeat(GROUP_TEXT_BYTES_MAX / 2)), ..row(n) };
    let rows = read(&file((0..3).rev().map(long)));
    assert_eq!(
        rows.iter().map(|row| row.offset).collect::<Vec<_>>(),
        [0, 1, 2].map(|n| row(n).offset)
    );
}

#[test]
fn every_uid_is_found_and_no_other() {
    let count = ROWS_IN_GROUP as u64 + 1_000;
    let reader = Reader::open(file((0..count).map(row))).unwrap();
    for n in (0..count).step_by(501).chain([count - 1]) {
        let expected: Vec<_> = Some(row(n)).filter(|row| row.uid.is_some()).into_iter().collect();
        assert_eq!(reader.find(&uid(n)).unwrap(), expected, "row {n}");
        assert!(reader.find(&uid(n + count)).unwrap().is_empty());
    }
}

#[test]
fn uids_beyond_what_statistics_keep_are_found() {
    let long = |n: u64| Uid::parse(&format!("{}.{}", "9".repeat(100 + n as usize), n)).unwrap();
    let rows: Vec<_> = (0..20).map(|n| Row { uid: Some(long(n)), ..row(n) }).collect();
    let reader = Reader::open(file(rows.clone())).unwrap();
    for n in 0..20 {
        assert_eq!(reader.find(&long(n)).unwrap(), rows[n as usize..=n as usize]);
    }
    let some = HashSet::from([long(3), long(17), uid(99)]);
    assert_eq!(reader.find_all(&some).unwrap(), [rows[3].clone(), rows[17].clone()]);
}

#[test]
fn all_rows_of_a_uid_are_found() {
    let twice = |n: u64| Row { uid: Some(uid(7)), ..row(n) };
    let reader = Reader::open(file([row(1), twice(2), row(3), twice(4)])).unwrap();
    assert_eq!(reader.find(&uid(7)).unwrap(), [twice(2), twice(4)]);
}

#[test]
fn a_file_on_disk_reads_like_one_in_memory() {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file((0..100).map(row))).unwrap();
    let reader = Reader::open(std::fs::File::open(path.path()).unwrap()).unwrap();
    assert_eq!(reader.rows().count(), 100);
    assert_eq!(reader.find(&uid(42)).unwrap(), [row(42)]);
}

#[test]
fn a_file_of_another_release_is_named() {
    let mut newer = archive();
    newer.schema = "dcmjoin.catalog/9".to_owned();
    let writer = dcmjoin_catalog::Writer::create(Vec::new(), &newer).unwrap();
    let (file, _) = writer.finish(serde_json::Value::Null).unwrap();
    let error = Reader::open(Bytes::from(file)).unwrap_err();
    assert!(matches!(&error, Error::Schema { got } if got == "dcmjoin.catalog/9"), "{error}");
}
