//! Measures the fact log on brokers that are there; the place is `HOST:PORT/PREFIX`.

#![expect(clippy::cast_possible_truncation, reason = "counts are small")]

#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use dcmjoin_ledger_kafka::Kafka;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked = rate::Asked::read();
    let (brokers, prefix) = asked.place.rsplit_once('/').ok_or("HOST:PORT/PREFIX")?;
    let log = Kafka::open(brokers, prefix, &std::env::temp_dir()).await?;
    println!("{}", rate::measure(&log, &asked).await?);
    Ok(())
}
