//! Measures the store in a file; `plain-in`, `plain-out` and `plain-done` are `SQLite` by itself with the same
//! rows.

#![expect(clippy::cast_possible_truncation, reason = "counts are small")]

#[path = "rate/claims.rs"]
mod claims;
mod rate;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dcmjoin_ledger::Sqlite;
use dcmjoin_model::Half;
use rate::Asked;
use rusqlite::{Connection, params};

/// Rows of one transaction.
const BATCH: u64 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked = Asked::read();
    let file = Path::new(&asked.place);
    let line = match asked.phase.as_str() {
        "plain-in" => plain_in(file, asked.number(0, 1_000_000))?,
        "plain-out" => plain_out(file)?,
        "plain-done" => plain_done(file, asked.number(0, 1_000_000))?,
        "claims" => claims::measure(Arc::new(Sqlite::open(file)?), &asked).await?,
        _ => rate::measure(&Sqlite::open(file)?, &asked).await?,
    };
    println!("{line}");
    Ok(())
}

/// Inserts the same rows into one table with the same key, as durably.
fn plain_in(file: &Path, pairs: u64) -> rusqlite::Result<String> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE plain (
             fingerprint BLOB, uid TEXT, half INTEGER, archive TEXT, offset INTEGER, version TEXT,
             length INTEGER, digest BLOB, crc32c INTEGER,
             PRIMARY KEY (fingerprint, uid, half, archive, offset)) WITHOUT ROWID;",
    )?;
    let began = Instant::now();
    for half in [Half::Metadata, Half::Image] {
        for first in (0..pairs).step_by(BATCH as usize) {
            let change = connection.transaction()?;
            let sql = "INSERT INTO plain VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            for number in first..pairs.min(first + BATCH) {
                let fact = rate::fact(number, half);
                change.prepare_cached(sql)?.execute(params![
                    fact.fingerprint.to_be_bytes(),
                    fact.uid.as_str(),
                    half as i64,
                    fact.archive,
                    fact.offset,
                    fact.version,
                    fact.length,
                    fact.digest.to_be_bytes(),
                    fact.crc32c,
                ])?;
            }
            change.commit()?;
        }
    }
    Ok(line(2 * pairs, began))
}

/// Reads all of those rows in the order of their key.
fn plain_out(file: &Path) -> rusqlite::Result<String> {
    let connection = Connection::open(file)?;
    let began = Instant::now();
    let mut query = connection.prepare("SELECT * FROM plain")?;
    let mut rows = query.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let _: (String, String, String) = (row.get(1)?, row.get(3)?, row.get(5)?);
        count += 1;
    }
    Ok(line(count, began))
}

/// Inserts the keys of as many pairs into a table of their own, as durably.
fn plain_done(file: &Path, pairs: u64) -> rusqlite::Result<String> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE done (fingerprint BLOB, uid TEXT, PRIMARY KEY (fingerprint, uid)) WITHOUT ROWID;",
    )?;
    let began = Instant::now();
    for first in (0..pairs).step_by(BATCH as usize) {
        let change = connection.transaction()?;
        let sql = "INSERT INTO done VALUES (?1, ?2)";
        for number in first..pairs.min(first + BATCH) {
            let fact = rate::fact(number, Half::Image);
            let values = params![fact.fingerprint.to_be_bytes(), fact.uid.as_str()];
            change.prepare_cached(sql)?.execute(values)?;
        }
        change.commit()?;
    }
    Ok(line(pairs, began))
}

fn line(facts: u64, began: Instant) -> String {
    format!(r#"{{"facts":{facts},"seconds":{:.4}}}"#, began.elapsed().as_secs_f64())
}
