//! Accounts for everything: header-only instances, unpaired halves, duplicates and conflicts; then
//! the books, the report, and the marker last.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use dcmjoin_index::{Fact, FactRuns, Outcome};
use dcmjoin_model::{Books, Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::{Meter, PutMode};

use super::Run;
use super::copies::{Copies, as_copy, is_listed};
use super::header_only::HeaderOnly;
use super::intake::{Sealed, by_uid, conflict_row, lies_of};
use crate::assemble::{self, Instance};
use crate::error::RunError;
use crate::lock::Lock;
use crate::pair::{Headers, Paired};
use crate::publish::Published;
use crate::report::{COMMIT_SCHEMA, Commit, Moved, Report, SCHEMA, Settings};
use crate::rows::{Lies, PublishedRow, RejectedRow, Rejections, Superseded, UnpairedRow};
use crate::settle::{candidates, read_again};

pub(super) struct Close<'a> {
    pub(super) run: &'a Arc<Run>,
    headers: &'a Arc<Headers>,
    books: Books,
    conflicts: u64,
    pub(super) superseded: Superseded,
    /// Of instances in shards.
    pub(super) copies: Copies,
}

/// What a run comes to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) books: Books,
    pub(super) conflicts: u64,
    /// Taken in the spill folder.
    pub(super) header_bytes: u64,
}

/// Closes a run: nothing is left without an account when it returns.
pub(super) async fn close(
    run: &Arc<Run>,
    headers: &Arc<Headers>,
    sealed: Sealed,
    images: FactRuns,
    lock: Option<&Lock>,
    meter: &Meter,
) -> Result<Report, RunError> {
    let (metadata, images_side) = {
        let tallies = run.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        (tallies.metadata, tallies.images)
    };
    let books = Books { metadata, images: images_side, ..Books::default() };
    let mut close = Close {
        run,
        headers,
        books,
        conflicts: sealed.conflicts,
        superseded: Superseded::default(),
        copies: Copies::default(),
    };
    close.books.metadata.duplicate = sealed.duplicates;
    close.books.metadata.unpaired = sealed.unpaired;
    close.images(images).await?;
    close.headers().await?;
    close.books.check()?;
    lock.map_or(Ok(()), Lock::check)?;
    close.report(meter).await
}

impl Close<'_> {
    /// Accounts for every image, and with it for every header that an image claimed.
    async fn images(&mut self, facts: FactRuns) -> Result<(), RunError> {
        let mut groups = facts.into_groups()?;
        let mut group = Vec::new();
        while groups.next_group(&mut group)? {
            self.books.images.duplicate += groups.omitted();
            for same in by_uid(&self.headers.store, &group)? {
                self.run.check_stop()?;
                self.books.images.duplicate += same.len() as u64 - 1;
                match same.iter().find(|fact| is_listed(fact)).copied() {
                    None => self.unpaired_image(&same)?,
                    Some(claimed) => self.paired_image(&same, &claimed).await?,
                }
            }
        }
        Ok(())
    }

    fn unpaired_image(&mut self, same: &[Fact]) -> Result<(), RunError> {
        let first = &same[0];
        self.books.images.unpaired += 1;
        let uid = Run::uid_at(self.headers, first.place)?;
        let lies = lies_of(self.run, Half::Image, first);
        self.run.unpaired(Half::Image, uid, lies, first.archive)?;
        self.conflict(same, first)
    }

    async fn paired_image(&mut self, same: &[Fact], claimed: &Fact) -> Result<(), RunError> {
        self.books.images.paired += 1;
        self.books.metadata.paired += 1;
        self.books.instances.pairs += 1;
        let candidates = candidates(same);
        // In shards the same bytes may lie once more where nothing stood in the way.
        let has_copy =
            claimed.outcome == Outcome::Rejected && same.iter().any(|fact| as_copy(fact).is_some());
        let outcome = match candidates.as_slice() {
            [_] if !has_copy => claimed.outcome,
            _ => self.settle(same, &candidates, claimed).await?,
        };
        self.count(outcome)
    }

    fn count(&mut self, outcome: Outcome) -> Result<(), RunError> {
        let instances = &mut self.books.instances;
        match outcome {
            Outcome::Published => instances.published += 1,
            Outcome::AlreadyThere => instances.already_there += 1,
            Outcome::Rejected => instances.rejected += 1,
            Outcome::Open | Outcome::CopyPublished | Outcome::CopyThere => {
                return Err(RunError::Internal("an instance without outcome".to_owned()));
            }
        }
        Ok(())
    }

    fn conflict(&mut self, same: &[Fact], kept: &Fact) -> Result<(), RunError> {
        if let Some(row) = conflict_row(self.run, &self.headers.store, Half::Image, same, kept)? {
            self.conflicts += 1;
            self.run.rows.conflicts.push(&row)?;
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        same: &[Fact],
        candidates: &[Fact],
        claimed: &Fact,
    ) -> Result<Outcome, RunError> {
        let paired = self.paired_at(claimed)?;
        let in_output = matches!(claimed.outcome, Outcome::Published | Outcome::AlreadyThere);
        for candidate in candidates {
            let instance = match self.assembled(&paired, candidate).await {
                Ok(instance) => instance,
                Err(rejection) if rejection.reason == Reason::ArchiveUnreadable => {
                    return self.unsettled(same, claimed, candidate, rejection);
                }
                Err(_) => continue,
            };
            self.conflict(same, candidate)?;
            if in_output && candidate.digest == claimed.digest {
                return self.keep(&paired, claimed, &instance).await;
            }
            if self.run.in_shards() {
                return self.choose_copy(&paired, same, claimed, candidate, &instance).await;
            }
            return self.replace(&paired, candidates, claimed, candidate, instance).await;
        }
        self.conflict(same, &candidates[0])?;
        self.reject_by_first(&paired, &candidates[0]).await?;
        Ok(Outcome::Rejected)
    }

    /// The winner was published. Where that was before this run, another worker may have written
    /// another candidate over it since.
    async fn keep(
        &self,
        paired: &Paired,
        claimed: &Fact,
        instance: &Instance,
    ) -> Result<Outcome, RunError> {
        let (publisher, header) = (&self.run.publisher, &paired.header);
        if claimed.outcome == Outcome::Published
            || self.run.in_shards()
            || publisher.standing(header, instance).await?.is_some()
        {
            return Ok(claimed.outcome);
        }
        match publisher.overwrite(header, instance).await? {
            Published::Durable(outcome, _) => Ok(outcome),
            Published::Rejected(rejection) => Err(RunError::Internal(rejection.to_string())),
        }
    }

    /// A candidate can no longer be read, so nobody knows who wins: what the first image came to
    /// stands, the run is not committed, and the next one settles it.
    fn unsettled(
        &mut self,
        same: &[Fact],
        claimed: &Fact,
        candidate: &Fact,
        rejection: Rejection,
    ) -> Result<Outcome, RunError> {
        self.run.broken(Half::Image, candidate.archive, rejection)?;
        self.conflict(same, claimed)?;
        Ok(claimed.outcome)
    }

    fn paired_at(&self, fact: &Fact) -> Result<Paired, RunError> {
        for slot in self.headers.index.probe(fact.fingerprint)? {
            if self.headers.index.place(slot)?.0 == fact.place {
                return self.headers.at(slot);
            }
        }
        Err(RunError::Internal("a claimed header is gone".to_owned()))
    }

    async fn payload(&self, fact: &Fact) -> Result<Bytes, Rejection> {
        read_again(&self.run.reading, &self.run.images.get(fact.archive), fact).await
    }

    pub(super) async fn assembled(
        &self,
        paired: &Paired,
        fact: &Fact,
    ) -> Result<Instance, Rejection> {
        let payload = self.payload(fact).await?;
        assemble::pair(&paired.header, payload, &self.run.config.limits.payload)
    }

    /// Puts the winner where another candidate of this or an earlier run may stand.
    async fn replace(
        &mut self,
        paired: &Paired,
        candidates: &[Fact],
        claimed: &Fact,
        winner: &Fact,
        instance: Instance,
    ) -> Result<Outcome, RunError> {
        let (run, header) = (self.run, &paired.header);
        if claimed.outcome == Outcome::Rejected {
            let published = match run.publisher.publish(header, &instance).await? {
                Published::Rejected(_) if self.is_our_own(paired, candidates).await? => {
                    run.publisher.overwrite(header, &instance).await?
                }
                other => other,
            };
            return self.settled(paired, winner, published, &instance);
        }
        if let Ok(loser) = self.assembled(paired, claimed).await {
            run.warnings.subtract(&loser.warnings);
        }
        // An earlier run may have settled this conflict: its archives' rows tell of the time before.
        let settled = match claimed.outcome {
            Outcome::AlreadyThere => run.publisher.standing(header, &instance).await?,
            _ => None,
        };
        let published = match settled {
            Some(row) => Published::Durable(Outcome::AlreadyThere, row),
            None => run.publisher.overwrite(header, &instance).await?,
        };
        match published {
            Published::Durable(outcome, row) => {
                run.warnings.add(&instance.warnings);
                self.superseded.published.insert(row.key.clone(), row);
                Ok(outcome)
            }
            Published::Rejected(rejection) => Err(RunError::Internal(rejection.to_string())),
        }
    }

    /// Returns true where the standing object is one that a run would make of these candidates.
    async fn is_our_own(&self, paired: &Paired, candidates: &[Fact]) -> Result<bool, RunError> {
        let Ok(key) = self.run.publisher.layout.key(&paired.header) else { return Ok(false) };
        if self.run.config.if_exists == crate::config::IfExists::Fail {
            return Ok(false);
        }
        for candidate in candidates {
            if let Ok(instance) = self.assembled(paired, candidate).await
                && self.run.publisher.stands(&key, &instance.file.segments).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the row of an instance whose first image had been rejected.
    fn settled(
        &mut self,
        paired: &Paired,
        winner: &Fact,
        published: Published,
        instance: &Instance,
    ) -> Result<Outcome, RunError> {
        let uid = paired.header.uid.clone();
        match published {
            Published::Durable(outcome, row) => {
                self.run.warnings.add(&instance.warnings);
                self.run.rows.published.push(&row)?;
                self.superseded.rejected.insert(uid, None);
                Ok(outcome)
            }
            Published::Rejected(rejection) => {
                let lies = lies_of(self.run, Half::Image, winner);
                let row =
                    self.run.rejected_instance(uid.clone(), paired.origin, Some(lies), rejection);
                self.superseded.rejected.insert(uid, Some(row));
                Ok(Outcome::Rejected)
            }
        }
    }

    /// No candidate makes a valid file: the first one's rejection stands for all.
    async fn reject_by_first(&mut self, paired: &Paired, first: &Fact) -> Result<(), RunError> {
        if let Err(rejection) = self.assembled(paired, first).await {
            let lies = lies_of(self.run, Half::Image, first);
            let uid = paired.header.uid.clone();
            let row = self.run.rejected_instance(uid.clone(), paired.origin, Some(lies), rejection);
            self.superseded.rejected.insert(uid, Some(row));
        }
        Ok(())
    }

    /// Accounts for every header in the index that no image claimed: complete by itself, or unpaired.
    async fn headers(&mut self) -> Result<(), RunError> {
        let mut instances = HeaderOnly::begin(self.run, self.headers)?;
        let headers = Arc::clone(self.headers);
        for slot in headers.index.unclaimed() {
            self.run.check_stop()?;
            let paired = headers.at(slot?)?;
            if !assemble::is_header_only(&paired.header) {
                self.books.metadata.unpaired += 1;
                let lies = self.run.lies_of_header(paired.origin);
                let uid = paired.header.uid;
                self.run.unpaired(Half::Metadata, uid, lies, paired.origin.archive)?;
                continue;
            }
            self.books.metadata.header_only += 1;
            self.books.instances.header_only += 1;
            for outcome in instances.publish(paired).await? {
                self.count(outcome)?;
            }
        }
        for outcome in instances.join().await? {
            self.count(outcome)?;
        }
        Ok(())
    }

    async fn report(mut self, meter: &Meter) -> Result<Report, RunError> {
        self.copies.list(self.run, &mut self.superseded)?;
        let (books, conflicts) = (self.books, self.conflicts);
        let counted = Counted { books, conflicts, header_bytes: self.headers.store.bytes() };
        self.run.finish(counted, &self.superseded, meter).await
    }
}

impl Run {
    /// Lists a half of an archive whose other half is not there.
    pub(super) fn unpaired(
        &self,
        half: Half,
        uid: SopInstanceUid,
        lies: Lies,
        archive: u32,
    ) -> Result<(), RunError> {
        let since = Some(self.archives(half).since(archive));
        self.rows.unpaired.push(&UnpairedRow { half, uid, lies, since })
    }

    /// Writes rows and report, and the marker last.
    pub(super) async fn finish(
        &self,
        counted: Counted,
        superseded: &Superseded,
        meter: &Meter,
    ) -> Result<Report, RunError> {
        let (run, rows) = (self, &self.rows);
        let folder = format!("_dcmjoin/{}", run.name);
        let spill = run.spill.path();
        let mut rejections = Rejections::default();
        let rejected = rows.rejected.finish_edited(spill, |row: RejectedRow| {
            let row = superseded.rejected(row)?;
            rejections.count(&row);
            Some(row)
        })?;
        let published = if superseded.has_no_published() {
            rows.published.finish(spill)?
        } else {
            let edit = |row: PublishedRow| superseded.published(row);
            rows.published.finish_edited(spill, edit)?
        };
        let (unpaired, conflict_rows) =
            (rows.unpaired.finish(spill)?, rows.conflicts.finish(spill)?);
        let instances = counted.books.instances;
        let durable = instances.published + instances.already_there;
        if published.rows() != durable {
            let counts =
                format!("{durable} instances in the books, {} published rows", published.rows());
            return Err(RunError::Internal(counts));
        }
        let mut report = run.report(counted, rejections, meter);
        if run.config.dry_run {
            return Ok(report);
        }
        let mut files = Vec::new();
        for (rows, name) in [
            (published, "published.jsonl"),
            (rejected, "rejected.jsonl"),
            (unpaired, "unpaired.jsonl"),
            (conflict_rows, "conflicts.jsonl"),
        ] {
            files.push(rows.upload(&run.output, &folder, name).await?);
        }
        report.bytes.written = meter.requests().bytes_written;
        report.requests = meter.requests().into();
        let json = serde_json::to_vec_pretty(&report)
            .map_err(|error| RunError::Internal(error.to_string()))?;
        run.output
            .put(&format!("{folder}/report.json"), vec![json.into()], PutMode::Replace)
            .await?;
        // Archives that could not be read may hold what the books call unpaired: such a run is not
        // committed, and the next one finishes it.
        if report.archives.unreadable == 0 {
            run.commit(&folder, &report, files).await?;
        }
        Ok(report)
    }
}

impl Run {
    fn report(&self, counted: Counted, rejections: Rejections, meter: &Meter) -> Report {
        let Counted { books, conflicts, header_bytes } = counted;
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = meter.requests();
        let archives = tallies.archives;
        Report {
            schema: SCHEMA,
            run: self.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: humantime::format_rfc3339_millis(self.started).to_string(),
            finished: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            seconds: self.clock.elapsed().as_secs_f64(),
            dry_run: self.config.dry_run,
            first: if self.reads_images_first() { Half::Image } else { Half::Metadata },
            complete: books.is_complete() && archives.unreadable + archives.damaged == 0,
            metadata: books.metadata,
            images: books.images,
            instances: books.instances,
            ignored: tallies.ignored,
            conflicts,
            archives,
            bytes: Moved {
                read: requests.bytes_read,
                written: requests.bytes_written,
                headers: header_bytes,
            },
            requests: requests.into(),
            rejections,
            warnings: self.warnings.counts().collect::<BTreeMap<_, _>>(),
            settings: Settings::of(&self.config),
        }
    }

    async fn commit(
        &self,
        folder: &str,
        report: &Report,
        files: Vec<crate::rows::RowsFile>,
    ) -> Result<(), RunError> {
        let commit = Commit {
            schema: COMMIT_SCHEMA,
            run: report.run.clone(),
            finished: report.finished.clone(),
            books: report.books(),
            files,
        };
        let json = serde_json::to_vec_pretty(&commit)
            .map_err(|error| RunError::Internal(error.to_string()))?;
        // What the marker covers must be on the device before the marker is.
        tokio::task::block_in_place(|| self.output.sync())?;
        self.output
            .put(&format!("{folder}/commit.json"), vec![json.into()], PutMode::Create)
            .await?;
        tokio::task::block_in_place(|| self.output.sync())?;
        Ok(())
    }
}
