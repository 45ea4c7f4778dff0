//! Batches of archives through the local runner, and what became of each.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dcmjoin_model::Half;
use dcmjoin_objects::{ErrorKind, Location, Object, Stores};
use dcmjoin_pipeline::catalog::Catalog;
use dcmjoin_pipeline::config::Source;
use dcmjoin_pipeline::{Progress, Report, RunConfig, RunError, local};
use dcmjoin_restore::task::ScanResult;

use crate::error::Error;
use crate::ledger::{Archive, Place};
use crate::sign::encode_path;

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

/// What became of a batch.
#[derive(Debug)]
pub struct Scanned {
    /// One for each archive, in their order.
    pub results: Vec<ScanResult>,
    /// What was asked of stores.
    pub asked: Asked,
    /// The runner's report, where it came to its end.
    pub report: Option<Report>,
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

    fn stores(&self) -> Stores {
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
        config.metadata = sources(spill.path(), "metadata", metadata)?;
        config.images = sources(spill.path(), "images", images)?;
        let progress = Arc::new(Progress::default());
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&progress));
        let report = local::run_on(stores, config, progress).await.map(|(report, _)| report);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        report
    }

    /// Tells one by one what became of archives, after a run that did not read all of them.
    async fn judge(&self, stores: &Stores, archives: &[Archive]) -> Vec<ScanResult> {
        let mut results = Vec::with_capacity(archives.len());
        let catalog = self.catalog(stores).await;
        for archive in archives {
            results.push(match &catalog {
                Ok(catalog) => judge(stores, catalog, archive).await,
                Err(_) => ScanResult::Broke,
            });
        }
        results
    }

    async fn catalog(&self, stores: &Stores) -> Result<Catalog, RunError> {
        let output = stores.open(&self.config.output)?;
        let spill = self.config.spill.clone().unwrap_or_else(std::env::temp_dir);
        Catalog::open(&output, &output, &self.config, &spill).await
    }
}

fn asked(stores: &Stores) -> Asked {
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
                vec![ScanResult::Done; batch.archives.len()]
            }
            // Another run writes to the output: that is no fault of an archive.
            Err(RunError::Stopped | RunError::Locked { .. } | RunError::LockLost) => {
                vec![ScanResult::Stopped; batch.archives.len()]
            }
            ran => {
                if let Err(error) = ran {
                    tracing::warn!(%error, "a wave's run ended before its end");
                }
                self.judge(&stores, &batch.archives).await
            }
        };
        Scanned { results, asked: asked(&stores), report: ran.ok() }
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

fn url(place: &Place) -> String {
    format!("s3://{}/{}", encode_path(&place.bucket), encode_path(&place.key))
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
        places.iter().try_for_each(|place| writeln!(file, "{}", url(place)))?;
        file.flush()
    };
    write().map_err(|error: std::io::Error| RunError::Io {
        action: "write",
        place: path.display().to_string(),
        kind: error.kind(),
    })?;
    Ok(vec![Source::Manifest(path)])
}

async fn judge(stores: &Stores, catalog: &Catalog, archive: &Archive) -> ScanResult {
    match object(stores, &archive.place).await {
        Err(kind) => result(kind),
        Ok(object) => match catalog.find(archive.half, &object).await {
            Ok(Some(_)) => ScanResult::Done,
            Err(_) => ScanResult::Broke,
            // Whether the store gives it now tells why it did not.
            Ok(None) => match object.read(0..object.size().min(1)).await {
                Ok(_) => ScanResult::Broke,
                Err(error) => result(error.kind),
            },
        },
    }
}

async fn object(stores: &Stores, place: &Place) -> Result<Object, ErrorKind> {
    let url = url(place);
    let (parent, name) = url.rsplit_once('/').unwrap_or((&url, ""));
    let parent: Location = parent.parse().map_err(|_| ErrorKind::Invalid)?;
    let root = stores.open(&parent).map_err(|error| error.kind)?;
    let object = root.object(name).await.map_err(|error| error.kind)?;
    object.ok_or(ErrorKind::NotFound)
}

fn result(kind: ErrorKind) -> ScanResult {
    match kind {
        ErrorKind::Archived => ScanResult::CopyGone,
        ErrorKind::Changed => ScanResult::Overwritten,
        ErrorKind::Denied => ScanResult::Denied,
        _ => ScanResult::Broke,
    }
}
