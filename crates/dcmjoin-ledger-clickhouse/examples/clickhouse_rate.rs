//! Measures the fact log on the engine, beside a plain insert of the same rows by the engine itself.

#![expect(clippy::cast_precision_loss, reason = "rates are rounded")]

#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use std::time::Instant;

use dcmjoin_ledger_clickhouse::ClickHouse;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = dcmjoin_testkit::ClickHouse::start()?;
    let url = server.url().replace("http://", "clickhouse://");
    let log = ClickHouse::open(&url, None).await?;
    let pairs = rate::pairs_asked();
    rate::measure(&log, pairs).await?;
    server.sql("CREATE TABLE plain AS dcmjoin_fact")?;
    let began = Instant::now();
    server.sql("INSERT INTO plain SELECT * FROM dcmjoin_fact")?;
    let rate = 2.0 * pairs as f64 / began.elapsed().as_secs_f64();
    println!("insert from select: {rate:.0} rows/s");
    Ok(())
}
