//! Measures the fact log and the task store in a database that is there.

#![expect(clippy::cast_possible_truncation, reason = "counts are small")]

#[path = "../../dcmjoin-ledger/examples/rate/claims.rs"]
mod claims;
#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use std::sync::Arc;

use dcmjoin_ledger_postgres::Postgres;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked = rate::Asked::read();
    let store = Postgres::open(&asked.place).await?;
    let line = match asked.phase.as_str() {
        "claims" => claims::measure(Arc::new(store), &asked).await?,
        _ => rate::measure(&store, &asked).await?,
    };
    println!("{line}");
    Ok(())
}
