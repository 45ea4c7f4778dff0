//! How fast facts go into a log and pairs come out of it; other logs' examples take this by its path.

use std::time::{Duration, Instant};

use dcmjoin_ledger::facts::{Fact, FactLog};
use dcmjoin_ledger::{CampaignName, Error};
use dcmjoin_model::{Half, SopInstanceUid};

/// As many as an archive may have, and as many as are given at once.
const BATCH: u64 = 20_000;
const IDLE: Duration = Duration::from_secs(30);

/// Returns how many pairs are asked for: the first argument, or a million.
pub(crate) fn pairs_asked() -> u64 {
    std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}

fn fact(number: u64, half: Half) -> Fact {
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let uid = format!("1.2.826.0.1.3680043.10.{}.{number}", spread % 1_000_000_007);
    Fact {
        fingerprint: spread,
        uid: SopInstanceUid::parse(&uid).expect("digits and dots"),
        half,
        archive: format!("s3://partner-archives/2026/{half}-{:06}.tar", number / BATCH),
        version: Some("\"9b2cf535f27731c974343645a3985328\"".to_owned()),
        offset: (number % BATCH) * 65_536,
        length: 60_000,
        digest: spread.rotate_left(31),
        crc32c: number as u32,
    }
}

/// Appends both halves of so many pairs, one half after the other, from two tasks; then takes all
/// pairs, and says of each that it is done. Prints both rates.
pub(crate) async fn measure(log: &dyn FactLog, pairs: u64) -> Result<(), Error> {
    let name: CampaignName = "rate".parse()?;
    let mut spent = Duration::ZERO;
    for half in [Half::Metadata, Half::Image] {
        let began = Instant::now();
        let task = async |first: u64| {
            for batch in (first..pairs.div_ceil(BATCH)).step_by(2) {
                let numbers = batch * BATCH..((batch + 1) * BATCH).min(pairs);
                let facts: Vec<Fact> = numbers.map(|number| fact(number, half)).collect();
                log.append(&name, &facts).await?;
            }
            Ok::<(), Error>(())
        };
        let (one, other) = tokio::join!(task(0), task(1));
        one?;
        other?;
        let took = began.elapsed();
        spent += took;
        println!("in, {half}: {:.0} facts/s", pairs as f64 / took.as_secs_f64());
    }
    println!("in: {:.0} facts/s", 2.0 * pairs as f64 / spent.as_secs_f64());
    let mut reader = log.join("rate").await?;
    // Joining takes its time, and is done once.
    let mut given = reader.next(BATCH as usize, IDLE).await?;
    let began = Instant::now();
    let first = given.len();
    let mut count = 0;
    while !given.is_empty() {
        reader.done(&given).await?;
        count += given.len();
        if count as u64 >= pairs {
            break;
        }
        given = reader.next(BATCH as usize, IDLE).await?;
    }
    let rate = 2.0 * (count - first) as f64 / began.elapsed().as_secs_f64();
    println!("out: {rate:.0} facts/s, {count} pairs");
    println!("rss: {} MiB", rss_mib());
    Ok(())
}

/// Returns the most memory that this process had.
fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
