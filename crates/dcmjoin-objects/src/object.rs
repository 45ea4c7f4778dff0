//! One version of one object, and reading ranges of it.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload};
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Operation};
use crate::root::blocking;
use crate::stragglers::Stragglers;

/// One version of an object, as it was listed.
///
/// **Invariant:** every read asks for exactly this version (`If-Match`), so bytes of two versions
/// never mix: an object that is replaced mid-run fails with [`ErrorKind::Changed`].
#[derive(Debug, Clone)]
pub struct Object {
    pub(crate) client: Arc<Client>,
    pub(crate) key: Path,
    pub(crate) url: Arc<str>,
    pub(crate) size: u64,
    pub(crate) e_tag: Option<String>,
    /// Which version of a bucket that keeps them; the current one where `None`.
    pub(crate) version_id: Option<String>,
    /// The file, where nothing but its size is to be checked.
    pub(crate) file: Option<Arc<PathBuf>>,
    /// A file with a copy of the bytes, and where they begin in it: they are read from there alone.
    pub(crate) copy: Option<(Arc<File>, u64)>,
}

impl Object {
    /// Returns the object's URL, or its path where the source was given as one. A version that was
    /// asked for by name is told at its end: `?versionId=`.
    #[must_use]
    pub fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// Returns the object's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns what names this version: the store's entity tag.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.e_tag.as_deref()
    }

    /// Returns whether its bytes are somewhere else than on this machine.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.copy.is_none() && self.client.is_remote()
    }

    /// Returns the same version of the same object, read from a copy of all its bytes from now on, which
    /// begins at a byte of a file: no request is made for them again.
    #[must_use]
    pub fn with_copy(self, file: Arc<File>, start: u64) -> Self {
        Self { copy: Some((file, start)), ..self }
    }

    /// Reads a range; its end is cut to the object's.
    ///
    /// # Errors
    /// [`Error`] where the object is gone, changed, archived or out of reach, or where the answer
    /// is not the range that was asked for; the latter is tried again first.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let range = range.start..range.end.min(self.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some((file, start)) = &self.copy {
            return self.read_copy(Arc::clone(file), *start, range).await;
        }
        let bytes = range.end - range.start;
        let mut attempts = self.client.attempts();
        loop {
            attempts.turn().await;
            match self.read_soon(range.clone()).await {
                Ok(read) => {
                    attempts.done();
                    self.client.meter.read(bytes);
                    return Ok(read);
                }
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Reads a range; where the answer is late, asks once more and takes what comes first.
    async fn read_soon(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if !self.client.is_remote() {
            return self.read_once(range).await;
        }
        let bytes = range.end - range.start;
        let start = Instant::now();
        let read = match self.client.stragglers.late_after(bytes) {
            Some(late_after) => self.read_hedged(range, late_after).await,
            None => self.read_once(range).await,
        };
        if read.is_ok() {
            self.client.stragglers.took(bytes, start.elapsed());
        }
        read
    }

    async fn read_hedged(&self, range: Range<u64>, late_after: Duration) -> Result<Bytes, Error> {
        let mut first = pin!(self.read_once(range.clone()));
        if let Ok(read) = timeout(late_after, &mut first).await {
            return read;
        }
        // A store that is asked too much is not asked twice.
        let hedge = Some(&self.client.stragglers).filter(|_| !self.client.is_throttled());
        let Some(_hedge) = hedge.and_then(Stragglers::hedge) else { return first.await };
        self.client.meter.hedge();
        // The first request holds its connection, so this one has another. Who loses is dropped,
        // and its connection with it.
        let second = pin!(async {
            self.client.turn().await;
            self.read_once(range).await
        });
        match select(first, second).await {
            Either::Left((Ok(read), _)) => Ok(read),
            Either::Left((Err(_), second)) => {
                second.await.inspect(|_| self.client.meter.hedge_won())
            }
            Either::Right((Ok(read), _)) => {
                self.client.meter.hedge_won();
                Ok(read)
            }
            Either::Right((Err(_), first)) => first.await,
        }
    }

    async fn read_once(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if let Some(file) = &self.file {
            return self.read_file(Arc::clone(file), range).await;
        }
        let failed = |error| Error::from_store(Operation::Read, &self.url, &error);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.e_tag.clone(),
            version: self.version_id.clone(),
            ..GetOptions::default()
        };
        let answer = self.client.store.get_opts(&self.key, options).await.map_err(failed)?;
        let (got_range, got_size) = (answer.range.clone(), answer.meta.size);
        let bytes = match answer.payload {
            GetResultPayload::File(file, _) => {
                let (buffers, range) = (Arc::clone(&self.client.buffers), got_range.clone());
                let read = blocking(move || buffers.read(&file, range)).await;
                read.map_err(|error| Error::from_io(Operation::Read, &self.url, error))?
            }
            GetResultPayload::Stream(_) => answer.bytes().await.map_err(failed)?,
        };
        self.checked(range, bytes, got_range, got_size)
    }

    /// Reads a range of a file where the caller's thread may wait for it; a store would hand it to
    /// another thread, which costs as much as reading a small file.
    async fn read_file(&self, file: Arc<PathBuf>, range: Range<u64>) -> Result<Bytes, Error> {
        let (buffers, wanted) = (Arc::clone(&self.client.buffers), range.clone());
        let read = blocking(move || {
            let file = File::open(&*file)?;
            let size = file.metadata()?.len();
            Ok((buffers.read(&file, wanted)?, size))
        });
        let failed = |error| Error::from_io(Operation::Read, &self.url, error);
        let (bytes, size) = read.await.map_err(failed)?;
        let got = range.start..range.start + bytes.len() as u64;
        self.checked(range, bytes, got, size)
    }

    async fn read_copy(
        &self,
        file: Arc<File>,
        start: u64,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        let buffers = Arc::clone(&self.client.buffers);
        let wanted = start + range.start..start + range.end;
        let read = blocking(move || buffers.read(&file, wanted)).await;
        let bytes = read.map_err(|error| Error::from_io(Operation::Read, &self.url, error))?;
        let got = range.start..range.start + bytes.len() as u64;
        self.checked(range, bytes, got, self.size)
    }

    /// Returns the bytes of an answer that is what was asked for.
    fn checked(
        &self,
        range: Range<u64>,
        bytes: Bytes,
        got_range: Range<u64>,
        got_size: u64,
    ) -> Result<Bytes, Error> {
        let whole = got_range == range && bytes.len() as u64 == range.end - range.start;
        if whole && got_size == self.size {
            return Ok(bytes);
        }
        let detail = format!(
            "expected bytes {}..{} of {}, got {} bytes as {}..{} of {got_size}",
            range.start,
            range.end,
            self.size,
            bytes.len(),
            got_range.start,
            got_range.end,
        );
        Err(Error::new(Operation::Read, &*self.url, ErrorKind::BadAnswer, detail))
    }
}
