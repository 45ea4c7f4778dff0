//! Archives that the catalogue knows: what their rows say stands, and only what is missing of them
//! is read, each half by a range of its own.
//!
//! Missing is a header or an image that `--only` asks for, and an image whose header came after
//! it. Where reading these costs more than reading the archive, or the archive is compressed, the
//! archive is scanned as if it were not known.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_index::{Fact, Fingerprint, Outcome};
use dcmjoin_model::{ByteRange, Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;

use super::Run;
use super::notes::Notes;
use crate::budget::paid;
use crate::catalog::{Account, Known};
use crate::error::RunError;
use crate::pair::{Headers, Paired};
use crate::rows::{Lies, PublishedRow};
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
        is_written: bool,
    ) -> Result<Notes, RunError> {
        let mut notes = match is_written {
            true => Notes::begin(self, half, archive, known.is_compressed())?,
            false => Notes::without_draft(half, archive),
        };
        let Account { members, ignored, broken, .. } = &known.account;
        notes.account = Account { members: *members, ignored: *ignored, ..Account::default() };
        if let Some(broken) = broken {
            self.note_broken(half, archive, broken)?;
            notes.account.broken = Some(broken.clone());
        }
        self.tallies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).archives.known += 1;
        Ok(notes)
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
        let permit = self.members.take(row.length).await;
        let bytes = match archive.read(row.offset..row.offset + row.length).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(unreadable(SourceError::Store(error)))),
        };
        self.progress.bytes.fetch_add(row.length, Relaxed);
        let crc32c = crc32c::crc32c(&bytes);
        if bytes.len() as u64 == row.length && row.crc32c.is_none_or(|told| told == crc32c) {
            return Ok(Ok(paid(bytes, permit)));
        }
        let detail = format!(
            "expected {} bytes with the CRC-32C that the catalogue tells, got {} with another",
            row.length,
            bytes.len()
        );
        Ok(Err(Rejection::new(Reason::ArchiveUnreadable, detail)))
    }

    /// Lists what an earlier run published, or rejected for good, as this run's.
    pub(super) fn recall_instance(
        &self,
        row: &Row,
        paired: &Paired,
        lies: Lies,
    ) -> Result<Outcome, RunError> {
        if let (Some(key), Some(bytes), Some(crc32)) = (&row.key, row.bytes, row.crc32) {
            let crc32 = format!("{crc32:08x}");
            self.in_output(&PublishedRow { key: key.clone(), bytes, crc32 }, &row.warnings)?;
            return Ok(Outcome::AlreadyThere);
        }
        let unknown = || Rejection::new(Reason::PayloadUnrecognised, "no reason in the catalogue");
        let rejection = rejection_of(row).unwrap_or_else(unknown);
        self.progress.rejected.fetch_add(1, Relaxed);
        self.rows.rejected.push(&self.rejected_instance(paired, Some(lies), rejection))?;
        Ok(Outcome::Rejected)
    }
}

/// Returns whether a row tells what its instance came to, as far as the row alone says.
pub(super) fn is_settled(known: &Known, row: &Row) -> bool {
    // What stood in the output's place may be gone.
    let stood = matches!(row.reason, Some(Reason::OutputExists | Reason::OutputDiffers));
    let is_whole = match row.state {
        State::Open => false,
        State::Published => row.key.is_some() && row.bytes.is_some() && row.crc32.is_some(),
        State::Rejected => row.reason.is_some(),
    };
    known.holds() && is_whole && !stood
}

/// Returns whether an image has a header, which nobody has claimed yet.
pub(super) fn is_claimable(headers: &Headers, uid: &SopInstanceUid) -> Result<bool, RunError> {
    let paired = headers.find(uid)?;
    Ok(paired.is_some_and(|paired| !headers.index.is_claimed(paired.slot)))
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
        archive: Arc::clone(run.archives(half)[archive as usize].url()),
        member: None,
        offset: row.offset,
        length: row.length,
    }
}
