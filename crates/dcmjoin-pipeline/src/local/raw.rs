//! Raw objects in a run: a worker's scan copies halves there; the closing takes what their pairs came to
//! from there.

use std::sync::Arc;

use bytes::Bytes;
use dcmjoin_index::{Fact, Fingerprint, HeaderPlace, HeaderStore, Outcome, PairingIndex};
use dcmjoin_model::{Half, SopInstanceUid};
use dcmjoin_objects::{Object, Stores};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::commit::Syncs;
use super::images::{enough, meanwhile, spawn};
use super::stream::Ended;
use super::{Part, Run, joined};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::raw::{Digest, PairRow, Raw, pair_rows};
use crate::record::Head;

/// Objects with rows of pairs that are read at the same time.
const TOLD_AT_ONCE: usize = 16;

/// The raw objects of a run's campaign.
#[derive(Debug)]
pub(super) struct RawCopies {
    pub(super) raw: Raw,
    /// Of a folder elsewhere than the output.
    syncs: Syncs,
    /// Headers that are copied at the same time; images have the permits of their own.
    copying: Arc<Semaphore>,
}

impl RawCopies {
    pub(super) fn of(stores: &Stores, config: &RunConfig) -> Result<Option<Self>, RunError> {
        let Some(place) = &config.raw else { return Ok(None) };
        Ok(Some(Self {
            raw: Raw::open(stores, place)?,
            syncs: Syncs::default(),
            copying: Arc::new(Semaphore::new(config.publishing_max.max(1))),
        }))
    }

    /// Returns once all that was copied is durable.
    pub(super) async fn sync(&self) -> Result<(), RunError> {
        self.syncs.wait(self.raw.root()).await
    }
}

impl Run {
    /// Returns where halves are copied while they stream past: only workers do.
    pub(super) fn copies(&self) -> Option<&RawCopies> {
        self.raw.as_ref().filter(|_| self.part == Part::Given)
    }
}

/// Headers of one archive on their way to raw objects; several in one task, as images are.
pub(super) struct Members<'a> {
    run: &'a Run,
    waiting: Vec<Member>,
    tasks: JoinSet<Result<(), RunError>>,
}

/// A half's UID, digest and bytes.
type Member = (SopInstanceUid, u128, Bytes);

impl<'a> Members<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        Self { run, waiting: Vec::new(), tasks: JoinSet::new() }
    }

    /// Takes a header up, with those that wait, once they are enough for a task.
    pub(super) async fn add(&mut self, member: Member) -> Result<(), RunError> {
        let Some(copies) = self.run.copies() else { return Ok(()) };
        self.waiting.push(member);
        match self.waiting.len() >= enough(copies.raw.root()) {
            true => self.take_up().await,
            false => Ok(()),
        }
    }

    /// Waits for something of the archive. Where it is not there at once, those that wait are taken
    /// up first: it may need the memory that they hold.
    pub(super) async fn meanwhile<T>(
        &mut self,
        next: impl Future<Output = T>,
    ) -> Result<T, RunError> {
        meanwhile(next, self.take_up()).await
    }

    async fn take_up(&mut self) -> Result<(), RunError> {
        let members = std::mem::take(&mut self.waiting);
        let Some(copies) = self.run.copies().filter(|_| !members.is_empty()) else { return Ok(()) };
        let permit = Arc::clone(&copies.copying).acquire_owned().await;
        while let Some(done) = self.tasks.try_join_next() {
            joined(Some(done))?;
        }
        let raw = copies.raw.clone();
        let task = async move {
            let _permit = permit;
            for (uid, digest, bytes) in members {
                raw.keep(Half::Metadata, &uid, digest, bytes).await?;
            }
            Ok(())
        };
        spawn(&mut self.tasks, copies.raw.root().is_folder(), task);
        Ok(())
    }

    pub(super) async fn join(mut self) -> Result<(), RunError> {
        self.take_up().await?;
        while let Some(done) = self.tasks.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }
}

/// What pairs came to, by UID: on local disk, with an index as of headers.
#[derive(Debug)]
pub(super) struct PairRows {
    index: PairingIndex,
    store: HeaderStore,
}

impl PairRows {
    /// Gathers what was told of a campaign's pairs; `None` where it keeps no raw objects.
    pub(super) async fn gather(run: &Run) -> Result<Option<Self>, RunError> {
        let Some(copies) = run.raw.as_ref().filter(|_| run.keeps_books()) else { return Ok(None) };
        let (store, facts) = (HeaderStore::create(run.spill.path())?, run.facts());
        let told = futures::stream::iter(copies.raw.told().await?);
        let mut rows = told
            .map(|object| async { joined(Some(tokio::spawn(rows_of(object)).await)) })
            .buffer_unordered(TOLD_AT_ONCE);
        while let Some(Some(rows)) = rows.try_next().await? {
            run.check_stop()?;
            tokio::task::block_in_place(|| {
                rows.iter()
                    .try_for_each(|row| facts.push(&kept(&store, row)?).map_err(RunError::from))
            })?;
        }
        let mut builder = run.index_for(facts.len())?;
        tokio::task::block_in_place(|| {
            let (mut groups, mut group) = (facts.into_groups()?, Vec::new());
            while groups.next_group(&mut group)? {
                for fact in &group {
                    builder.push(fact.fingerprint, HeaderPlace(fact.place))?;
                }
            }
            Ok(Some(Self { index: builder.seal()?, store }))
        })
    }

    /// Returns what the pair of these halves came to, where it was told.
    pub(super) fn find(
        &self,
        uid: &SopInstanceUid,
        header: u128,
        image: u128,
    ) -> Result<Option<PairRow>, RunError> {
        for slot in self.index.probe(Fingerprint::of(uid))? {
            let (_, line) = self.store.read(self.index.place(slot)?)?;
            let row: PairRow = serde_json::from_slice(&line)
                .map_err(|error| RunError::Internal(format!("decode a pair's row: {error}")))?;
            if row.uid == *uid && (row.header, row.image) == (Digest(header), Digest(image)) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Returns the rows of an object. Of damaged ones the images are read again.
async fn rows_of(object: Object) -> Result<Vec<PairRow>, RunError> {
    match pair_rows(&object).await {
        Err(RunError::Invalid { .. }) => {
            tracing::warn!("rows of pairs are damaged; their images are read again");
            Ok(Vec::new())
        }
        rows => rows,
    }
}

fn kept(store: &HeaderStore, row: &PairRow) -> Result<Fact, RunError> {
    let line = serde_json::to_vec(row)
        .map_err(|error| RunError::Internal(format!("encode a pair's row: {error}")))?;
    let (place, _) = store.append(&Head::without_origin(&row.uid), &line)?;
    Ok(Fact {
        fingerprint: Fingerprint::of(&row.uid),
        digest: row.image.0,
        archive: 0,
        offset: 0,
        length: 0,
        place: place.0,
        outcome: Outcome::Open,
    })
}

impl Ended {
    /// Returns the row that tells what a pair came to; `None` where it must be looked at again: what
    /// stood in the output's place, or could not be read, may be gone or there by then.
    pub(super) fn to_row(
        &self,
        uid: &SopInstanceUid,
        header: u128,
        image: u128,
    ) -> Option<PairRow> {
        use dcmjoin_model::Reason::{ArchiveUnreadable, OutputDiffers, OutputExists};
        let may_change =
            |reason| matches!(reason, ArchiveUnreadable | OutputDiffers | OutputExists);
        if self.rejection.as_ref().is_some_and(|rejection| may_change(rejection.reason)) {
            return None;
        }
        Some(PairRow {
            uid: uid.clone(),
            header: Digest(header),
            image: Digest(image),
            kind: self.kind,
            published: self.object.clone(),
            rejection: self.rejection.clone(),
            warnings: self.warnings.clone(),
        })
    }
}

impl From<PairRow> for Ended {
    fn from(row: PairRow) -> Self {
        let outcome = match row.published {
            Some(_) => Outcome::AlreadyThere,
            None => Outcome::Rejected,
        };
        let PairRow { kind, published, rejection, warnings, .. } = row;
        Self { outcome, kind, object: published, rejection, warnings }
    }
}
