//! A worker's part of the local runner: archives that it is given one by one, by their URLs.
//!
//! First a [`HeaderWorker`] scans metadata archives; each is committed by its file in the catalogue,
//! with its headers in a pack. [`HeaderWorker::seal`] adds the packs of those that others scanned and
//! makes the index; the [`ImageWorker`] then pairs and publishes while image archives stream past.
//! Neither accounts for anything: the run that closes does, from the catalogue.
//!
//! **A second time.** An archive that is committed is not read again, whoever committed it. One that two
//! workers scan at once gives the same objects, and rows that are both true.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use dcmjoin_model::Half;
use dcmjoin_objects::{Object, Stores};
use tokio::task::JoinSet;

use super::intake::Intake;
use super::stream::Stream;
use super::{Part, Run, joined};
use crate::catalog::{Finished, Known};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::manifest::one_by_any_name;
use crate::pair::Headers;
use crate::progress::Progress;

/// What became of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanned {
    /// It is committed, by this worker or by another one.
    Committed,
    /// Its store does not give all of it.
    Unreadable,
    /// There is no such object.
    Gone,
}

/// Scans metadata archives.
pub struct HeaderWorker {
    run: Arc<Run>,
    stores: Arc<Stores>,
    intake: Arc<Intake>,
    /// URLs of archives whose headers this worker has.
    taken: Mutex<HashSet<String>>,
}

/// Scans image archives.
pub struct ImageWorker {
    run: Arc<Run>,
    stores: Arc<Stores>,
    stream: Arc<Stream>,
}

impl std::fmt::Debug for HeaderWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeaderWorker")
    }
}

impl std::fmt::Debug for ImageWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImageWorker")
    }
}

impl HeaderWorker {
    /// Begins with a configuration, whose sources are not looked at.
    ///
    /// # Errors
    /// [`RunError`] where the output or the spill folder cannot be used.
    pub async fn begin(
        stores: &Arc<Stores>,
        config: RunConfig,
        progress: Arc<Progress>,
    ) -> Result<Self, RunError> {
        let run = Arc::new(Run::begin(stores, config, Part::Given, progress).await?);
        let intake = Intake::begin(&run)?;
        Ok(Self { run, stores: Arc::clone(stores), intake, taken: Mutex::default() })
    }

    /// Returns whether halves are copied to raw objects.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.run.copies().is_some()
    }

    /// Scans a metadata archive.
    ///
    /// # Errors
    /// [`RunError`] for what is no fault of the archive.
    pub async fn scan(&self, url: &str) -> Result<Scanned, RunError> {
        let object = match self.run.given(&self.stores, url).await? {
            Ok(object) => object,
            Err(scanned) => return Ok(scanned),
        };
        let number = self.run.metadata.add(object.clone());
        let is_known = self.run.known(Half::Metadata, &object).await?.is_some();
        let finished = self.intake.archive(number, &object).await?;
        let scanned = self.run.ended(is_known, finished).await?;
        if scanned == Scanned::Committed {
            self.has_taken(url);
        }
        Ok(scanned)
    }

    /// Returns what the catalogue knows of a metadata archive.
    ///
    /// # Errors
    /// [`RunError`] where it cannot be read.
    pub async fn known(&self, url: &str) -> Result<Option<Known>, RunError> {
        self.run.known_at(&self.stores, Half::Metadata, url).await
    }

    fn has_taken(&self, url: &str) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned())
    }

    /// Adds the headers of those metadata archives that others committed, of these, and makes the
    /// index. One that nobody has committed is left out: it was given up.
    ///
    /// # Errors
    /// [`RunError`] where a pack cannot be read or the device is full.
    pub async fn seal(self, urls: &[String]) -> Result<ImageWorker, RunError> {
        let Self { run, stores, intake, taken } = self;
        let taken = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut tasks = JoinSet::new();
        for url in urls {
            if taken.contains(url) {
                continue;
            }
            if tasks.len() == run.archives_at_once {
                joined(tasks.join_next().await)?;
            }
            run.check_stop()?;
            let (run, stores, intake) = (run.clone(), stores.clone(), intake.clone());
            let url = url.clone();
            tasks.spawn(async move { unpack(&run, &stores, &intake, &url).await });
        }
        while joined(tasks.join_next().await)?.is_some() {}
        let (headers, _) = Intake::seal(intake)?;
        let stream = Stream::begin(&run, &headers, None);
        Ok(ImageWorker { run, stores, stream })
    }
}

/// Takes the headers of an archive that another worker committed. Where its pack is gone or
/// damaged it is scanned again.
async fn unpack(run: &Run, stores: &Stores, intake: &Intake, url: &str) -> Result<(), RunError> {
    let Ok(object) = run.given(stores, url).await? else { return Ok(()) };
    if run.known(Half::Metadata, &object).await?.is_none() {
        return Ok(());
    }
    let number = run.metadata.add(object.clone());
    match intake.archive(number, &object).await? {
        Some(finished) => run.commit_archive(finished).await,
        None => Ok(()),
    }
}

impl ImageWorker {
    /// Returns the headers that it has.
    pub(crate) fn headers(&self) -> Arc<Headers> {
        Arc::clone(&self.stream.headers)
    }

    /// Returns whether halves are copied to raw objects.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.run.copies().is_some()
    }

    /// Scans an image archive: pairs, assembles and publishes its images; where halves are copied, it
    /// does that alone.
    ///
    /// # Errors
    /// [`RunError`] for what is no fault of the archive.
    pub async fn scan(&self, url: &str) -> Result<Scanned, RunError> {
        let object = match self.run.given(&self.stores, url).await? {
            Ok(object) => object,
            Err(scanned) => return Ok(scanned),
        };
        let known = self.run.known(Half::Image, &object).await?;
        if known.as_ref().is_some_and(Known::holds) {
            return Ok(Scanned::Committed);
        }
        let number = self.run.images.add(object.clone());
        self.run.images.known_since(number, known.and_then(|known| known.account.since));
        let finished = self.stream.scan(number, &object).await?;
        self.run.ended(false, finished).await
    }

    /// Returns what the catalogue knows of an image archive.
    ///
    /// # Errors
    /// [`RunError`] where it cannot be read.
    pub async fn known(&self, url: &str) -> Result<Option<Known>, RunError> {
        self.run.known_at(&self.stores, Half::Image, url).await
    }
}

impl Run {
    /// Returns the archive of a URL, or why it cannot be had.
    pub(super) async fn given(
        &self,
        stores: &Stores,
        url: &str,
    ) -> Result<Result<Object, Scanned>, RunError> {
        self.check_stop()?;
        let object = one_by_any_name(stores, &url.parse()?).await;
        match object {
            Ok(Some(object)) => Ok(Ok(object)),
            Ok(None) => Ok(Err(Scanned::Gone)),
            Err(RunError::Store(error)) => {
                tracing::warn!(%error, "an archive cannot be looked at");
                Ok(Err(Scanned::Unreadable))
            }
            Err(error) => Err(error),
        }
    }

    async fn ended(&self, is_known: bool, finished: Option<Finished>) -> Result<Scanned, RunError> {
        match finished {
            Some(finished) => self.commit_archive(finished).await.map(|()| Scanned::Committed),
            None if is_known => Ok(Scanned::Committed),
            None => Ok(Scanned::Unreadable),
        }
    }

    async fn known_at(
        &self,
        stores: &Stores,
        half: Half,
        url: &str,
    ) -> Result<Option<Known>, RunError> {
        match self.given(stores, url).await? {
            Ok(object) => self.known(half, &object).await,
            Err(_) => Ok(None),
        }
    }
}
