//! Measures the catalogue on this machine: rows/s written and read, bytes a row, time of a look-up.
//!
//! `cargo run --release -p dcmjoin-catalog --example measure [ROWS [FILE]]`; the median of five rounds,
//! in processor time, since other programs may run. All work is on one thread, on files in memory.
//! The figures of `docs/catalog.md` are from here. FILE keeps the file for a closer look.

use std::time::Duration;

use bytes::Bytes;
use dcmjoin_catalog::{Archive, Reader, Row, SCHEMA, State, Writer};
use dcmjoin_model::{Half, PayloadKind, Uid};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 5;
const LOOK_UPS: u64 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let rows: Vec<Row> = (0..count).map(row).collect::<Result<_, _>>()?;
    let mut file = Bytes::new();
    let write = median(|| {
        file = written(&rows)?;
        Ok(())
    })?;
    if let Some(path) = std::env::args().nth(2) {
        std::fs::write(path, &file)?;
    }
    let read = median(|| {
        let rows = Reader::open(file.clone())?.rows().flatten().count();
        assert_eq!(rows as u64, count);
        Ok(())
    })?;
    let open = median(|| {
        Reader::open(file.clone())?;
        Ok(())
    })?;
    let reader = Reader::open(file.clone())?;
    let hits = median(|| look_up(&reader, |n| n * (count / LOOK_UPS).max(1) % count))?;
    let misses = median(|| look_up(&reader, |n| count + n))?;
    println!("rows      {count}");
    println!("file      {} bytes, {:.1} a row", file.len(), ratio(file.len() as u64, count));
    println!("write     {:.0} rows/s", per_second(count, write));
    println!("read      {:.0} rows/s", per_second(count, read));
    println!("open      {:.1} us", micros(open, 1));
    println!("find      {:.1} us where it is there", micros(hits, LOOK_UPS));
    println!("find      {:.1} us where it is not", micros(misses, LOOK_UPS));
    Ok(())
}

fn median(
    mut round: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = processor_time();
        round()?;
        times.push(processor_time().saturating_sub(begun));
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn look_up(
    reader: &Reader<Bytes>,
    which: impl Fn(u64) -> u64,
) -> Result<(), Box<dyn std::error::Error>> {
    for n in 0..LOOK_UPS {
        reader.find(&uid(which(n))?)?;
    }
    Ok(())
}

fn written(rows: &[Row]) -> Result<Bytes, dcmjoin_catalog::Error> {
    let archive = Archive {
        schema: SCHEMA.to_owned(),
        half: Half::Image,
        url: "s3://archive-of-a-partner/2019/images/0000001234.tar".to_owned(),
        version: Some("\"9b2cf535f27731c974343645a3985328-64\"".to_owned()),
        size: 1 << 32,
        compressed: false,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        settings: "5f1d3a".to_owned(),
        output: "s3://dicom/out".to_owned(),
        extra: serde_json::Value::Null,
    };
    let mut writer = Writer::create(Vec::new(), &archive)?;
    for row in rows {
        writer.push(row.clone())?;
    }
    Ok(writer.finish(serde_json::Value::Null)?.0.into())
}

/// A published image; its UID is of a UUID, or of an organisation's root with random digits.
fn row(n: u64) -> Result<Row, dcmjoin_model::UidError> {
    let length = 60_000 + random(n) % 400_000;
    let uid = uid(n)?;
    Ok(Row {
        crc32c: Some(random(n + 1) as u32),
        digest: Some(wide(n + 2)),
        kind: Some(PayloadKind::Codestream),
        header_digest: Some(wide(n + 3)),
        key: Some(format!("{uid}.dcm")),
        bytes: Some(length + 3_800 + random(n + 4) % 400),
        crc32: Some(random(n + 5) as u32),
        uid: Some(uid),
        length,
        ..Row::at(512 + n * 262_144, State::Published)
    })
}

fn uid(n: u64) -> Result<Uid, dcmjoin_model::UidError> {
    let digits = wide(n.wrapping_mul(31));
    Uid::parse(&match n % 2 {
        0 => format!("2.25.{digits}"),
        _ => format!("1.3.6.1.4.1.14519.5.2.1.6279.6001.{:027}", digits % 10_u128.pow(27)),
    })
}

/// A stream of numbers that looks like chance and never changes.
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn wide(seed: u64) -> u128 {
    u128::from(random(seed)) << 64 | u128::from(random(!seed))
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
