//! An upload in parts (S3 `CreateMultipartUpload`, `UploadPart`, `CompleteMultipartUpload`).
//!
//! **Limits of S3:** 10,000 parts, each but the last at least 5 MiB and at most 5 GiB. All parts but
//! the last have the same size, since some stores ask for it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error as StoreError, PutPayload};
use tokio::task::JoinSet;
use xxhash_rust::xxh3::Xxh3;

use super::PART_BYTES;
use crate::condition::{Condition, under};
use crate::error::{Error, ErrorKind, Operation};
use crate::root::{COMPARE_BYTES, PutMode, Root};

/// The most parts of an upload.
const PARTS_MAX: u64 = 10_000;
/// The least and the most bytes of a part that is not the last.
const PART_BYTES_MIN: u64 = 5 << 20;
const PART_BYTES_MAX: u64 = 5 << 30;
/// Part sizes are multiples of this, in bytes.
const PART_STEP_BYTES: u64 = 1 << 20;
/// What an upload holds: the part that fills up, and those on their way, in bytes.
const HELD_BYTES: u64 = 5 * PART_BYTES;
/// How long parts that are on their way are waited for before all are removed.
const LAND_WITHIN: Duration = Duration::from_secs(10);

/// An upload that has begun.
pub(super) struct Upload {
    root: Root,
    path: Path,
    id: String,
    seed: u64,
    sizes: Sizes,
    /// The next part's bytes, as they came.
    pending: VecDeque<Bytes>,
    pending_bytes: u64,
    /// Parts on their way.
    flying: JoinSet<Result<(usize, PartId), Error>>,
    /// Parts that have arrived, by their number.
    arrived: Vec<Option<PartId>>,
    /// The most bytes that there may be.
    len_max: u64,
    pushed: u64,
    /// Of all bytes so far: tells our object from another one when an answer is lost.
    digest: Xxh3,
    /// Whether parts may still be there.
    open: bool,
}

/// How an upload is cut, and how much of it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    part_bytes: u64,
    flying_max: usize,
}

impl Sizes {
    fn new(len: u64, held_bytes: u64) -> Self {
        // One part fills up while at least another one is on its way.
        let wanted = (held_bytes / 2).clamp(PART_BYTES_MIN, PART_BYTES);
        let needed = len.div_ceil(PARTS_MAX).next_multiple_of(PART_STEP_BYTES);
        let part_bytes = wanted.max(needed);
        let flying_max = (held_bytes / part_bytes).saturating_sub(1).max(1);
        Self { part_bytes, flying_max: usize::try_from(flying_max).unwrap_or(usize::MAX) }
    }
}

impl Upload {
    pub(super) async fn begin(root: Root, path: Path, len_max: u64) -> Result<Self, Error> {
        let sizes = Sizes::new(len_max, HELD_BYTES);
        if sizes.part_bytes > PART_BYTES_MAX {
            let detail = format!("{len_max} bytes are more than a store takes in one object");
            return Err(Error::new(Operation::Write, root.somewhere(), ErrorKind::Invalid, detail));
        }
        let store = parts_of(&root)?;
        let mut attempts = root.client.attempts();
        let id = loop {
            attempts.turn().await;
            root.client.meter.part();
            match store.create_multipart(&path).await {
                Ok(id) => break id,
                Err(error) => attempts.after(root.write_failed(&error)).await?,
            }
        };
        attempts.done();
        let seed = RandomState::new().hash_one(&id);
        Ok(Self {
            root,
            path,
            id,
            seed,
            sizes,
            pending: VecDeque::new(),
            pending_bytes: 0,
            flying: JoinSet::new(),
            arrived: Vec::new(),
            len_max,
            pushed: 0,
            // The seed is nobody's to know: no other object is made to look like ours.
            digest: Xxh3::with_seed(seed),
            open: true,
        })
    }

    pub(super) fn hold_at_most(&mut self, bytes: u64) {
        if self.arrived.is_empty() && self.pending_bytes == 0 {
            self.sizes = Sizes::new(self.len_max, bytes.min(HELD_BYTES));
        }
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.digest.update(&bytes);
        self.pushed += bytes.len() as u64;
        self.pending_bytes += bytes.len() as u64;
        self.pending.push_back(bytes);
        while self.pending_bytes >= self.sizes.part_bytes {
            self.land(self.sizes.flying_max - 1).await?;
            self.send(self.sizes.part_bytes)?;
        }
        Ok(())
    }

    /// Waits until at most `left` parts are on their way.
    async fn land(&mut self, left: usize) -> Result<(), Error> {
        while self.flying.len() > left {
            let Some(landed) = self.flying.join_next().await else { break };
            let (number, part) = landed.map_err(|_| self.broken("a part's task has failed"))??;
            self.arrived[number] = Some(part);
        }
        Ok(())
    }

    /// Sends the next part on its way.
    fn send(&mut self, bytes: u64) -> Result<(), Error> {
        let payload = self.take(bytes);
        let number = self.arrived.len();
        self.arrived.push(None);
        let (root, path, id) = (self.root.clone(), self.path.clone(), self.id.clone());
        let store = parts_of(&root)?;
        self.flying.spawn(async move {
            let mut attempts = root.client.attempts();
            loop {
                attempts.turn().await;
                root.client.meter.part();
                match store.put_part(&path, &id, number, payload.clone()).await {
                    Ok(part) => {
                        attempts.done();
                        return Ok((number, part));
                    }
                    Err(error) => attempts.after(root.write_failed(&error)).await?,
                }
            }
        });
        Ok(())
    }

    /// Takes the next bytes off the pending ones, without a copy.
    fn take(&mut self, bytes: u64) -> PutPayload {
        let mut left = bytes;
        let mut segments = Vec::new();
        while left > 0 {
            let Some(mut segment) = self.pending.pop_front() else { break };
            let rest = segment.split_off(segment.len().min(left as usize));
            if !rest.is_empty() {
                self.pending.push_front(rest);
            }
            left -= segment.len() as u64;
            segments.push(segment);
        }
        self.pending_bytes -= bytes - left;
        segments.into_iter().collect()
    }

    /// Sends what is left, and makes the object visible.
    pub(super) async fn complete(&mut self, mode: &PutMode) -> Result<(), Error> {
        if self.pending_bytes > 0 {
            self.land(self.sizes.flying_max - 1).await?;
            self.send(self.pending_bytes)?;
        }
        self.land(0).await?;
        let Some(parts) = self.arrived.iter().cloned().collect::<Option<Vec<_>>>() else {
            return Err(self.broken("a part is missing"));
        };
        let conditional = self.root.client.parts.as_ref().is_some_and(|parts| parts.conditional);
        if !conditional {
            self.root.check(&self.path, mode).await?;
        }
        let condition = condition(mode).filter(|_| conditional);
        let mut attempts = self.root.client.attempts();
        let store = parts_of(&self.root)?;
        loop {
            attempts.turn().await;
            self.root.client.meter.part();
            let request = store.complete_multipart(&self.path, &self.id, parts.clone());
            let error = match under(condition.clone(), request).await {
                Ok(_) => break,
                Err(error) => self.refused(mode, &error),
            };
            if let Err(error) = attempts.after(error).await {
                // The answer that was lost may have been the good one.
                if attempts.has_tried_again() && self.stands().await {
                    break;
                }
                return Err(error);
            }
        }
        attempts.done();
        self.open = false;
        Ok(())
    }

    /// Returns the error of the completing request, in the words of [`Root::put`].
    fn refused(&self, mode: &PutMode, error: &StoreError) -> Error {
        let mut error = self.root.write_failed(error);
        if error.kind == ErrorKind::Changed && *mode == PutMode::Create {
            error = Error::new(error.operation, error.place, ErrorKind::Exists, STANDS);
        }
        error
    }

    /// Returns true where the object that stands there has exactly our bytes.
    async fn stands(&self) -> bool {
        let Ok(Some(meta)) = self.root.head(&self.path).await else { return false };
        if meta.size != self.pushed {
            return false;
        }
        let object = self.root.to_object(meta);
        let mut standing = Xxh3::with_seed(self.seed);
        for start in (0..self.pushed).step_by(COMPARE_BYTES as usize) {
            match object.read(start..start + COMPARE_BYTES).await {
                Ok(bytes) => standing.update(&bytes),
                Err(_) => return false,
            }
        }
        standing.digest128() == self.digest.digest128()
    }

    /// Removes the parts.
    pub(super) async fn abort(mut self) {
        self.open = false;
        let flying = std::mem::take(&mut self.flying);
        remove(self.root.clone(), self.path.clone(), self.id.clone(), flying).await;
    }

    fn broken(&self, detail: &str) -> Error {
        Error::new(Operation::Write, self.root.somewhere(), ErrorKind::Other, detail)
    }
}

const STANDS: &str = "an object stands there already";

impl Drop for Upload {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.open, tokio::runtime::Handle::try_current()) {
            let flying = std::mem::take(&mut self.flying);
            runtime.spawn(remove(self.root.clone(), self.path.clone(), self.id.clone(), flying));
        }
    }
}

async fn remove(
    root: Root,
    path: Path,
    id: String,
    mut flying: JoinSet<Result<(usize, PartId), Error>>,
) {
    // A part that arrives after the others were removed would stay. Which of them fail is the same.
    let landed = async { while flying.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAND_WITHIN, landed).await;
    flying.shutdown().await;
    let Ok(store) = parts_of(&root) else { return };
    let mut attempts = root.client.attempts();
    loop {
        attempts.turn().await;
        root.client.meter.part();
        match store.abort_multipart(&path, &id).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => return,
            Err(error) => {
                if let Err(error) = attempts.after(root.write_failed(&error)).await {
                    tracing::warn!(kind = ?error.kind, "parts of an upload could not be removed");
                    return;
                }
            }
        }
    }
}

fn parts_of(root: &Root) -> Result<Arc<dyn MultipartStore>, Error> {
    let parts = root.client.parts.as_ref().map(|parts| Arc::clone(&parts.store));
    parts.ok_or_else(|| {
        let detail = "it takes no uploads in parts";
        Error::new(Operation::Write, root.somewhere(), ErrorKind::Invalid, detail)
    })
}

fn condition(mode: &PutMode) -> Option<Condition> {
    match mode {
        PutMode::Create | PutMode::Over(None) => Some(Condition::Absent),
        PutMode::Replace => None,
        PutMode::Over(Some(e_tag)) => Some(Condition::Matches(e_tag.clone())),
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_are_enough() {
        let tebi = 1 << 40;
        for len in [1, PART_BYTES * PARTS_MAX, PART_BYTES * PARTS_MAX + 1, 5 * tebi, 48 * tebi] {
            let sizes = Sizes::new(len, HELD_BYTES);
            assert!(len.div_ceil(sizes.part_bytes) <= PARTS_MAX, "{len}: {sizes:?}");
            assert!((PART_BYTES..=PART_BYTES_MAX).contains(&sizes.part_bytes), "{len}: {sizes:?}");
        }
        assert!(Sizes::new(64 * tebi, HELD_BYTES).part_bytes > PART_BYTES_MAX);
    }

    #[test]
    fn parts_fit_what_may_be_held() {
        let check = |held, part_bytes, flying_max| {
            assert_eq!(Sizes::new(6 << 30, held), Sizes { part_bytes, flying_max });
        };
        check(HELD_BYTES, PART_BYTES, 4);
        check(32 << 20, PART_BYTES, 1);
        check(16 << 20, 8 << 20, 1);
        check(0, PART_BYTES_MIN, 1);
    }
}
