//! How fast facts go into a log and pairs come out of it; other logs' examples take this by its path.
//!
//! `NAME_rate in|out PLACE PAIRS [BATCH]` does one of both on a log that is there, `claims PLACE TASKS
//! CLAIMERS BATCH` takes tasks; each prints one JSON object. The server is somebody else's, so that the
//! process's memory is a worker's.

use std::time::{Duration, Instant};

use dcmjoin_ledger::facts::{Fact, FactLog};
use dcmjoin_ledger::{CampaignName, Error};
use dcmjoin_model::{Half, SopInstanceUid};

/// Members of an archive.
const ARCHIVE: u64 = 20_000;
/// Facts of one append, as a worker makes them.
const APPENDED: u64 = 50_000;
/// Pairs that are asked for at once.
const ASKED: u64 = 10_000;
/// Archives that a worker has at once.
const AT_ONCE: u64 = 2;
/// So long is waited for pairs that do not come.
const IDLE: Duration = Duration::from_secs(60);

/// What the command line says, after the phase.
pub(crate) struct Asked {
    pub(crate) phase: String,
    pub(crate) place: String,
    pub(crate) numbers: Vec<u64>,
}

impl Asked {
    /// Reads the command line.
    ///
    /// # Panics
    /// Where it lacks something: it is an example.
    pub(crate) fn read() -> Self {
        let mut args = std::env::args().skip(1);
        let (phase, place) = (args.next(), args.next());
        let numbers = args.map(|text| text.parse().expect("a number")).collect();
        let usage = "in|out|claims PLACE NUMBER...";
        Self { phase: phase.expect(usage), place: place.expect(usage), numbers }
    }

    pub(crate) fn number(&self, at: usize, default: u64) -> u64 {
        self.numbers.get(at).copied().unwrap_or(default)
    }
}

pub(crate) fn fact(number: u64, half: Half) -> Fact {
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let uid = format!("1.2.826.0.1.3680043.10.{}.{number}", spread % 1_000_000_007);
    Fact {
        fingerprint: spread,
        uid: SopInstanceUid::parse(&uid).expect("digits and dots"),
        half,
        archive: format!("s3://partner-archives/2026/{half}-{:06}.tar", number / ARCHIVE),
        version: Some("\"9b2cf535f27731c974343645a3985328\"".to_owned()),
        offset: (number % ARCHIVE) * 65_536,
        length: 60_000,
        digest: spread.rotate_left(31),
        crc32c: number as u32,
    }
}

/// Does the phase that is asked for; returns the line to print.
pub(crate) async fn measure(log: &dyn FactLog, asked: &Asked) -> Result<String, Error> {
    let pairs = asked.number(0, 1_000_000);
    match asked.phase.as_str() {
        "in" => append(log, pairs, asked.number(1, APPENDED)).await,
        _ => take(log, pairs, asked.number(1, ASKED) as usize).await,
    }
}

/// Appends both halves of so many pairs, one half after the other, as from two archives at once.
async fn append(log: &dyn FactLog, pairs: u64, batch: u64) -> Result<String, Error> {
    let name: CampaignName = "rate".parse()?;
    let mut halves = Vec::new();
    for half in [Half::Metadata, Half::Image] {
        let began = Instant::now();
        let task = async |first: u64| {
            for at in (first..pairs.div_ceil(batch)).step_by(AT_ONCE as usize) {
                let numbers = at * batch..((at + 1) * batch).min(pairs);
                let facts: Vec<Fact> = numbers.map(|number| fact(number, half)).collect();
                log.append(&name, &facts).await?;
            }
            Ok::<(), Error>(())
        };
        let (one, other) = tokio::join!(task(0), task(1));
        one?;
        other?;
        halves.push(began.elapsed().as_secs_f64());
    }
    let (first, second) = (halves[0], halves[1]);
    let (facts, seconds) = (2 * pairs, first + second);
    Ok(format!(
        r#"{{"facts":{facts},"seconds":{seconds:.4},"first_half_seconds":{first:.4},"second_half_seconds":{second:.4}}}"#
    ))
}

/// Takes so many pairs, and says of each that it is done. Counted from when the reader has partitions: a
/// group finds its order once. Being given pairs and saying *done* are counted apart, too.
async fn take(log: &dyn FactLog, pairs: u64, batch: usize) -> Result<String, Error> {
    let mut reader = log.join("rate").await?;
    let mut began = Instant::now();
    let mut given = reader.look(batch).await?;
    while reader.partitions().is_empty() {
        began = Instant::now();
        given = reader.look(batch).await?;
    }
    let (mut count, mut done) = (0, Duration::ZERO);
    while count < pairs {
        if !given.is_empty() {
            count += given.len() as u64;
            let said = Instant::now();
            reader.done(&given).await?;
            done += said.elapsed();
        }
        if count < pairs {
            given = reader.next(batch, IDLE).await?;
            assert!(!given.is_empty(), "{count} of {pairs} pairs came");
        }
    }
    let (all, done) = (began.elapsed().as_secs_f64(), done.as_secs_f64());
    let (facts, given) = (2 * count, all - done);
    reader.leave().await?;
    Ok(format!(
        r#"{{"facts":{facts},"seconds":{all:.4},"given_seconds":{given:.4},"done_seconds":{done:.4}}}"#
    ))
}
