//! Batches of archives through the local runner, and what became of each.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dcmjoin_model::Half;
use dcmjoin_objects::Stores;
use dcmjoin_pipeline::catalog::Catalog;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::{Progress, Report, RunConfig, RunError, local};
use dcmjoin_restore::task::ScanResult;

use crate::error::Error;
use crate::kept;
use crate::ledger::{Archive, Place};
use crate::sign::encode_path;
use crate::trouble::Trouble;
use crate::verdict::{self, Verdict, weigh};

/// Archives to be read together, all of one side.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What is read.
    pub archives: Vec<Archive>,
    /// For images: the metadata archives that were read before.
    pub metadata: Vec<Place>,
}

/// Requests that a batch made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// GET and HEAD.
    pub gets: u64,
    /// PUT and LIST.
    pub puts: u64,
}

impl Asked {
    pub(crate) fn add(&mut self, other: Self) {
        self.gets += other.gets;
        self.puts += other.puts;
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Scanned {
    /// One for each archive, in their order.
    pub results: Vec<ScanResult>,
    /// What was asked of stores.
    pub asked: Asked,
    /// What kept the runner from archives that it names as [`ScanResult::Stopped`].
    pub trouble: Option<Trouble>,
}

/// Reads archives.
#[async_trait]
pub trait Scanner: Send + Sync {
    /// Reads a batch.
    async fn scan(&self, batch: Batch) -> Scanned;

    /// Accounts for all archives together, whose scans are done.
    ///
    /// # Errors
    /// [`Error::Run`] where the runner ends before its end.
    async fn close(&self, metadata: &[Place], images: &[Place]) -> Result<(Report, Asked), Error>;

    /// Stops the batch that is being read.
    fn stop(&self);

    /// Returns whether reading goes on where an orchestrator dies: then its death is not held
    /// against what was being read.
    fn outlives(&self) -> bool {
        false
    }
}

/// The runner in this process.
pub struct LocalScanner {
    config: RunConfig,
    /// Settings of S3 in place of the process's environment.
    variables: Option<HashMap<String, String>>,
    running: Mutex<Option<Arc<Progress>>>,
}

impl LocalScanner {
    /// Returns a scanner that runs `config` on the archives of a batch instead of its own sources.
    #[must_use]
    pub fn new(config: RunConfig, variables: Option<HashMap<String, String>>) -> Self {
        Self { config, variables, running: Mutex::new(None) }
    }

    /// Returns what the runner is told.
    pub(crate) fn config(&self) -> &RunConfig {
        &self.config
    }

    pub(crate) fn stores(&self) -> Stores {
        match &self.variables {
            Some(variables) => Stores::with_variables(variables.clone()),
            None => Stores::default(),
        }
    }

    async fn run(
        &self,
        stores: &Stores,
        metadata: &[Place],
        images: &[Place],
    ) -> Result<Report, RunError> {
        let spill = tempfile::Builder::new().prefix("dcmjoin-wave-").tempdir();
        let spill = spill.map_err(|error| RunError::Io {
            action: "create",
            place: "a folder for a wave".to_owned(),
            kind: error.kind(),
        })?;
        let mut config = self.config.clone();
        config.metadata = sources(spill.path(), "metadata.csv", metadata)?;
        config.images = sources(spill.path(), "images.csv", images)?;
        let progress = Arc::new(Progress::default());
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&progress));
        let report = local::run_on(stores, config, progress).await.map(|(report, _)| report);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        report
    }

    /// Tells one by one what became of archives, after a run that did not read all of them.
    async fn judge(
        &self,
        stores: &Stores,
        archives: &[Archive],
        ended: Option<&RunError>,
    ) -> (Vec<ScanResult>, Option<Trouble>) {
        match self.verdicts(stores, archives).await {
            Ok(verdicts) => weigh(&verdicts, ended),
            Err(trouble) => (vec![ScanResult::Stopped; archives.len()], Some(trouble)),
        }
    }

    /// Returns what is found of each archive; trouble where the catalogue cannot be asked.
    pub(crate) async fn verdicts(
        &self,
        stores: &Stores,
        archives: &[Archive],
    ) -> Result<Vec<Verdict>, Trouble> {
        match self.catalog(stores).await {
            Ok(catalog) => Ok(verdict::all(stores, &catalog, archives).await),
            Err(error) => Err(Trouble::of(&error).unwrap_or_else(|| Trouble {
                reason: format!("the catalogue: {error}"),
                passes: true,
            })),
        }
    }

    async fn catalog(&self, stores: &Stores) -> Result<Catalog, RunError> {
        let output = stores.open(&self.config.output)?;
        let spill = self.config.spill.clone().unwrap_or_else(std::env::temp_dir);
        Catalog::open(&output, &output, &self.config, &spill).await
    }
}

pub(crate) fn asked(stores: &Stores) -> Asked {
    let requests = stores.meter().requests();
    Asked {
        gets: requests.reads + requests.heads,
        puts: requests.writes + requests.parts + requests.lists,
    }
}

#[async_trait]
impl Scanner for LocalScanner {
    async fn scan(&self, batch: Batch) -> Scanned {
        let stores = self.stores();
        let places: Vec<Place> =
            batch.archives.iter().map(|archive| archive.place.clone()).collect();
        let is_metadata = batch.archives.first().is_some_and(|first| first.half == Half::Metadata);
        let ran = match is_metadata {
            true => self.run(&stores, &places, &[]).await,
            false => self.run(&stores, &batch.metadata, &places).await,
        };
        let results = match &ran {
            Ok(report) if report.archives.unreadable == 0 => {
                (vec![ScanResult::Done; batch.archives.len()], None)
            }
            Err(error @ (RunError::Stopped | RunError::Locked { .. } | RunError::LockLost)) => {
                (vec![ScanResult::Stopped; batch.archives.len()], Trouble::of(error))
            }
            ran => {
                let ended = ran.as_ref().err();
                if let Some(error) = ended {
                    tracing::warn!(%error, "a wave's run ended before its end");
                }
                self.judge(&stores, &batch.archives, ended).await
            }
        };
        let (mut results, mut trouble) = results;
        if let Some(place) = &self.config.keep {
            let keeps = kept::see_to(&stores, place, &batch.archives, &mut results).await;
            trouble = trouble.or(keeps);
        }
        Scanned { results, asked: asked(&stores), trouble }
    }

    async fn close(&self, metadata: &[Place], images: &[Place]) -> Result<(Report, Asked), Error> {
        let stores = self.stores();
        let report = self.run(&stores, metadata, images).await?;
        Ok((report, asked(&stores)))
    }

    fn stop(&self) {
        if let Some(progress) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            progress.stop();
        }
    }
}

/// Writes a manifest of archives.
fn sources(
    folder: &std::path::Path,
    name: &str,
    places: &[Place],
) -> Result<Vec<Source>, RunError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let path = folder.join(name);
    let write = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        file.write_all(b"bucket,key,version\n")?;
        for Place { bucket, key, version } in places {
            let version = version.as_deref().unwrap_or_default();
            writeln!(file, "{bucket},{},{version}", encode_path(key))?;
        }
        file.flush()
    };
    write().map_err(|error: std::io::Error| RunError::Io {
        action: "write",
        place: path.display().to_string(),
        kind: error.kind(),
    })?;
    Ok(vec![Source::Manifest(path)])
}
