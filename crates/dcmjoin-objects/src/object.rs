//! One version of one object, and reading ranges of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Operation};

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
}

impl Object {
    /// Returns the object's URL, or its path where the source was given as one.
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
        let mut attempts = self.client.meter.attempts();
        loop {
            match self.read_once(range.clone()).await {
                Ok(bytes) => {
                    self.client.meter.read(bytes.len() as u64);
                    return Ok(bytes);
                }
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    async fn read_once(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let failed = |error| Error::from_store(Operation::Read, &self.url, &error);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.e_tag.clone(),
            ..GetOptions::default()
        };
        let answer = self.client.store.get_opts(&self.key, options).await.map_err(failed)?;
        let (got_range, got_size) = (answer.range.clone(), answer.meta.size);
        let bytes = answer.bytes().await.map_err(failed)?;
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
