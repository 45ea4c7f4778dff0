//! `run --pairs`: pairs that another engine found, each published by two ranges. Nothing is scanned, and
//! the catalogue is not asked; the books are those of the pairs.

use std::path::Path;
use std::sync::Arc;

use dcmjoin_catalog::{Pair, PairHalf, Pairs};
use dcmjoin_model::{Books, Side};
use dcmjoin_objects::Stores;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::apart::{Apart, Assembled, HalfPlace};
use super::close::Counted;
use super::{Part, Run, joined};
use crate::config::{Publish, RunConfig, Source};
use crate::error::RunError;
use crate::lock::{LOCK_KEY, Lock};
use crate::progress::{Phase, Progress};
use crate::report::Report;
use crate::rows::Superseded;

/// Pairs that are read from the file ahead.
const AHEAD: usize = 1_024;

/// Publishes the pairs of a Parquet file; the report counts each row as a pair.
///
/// # Errors
/// [`RunError`] for what ends a run.
pub async fn pairs(
    mut config: RunConfig,
    file: &Path,
    progress: Arc<Progress>,
) -> Result<Report, RunError> {
    if config.publish != Publish::Instances {
        return Err(RunError::Invalid {
            place: "--publish".to_owned(),
            detail: "expected instances where pairs are read one by one, got shards".to_owned(),
        });
    }
    let stores = Arc::new(Stores::default());
    // For the report: there is nothing to list.
    config.metadata = vec![Source::Manifest(file.to_owned())];
    let file = Pairs::open(file)?;
    let run = Run::begin(&stores, config, Part::Pairs, Arc::clone(&progress)).await?;
    let lock = match run.config.dry_run {
        true => None,
        false => Some(Lock::take(&run.output, LOCK_KEY, &run.name).await?),
    };
    progress.begin(Phase::Images, 0, 0);
    let apart = Arc::new(Apart::of(run, &stores));
    let done = all(&apart, file, lock.as_ref()).await;
    let report = match done {
        Ok(books) => {
            progress.begin(Phase::Closing, 0, 0);
            let counted = Counted { books, ..Counted::default() };
            apart.run().finish(counted, &Superseded::default(), stores.meter()).await
        }
        Err(error) => Err(error),
    };
    if let Some(lock) = lock {
        lock.release().await?;
    }
    report
}

async fn all(apart: &Arc<Apart>, file: Pairs, lock: Option<&Lock>) -> Result<Books, RunError> {
    let (give, mut take) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        // Nobody takes any more where the run has ended.
        file.each(|pair| give.blocking_send(pair).map_err(|_| RunError::Stopped))
    });
    let mut books = Books::default();
    let mut tasks: JoinSet<Result<Assembled, RunError>> = JoinSet::new();
    while let Some(pair) = take.recv().await {
        apart.run().check_stop()?;
        lock.map_or(Ok(()), Lock::check)?;
        if tasks.len() >= apart.run().config.publishing_max.max(1) {
            count(&mut books, joined(tasks.join_next().await)?);
        }
        let apart = Arc::clone(apart);
        tasks.spawn(async move { publish(&apart, pair).await });
    }
    while let Some(assembled) = joined(tasks.join_next().await)? {
        count(&mut books, Some(assembled));
    }
    reading.await.map_err(|_| RunError::Internal("a task panicked".to_owned()))??;
    books.check()?;
    Ok(books)
}

async fn publish(apart: &Apart, pair: Pair) -> Result<Assembled, RunError> {
    let published =
        apart.publish(&pair.uid, None, &place(&pair.metadata), &place(&pair.image)).await;
    published.map(|(assembled, _)| assembled)
}

fn place(half: &PairHalf) -> HalfPlace<'_> {
    let PairHalf { archive, version, range, crc32c } = half;
    let (offset, length) = (range.start, range.len());
    let version = version.as_deref();
    HalfPlace { archive, version, offset, length, crc32c: *crc32c, digest: None }
}

fn count(books: &mut Books, assembled: Option<Assembled>) {
    let Some(assembled) = assembled else { return };
    for side in [&mut books.metadata, &mut books.images] {
        let Side { members, paired, .. } = side;
        *members += 1;
        *paired += 1;
    }
    let instances = &mut books.instances;
    instances.pairs += 1;
    *match assembled {
        Assembled::Published => &mut instances.published,
        Assembled::AlreadyThere => &mut instances.already_there,
        Assembled::Rejected | Assembled::Unreadable => &mut instances.rejected,
    } += 1;
}
