//! The step *publish*: an instance to an object in the output, once.

use bytes::Bytes;
use dcmjoin_formats::header::Header;
use dcmjoin_index::Outcome;
use dcmjoin_model::{Reason, Rejection};
use dcmjoin_objects::{ErrorKind, PutMode, Root};

use crate::assemble::Instance;
use crate::config::IfExists;
use crate::error::RunError;
use crate::layout::Layout;
use crate::rows::PublishedRow;

/// Writes instances.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The output.
    pub root: Root,
    /// How keys are made.
    pub layout: Layout,
    /// What happens where an object stands already.
    pub if_exists: IfExists,
    /// Do all but write.
    pub dry_run: bool,
}

/// What became of an instance that was assembled.
#[derive(Debug)]
pub enum Published {
    /// It is in the output: newly, or since before.
    Durable(Outcome, PublishedRow),
    /// It cannot be.
    Rejected(Rejection),
}

/// The whole of an object is compared in pieces of this size, in bytes.
pub(crate) const COMPARE_BYTES: u64 = 8 << 20;

/// The largest object that is written in one request, in bytes: a part more costs as much as an
/// object more, and a request that fails is sent again as a whole.
const ONE_REQUEST_BYTES_MAX: u64 = 64 << 20;

impl Publisher {
    /// Publishes an instance under the run's rule for objects that stand already.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written: the run ends, since every further
    /// instance would fail as well.
    pub async fn publish(
        &self,
        header: &Header,
        instance: &Instance,
    ) -> Result<Published, RunError> {
        let mode =
            if self.if_exists == IfExists::Replace { PutMode::Replace } else { PutMode::Create };
        self.put(header, &instance.file.segments, mode).await
    }

    /// Publishes an instance over whatever stands there.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written.
    pub async fn overwrite(
        &self,
        header: &Header,
        instance: &Instance,
    ) -> Result<Published, RunError> {
        self.put(header, &instance.file.segments, PutMode::Replace).await
    }

    async fn put(
        &self,
        header: &Header,
        segments: &[Bytes],
        mode: PutMode,
    ) -> Result<Published, RunError> {
        let key = match self.layout.key(header) {
            Ok(key) => key,
            Err(rejection) => return Ok(Published::Rejected(rejection)),
        };
        let row = PublishedRow::new(key, segments);
        if self.dry_run {
            return Ok(Published::Durable(Outcome::Published, row));
        }
        match self.write(&row, segments, mode).await {
            Ok(()) => Ok(Published::Durable(Outcome::Published, row)),
            Err(error) if error.kind == ErrorKind::Exists => self.in_the_way(row, segments).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an object: in one request, or one that is larger in parts.
    async fn write(
        &self,
        row: &PublishedRow,
        segments: &[Bytes],
        mode: PutMode,
    ) -> Result<(), dcmjoin_objects::Error> {
        if row.bytes <= ONE_REQUEST_BYTES_MAX {
            return self.root.put(&row.key, segments.to_vec(), mode).await;
        }
        let mut writer = self.root.writer(&row.key, row.bytes, mode).await?;
        for segment in segments {
            writer.push(segment.clone()).await?;
        }
        writer.finish().await
    }

    /// Returns the row of an instance whose object stands in its place with the same bytes.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be read.
    pub async fn standing(
        &self,
        header: &Header,
        instance: &Instance,
    ) -> Result<Option<PublishedRow>, RunError> {
        let Ok(key) = self.layout.key(header) else { return Ok(None) };
        let segments = &instance.file.segments;
        let stands = self.stands(&key, segments).await?;
        Ok(stands.then(|| PublishedRow::new(key, segments)))
    }

    async fn in_the_way(
        &self,
        row: PublishedRow,
        segments: &[Bytes],
    ) -> Result<Published, RunError> {
        if self.if_exists == IfExists::Fail {
            let detail = "expected no object in the output's place, got one";
            return Ok(Published::Rejected(Rejection::new(Reason::OutputExists, detail)));
        }
        if self.stands(&row.key, segments).await? {
            return Ok(Published::Durable(Outcome::AlreadyThere, row));
        }
        let detail = "expected the same bytes in the output's place, got others; \
                      --if-exists replace overwrites them";
        Ok(Published::Rejected(Rejection::new(Reason::OutputDiffers, detail)))
    }

    /// Returns true where an object with exactly these bytes stands.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be read.
    pub async fn stands(&self, key: &str, segments: &[Bytes]) -> Result<bool, RunError> {
        let Some(object) = self.root.object(key).await? else { return Ok(false) };
        let expected: u64 = segments.iter().map(|segment| segment.len() as u64).sum();
        if object.size() != expected {
            return Ok(false);
        }
        let mut ours = segments.iter().cloned();
        let mut rest = Bytes::new();
        for start in (0..expected).step_by(COMPARE_BYTES as usize) {
            let mut standing = object.read(start..start + COMPARE_BYTES).await?;
            while !standing.is_empty() {
                while rest.is_empty() {
                    rest = ours.next().unwrap_or_default();
                }
                let same = standing.len().min(rest.len());
                if standing.split_to(same) != rest.split_to(same) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
