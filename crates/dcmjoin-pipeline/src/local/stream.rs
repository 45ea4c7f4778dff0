//! Reads the images' side, once: each image is paired, assembled and published while its archive
//! streams past, and leaves a fact.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_index::{Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, digest};
use dcmjoin_model::{Half, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Run, SideTally, joined};
use crate::assemble::{self, Instance};
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::publish::Published;
use crate::record::Record;
use crate::rows::{Lies, RejectedRow, Scope};
use crate::scan::{Found, Place};

struct Stream {
    run: Arc<Run>,
    headers: Arc<Headers>,
    facts: FactRuns,
    publishing: Arc<Semaphore>,
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
    async fn archive(self: &Arc<Self>, number: u32, archive: &Object) -> Result<(), RunError> {
        let scan = self.run.scan(Half::Image);
        let mut tally = SideTally::default();
        let mut images = JoinSet::new();
        let mut scanner = scan.open(archive).await;
        while let Some(found) = scanner.next().await {
            self.run.check_stop()?;
            let Found::Half { uid, member, bytes } = found else {
                self.run.not_a_half(Half::Image, number, found, &mut tally)?;
                continue;
            };
            tally.members += 1;
            self.run.progress.bytes.fetch_add(member.range.len(), Relaxed);
            let permit = Arc::clone(&self.publishing).acquire_owned().await;
            while let Some(done) = images.try_join_next() {
                joined(Some(done))?;
            }
            let stream = Arc::clone(self);
            images.spawn(async move {
                let _permit = permit;
                stream.image(number, uid, member, bytes).await
            });
        }
        while let Some(done) = images.join_next().await {
            joined(Some(done))?;
        }
        self.run.archive_done(Half::Image, number, &tally);
        Ok(())
    }

    async fn image(
        &self,
        archive: u32,
        uid: SopInstanceUid,
        member: Place,
        bytes: Bytes,
    ) -> Result<(), RunError> {
        let mut fact = Fact {
            fingerprint: Fingerprint::of(&uid),
            digest: digest(&bytes),
            archive,
            offset: member.range.start,
            length: member.range.len(),
            place: 0,
            outcome: Outcome::Open,
        };
        match self.headers.find(&uid)? {
            None => {
                fact.place = Record::Image(uid).append(&self.headers.store)?.0;
                self.run.progress.unpaired.fetch_add(1, Relaxed);
            }
            Some(paired) => {
                fact.place = self.headers.index.place(paired.slot)?.0;
                // Another image with this UID came first: the merge will tell whether they differ.
                if self.headers.index.claim(paired.slot) {
                    let lies = self.run.lies(Half::Image, archive, &member);
                    fact.outcome = self.run.pair_and_publish(&paired, lies, bytes).await?;
                }
            }
        }
        Ok(self.facts.push(&fact)?)
    }
}

impl Run {
    async fn pair_and_publish(
        &self,
        paired: &Paired,
        image: Lies,
        payload: Bytes,
    ) -> Result<Outcome, RunError> {
        let instance = assemble::pair(&paired.header, payload, &self.config.limits.payload);
        self.publish(paired, Some(image), instance).await
    }

    /// Publishes what was assembled, or writes the row that says why not.
    pub(super) async fn publish(
        &self,
        paired: &Paired,
        image: Option<Lies>,
        instance: Result<Instance, Rejection>,
    ) -> Result<Outcome, RunError> {
        let published = match &instance {
            Ok(instance) => self.publisher.publish(&paired.header, instance).await?,
            Err(rejection) => Published::Rejected(rejection.clone()),
        };
        match (published, instance) {
            (Published::Durable(outcome, row), Ok(instance)) => {
                self.progress.published.fetch_add(1, Relaxed);
                self.progress.published_bytes.fetch_add(row.bytes, Relaxed);
                self.warnings.add(&instance.warnings);
                self.rows.published.push(&row)?;
                Ok(outcome)
            }
            (Published::Rejected(rejection), _) => {
                self.progress.rejected.fetch_add(1, Relaxed);
                self.rows.rejected.push(&self.rejected_instance(paired, image, rejection))?;
                Ok(Outcome::Rejected)
            }
            (Published::Durable(..), Err(_)) => Err(RunError::Internal(
                "an instance was published that was not assembled".to_owned(),
            )),
        }
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
