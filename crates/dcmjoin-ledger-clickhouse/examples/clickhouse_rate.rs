//! Measures the fact log on a server that is there.

#![expect(clippy::cast_possible_truncation, reason = "counts are small")]

#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use dcmjoin_ledger_clickhouse::ClickHouse;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked = rate::Asked::read();
    let log = ClickHouse::open(&asked.place, None).await?;
    println!("{}", rate::measure(&log, &asked).await?);
    Ok(())
}
