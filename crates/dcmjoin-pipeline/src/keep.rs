//! Copies of archives to be kept: made of the ranges that a scan reads anyway.
//!
//! ```text
//! ranges ─┬─► scan
//!         └─► writer in parts ─► object ─► read back: length and CRC-32C ─► mark
//! ```
//!
//! A copy counts once its mark stands, and that is written last, after the copy was read
//! back and found to be what streamed past. A copy that does not come to its end while its archive
//! streams past (another reader knew the archive, a range failed, the scan stopped at damage) is
//! made by [`Keep::ensure`], which reads the archive once more.
//!
//! **Invariants.** A copy appears whole or not at all. An archive of another version, or one whose
//! copy has another length, is copied anew. **On error** the scan goes on without its copy, and what
//! was written of that is removed. Bytes wait in buffers of their own, [`HELD_BYTES`] at the most:
//! those of the scan's budget are not held here, or a scan would wait for itself.

use bytes::Bytes;
use dcmjoin_objects::{Error, Object, PutMode, Root, Stores, Writer};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a copy on its way holds in memory: a part that fills up, and one that travels.
pub const HELD_BYTES: u64 = 32 << 20;
/// An archive that does not stream past, and a copy that is read back, are read in such ranges.
const RANGE_BYTES: u64 = 8 << 20;
/// The name and version of a mark's form.
const SCHEMA: &str = "dcmjoin.kept/1";
/// Below which key marks stand.
const MARKS: &str = "_dcmjoin/kept";

/// Where copies are kept.
#[derive(Debug, Clone)]
pub struct Keep {
    root: Root,
}

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The archive cannot be read.
    #[error("the archive cannot be copied")]
    Source(#[source] Error),
    /// The copy cannot be written or compared.
    #[error("its copy cannot be kept")]
    Target(#[source] Error),
    /// The copy is not what was read; it is removed.
    #[error(
        "its copy has CRC-32C {got:08x} and {got_bytes} bytes, expected {expected:08x} and {bytes}"
    )]
    Differs {
        /// Of the archive.
        expected: u32,
        /// Of the copy.
        got: u32,
        /// The archive's length.
        bytes: u64,
        /// The copy's length.
        got_bytes: u64,
    },
}

/// What says that a copy counts: a JSON object of its own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    schema: String,
    /// The length of both.
    bytes: u64,
    /// The CRC-32C of both, as eight hexadecimal digits.
    crc32c: String,
    /// The archive's entity tag.
    version: Option<String>,
}

/// A copy on its way.
struct Copying {
    writer: Writer,
    crc32c: u32,
    at: u64,
}

impl Keep {
    /// Keeps copies below a folder or prefix.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self { root }
    }

    /// Returns below which key an archive's copy stands: its bucket and key, or its path; one of a
    /// version that was asked for by name apart from the others.
    #[must_use]
    pub fn key(archive: &Object) -> String {
        let url = archive.url();
        if let Some((bucket, key, version)) = Stores::parts_of_version(url) {
            return format!("_versions/{version}/{bucket}/{key}");
        }
        let place = url.split_once("://").map_or(&**url, |(_, place)| place);
        place.trim_start_matches('/').to_owned()
    }

    fn mark_key(archive: &Object) -> String {
        format!("{MARKS}/{}.json", Self::key(archive))
    }

    /// Returns whether a copy of this version of an archive stands and was compared.
    ///
    /// # Errors
    /// [`KeepError::Target`] where the store cannot tell.
    pub async fn counts(&self, archive: &Object) -> Result<bool, KeepError> {
        let Some(mark) = self.root.object(&Self::mark_key(archive)).await.map_err(target)? else {
            return Ok(false);
        };
        let text = mark.read(0..mark.size()).await.map_err(target)?;
        let mark: Option<Mark> = serde_json::from_slice(&text).ok();
        let of_this = |mark: &Mark| {
            let version = mark.version.as_deref() == archive.version();
            mark.schema == SCHEMA && mark.bytes == archive.size() && version
        };
        if !mark.is_some_and(|mark| of_this(&mark)) {
            return Ok(false);
        }
        let copy = self.root.object(&Self::key(archive)).await.map_err(target)?;
        Ok(copy.is_some_and(|copy| copy.size() == archive.size()))
    }

    /// Sees to it that a copy of an archive stands and was compared; reads the archive where none
    /// does.
    ///
    /// # Errors
    /// [`KeepError`] where there is none.
    pub async fn ensure(&self, archive: &Object) -> Result<(), KeepError> {
        if self.counts(archive).await? {
            return Ok(());
        }
        let mut copying = self.begin(archive).await.map_err(target)?;
        while copying.at < archive.size() {
            let range = copying.at..(copying.at + RANGE_BYTES).min(archive.size());
            let bytes = archive.read(range).await.map_err(KeepError::Source)?;
            copying.push(&bytes).await.map_err(target)?;
        }
        self.end(archive, copying).await
    }

    async fn begin(&self, archive: &Object) -> Result<Copying, Error> {
        let key = Self::key(archive);
        let mut writer = self.root.writer(&key, archive.size(), PutMode::Replace).await?;
        writer.hold_at_most(HELD_BYTES);
        Ok(Copying { writer, crc32c: 0, at: 0 })
    }

    /// Makes a copy visible, compares it, and marks it.
    async fn end(&self, archive: &Object, copying: Copying) -> Result<(), KeepError> {
        let (expected, bytes) = (copying.crc32c, archive.size());
        copying.writer.finish().await.map_err(target)?;
        let (got, got_bytes) = self.read_back(archive).await.map_err(target)?;
        if (got, got_bytes) != (expected, bytes) {
            self.root.delete(&Self::key(archive)).await.map_err(target)?;
            return Err(KeepError::Differs { expected, got, bytes, got_bytes });
        }
        if self.root.is_folder() {
            tokio::task::block_in_place(|| self.root.sync()).map_err(target)?;
        }
        let mark = Mark {
            schema: SCHEMA.to_owned(),
            bytes,
            crc32c: format!("{expected:08x}"),
            version: archive.version().map(str::to_owned),
        };
        let text = serde_json::to_vec(&mark).expect("plain values have a JSON form");
        let key = Self::mark_key(archive);
        self.root.put(&key, vec![text.into()], PutMode::Replace).await.map_err(target)
    }

    async fn read_back(&self, archive: &Object) -> Result<(u32, u64), Error> {
        let Some(copy) = self.root.object(&Self::key(archive)).await? else { return Ok((0, 0)) };
        let (mut crc, mut at) = (0, 0);
        while at < copy.size() {
            let bytes = copy.read(at..at + RANGE_BYTES).await?;
            crc = crc32c::crc32c_append(crc, &bytes);
            at += bytes.len() as u64;
        }
        Ok((crc, at))
    }

    /// Gives the ranges of an archive on as they come, and copies them on their way. The end comes
    /// once the copy is compared.
    pub(crate) fn tee(
        &self,
        archive: &Object,
        ranges: BoxStream<'static, Result<Bytes, Error>>,
    ) -> BoxStream<'static, Result<Bytes, Error>> {
        let passing = Passing {
            keep: self.clone(),
            archive: archive.clone(),
            copying: None,
            has_begun: false,
        };
        let state = (passing, ranges);
        futures::stream::unfold(state, |(mut passing, mut ranges)| async {
            let next = ranges.next().await;
            match &next {
                Some(Ok(bytes)) => passing.pass(bytes).await,
                Some(Err(_)) => passing.give_up().await,
                None => passing.end().await,
            }
            next.map(|next| (next, (passing, ranges)))
        })
        .boxed()
    }
}

fn target(error: Error) -> KeepError {
    KeepError::Target(error)
}

impl Copying {
    async fn push(&mut self, bytes: &Bytes) -> Result<(), Error> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.at += bytes.len() as u64;
        // What is paid for by the scan's budget is not kept from it.
        self.writer.push(Bytes::copy_from_slice(bytes)).await
    }
}

/// An archive that streams past.
struct Passing {
    keep: Keep,
    archive: Object,
    /// Absent before the first range, and once the copy was given up.
    copying: Option<Copying>,
    has_begun: bool,
}

impl Passing {
    async fn pass(&mut self, bytes: &Bytes) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.copying = self.begin().await;
        }
        if let Some(copying) = &mut self.copying
            && let Err(error) = copying.push(bytes).await
        {
            failed(&target(error));
            // A writer that has failed has removed what it wrote.
            self.copying = None;
        }
    }

    async fn begin(&self) -> Option<Copying> {
        let begun = match self.keep.counts(&self.archive).await {
            Ok(true) => return None,
            Ok(false) => self.keep.begin(&self.archive).await.map_err(target),
            Err(error) => Err(error),
        };
        begun.inspect_err(failed).ok()
    }

    async fn give_up(&mut self) {
        if let Some(copying) = self.copying.take() {
            copying.writer.abort().await;
        }
    }

    async fn end(&mut self) {
        if let Some(copying) = self.copying.take()
            && let Err(error) = self.keep.end(&self.archive, copying).await
        {
            failed(&error);
        }
    }
}

/// Who must have the copy asks for it again, and learns then that there is none.
fn failed(error: &KeepError) {
    // The text of a store's error names the place, which may hold a key.
    let kind = match error {
        KeepError::Source(error) | KeepError::Target(error) => Some(error.kind),
        KeepError::Differs { .. } => None,
    };
    tracing::warn!(%error, ?kind, "an archive is not copied while it streams past");
}

#[cfg(test)]
mod tests;
