//! Reads the images' side, once: each image is paired, assembled and published while its archive
//! streams past, and leaves a fact.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_formats::payload;
use dcmjoin_index::{Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, digest};
use dcmjoin_model::{Half, PayloadKind, Rejection, SopInstanceUid, Warnings};
use dcmjoin_objects::Object;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::notes::Notes;
use super::recall::{Missing, Recalled, fact_of, is_claimable, is_settled, lies_of_row, place_of};
use super::{Run, joined};
use crate::assemble::{self, Instance};
use crate::catalog::{Draft, Finished, Known};
use crate::config::Strategy;
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::publish::Published;
use crate::record::Record;
use crate::rows::{Lies, PublishedRow, RejectedRow, Scope};
use crate::scan::{Found, Place};

struct Stream {
    run: Arc<Run>,
    headers: Arc<Headers>,
    facts: FactRuns,
    publishing: Arc<Semaphore>,
}

/// An image, and where it lies.
pub(super) struct Image {
    archive: u32,
    uid: SopInstanceUid,
    member: Place,
    bytes: Bytes,
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
    let stream = Arc::new(Stream {
        run: Arc::clone(run),
        headers: Arc::clone(headers),
        facts: run.facts(),
        publishing: Arc::new(Semaphore::new(run.config.publishing_max.max(1))),
    });
    run.each_archive(Half::Image, |number, archive| {
        let stream = Arc::clone(&stream);
        async move { stream.archive(number, &archive).await }
    })
    .await?;
    let stream = Arc::into_inner(stream)
        .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
    Ok(stream.facts)
}

impl Stream {
    async fn archive(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        if let Some(known) = self.run.known(Half::Image, archive).await?
            && let Some(missing) = self.missing(&known)?
        {
            return self.recall(number, archive, &known, missing).await;
        }
        self.scan(number, archive).await
    }

    /// Returns which images of a known archive must be read; `None` where it is better read as a
    /// whole.
    fn missing(&self, known: &Known) -> Result<Option<Missing>, RunError> {
        // Another output's catalogue tells where images lie, and not what became of them.
        if self.run.config.only.is_none()
            && !known.holds()
            && self.run.config.strategy != Strategy::Select
        {
            return Ok(None);
        }
        let mut missing = Missing::default();
        for row in known.reader.rows() {
            let row = row?;
            if let Recalled::Half(uid) = self.run.recalled(&row)
                && !is_settled(known, &row)
                && is_claimable(&self.headers, &uid)?
            {
                missing.add(&row);
            }
        }
        Ok(self.run.selects(known, missing).then_some(missing))
    }

    /// Takes an archive's images from the catalogue, and reads those that are missing.
    async fn recall(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
        known: &Known,
        missing: Missing,
    ) -> Result<Option<Finished>, RunError> {
        let run = &self.run;
        let is_written = run.writes_catalog() && !missing.is_none();
        let mut notes = run.recall_notes(Half::Image, number, known, is_written)?;
        let mut images = Images::default();
        for row in known.reader.rows() {
            run.check_stop()?;
            let row = row?;
            let lies = lies_of_row(run, Half::Image, number, &row);
            let uid = match run.recalled(&row) {
                Recalled::NotWanted => {
                    notes.account.ignored.not_wanted += 1;
                    continue;
                }
                Recalled::Rejected(rejection) => {
                    run.recall_rejected(&mut notes, lies, row, rejection)?;
                    continue;
                }
                Recalled::Half(uid) => uid,
            };
            if self.recall_image(number, known, &row, &uid, lies)? {
                notes.draft.as_ref().map_or(Ok(()), |draft| draft.push(row))?;
                continue;
            }
            match run.read_half(archive, &row).await? {
                Ok(bytes) => {
                    let image = Image { archive: number, uid, member: place_of(&row), bytes };
                    images.spawn(self, notes.draft.clone(), image).await?;
                }
                Err(rejection) => notes.lost(run, &row, uid, rejection)?,
            }
        }
        images.join().await?;
        notes.finish(run)
    }

    /// Accounts for an image as its row says; false where it must be read.
    fn recall_image(
        &self,
        archive: u32,
        known: &Known,
        row: &Row,
        uid: &SopInstanceUid,
        lies: Lies,
    ) -> Result<bool, RunError> {
        let mut fact = fact_of(uid, row, archive);
        let Some(paired) = self.headers.find(uid)? else {
            fact.place = Record::Image(uid.clone()).append(&self.headers.store)?.0;
            self.run.progress.unpaired.fetch_add(1, Relaxed);
            self.facts.push(&fact)?;
            return Ok(true);
        };
        fact.place = self.headers.index.place(paired.slot)?.0;
        let index = &self.headers.index;
        if !index.is_claimed(paired.slot) {
            if !is_settled(known, row) || row.header_digest != Some(paired.origin.digest) {
                return Ok(false);
            }
            if index.claim(paired.slot) {
                fact.outcome = self.run.recall_instance(row, &paired, lies)?;
            }
        }
        self.facts.push(&fact)?;
        Ok(true)
    }

    async fn scan(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        let scan = self.run.scan(Half::Image);

        let mut images = Images::default();
        let mut scanner = scan.open(archive).await;
        let mut notes = Notes::begin(&self.run, Half::Image, number, scanner.is_compressed())?;
        while let Some(found) = scanner.next().await {
            self.run.check_stop()?;
            let Found::Half { uid, member, bytes } = found else {
                notes.not_a_half(&self.run, found)?;
                continue;
            };
            notes.account.members += 1;
            self.run.progress.bytes.fetch_add(member.range.len(), Relaxed);
            let image = Image { archive: number, uid, member, bytes };
            images.spawn(self, notes.draft.clone(), image).await?;
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
                fact.place = Record::Image(uid).append(&self.headers.store)?.0;
                self.run.progress.unpaired.fetch_add(1, Relaxed);
            }
            Some(paired) => {
                fact.place = self.headers.index.place(paired.slot)?.0;
                // Another image with this UID came first: the merge will tell whether they differ.
                if self.headers.index.claim(paired.slot) {
                    let lies = self.run.lies(Half::Image, archive, &member);
                    let ended = self.run.pair_and_publish(&paired, lies, bytes).await?;
                    fact.outcome = ended.outcome;
                    ended.note(&mut row, paired.origin.digest);
                }
            }
        }
        self.facts.push(&fact)?;
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
#[derive(Default)]
struct Images {
    tasks: JoinSet<Result<(), RunError>>,
}

impl Images {
    /// Waits for room, then takes an image up.
    async fn spawn(
        &mut self,
        stream: &Arc<Stream>,
        draft: Option<Arc<Draft>>,
        image: Image,
    ) -> Result<(), RunError> {
        let permit = Arc::clone(&stream.publishing).acquire_owned().await;
        while let Some(done) = self.tasks.try_join_next() {
            joined(Some(done))?;
        }
        let stream = Arc::clone(stream);
        self.tasks.spawn(async move {
            let _permit = permit;
            stream.image(image, draft.as_deref()).await
        });
        Ok(())
    }

    async fn join(mut self) -> Result<(), RunError> {
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
        let archive = Arc::clone(self.metadata[origin.archive as usize].url());
        Lies { archive, member: None, offset: origin.offset, length: origin.length }
    }

    /// Returns the UID that a place of the header store tells.
    pub(super) fn uid_at(headers: &Headers, place: u64) -> Result<SopInstanceUid, RunError> {
        Ok(Record::read(&headers.store, HeaderPlace(place))?.uid().clone())
    }
}
