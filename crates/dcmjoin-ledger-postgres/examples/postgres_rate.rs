//! Measures the fact log and the task store on a server of this machine, beside its own `COPY`.

#![expect(clippy::cast_precision_loss, reason = "rates are rounded")]

#[path = "../../dcmjoin-ledger/examples/rate/mod.rs"]
mod rate;

use std::time::{Duration, Instant};

use dcmjoin_ledger::tasks::{NewTask, Stage, TaskStore, Wanted};
use dcmjoin_ledger::{Campaign, Error};
use dcmjoin_ledger_postgres::Postgres;

const TASKS: usize = 100_000;
const BATCH: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = dcmjoin_testkit::Postgres::start()?;
    let url = server.create_database()?;
    let store = Postgres::open(&url).await?;
    rate::measure(&store, rate::pairs_asked()).await?;
    copy(&server, &url)?;
    claims(&store).await?;
    Ok(())
}

/// The same rows into a table with the same indexes, by `psql` alone.
fn copy(server: &dcmjoin_testkit::Postgres, url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("dcmjoin-rate-{}", std::process::id()));
    let file = file.display();
    let psql = |command: &str| {
        let mut psql = server.program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command]).arg(url).output()
    };
    psql(&format!("\\copy dcmjoin_ledger.fact TO '{file}' BINARY"))?;
    psql("CREATE TABLE plain (LIKE dcmjoin_ledger.fact INCLUDING ALL)")?;
    let began = Instant::now();
    let copied = psql(&format!("\\copy plain FROM '{file}' BINARY"))?;
    let took = began.elapsed();
    std::fs::remove_file(file.to_string())?;
    let mut count = server.program("psql");
    let count =
        count.args(["-X", "-A", "-t", "-c", "SELECT count(*) FROM plain"]).arg(url).output()?;
    let count: f64 = String::from_utf8(count.stdout)?.trim().parse()?;
    println!("copy by psql: {:.0} rows/s ({})", count / took.as_secs_f64(), copied.status);
    Ok(())
}

async fn claims(store: &Postgres) -> Result<(), Error> {
    let campaign = Campaign { name: "claims".parse()?, priority: 0, settings: String::new() };
    store.put_campaign(&campaign).await?;
    for first in (0..TASKS).step_by(BATCH) {
        let task = |at| NewTask { stage: Stage::Images, url: format!("s3://a/{at:08}"), bytes: 1 };
        let tasks: Vec<NewTask> = (first..first + BATCH).map(task).collect();
        store.add(&campaign.name, &tasks).await?;
    }
    let began = Instant::now();
    let worker = async |max: usize, most: usize| {
        let mut got = 0;
        while got < most {
            let lease = Duration::from_secs(600);
            let wanted =
                Wanted { worker: "w", stages: &[Stage::Images], campaign: None, max, lease };
            let claims = store.claim(&wanted).await?;
            if claims.is_empty() {
                break;
            }
            got += claims.len();
        }
        Ok::<usize, Error>(got)
    };
    let (a, b) = tokio::join!(worker(100, usize::MAX), worker(100, usize::MAX));
    let rate = (a? + b?) as f64 / began.elapsed().as_secs_f64();
    println!("claims, 100 at once, 2 workers: {rate:.0} tasks/s");
    Ok(())
}
