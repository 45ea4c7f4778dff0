//! Archives that the catalogue knows: what their rows say stands, and they are not read again.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_index::{Fact, Fingerprint, Outcome};
use dcmjoin_model::{ByteRange, Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;

use super::Run;
use super::notes::Notes;
use super::stream::{Ended, Stream};
use crate::budget::paid;
use crate::catalog::{Account, Finished, Known};
use crate::config::Strategy;
use crate::error::RunError;
use crate::record::{Origin, Record};
use crate::rows::{CopyRow, Lies, PublishedRow};
use crate::scan::{Place, unreadable};
use crate::source::SourceError;

/// What a row means to this run.
pub(super) enum Recalled {
    /// The member could not be a half, and cannot now.
    Rejected(Rejection),
    /// Not asked for.
    NotWanted,
    /// A half.
    Half(SopInstanceUid),
}

/// Halves that are to be read by ranges of their own.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Missing {
    halves: u64,
    bytes: u64,
}

impl Missing {
    pub(super) fn add(&mut self, row: &Row) {
        self.halves += 1;
        self.bytes += row.length;
    }

    pub(super) fn is_none(self) -> bool {
        self.halves == 0
    }
}

impl Run {
    /// Returns what the catalogue knows of an archive of the run's, and keeps since when.
    pub(super) async fn recall_archive(
        &self,
        half: Half,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Known>, RunError> {
        let known = self.known(half, archive).await?;
        if let Some(known) = &known {
            self.archives(half).known_since(number, known.account.since);
        }
        Ok(known)
    }

    /// Returns what a row of a known archive means.
    pub(super) fn recalled(&self, row: &Row) -> Recalled {
        let rejection = rejection_of(row).filter(|_| row.header_digest.is_none());
        match (&row.uid, rejection) {
            (Some(uid), _) if !is_wanted(self.config.only.as_ref(), uid) => Recalled::NotWanted,
            (_, Some(rejection)) => Recalled::Rejected(rejection),
            (Some(uid), None) => Recalled::Half(uid.clone()),
            (None, None) => Recalled::NotWanted,
        }
    }

    /// Returns whether a known archive is recalled. Another output's catalogue tells where images
    /// lie and not what became of them, so a whole run reads such an archive as a whole.
    pub(super) fn recalls(&self, known: &Known) -> bool {
        self.config.only.is_some() || known.holds() || self.config.strategy == Strategy::Select
    }

    /// Returns whether a known archive is read by ranges rather than as a whole.
    pub(super) fn selects(&self, known: &Known, missing: Missing) -> bool {
        let size = known.reader.archive().size;
        missing.is_none()
            || !known.is_compressed()
                && self.config.strategy.selects(missing.halves, missing.bytes, size)
    }

    /// Begins the notes on a known archive with what its first scan counted.
    pub(super) fn recall_notes(
        &self,
        half: Half,
        archive: u32,
        known: &Known,
    ) -> Result<Notes, RunError> {
        let mut notes = Notes::without_draft(half, archive);
        let Account { members, ignored, broken, since, .. } = &known.account;
        notes.account =
            Account { members: *members, ignored: *ignored, since: *since, ..Account::default() };
        if let Some(broken) = broken {
            self.note_broken(half, archive, broken)?;
            notes.account.broken = Some(broken.clone());
        }
        self.archive_known();
        Ok(notes)
    }

    /// Counts what a store does not give any more.
    pub(super) fn archive_unreadable(&self) {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).archives.unreadable += 1;
    }

    /// Counts an archive that is not read.
    pub(super) fn archive_known(&self) {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).archives.known += 1;
    }

    /// Accounts for a row that is not a half of this run.
    pub(super) fn recall_rejected(
        &self,
        notes: &mut Notes,
        lies: Lies,
        row: Row,
        rejection: Rejection,
    ) -> Result<(), RunError> {
        notes.reject(
            self,
            row.uid.clone(),
            Lies { member: row.member.clone(), ..lies },
            rejection,
        )?;
        notes.draft.as_ref().map_or(Ok(()), |draft| draft.push(row))
    }

    /// Reads one half of a known archive.
    pub(super) async fn read_half(
        &self,
        archive: &Object,
        row: &Row,
    ) -> Result<Result<Bytes, Rejection>, RunError> {
        self.check_stop()?;
        let read = if self.members.is_large(row.length) {
            self.spooled(archive, row).await?
        } else {
            let permit = self.members.take(row.length).await;
            let bytes = archive.read(row.offset..row.offset + row.length).await;
            bytes.map(|bytes| paid(bytes, permit))
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(unreadable(SourceError::Store(error)))),
        };
        self.progress.bytes.fetch_add(row.length, Relaxed);
        let crc32c = crc32c::crc32c(&bytes);
        if bytes.len() as u64 == row.length && row.crc32c.is_none_or(|told| told == crc32c) {
            return Ok(Ok(bytes));
        }
        let detail = format!(
            "expected {} bytes with the CRC-32C that the catalogue tells, got {} with another",
            row.length,
            bytes.len()
        );
        Ok(Err(Rejection::new(Reason::ArchiveUnreadable, detail)))
    }

    /// Reads a half that memory does not hold to a file.
    async fn spooled(
        &self,
        archive: &Object,
        row: &Row,
    ) -> Result<Result<Bytes, dcmjoin_objects::Error>, RunError> {
        let mut spool = self.members.spool()?;
        for part in self.reading.parts(&(row.offset..row.offset + row.length)) {
            let permit = self.reading.ranges.take(part.end - part.start).await;
            match archive.read(part).await {
                Ok(bytes) => spool.append(&bytes)?,
                Err(error) => return Ok(Err(error)),
            }
            drop(permit);
        }
        Ok(Ok(spool.into_bytes()?))
    }

    /// Lists what an earlier run published, or rejected for good, as this run's.
    fn recall_instance(
        &self,
        row: &Row,
        uid: &SopInstanceUid,
        origin: Origin,
        lies: Lies,
    ) -> Result<Outcome, RunError> {
        if let Some(file) = file_of(row) {
            self.in_output(&file, &row.warnings)?;
            return Ok(Outcome::AlreadyThere);
        }
        let unknown = || Rejection::new(Reason::PayloadUnrecognised, "no reason in the catalogue");
        let rejection = rejection_of(row).unwrap_or_else(unknown);
        self.reject(uid.clone(), origin, Some(lies), rejection)?;
        Ok(Outcome::Rejected)
    }

    /// Keeps in mind a file in a shard whose instance is listed elsewhere.
    fn recall_copy(&self, row: &Row, archive: u32) -> Result<Outcome, RunError> {
        match file_of(row).filter(|file| file.offset.is_some()) {
            None => Ok(Outcome::Open),
            Some(file) => {
                self.rows.copies.push(&CopyRow { image: (archive, row.offset), file })?;
                Ok(Outcome::CopyThere)
            }
        }
    }
}

impl Stream {
    /// Takes a known archive's images as its rows tell of them. Those that have a header, and no
    /// outcome that holds, are left for later: another archive may hold the one that was published.
    /// Of a campaign with raw objects, the archive's file comes to tell what its pairs came to.
    pub(super) fn recall(&self, number: u32, known: &Known) -> Result<Option<Finished>, RunError> {
        let run = &self.run;
        let mut notes = run.recall_notes(Half::Image, number, known)?;
        if self.pair_rows.is_some() {
            notes.draft = run.draft(Half::Image, number, known.is_compressed())?;
        }
        let (mut is_late, mut is_told) = (false, false);
        for row in known.reader.rows() {
            run.check_stop()?;
            let row = row?;
            let lies = lies_of_row(run, Half::Image, number, &row);
            match run.recalled(&row) {
                Recalled::NotWanted => notes.account.ignored.not_wanted += 1,
                Recalled::Rejected(rejection) => {
                    run.recall_rejected(&mut notes, lies, row, rejection)?;
                }
                Recalled::Half(uid) => {
                    let mut row = row;
                    let before = row.state;
                    is_late |= !self.recall_image(number, known, &mut row, &uid, lies)?;
                    is_told |= row.state != before;
                    notes.draft.as_ref().map_or(Ok(()), |draft| draft.push(row))?;
                }
            }
        }
        if !is_told {
            notes.draft = None;
        }
        let finished = notes.finish(run)?;
        if is_late {
            self.late.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        Ok(finished)
    }

    /// Accounts for an image as its row says; false where it is left for later.
    fn recall_image(
        &self,
        archive: u32,
        known: &Known,
        row: &mut Row,
        uid: &SopInstanceUid,
        lies: Lies,
    ) -> Result<bool, RunError> {
        let mut fact = fact_of(uid, row, archive);
        let Some(header) = self.headers.look(uid)? else {
            fact.place = Record::image(uid.clone()).append(&self.headers.store)?.0.0;
            self.run.progress.unpaired.fetch_add(1, Relaxed);
            self.facts.push(&fact)?;
            return Ok(true);
        };
        fact.place = self.headers.index.place(header.slot)?.0;
        if is_open(known, row, header.origin) {
            let Some(ended) = self.told(known, row, uid, header.origin)? else { return Ok(false) };
            if !self.headers.index.claim(header.slot) {
                return Ok(false);
            }
            ended.note(row, header.origin.digest);
            fact.outcome = self.run.recall_instance(row, uid, header.origin, lies)?;
            self.facts.push(&fact)?;
            return Ok(true);
        }
        fact.outcome = match self.headers.index.claim(header.slot) {
            true => self.run.recall_instance(row, uid, header.origin, lies)?,
            false => self.run.recall_copy(row, archive)?,
        };
        self.facts.push(&fact)?;
        Ok(true)
    }
}

impl Stream {
    /// Returns what an image of raw objects came to with its header.
    fn told(
        &self,
        known: &Known,
        row: &Row,
        uid: &SopInstanceUid,
        header: Origin,
    ) -> Result<Option<Ended>, RunError> {
        let (Some(rows), Some(image)) = (&self.pair_rows, row.digest) else { return Ok(None) };
        if !known.holds() {
            return Ok(None);
        }
        Ok(rows.find(uid, header.digest, image)?.map(Ended::from))
    }
}

/// Returns whether nothing that holds for this run is known of what an image came to with its
/// header.
pub(super) fn is_open(known: &Known, row: &Row, header: Origin) -> bool {
    !is_settled(known, row) || row.header_digest != Some(header.digest)
}

/// Returns whether a row tells what its instance came to, as far as the row alone says.
fn is_settled(known: &Known, row: &Row) -> bool {
    // What stood in the output's place may be gone.
    let stood = matches!(row.reason, Some(Reason::OutputExists | Reason::OutputDiffers));
    let is_whole = match row.state {
        State::Open => false,
        State::Published => row.key.is_some() && row.bytes.is_some() && row.crc32.is_some(),
        State::Rejected => row.reason.is_some(),
    };
    known.holds() && is_whole && !stood
}

/// Returns the published file that a row tells of.
fn file_of(row: &Row) -> Option<PublishedRow> {
    Some(PublishedRow {
        key: row.key.clone()?,
        offset: row.key_offset,
        bytes: row.bytes?,
        crc32: format!("{:08x}", row.crc32?),
        uid: row.key_offset.and(row.uid.clone()),
    })
}

/// Returns the fact of a row.
pub(super) fn fact_of(uid: &SopInstanceUid, row: &Row, archive: u32) -> Fact {
    Fact {
        fingerprint: Fingerprint::of(uid),
        digest: row.digest.unwrap_or_default(),
        archive,
        offset: row.offset,
        length: row.length,
        place: 0,
        outcome: Outcome::Open,
    }
}

/// Returns where a row's half lies.
pub(super) fn place_of(row: &Row) -> Place {
    let range = ByteRange { start: row.offset, end: row.offset + row.length };
    Place { name: row.member.clone().unwrap_or_default(), range }
}

fn rejection_of(row: &Row) -> Option<Rejection> {
    let reason = row.reason?;
    Some(Rejection::new(reason, row.detail.clone().unwrap_or_default()))
}

fn is_wanted(only: Option<&HashSet<SopInstanceUid>>, uid: &SopInstanceUid) -> bool {
    only.is_none_or(|only| only.contains(uid))
}

/// Returns where a row's half lies, for people.
pub(super) fn lies_of_row(run: &Run, half: Half, archive: u32, row: &Row) -> Lies {
    Lies {
        archive: run.archives(half).url(archive),
        member: None,
        offset: row.offset,
        length: row.length,
    }
}
