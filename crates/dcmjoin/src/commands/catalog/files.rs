//! The files of catalogues, several looked into at the same time and taken in order.

use std::collections::VecDeque;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use dcmjoin_catalog::{Archive, Reader, Row, Source};
use dcmjoin_objects::{Error, ErrorKind, Location, Object, Stores};
use dcmjoin_pipeline::catalog::CATALOG_FOLDER;
use tokio::runtime::{Handle, Runtime};

/// Files that are looked into at the same time.
const FILES_AT_ONCE: usize = 16;
/// The largest file that is read in one piece, in bytes; of larger ones, a row group at a time.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// How the files of a catalogue end.
const ENDING: &str = ".parquet";

/// The files of some outputs, in the order of their names.
pub(super) struct Files {
    runtime: Runtime,
    objects: Vec<Object>,
}

/// A file that is open.
pub(super) struct File {
    url: Arc<str>,
    reader: Reader<Ranges>,
    /// What the file says of its archive.
    pub(super) archive: Arc<Archive>,
}

/// A file's bytes: in memory, or where they lie.
pub(super) struct Ranges {
    object: Object,
    whole: Option<Bytes>,
    runtime: Handle,
}

impl Files {
    /// Finds the files below some outputs, or those that are named.
    pub(super) fn find(places: &[Location]) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let stores = Stores::default();
        let mut objects = Vec::new();
        for place in places {
            objects.extend(runtime.block_on(listed(&stores, place))?);
        }
        Ok(Self { runtime, objects })
    }

    /// Looks into each file on threads beside, and takes what was found in order until `take`
    /// breaks off. `whole` says that all rows will be wanted.
    pub(super) fn each<T: Send + 'static>(
        &self,
        whole: bool,
        look: impl Fn(File) -> anyhow::Result<T> + Clone + Send + 'static,
        mut take: impl FnMut(T) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let mut waiting = VecDeque::new();
        let mut objects = self.objects.iter();
        loop {
            while waiting.len() < FILES_AT_ONCE
                && let Some(object) = objects.next()
            {
                let (object, look) = (object.clone(), look.clone());
                let runtime = self.runtime.handle().clone();
                let looking = move || look(File::open(object, whole, runtime)?);
                waiting.push_back(self.runtime.spawn_blocking(looking));
            }
            let Some(next) = waiting.pop_front() else { return Ok(()) };
            if take(self.runtime.block_on(next)??)?.is_break() {
                return Ok(());
            }
        }
    }
}

async fn listed(stores: &Stores, place: &Location) -> anyhow::Result<Vec<Object>> {
    if let Some((parent, key)) = named(place)? {
        let object = stores.open(&parent)?.object(&key).await?;
        return Ok(vec![object.with_context(|| format!("{place}: no such file"))?]);
    }
    let objects = match stores.open(place)?.below(CATALOG_FOLDER)?.list().await {
        Err(Error { kind: ErrorKind::NotFound, .. }) => Vec::new(),
        listed => listed?,
    };
    let files: Vec<_> = objects.into_iter().filter(|file| file.url().ends_with(ENDING)).collect();
    if files.is_empty() {
        bail!(
            "no catalogue lies in {place}: expected the output of a run, or a file of a catalogue"
        );
    }
    Ok(files)
}

/// Returns folder and name of a location that is one file.
fn named(place: &Location) -> anyhow::Result<Option<(Location, String)>> {
    Ok(match place {
        Location::Local(path) if path.is_file() => {
            let folder = path.parent().unwrap_or(Path::new("."));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Some((Location::Local(folder.to_owned()), name))
        }
        Location::Cloud(url) if url.path().ends_with(ENDING) => {
            let (folder, name) = url.as_str().rsplit_once('/').unwrap_or((url.as_str(), ""));
            Some((folder.parse()?, name.to_owned()))
        }
        _ => None,
    })
}

impl File {
    fn open(object: Object, whole: bool, runtime: Handle) -> anyhow::Result<Self> {
        let url = Arc::clone(object.url());
        let mut ranges = Ranges { object, whole: None, runtime };
        if whole && ranges.object.size() <= WHOLE_BYTES_MAX {
            let read = ranges.object.read(0..ranges.object.size());
            ranges.whole = Some(ranges.runtime.block_on(read)?);
        }
        let reader = Reader::open(ranges).with_context(|| format!("read {url}"))?;
        let archive = Arc::new(reader.archive().clone());
        Ok(Self { url, reader, archive })
    }

    /// Reads all rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = anyhow::Result<Row>> + '_ {
        self.reader.rows().map(|row| row.with_context(|| format!("read {}", self.url)))
    }

    /// Finds the rows of a UID.
    pub(super) fn find(&self, uid: &dcmjoin_model::SopInstanceUid) -> anyhow::Result<Vec<Row>> {
        self.reader.find(uid).with_context(|| format!("read {}", self.url))
    }
}

impl Source for Ranges {
    fn size(&self) -> io::Result<u64> {
        Ok(self.object.size())
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match &self.whole {
            Some(bytes) => bytes.read(range),
            None => self.runtime.block_on(self.object.read(range)).map_err(io::Error::other),
        }
    }
}
