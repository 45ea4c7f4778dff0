//! What earlier runs learnt, and what this one adds: one file an archive below
//! `_dcmjoin/catalog/`, and beside it the headers of each metadata archive below
//! `_dcmjoin/headers/`.
//!
//! An archive's file is its commit. It is written once all that its scan published is durable, so
//! an archive that has one need not be read again: its rows say what became of each of its halves.
//! A file tells its archive's version and a digest of all settings that may change an outcome;
//! where either differs from what this run has, the archive is scanned as if the file were not.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use dcmjoin_catalog::{Archive, Reader, Row, Writer};
use dcmjoin_index::{Frame, HeaderStore, digest};
use dcmjoin_model::{Half, Ignored, SopInstanceUid};
use dcmjoin_objects::{ErrorKind, Location, Object, Root, Stores};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::config::RunConfig;
use crate::error::RunError;
use crate::header_pack::{PackOf, PackWriter};
use crate::rows::RejectedRow;
use crate::since::Since;

/// Where the archives' files lie below an output.
pub const CATALOG_FOLDER: &str = "_dcmjoin/catalog";
/// Where header packs lie below an output.
const PACKS_FOLDER: &str = "_dcmjoin/headers";
/// Files of the catalogue that are looked into at the same time.
const FILES_AT_ONCE: usize = 16;
/// UIDs that are looked up one by one in a file; for more its rows are read.
const FIND_MAX: usize = 16;
/// Bytes of a header pack that are fetched at once.
const PIECE_BYTES: u64 = 8 << 20;
/// How often a file is looked up that others write over while it is read.
const LOOKS_MAX: u32 = 8;

/// The catalogue of an output.
#[derive(Debug)]
pub struct Catalog {
    files: Root,
    packs: Root,
    /// Names of the files that stood there at the begin; none where others add to them.
    names: Option<HashSet<String>>,
    output: String,
    settings: String,
    spill: PathBuf,
}

/// What is true of an archive as a whole: what its scan counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// Every entry that a tar reader lists.
    pub members: u64,
    /// Members that cannot be a half.
    pub rejected: u64,
    /// Members that are no half.
    pub ignored: Ignored,
    /// What ended the archive before its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub broken: Option<RejectedRow>,
    /// When this version of the archive was first read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Since>,
}

/// An archive that the catalogue knows, in the version that is to be read.
#[derive(Debug)]
pub struct Known {
    name: String,
    /// Its rows.
    pub reader: Reader<Bytes>,
    /// Its account.
    pub account: Account,
    /// Whether it was scanned under this run's settings.
    pub same_settings: bool,
    /// Whether what its rows say of instances is true of this run's output.
    pub same_output: bool,
}

impl Known {
    /// Returns whether what its rows say of instances holds for this run.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.same_settings && self.same_output
    }

    /// Returns what its header pack is of.
    #[must_use]
    pub fn pack_of(&self) -> PackOf {
        let told = self.reader.archive();
        PackOf::new(&told.url, told.version.as_deref(), &told.settings)
    }

    /// Returns whether the archive is compressed, so that its members cannot be range-read.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.reader.archive().compressed
    }
}

impl Catalog {
    /// Opens the catalogue of a run: the one that it is told, or its output's. An output in memory
    /// has none.
    ///
    /// # Errors
    /// As [`Catalog::open`].
    pub async fn of_run(
        stores: &Stores,
        output: &Root,
        config: &RunConfig,
        spill: &Path,
    ) -> Result<Option<Self>, RunError> {
        let place = match (&config.catalog, &config.output) {
            (Some(location), _) => stores.open(location)?,
            (None, Location::Memory) => return Ok(None),
            (None, _) => output.clone(),
        };
        Self::open(&place, output, config, spill).await.map(Some)
    }

    /// Opens the catalogue that lies below `place`, for a run that writes to `output`.
    ///
    /// # Errors
    /// [`RunError::Store`] where it cannot be listed; one that does not exist is empty.
    pub async fn open(
        place: &Root,
        output: &Root,
        config: &RunConfig,
        spill: &Path,
    ) -> Result<Self, RunError> {
        let listed = match place.below(CATALOG_FOLDER)?.list().await {
            Ok(listed) => listed,
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let names = listed.iter().filter_map(|object| name_in(object.url())).collect();
        Ok(Self { names: Some(names), ..Self::growing(place, output, config, spill)? })
    }

    /// Opens the catalogue of an output to which others add meanwhile: each file is asked for when
    /// it is looked up, and none is listed.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output is none.
    pub fn growing(
        place: &Root,
        output: &Root,
        config: &RunConfig,
        spill: &Path,
    ) -> Result<Self, RunError> {
        Ok(Self {
            names: None,
            files: place.below(CATALOG_FOLDER)?,
            packs: place.below(PACKS_FOLDER)?,
            output: output.place().to_string(),
            settings: settings(config),
            spill: spill.to_owned(),
        })
    }

    /// Returns what is known of an archive, or `None` where it must be read.
    ///
    /// # Errors
    /// [`RunError::Store`] where the store fails. A file that is damaged is as good as none.
    pub async fn find(&self, half: Half, archive: &Object) -> Result<Option<Known>, RunError> {
        let name = name_of(half, archive.url());
        if self.names.as_ref().is_some_and(|names| !names.contains(&name)) {
            return Ok(None);
        }
        let known = self.read(name).await?;
        Ok(known.map(|known| self.judged(known)).filter(|known| {
            let told = known.reader.archive();
            told.version.is_some() && told.version.as_deref() == archive.version()
        }))
    }

    fn judged(&self, mut known: Known) -> Known {
        let told = known.reader.archive();
        let same = (told.settings == self.settings, told.output == self.output);
        (known.same_settings, known.same_output) = same;
        known
    }

    /// Reads one archive's file; `None` where there is none, or it is damaged.
    async fn read(&self, name: String) -> Result<Option<Known>, RunError> {
        let Some(bytes) = steady(&self.files, &format!("{name}.parquet"), whole).await? else {
            return Ok(None);
        };
        let read = Reader::open(bytes).ok().and_then(|reader| {
            let account = serde_json::from_value(reader.archive().extra.clone()).ok()?;
            Some(Known { name, reader, account, same_settings: false, same_output: false })
        });
        if read.is_none() {
            tracing::warn!("a file of the catalogue is damaged; its archive is read again");
        }
        Ok(read)
    }

    /// Returns half and URL of the archives that hold what is asked for; all where `only` is
    /// `None`. In the order of their URLs.
    ///
    /// # Errors
    /// [`RunError::Store`] where the store fails; [`RunError::Catalog`] where a file is damaged.
    pub async fn urls(
        &self,
        only: Option<&HashSet<SopInstanceUid>>,
    ) -> Result<Vec<(Half, String)>, RunError> {
        let looked = futures::stream::iter(self.names.iter().flatten().cloned())
            .map(|name| self.url(name, only))
            .buffer_unordered(FILES_AT_ONCE);
        let mut urls: Vec<_> = looked.try_filter_map(async |url| Ok(url)).try_collect().await?;
        urls.sort_unstable();
        Ok(urls)
    }

    async fn url(
        &self,
        name: String,
        only: Option<&HashSet<SopInstanceUid>>,
    ) -> Result<Option<(Half, String)>, RunError> {
        let Some(known) = self.read(name).await? else { return Ok(None) };
        let holds = match only {
            None => true,
            Some(only) => holds_any(&known.reader, only)?,
        };
        let told = known.reader.archive();
        Ok(holds.then(|| (told.half, told.url.clone())))
    }

    /// Fetches an archive's header pack to local disk; `None` where it is gone.
    ///
    /// # Errors
    /// [`RunError::Store`] where the store fails.
    pub async fn pack(&self, known: &Known) -> Result<Option<File>, RunError> {
        let spooled = |object| spooled(object, self.spill.clone());
        steady(&self.packs, &pack_key(&known.name), spooled).await
    }

    /// Begins an archive's file.
    ///
    /// # Errors
    /// [`RunError::Io`] where the spill folder cannot be written.
    pub fn draft(&self, half: Half, archive: &Object, compressed: bool) -> Result<Draft, RunError> {
        let told = Archive {
            schema: dcmjoin_catalog::SCHEMA.to_owned(),
            half,
            url: archive.url().to_string(),
            version: archive.version().map(str::to_owned),
            size: archive.size(),
            compressed,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            settings: self.settings.clone(),
            output: self.output.clone(),
            extra: serde_json::Value::Null,
        };
        let file = NamedTempFile::new_in(&self.spill).map_err(spool("create"))?;
        let writer = Writer::create(file.reopen().map_err(spool("create"))?, &told)?;
        let pack = match half {
            Half::Metadata => {
                let of = PackOf::new(&told.url, told.version.as_deref(), &told.settings);
                Some(Mutex::new(PackWriter::create(&self.spill, of)?))
            }
            Half::Image => None,
        };
        let writer = Mutex::new(writer);
        Ok(Draft { name: name_of(half, archive.url()), file, writer, pack })
    }

    /// Commits an archive: all that its rows tell of must be durable.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written.
    pub async fn commit(&self, finished: Finished) -> Result<(), RunError> {
        let Finished { name, file, pack } = finished;
        if let Some(pack) = pack {
            self.packs.put_file(&pack_key(&name), pack.path()).await?;
        }
        Ok(self.files.put_file(&format!("{name}.parquet"), file.path()).await?)
    }
}

/// An archive's file that is being written.
pub struct Draft {
    name: String,
    file: NamedTempFile,
    writer: Mutex<Writer<File>>,
    pack: Option<Mutex<PackWriter>>,
}

/// An archive's file that is ready to be committed.
#[derive(Debug)]
pub struct Finished {
    name: String,
    file: NamedTempFile,
    pack: Option<NamedTempFile>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Draft {
    /// Adds a row.
    ///
    /// # Errors
    /// [`RunError::Catalog`] where the device is full or fails.
    pub fn push(&self, row: Row) -> Result<(), RunError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.push(row)?)
    }

    /// Adds a header to the pack, as it lies in a store.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn header(&self, store: &HeaderStore, frame: &Frame) -> Result<(), RunError> {
        match &self.pack {
            Some(pack) => pack.lock().unwrap_or_else(PoisonError::into_inner).push(store, frame),
            None => Ok(()),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`RunError::Catalog`] or [`RunError::Io`] where the device is full or fails.
    pub fn finish(self, account: &Account) -> Result<Finished, RunError> {
        let Self { name, file, writer, pack } = self;
        let pack = pack.map(|pack| pack.into_inner().unwrap_or_else(PoisonError::into_inner));
        let pack = pack.map(PackWriter::finish).transpose()?;
        let account = serde_json::to_value(account)
            .map_err(|error| RunError::Internal(format!("encode an account: {error}")))?;
        writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish(account)?;
        Ok(Finished { name, file, pack })
    }
}

/// Reads one version of an object; looks it up again where another machine has written it over since.
async fn steady<T, R: Future<Output = Result<T, RunError>>>(
    root: &Root,
    key: &str,
    read: impl Fn(Object) -> R,
) -> Result<Option<T>, RunError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let Some(object) = root.object(key).await? else { return Ok(None) };
        match read(object).await {
            Err(RunError::Store(error))
                if looks < LOOKS_MAX
                    && matches!(error.kind, ErrorKind::Changed | ErrorKind::NotFound) => {}
            read => return read.map(Some),
        }
    }
}

async fn whole(object: Object) -> Result<Bytes, RunError> {
    Ok(object.read(0..object.size()).await?)
}

async fn spooled(object: Object, spill: PathBuf) -> Result<File, RunError> {
    let mut file = tempfile::tempfile_in(&spill)
        .map_err(RunError::io("create a header pack in", spill.display().to_string()))?;
    let mut start = 0;
    while start < object.size() {
        let piece = object.read(start..start + PIECE_BYTES).await?;
        start += piece.len() as u64;
        std::io::Write::write_all(&mut file, &piece)
            .map_err(RunError::io("write", "a header pack"))?;
    }
    Ok(file)
}

/// Returns the name of an archive's file: keys may hold what no file name may.
fn name_of(half: Half, url: &str) -> String {
    format!("{half}-{:032x}", digest(url.as_bytes()))
}

fn holds_any(reader: &Reader<Bytes>, only: &HashSet<SopInstanceUid>) -> Result<bool, RunError> {
    if only.len() <= FIND_MAX {
        for uid in only {
            if !reader.find(uid)?.is_empty() {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    for row in reader.rows() {
        if row?.uid.is_some_and(|uid| only.contains(&uid)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn name_in(url: &str) -> Option<String> {
    let name = url.rsplit('/').next().unwrap_or(url);
    name.strip_suffix(".parquet").map(str::to_owned)
}

fn pack_key(name: &str) -> String {
    format!("{name}.zst")
}

/// Returns a digest of all that may change what becomes of a half.
pub(crate) fn settings(config: &RunConfig) -> String {
    let told = format!(
        "{} {} {:?} {:?} {} {:?}",
        env!("CARGO_PKG_VERSION"),
        config.layout,
        config.publish,
        config.if_exists,
        config.strict_values,
        config.limits,
    );
    format!("{:032x}", digest(told.as_bytes()))
}

fn spool(action: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    RunError::io(action, "a file of the catalogue")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// Reads an object that is written over, in another length, after each of its first lookups.
    async fn read_while_written(times: u32) -> (Result<Option<Bytes>, RunError>, u32) {
        let folder = tempfile::tempdir().unwrap();
        let place: Location = folder.path().to_str().unwrap().parse().unwrap();
        let root = Stores::default().open(&place).unwrap();
        let write = |text: String| std::fs::write(folder.path().join("a"), text).unwrap();
        write("first".to_owned());
        let looks = AtomicU32::new(0);
        let read = steady(&root, "a", |object| {
            let look = looks.fetch_add(1, Relaxed) + 1;
            if look <= times {
                write("x".repeat(9 + look as usize));
            }
            whole(object)
        });
        (read.await, looks.load(Relaxed))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_over_is_looked_up_again() {
        let (read, looks) = read_while_written(3).await;
        assert_eq!((read.unwrap().unwrap(), looks), (Bytes::from("x".repeat(12)), 4));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_over_all_the_time_is_told() {
        let (read, looks) = read_while_written(u32::MAX).await;
        assert!(matches!(read, Err(RunError::Store(error)) if error.kind == ErrorKind::Changed));
        assert_eq!(looks, LOOKS_MAX);
    }
}
