//! A folder or prefix: what lies below it, and writing there.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, ObjectMeta, ObjectStoreExt, PutOptions, PutPayload,
    UpdateVersion,
};
use tokio::io::AsyncReadExt;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Operation};
use crate::object::Object;
use crate::staged::Staged;

/// A local file is read in pieces of this size, in bytes.
const FILE_PIECE_BYTES: usize = 1 << 20;

/// What is in memory as a whole goes to a store in one request up to this size, in bytes: parts cost
/// a request each, but one request must end within its timeout.
const ONE_REQUEST_BYTES_MAX: u64 = 64 << 20;
/// An object that stands in the way is compared in pieces of this size, in bytes.
pub(crate) const COMPARE_BYTES: u64 = 8 << 20;

/// What parts an object's URL from the version that is meant.
pub(crate) const VERSION_MARK: &str = "?versionId=";

/// When a write may take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMode {
    /// Only where no object stands: `If-None-Match: *`.
    Create,
    /// Whatever stands there.
    Replace,
    /// Only over this version: `If-Match`. On a folder the check is not atomic.
    Over(Option<String>),
}

/// A folder, or a prefix of a bucket.
#[derive(Debug, Clone)]
pub struct Root {
    pub(crate) client: Arc<Client>,
    /// What the user called it; keys are appended to it to name objects.
    pub(crate) place: Arc<str>,
    pub(crate) prefix: Path,
    /// The folder, where it is one.
    pub(crate) folder: Option<PathBuf>,
}

impl Root {
    /// Returns what the user called it.
    #[must_use]
    pub fn place(&self) -> &Arc<str> {
        &self.place
    }

    /// Returns true where it is a folder, whose writes are durable only after [`Root::sync`].
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns a folder or prefix below this one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is not a valid key.
    pub fn below(&self, key: &str) -> Result<Self, Error> {
        Ok(Self {
            client: self.client.clone(),
            place: self.url(key).into(),
            prefix: self.path(key)?,
            folder: self.folder.as_ref().map(|folder| folder.join(key)),
        })
    }

    /// Lists all objects below, in the order of their keys.
    ///
    /// # Errors
    /// [`Error`] where the prefix cannot be listed; a folder that does not exist is
    /// [`ErrorKind::NotFound`], an empty prefix of a bucket is an empty list.
    pub async fn list(&self) -> Result<Vec<Object>, Error> {
        self.client.meter.list();
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_dir()) {
            let detail = if folder.exists() { "it is not a folder" } else { "not found" };
            return Err(Error::new(Operation::List, &*self.place, ErrorKind::NotFound, detail));
        }
        let mut metas = Vec::new();
        let mut attempts = self.client.attempts();
        loop {
            let listed = metas.len();
            attempts.turn().await;
            match self.list_on(&mut metas).await {
                Ok(()) => break,
                Err(error) => {
                    if metas.len() > listed {
                        // Another page came: what failed is another request.
                        attempts = self.client.attempts();
                    }
                    attempts.after(error).await?;
                }
            }
        }
        attempts.done();
        let mut objects: Vec<_> = metas.into_iter().map(|meta| self.to_object(meta)).collect();
        // Stores differ in the order of their listings.
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// Lists what comes after the last of `metas`: a listing of many pages does not begin anew.
    async fn list_on(&self, metas: &mut Vec<ObjectMeta>) -> Result<(), Error> {
        // Without an order there is nothing to go on from.
        if !metas.is_sorted_by(|a, b| a.location < b.location) {
            metas.clear();
        }
        let prefix = Some(&self.prefix).filter(|prefix| prefix.as_ref() != "");
        let mut listing = match metas.last() {
            None => self.client.store.list(prefix),
            Some(last) => self.client.store.list_with_offset(prefix, &last.location),
        };
        let failed = |error| Error::from_store(Operation::List, &self.place, &error);
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            metas.push(meta);
        }
        Ok(())
    }

    /// Looks up one object below; `None` where there is none.
    ///
    /// # Errors
    /// [`Error`] where the store cannot tell.
    pub async fn object(&self, key: &str) -> Result<Option<Object>, Error> {
        let meta = self.head(&self.path(key)?).await?;
        Ok(meta.map(|meta| self.to_object(meta)))
    }

    /// Looks up a version of an object below, by the store's own name for it (S3: `versionId`);
    /// `None` where there is none.
    ///
    /// # Errors
    /// [`Error`] where the store cannot tell.
    pub async fn object_version(&self, key: &str, id: &str) -> Result<Option<Object>, Error> {
        let options = GetOptions::new().with_head(true).with_version(Some(id));
        let Some(meta) = self.look_up(&self.path(key)?, &options).await? else { return Ok(None) };
        let object = self.to_object(meta);
        let url = format!("{}{VERSION_MARK}{id}", object.url);
        Ok(Some(Object { url: url.into(), version_id: Some(id.to_owned()), ..object }))
    }

    pub(crate) async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, Error> {
        self.look_up(path, &GetOptions::new().with_head(true)).await
    }

    async fn look_up(
        &self,
        path: &Path,
        options: &GetOptions,
    ) -> Result<Option<ObjectMeta>, Error> {
        self.client.meter.head();
        let mut attempts = self.client.attempts();
        loop {
            attempts.turn().await;
            let error = match self.client.store.get_opts(path, options.clone()).await {
                Ok(found) => {
                    attempts.done();
                    return Ok(Some(found.meta));
                }
                Err(error) => Error::from_store(Operation::Head, &self.somewhere(), &error),
            };
            if error.kind == ErrorKind::NotFound {
                attempts.done();
                return Ok(None);
            }
            attempts.after(error).await?;
        }
    }

    /// Writes an object below, all of it or nothing; in parts where it is large.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] under [`PutMode::Create`] where an object stands there;
    /// [`ErrorKind::Changed`] under [`PutMode::Over`] where another version stands there. A write
    /// that was tried again, and finds its own bytes there, is none of these: its first answer was
    /// lost.
    pub async fn put(&self, key: &str, segments: Vec<Bytes>, mode: PutMode) -> Result<(), Error> {
        let payload: PutPayload = segments.into_iter().collect();
        let len = payload.content_length() as u64;
        if self.folder.is_some() || len <= ONE_REQUEST_BYTES_MAX {
            return self.put_at(&self.path(key)?, payload, &mode).await;
        }
        let mut writer = self.writer(key, len, mode).await?;
        for segment in payload {
            writer.push(segment).await?;
        }
        writer.finish().await
    }

    pub(crate) async fn put_at(
        &self,
        path: &Path,
        payload: PutPayload,
        mode: &PutMode,
    ) -> Result<(), Error> {
        if self.folder.is_some() {
            return self.stage(path, payload, mode).await;
        }
        let mode = store_mode(mode);
        let mut attempts = self.client.attempts();
        loop {
            attempts.turn().await;
            let options = PutOptions::from(mode.clone());
            let error = match self.client.store.put_opts(path, payload.clone(), options).await {
                Ok(_) => break,
                Err(error) => self.write_failed(&error),
            };
            if let Err(error) = attempts.after(error).await {
                // What stands in the way may be this very object: an answer was lost.
                let in_the_way = matches!(error.kind, ErrorKind::Exists | ErrorKind::Changed);
                if in_the_way && attempts.has_tried_again() && self.holds(path, &payload).await {
                    break;
                }
                return Err(error);
            }
        }
        attempts.done();
        self.client.meter.write(payload.content_length() as u64);
        Ok(())
    }

    /// Returns true where an object with exactly these bytes is known to stand.
    async fn holds(&self, path: &Path, payload: &PutPayload) -> bool {
        let Ok(Some(meta)) = self.head(path).await else { return false };
        let len = payload.content_length() as u64;
        if meta.size != len {
            return false;
        }
        let object = self.to_object(meta);
        let mut ours = payload.iter().flat_map(|segment| segment.iter());
        for start in (0..len).step_by(COMPARE_BYTES as usize) {
            let Ok(standing) = object.read(start..start + COMPARE_BYTES).await else {
                return false;
            };
            if !standing.iter().eq(ours.by_ref().take(standing.len())) {
                return false;
            }
        }
        true
    }

    /// Writes a local file as an object below, in parts where it is large, over whatever stands
    /// there.
    ///
    /// # Errors
    /// [`Error`] where the file cannot be read or the store refuses.
    pub async fn put_file(&self, key: &str, file: &std::path::Path) -> Result<(), Error> {
        let failed = |error| Error::from_io(Operation::Write, &self.somewhere(), error);
        let mut reader = tokio::fs::File::open(file).await.map_err(failed)?;
        let len = reader.metadata().await.map_err(failed)?.len();
        let mut writer = self.writer(key, len, PutMode::Replace).await?;
        loop {
            let mut piece = BytesMut::with_capacity(FILE_PIECE_BYTES);
            if reader.read_buf(&mut piece).await.map_err(failed)? == 0 {
                return writer.finish().await;
            }
            writer.push(piece.freeze()).await?;
        }
    }

    /// Writes a file of a folder: nothing of it is seen before all of it is.
    async fn stage(&self, path: &Path, payload: PutPayload, mode: &PutMode) -> Result<(), Error> {
        if matches!(mode, PutMode::Over(_)) {
            self.check(path, mode).await?;
        }
        let bytes = payload.content_length() as u64;
        let place = self.file(path);
        let only_new = *mode == PutMode::Create;
        let written = blocking(move || {
            let mut staged = Staged::new(place)?;
            let segments: Vec<Bytes> = payload.into_iter().collect();
            staged.write(&segments)?;
            staged.publish(only_new)
        });
        written.await.map_err(|error| self.io_failed(error))?;
        self.client.meter.write(bytes);
        Ok(())
    }

    /// Looks whether what stands in a place lets it be written; another writer may change that
    /// the moment after.
    pub(crate) async fn check(&self, path: &Path, mode: &PutMode) -> Result<(), Error> {
        let (kind, detail) = match mode {
            PutMode::Replace => return Ok(()),
            PutMode::Create if self.head(path).await?.is_none() => return Ok(()),
            PutMode::Create => (ErrorKind::Exists, "an object stands there already"),
            PutMode::Over(e_tag) => {
                if self.head(path).await?.and_then(|meta| meta.e_tag) == *e_tag {
                    return Ok(());
                }
                (ErrorKind::Changed, "another version stands there")
            }
        };
        Err(Error::new(Operation::Write, self.somewhere(), kind, detail))
    }

    /// Removes an object below; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error`] where the store refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let mut attempts = self.client.attempts();
        loop {
            attempts.turn().await;
            match self.client.store.delete(&path).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {
                    attempts.done();
                    return Ok(());
                }
                Err(error) => {
                    let error = Error::from_store(Operation::Delete, &self.somewhere(), &error);
                    attempts.after(error).await?;
                }
            }
        }
    }

    /// Waits until all that was written below a folder is on its device. Object stores have done
    /// so when a write returns.
    ///
    /// # Errors
    /// [`Error`] where the device fails.
    pub fn sync(&self) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let failed = |error| Error::from_io(Operation::Write, &self.place, error);
        let handle = std::fs::File::open(folder).map_err(failed)?;
        sync_device(&handle).map_err(failed)
    }

    pub(crate) fn to_object(&self, meta: ObjectMeta) -> Object {
        let below = meta.location.prefix_match(&self.prefix).map_or_else(
            || meta.location.to_string(),
            |parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
        );
        Object {
            client: Arc::clone(&self.client),
            url: if below.is_empty() { Arc::clone(&self.place) } else { self.url(&below).into() },
            key: meta.location,
            size: meta.size,
            e_tag: meta.e_tag,
            version_id: None,
            copy: None,
            file: None,
        }
    }

    /// Returns the place of an error: keys hold UIDs, which errors must not tell.
    pub(crate) fn somewhere(&self) -> String {
        format!("an object in {}", self.place)
    }

    pub(crate) fn url(&self, key: &str) -> String {
        [self.place.trim_end_matches('/'), key].join("/")
    }

    pub(crate) fn write_failed(&self, error: &StoreError) -> Error {
        Error::from_store(Operation::Write, &self.somewhere(), error)
    }

    /// Returns the file of a path below, where this is a folder.
    pub(crate) fn file(&self, path: &Path) -> PathBuf {
        let below = path.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or_default();
        let folder = self.folder.as_deref().unwrap_or(std::path::Path::new(""));
        folder.join(below.trim_start_matches('/'))
    }

    pub(crate) fn io_failed(&self, error: std::io::Error) -> Error {
        Error::from_io(Operation::Write, &self.somewhere(), error)
    }

    pub(crate) fn path(&self, key: &str) -> Result<Path, Error> {
        let text = match self.prefix.as_ref() {
            "" => key.to_owned(),
            prefix => [prefix, key].join("/"),
        };
        Path::parse(&text).map_err(|_| {
            Error::new(
                Operation::Open,
                self.somewhere(),
                ErrorKind::Invalid,
                "it is not a valid key",
            )
        })
    }
}

fn store_mode(mode: &PutMode) -> object_store::PutMode {
    match mode {
        PutMode::Create => object_store::PutMode::Create,
        PutMode::Replace => object_store::PutMode::Overwrite,
        PutMode::Over(e_tag) => {
            let version = UpdateVersion { e_tag: e_tag.clone(), version: None };
            object_store::PutMode::Update(version)
        }
    }
}

tokio::task_local! {
    /// Set where the thread may wait for a device.
    static MAY_WAIT: ();
}

/// Runs a future whose thread is there to wait for devices: files are written and read on this very
/// thread, which saves handing each to another one. For use with `spawn_blocking` and `block_on`.
pub async fn on_waiting_thread<F: Future>(future: F) -> F::Output {
    MAY_WAIT.scope((), future).await
}

/// Runs what waits for a device where it keeps nobody else waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    if MAY_WAIT.try_with(|()| ()).is_ok() {
        return task();
    }
    let done = tokio::task::spawn_blocking(task).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

#[cfg(target_os = "linux")]
fn sync_device(folder: &std::fs::File) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// Elsewhere than on Linux the folder itself is synced, and its files by the system in its time.
#[cfg(not(target_os = "linux"))]
fn sync_device(folder: &std::fs::File) -> std::io::Result<()> {
    folder.sync_all()
}

#[cfg(test)]
mod tests;
