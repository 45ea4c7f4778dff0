//! How fast tasks are claimed and done, by several workers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcmjoin_ledger::tasks::{BATCH_MAX, Claim, NewTask, Stage, TaskStore, Wanted};
use dcmjoin_ledger::{Campaign, Error};

use super::rate::Asked;

const LEASE: Duration = Duration::from_secs(600);

/// Adds so many tasks; then so many workers claim some at a time until none is left, and then say of
/// each that it is done.
pub(crate) async fn measure(store: Arc<dyn TaskStore>, asked: &Asked) -> Result<String, Error> {
    let tasks = asked.number(0, 20_000);
    let (claimers, batch) = (asked.number(1, 8), asked.number(2, 4) as usize);
    let campaign = Campaign { name: "claims".parse()?, priority: 0, settings: String::new() };
    store.put_campaign(&campaign).await?;
    for first in (0..tasks).step_by(BATCH_MAX) {
        let task = |at| NewTask { stage: Stage::Images, url: format!("s3://a/{at:08}"), bytes: 1 };
        let some: Vec<_> = (first..tasks.min(first + BATCH_MAX as u64)).map(task).collect();
        store.add(&campaign.name, &some).await?;
    }
    let began = Instant::now();
    let workers: Vec<_> =
        (0..claimers).map(|_| tokio::spawn(claim(Arc::clone(&store), batch))).collect();
    let mut claims = Vec::new();
    for worker in workers {
        claims.push(worker.await.expect("a worker does not panic")?);
    }
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(claims.iter().map(Vec::len).sum::<usize>() as u64, tasks, "each task once");
    let began = Instant::now();
    let workers: Vec<_> = claims
        .into_iter()
        .map(|claims| tokio::spawn(complete(Arc::clone(&store), claims)))
        .collect();
    for worker in workers {
        worker.await.expect("a worker does not panic")?;
    }
    let done = began.elapsed().as_secs_f64();
    Ok(format!(
        r#"{{"tasks":{tasks},"seconds":{seconds:.4},"done_seconds":{done:.4},"claimers":{claimers},"batch":{batch}}}"#
    ))
}

async fn claim(store: Arc<dyn TaskStore>, max: usize) -> Result<Vec<Claim>, Error> {
    let wanted =
        Wanted { worker: "w", stages: &[Stage::Images], campaign: None, max, lease: LEASE };
    let mut all = Vec::new();
    loop {
        let claims = store.claim(&wanted).await?;
        if claims.is_empty() {
            return Ok(all);
        }
        all.extend(claims);
    }
}

async fn complete(store: Arc<dyn TaskStore>, claims: Vec<Claim>) -> Result<(), Error> {
    for claim in &claims {
        store.complete(claim).await?;
    }
    Ok(())
}
