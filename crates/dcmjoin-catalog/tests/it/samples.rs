//! Archives and rows as runs make them.

use bytes::Bytes;
use dcmjoin_catalog::{Archive, Row, SCHEMA, State, Writer};
use dcmjoin_model::{Half, PayloadKind, Reason, Uid, WarningCode};

pub(crate) fn archive() -> Archive {
    Archive {
        schema: SCHEMA.to_owned(),
        half: Half::Image,
        url: "s3://archive/images/0001.tar".to_owned(),
        version: Some("\"9b2cf535f27731c9\"".to_owned()),
        size: 1 << 30,
        compressed: false,
        program: "0.1.0".to_owned(),
        settings: "5f1d".to_owned(),
        output: "s3://dicom/out".to_owned(),
        extra: serde_json::Value::Null,
    }
}

/// A stream of numbers that looks like chance and never changes.
pub(crate) fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn wide(seed: u64) -> u128 {
    u128::from(random(seed)) << 64 | u128::from(random(!seed))
}

pub(crate) fn uid(n: u64) -> Uid {
    Uid::parse(&format!("2.25.{}", wide(n))).unwrap()
}

/// The row of a member: every ninth is rejected, every fifth is unpaired.
pub(crate) fn row(n: u64) -> Row {
    let seed = n.wrapping_mul(7);
    let place = Row {
        length: 100_000 + random(seed) % 500_000,
        ..Row::at(512 + n * 1_048_576, State::Open)
    };
    if n % 9 == 8 {
        return Row {
            uid: n.is_multiple_of(2).then(|| uid(n)),
            state: State::Rejected,
            reason: Some(Reason::MemberTruncated),
            detail: Some(format!("expected {} bytes, got {}", place.length, place.length / 2)),
            member: Some(format!("{}.j2c", uid(n))),
            ..place
        };
    }
    let read = Row {
        uid: Some(uid(n)),
        crc32c: Some(random(seed + 1) as u32),
        digest: Some(wide(seed + 2)),
        kind: Some(PayloadKind::Codestream),
        ..place
    };
    if n % 5 == 4 {
        return read;
    }
    let mut row = Row {
        state: State::Published,
        header_digest: Some(wide(seed + 3)),
        key: Some(format!("{}.dcm", uid(n))),
        key_offset: n.is_multiple_of(3).then_some(512 * n),
        bytes: Some(read.length + 3_000),
        crc32: Some(random(seed + 4) as u32),
        ..read
    };
    if n % 11 == 10 {
        row.warnings.add(WarningCode::OffsetTableRebuilt, 1);
        row.warnings.add(WarningCode::DecimalRounded, 4);
    }
    row
}

pub(crate) fn file(rows: impl IntoIterator<Item = Row>) -> Bytes {
    let mut writer = Writer::create(Vec::new(), &archive()).unwrap();
    rows.into_iter().for_each(|row| writer.push(row).unwrap());
    let (file, written) = writer.finish(serde_json::json!({ "members": 3 })).unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    file.into()
}
