//! Reads the images' side, once: each image is paired, assembled and published while its archive
//! streams past, and leaves a fact.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_formats::payload;
use dcmjoin_index::{Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, digest};
use dcmjoin_model::{Half, PayloadKind, Rejection, SopInstanceUid, Warnings};
use dcmjoin_objects::{Object, on_waiting_thread};
use futures::future::poll_immediate;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::notes::Notes;
use super::{Run, joined};
use crate::assemble::{self, Instance};
use crate::catalog::{Draft, Finished};
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::publish::Published;
use crate::record::Record;
use crate::rows::{Lies, PublishedRow, RejectedRow, Scope};
use crate::scan::{Found, Place};

/// Images that go to a folder in one task.
const FOLDER_TASK_IMAGES: usize = 32;

pub(super) struct Stream {
    pub(super) run: Arc<Run>,
    pub(super) headers: Arc<Headers>,
    pub(super) facts: FactRuns,
    publishing: Arc<Semaphore>,
    /// Archives with images that are to be looked at once all others are through.
    pub(super) late: Mutex<BTreeSet<u32>>,
}

/// An image, and where it lies.
pub(super) struct Image {
    pub(super) archive: u32,
    pub(super) uid: SopInstanceUid,
    pub(super) member: Place,
    pub(super) bytes: Bytes,
}

/// What an instance came to.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) kind: Option<PayloadKind>,
    pub(super) object: Option<PublishedRow>,
    pub(super) rejection: Option<Rejection>,
    pub(super) warnings: Warnings,
}

/// Reads all image archives; returns a fact for each image.
pub(super) async fn read(run: &Arc<Run>, headers: &Arc<Headers>) -> Result<FactRuns, RunError> {
    let stream = Stream::begin(run, headers);
    run.each_archive(Half::Image, run.order(Half::Image), |number, archive| {
        let stream = Arc::clone(&stream);
        async move { stream.archive(number, &archive).await }
    })
    .await?;
    // Only now is it known which instances nobody has published.
    let late = std::mem::take(&mut *stream.late.lock().unwrap_or_else(PoisonError::into_inner));
    run.each_archive(Half::Image, late, |number, archive| {
        let stream = Arc::clone(&stream);
        async move { stream.late(number, &archive).await }
    })
    .await?;
    let stream = Arc::into_inner(stream)
        .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
    Ok(stream.facts)
}

impl Stream {
    pub(super) fn begin(run: &Arc<Run>, headers: &Arc<Headers>) -> Arc<Self> {
        Arc::new(Self {
            run: Arc::clone(run),
            headers: Arc::clone(headers),
            facts: run.facts(),
            publishing: Arc::new(Semaphore::new(run.config.publishing_max.max(1))),
            late: Mutex::default(),
        })
    }

    async fn archive(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        match self.run.known(Half::Image, archive).await? {
            // What came of it, the run that accounts for all of them asks the catalogue.
            Some(known) if !self.run.keeps_books() && known.holds() => {
                self.run.archive_done(Half::Image, number, &known.account);
                self.run.archive_known();
                Ok(None)
            }
            Some(known) if self.run.recalls(&known) => {
                self.recall(number, &known)?;
                Ok(None)
            }
            _ => self.scan(number, archive).await,
        }
    }

    pub(super) async fn scan(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        let scan = self.run.scan(Half::Image);

        let mut scanner = scan.open(archive).await;
        let mut notes = Notes::begin(&self.run, Half::Image, number, scanner.is_compressed())?;
        let mut images = Images::of(self, &notes);
        while let Some(found) = images.meanwhile(scanner.next()).await? {
            self.run.check_stop()?;
            let Found::Half { uid, member, bytes } = found else {
                notes.not_a_half(&self.run, found)?;
                continue;
            };
            notes.account.members += 1;
            self.run.progress.bytes.fetch_add(member.range.len(), Relaxed);
            let image = Image { archive: number, uid, member, bytes };
            images.add(image).await?;
        }
        images.join().await?;
        notes.finish(&self.run)
    }

    async fn image(&self, image: Image, draft: Option<&Draft>) -> Result<(), RunError> {
        let Image { archive, uid, member, bytes } = image;
        let mut fact = Fact {
            fingerprint: Fingerprint::of(&uid),
            digest: digest(&bytes),
            archive,
            offset: member.range.start,
            length: member.range.len(),
            place: 0,
            outcome: Outcome::Open,
        };
        let mut row = row_of(&uid, &fact, crc32c::crc32c(&bytes));
        match self.headers.find(&uid)? {
            None => {
                row.kind = Some(payload::look(&bytes, &self.run.config.limits.payload).kind);
                if self.run.keeps_books() {
                    fact.place = Record::Image(uid).append(&self.headers.store)?.0;
                }
                self.run.progress.unpaired.fetch_add(1, Relaxed);
            }
            Some(paired) => {
                fact.place = self.headers.index.place(paired.slot)?.0;
                // Another image with this UID came first: the merge will tell whether they differ.
                // Workers know nothing of each other: there the conditional write tells.
                if !self.run.keeps_books() || self.headers.index.claim(paired.slot) {
                    let lies = self.run.lies(Half::Image, archive, &member);
                    let ended = self.run.pair_and_publish(&paired, lies, bytes).await?;
                    fact.outcome = ended.outcome;
                    ended.note(&mut row, paired.origin.digest);
                }
            }
        }
        if self.run.keeps_books() {
            self.facts.push(&fact)?;
        }
        draft.map_or(Ok(()), |draft| draft.push(row))
    }
}

/// Returns the catalogue's row of a half of which no more is known than its bytes.
pub(super) fn row_of(uid: &SopInstanceUid, fact: &Fact, crc32c: u32) -> Row {
    Row {
        uid: Some(uid.clone()),
        length: fact.length,
        crc32c: Some(crc32c),
        digest: Some(fact.digest),
        ..Row::at(fact.offset, State::Open)
    }
}

impl Ended {
    /// Writes to an image's row what its instance came to.
    fn note(self, row: &mut Row, header_digest: u128) {
        row.kind = self.kind;
        row.header_digest = Some(header_digest);
        row.state = if self.object.is_some() { State::Published } else { State::Rejected };
        if let Some(object) = self.object {
            row.crc32 = u32::from_str_radix(&object.crc32, 16).ok();
            row.bytes = Some(object.bytes);
            row.key = Some(object.key);
            row.warnings = self.warnings;
        }
        if let Some(rejection) = self.rejection {
            row.reason = Some(rejection.reason);
            row.detail = Some(rejection.detail);
        }
    }
}

/// Images of one archive that are being assembled and published.
///
/// To a store each is a task, which waits for its answer. To a folder several are one task on a
/// thread that may wait for the device: handing over a thread costs as much as creating a file.
pub(super) struct Images {
    stream: Arc<Stream>,
    draft: Option<Arc<Draft>>,
    /// Less than a task's.
    waiting: Vec<Image>,
    tasks: JoinSet<Result<(), RunError>>,
}

impl Images {
    pub(super) fn of(stream: &Arc<Stream>, notes: &Notes) -> Self {
        Self {
            stream: Arc::clone(stream),
            draft: notes.draft.clone(),
            waiting: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    fn to_folder(&self) -> bool {
        self.stream.run.output.is_folder()
    }

    /// Takes an image up, with those that wait, once they are enough for a task.
    pub(super) async fn add(&mut self, image: Image) -> Result<(), RunError> {
        self.waiting.push(image);
        let enough = if self.to_folder() { FOLDER_TASK_IMAGES } else { 1 };
        if self.waiting.len() >= enough { self.take_up().await } else { Ok(()) }
    }

    /// Waits for something of the archive. Where it is not there at once, the images that wait are
    /// taken up first: it may need the memory that they hold.
    pub(super) async fn meanwhile<T>(
        &mut self,
        next: impl Future<Output = T>,
    ) -> Result<T, RunError> {
        let mut next = pin!(next);
        if let Some(next) = poll_immediate(next.as_mut()).await {
            return Ok(next);
        }
        self.take_up().await?;
        Ok(next.await)
    }

    /// Waits for room, then takes up the images that wait.
    async fn take_up(&mut self) -> Result<(), RunError> {
        let images = std::mem::take(&mut self.waiting);
        if images.is_empty() {
            return Ok(());
        }
        let permit = Arc::clone(&self.stream.publishing).acquire_owned().await;
        while let Some(done) = self.tasks.try_join_next() {
            joined(Some(done))?;
        }
        let (stream, draft) = (Arc::clone(&self.stream), self.draft.clone());
        let task = async move {
            let _permit = permit;
            for image in images {
                stream.image(image, draft.as_deref()).await?;
            }
            Ok(())
        };
        if self.to_folder() {
            let runtime = Handle::current();
            self.tasks.spawn_blocking(move || runtime.block_on(on_waiting_thread(task)));
        } else {
            self.tasks.spawn(task);
        }
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

impl Run {
    async fn pair_and_publish(
        &self,
        paired: &Paired,
        image: Lies,
        payload: Bytes,
    ) -> Result<Ended, RunError> {
        let instance = assemble::pair(&paired.header, payload, &self.config.limits.payload);
        self.publish(paired, Some(image), instance).await
    }

    /// Publishes what was assembled, or writes the row that says why not.
    pub(super) async fn publish(
        &self,
        paired: &Paired,
        image: Option<Lies>,
        instance: Result<Instance, Rejection>,
    ) -> Result<Ended, RunError> {
        let published = match &instance {
            Ok(instance) => self.publisher.publish(&paired.header, instance).await?,
            Err(rejection) => Published::Rejected(rejection.clone()),
        };
        match (published, instance) {
            (Published::Durable(outcome, object), Ok(instance)) => {
                self.in_output(&object, &instance.warnings)?;
                let (kind, warnings) = (instance.kind, instance.warnings);
                Ok(Ended { outcome, kind, object: Some(object), rejection: None, warnings })
            }
            (Published::Rejected(rejection), _) => {
                self.progress.rejected.fetch_add(1, Relaxed);
                let row = self.rejected_instance(paired, image, rejection.clone());
                self.rows.rejected.push(&row)?;
                let (kind, warnings) = (None, Warnings::default());
                let (outcome, rejection) = (Outcome::Rejected, Some(rejection));
                Ok(Ended { outcome, kind, object: None, rejection, warnings })
            }
            (Published::Durable(..), Err(_)) => Err(RunError::Internal(
                "an instance was published that was not assembled".to_owned(),
            )),
        }
    }

    /// Counts and lists an object that is in the output.
    pub(super) fn in_output(
        &self,
        object: &PublishedRow,
        warnings: &Warnings,
    ) -> Result<(), RunError> {
        self.progress.published.fetch_add(1, Relaxed);
        self.progress.published_bytes.fetch_add(object.bytes, Relaxed);
        self.warnings.add(warnings);
        self.rows.published.push(object)
    }

    pub(super) fn rejected_instance(
        &self,
        paired: &Paired,
        image: Option<Lies>,
        rejection: Rejection,
    ) -> RejectedRow {
        RejectedRow {
            scope: Scope::Instance,
            rejection,
            uid: Some(paired.header.uid.clone()),
            metadata: Some(self.lies_of_header(paired)),
            image,
        }
    }

    pub(super) fn lies_of_header(&self, paired: &Paired) -> Lies {
        let origin = paired.origin;
        let archive = self.metadata.url(origin.archive);
        Lies { archive, member: None, offset: origin.offset, length: origin.length }
    }

    /// Returns the UID that a place of the header store tells.
    pub(super) fn uid_at(headers: &Headers, place: u64) -> Result<SopInstanceUid, RunError> {
        Ok(Record::read(&headers.store, HeaderPlace(place))?.uid().clone())
    }
}
