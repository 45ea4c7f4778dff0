//! Reads the images' side, once: each image is paired, assembled and published while its archive
//! streams past, and leaves a fact.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_formats::payload;
use dcmjoin_index::{Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, digest};
use dcmjoin_model::{Half, PayloadKind, Rejection, SopInstanceUid, Warnings};
use dcmjoin_objects::Object;
use tokio::sync::Semaphore;

use super::Run;
use super::images::{Images, Pass};
use super::notes::Notes;
use super::raw::PairRows;
use crate::assemble::{self, Instance};
use crate::catalog::{Draft, Finished};
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::progress::Phase;
use crate::publish::Published;
use crate::record::{Head, Origin, Record};
use crate::rows::{Lies, PublishedRow, RejectedRow, Scope};
use crate::scan::{Found, Place};

pub(super) struct Stream {
    pub(super) run: Arc<Run>,
    pub(super) headers: Arc<Headers>,
    pub(super) facts: FactRuns,
    pub(super) publishing: Arc<Semaphore>,
    /// Archives with images that are to be looked at once all others are through.
    pub(super) late: Mutex<BTreeSet<u32>>,
    /// What pairs of raw objects came to.
    pub(super) pair_rows: Option<PairRows>,
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
pub(super) async fn read(
    run: &Arc<Run>,
    headers: &Arc<Headers>,
    pair_rows: Option<PairRows>,
) -> Result<FactRuns, RunError> {
    let stream = Stream::begin(run, headers, pair_rows);
    run.each_archive(Phase::Images, run.order(Half::Image), |number, archive| {
        let stream = Arc::clone(&stream);
        async move { stream.archive(number, &archive).await }
    })
    .await?;
    // Only now is it known which instances nobody has published.
    let late = std::mem::take(&mut *stream.late.lock().unwrap_or_else(PoisonError::into_inner));
    run.each_archive(Phase::Images, late, |number, archive| {
        let stream = Arc::clone(&stream);
        async move { stream.late(number, &archive).await }
    })
    .await?;
    let stream = Arc::into_inner(stream)
        .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
    Ok(stream.facts)
}

impl Stream {
    pub(super) fn begin(
        run: &Arc<Run>,
        headers: &Arc<Headers>,
        pair_rows: Option<PairRows>,
    ) -> Arc<Self> {
        Arc::new(Self {
            run: Arc::clone(run),
            headers: Arc::clone(headers),
            facts: run.facts(),
            publishing: Arc::new(Semaphore::new(run.config.publishing_max.max(1))),
            late: Mutex::default(),
            pair_rows,
        })
    }

    async fn archive(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        match self.run.recall_archive(Half::Image, number, archive).await? {
            // What came of it, the run that accounts for all of them asks the catalogue.
            Some(known) if !self.run.keeps_books() && known.holds() => {
                self.run.archive_done(Half::Image, number, &known.account);
                self.run.archive_known();
                Ok(None)
            }
            Some(known) if self.run.recalls(&known) => self.recall(number, &known),
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
        let mut images = Images::of(self, &notes, Pass::Scan);
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

    pub(super) async fn image(&self, image: Image, draft: Option<&Draft>) -> Result<(), RunError> {
        let (mut fact, mut row) = image.noted();
        if let Some(copies) = self.run.copies() {
            let bytes = image.bytes.clone();
            copies.raw.keep(Half::Image, &image.uid, fact.digest, bytes).await?;
            return self.unpaired(image, fact, row, draft);
        }
        let Some(paired) = self.headers.find(&image.uid)? else {
            return self.unpaired(image, fact, row, draft);
        };
        fact.place = self.headers.index.place(paired.slot)?.0;
        // Another image with this UID came first: the merge will tell whether they differ.
        // Workers know nothing of each other: there the conditional write tells.
        if self.comes_first(&paired) {
            let lies = self.run.lies(Half::Image, image.archive, &image.member);
            let ended = self.run.pair_and_publish(&paired, lies, image.bytes).await?;
            fact.outcome = ended.outcome;
            ended.note(&mut row, paired.origin.digest);
        }
        self.tell(&fact, row, draft)
    }

    /// Returns whether an instance is this image's to publish.
    pub(super) fn comes_first(&self, paired: &Paired) -> bool {
        !self.run.keeps_books() || self.headers.index.claim(paired.slot)
    }

    /// Accounts for an image without header.
    pub(super) fn unpaired(
        &self,
        image: Image,
        mut fact: Fact,
        mut row: Row,
        draft: Option<&Draft>,
    ) -> Result<(), RunError> {
        self.run.check_unpaired(&image.uid)?;
        row.kind = Some(payload::look(&image.bytes, &self.run.config.limits.payload).kind);
        if self.run.keeps_books() {
            fact.place = Record::image(image.uid).append(&self.headers.store)?.0.0;
        }
        self.run.progress.unpaired.fetch_add(1, Relaxed);
        self.tell(&fact, row, draft)
    }

    /// Keeps what became of an image.
    pub(super) fn tell(
        &self,
        fact: &Fact,
        row: Row,
        draft: Option<&Draft>,
    ) -> Result<(), RunError> {
        if self.run.keeps_books() {
            self.facts.push(fact)?;
        }
        draft.map_or(Ok(()), |draft| draft.push(row))
    }
}

impl Image {
    /// Returns fact and row of an image of which no more is known than its bytes.
    pub(super) fn noted(&self) -> (Fact, Row) {
        let fact = Fact {
            fingerprint: Fingerprint::of(&self.uid),
            digest: digest(&self.bytes),
            archive: self.archive,
            offset: self.member.range.start,
            length: self.member.range.len(),
            place: 0,
            outcome: Outcome::Open,
        };
        let row = row_of(&self.uid, &fact, crc32c::crc32c(&self.bytes));
        (fact, row)
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
    pub(super) fn rejected(rejection: Rejection) -> Self {
        let (outcome, warnings) = (Outcome::Rejected, Warnings::default());
        Self { outcome, kind: None, object: None, rejection: Some(rejection), warnings }
    }

    /// Writes to an image's row what its instance came to.
    pub(super) fn note(self, row: &mut Row, header_digest: u128) {
        row.kind = self.kind;
        row.header_digest = Some(header_digest);
        row.state = if self.object.is_some() { State::Published } else { State::Rejected };
        if let Some(object) = self.object {
            row.crc32 = u32::from_str_radix(&object.crc32, 16).ok();
            row.bytes = Some(object.bytes);
            row.key = Some(object.key);
            row.key_offset = object.offset;
            row.warnings = self.warnings;
        }
        if let Some(rejection) = self.rejection {
            row.reason = Some(rejection.reason);
            row.detail = Some(rejection.detail);
        }
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
                self.reject(paired.header.uid.clone(), paired.origin, image, rejection.clone())?;
                Ok(Ended::rejected(rejection))
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

    /// Counts and lists an instance that cannot be published.
    pub(super) fn reject(
        &self,
        uid: SopInstanceUid,
        origin: Origin,
        image: Option<Lies>,
        rejection: Rejection,
    ) -> Result<(), RunError> {
        self.progress.rejected.fetch_add(1, Relaxed);
        self.rows.rejected.push(&self.rejected_instance(uid, origin, image, rejection))
    }

    pub(super) fn rejected_instance(
        &self,
        uid: SopInstanceUid,
        origin: Origin,
        image: Option<Lies>,
        rejection: Rejection,
    ) -> RejectedRow {
        RejectedRow {
            scope: Scope::Instance,
            rejection,
            uid: Some(uid),
            metadata: Some(self.lies_of_header(origin)),
            image,
        }
    }

    pub(super) fn lies_of_header(&self, origin: Origin) -> Lies {
        let archive = self.metadata.url(origin.archive);
        Lies { archive, member: None, offset: origin.offset, length: origin.length }
    }

    /// Returns the UID that a place of the header store tells.
    pub(super) fn uid_at(headers: &Headers, place: u64) -> Result<SopInstanceUid, RunError> {
        Ok(Head::read(&headers.store, HeaderPlace(place))?.uid)
    }
}
