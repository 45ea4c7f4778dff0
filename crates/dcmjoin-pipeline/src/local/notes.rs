//! What one archive comes to while it is read: its account, and its file for the catalogue.

use std::sync::{Arc, PoisonError};

use dcmjoin_catalog::{Row, State};
use dcmjoin_model::{Half, Reason, Rejection, SopInstanceUid};

use super::Run;
use crate::catalog::{Account, Draft, Finished};
use crate::error::RunError;
use crate::rows::{Lies, RejectedRow, Scope};
use crate::scan::{Found, Ignorance, Place};

/// The notes on one archive.
pub(super) struct Notes {
    half: Half,
    pub(super) archive: u32,
    pub(super) account: Account,
    /// None where the run writes no catalogue.
    pub(super) draft: Option<Arc<Draft>>,
    unreadable: bool,
}

impl Notes {
    /// Begins the notes on an archive that is to be read.
    pub(super) fn begin(
        run: &Run,
        half: Half,
        archive: u32,
        is_compressed: bool,
    ) -> Result<Self, RunError> {
        let draft = run.draft(half, archive, is_compressed)?;
        let mut notes = Self { draft, ..Self::without_draft(half, archive) };
        notes.account.since = Some(run.archives(half).since(archive));
        Ok(notes)
    }

    /// Begins the notes on an archive that the catalogue knows.
    pub(super) fn without_draft(half: Half, archive: u32) -> Self {
        Self { half, archive, account: Account::default(), draft: None, unreadable: false }
    }

    /// Notes what a scan finds that is not a half.
    pub(super) fn not_a_half(&mut self, run: &Run, found: Found) -> Result<(), RunError> {
        match found {
            Found::Half { .. } => Ok(()),
            Found::Ignored(why) => {
                self.account.members += 1;
                self.ignore(why);
                Ok(())
            }
            Found::Rejected { uid, member, rejection } => {
                self.account.members += 1;
                self.draft.as_ref().map_or(Ok(()), |draft| {
                    draft.push(rejected_row(uid.clone(), &member, &rejection))
                })?;
                self.reject(run, uid, run.lies(self.half, self.archive, &member), rejection)
            }
            Found::Broken(rejection) => {
                self.unreadable |= rejection.reason == Reason::ArchiveUnreadable;
                self.account.broken = Some(run.broken(self.half, self.archive, rejection)?);
                Ok(())
            }
        }
    }

    /// Notes a member that cannot be a half.
    pub(super) fn reject(
        &mut self,
        run: &Run,
        uid: Option<SopInstanceUid>,
        lies: Lies,
        rejection: Rejection,
    ) -> Result<(), RunError> {
        self.account.rejected += 1;
        run.progress.rejected.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let row = RejectedRow::of_half(self.half, self.half.into(), uid, lies, rejection);
        run.rows.rejected.push(&row)
    }

    /// Notes a half that the catalogue tells of, and that can no longer be read: the run is not
    /// committed, and the next one may find it.
    pub(super) fn lost(
        &mut self,
        run: &Run,
        row: &Row,
        uid: SopInstanceUid,
        rejection: Rejection,
    ) -> Result<(), RunError> {
        if !std::mem::replace(&mut self.unreadable, true) {
            run.broken(self.half, self.archive, rejection.clone())?;
        }
        let lies = run.lies(self.half, self.archive, &super::recall::place_of(row));
        self.reject(run, Some(uid), lies, rejection)?;
        if self.half == Half::Image {
            // The archive's account is in the run's already.
            run.tallies.lock().unwrap_or_else(PoisonError::into_inner).images.rejected += 1;
        }
        Ok(())
    }

    fn ignore(&mut self, why: Ignorance) {
        let ignored = &mut self.account.ignored;
        let part = match why {
            Ignorance::Folder => &mut ignored.folders,
            Ignorance::Link => &mut ignored.links,
            Ignorance::OtherHalf => &mut ignored.other_half,
            Ignorance::Junk => &mut ignored.junk,
            Ignorance::NotWanted => &mut ignored.not_wanted,
        };
        *part += 1;
    }

    /// Adds the account to the run's; returns the archive's file, ready to be committed. An
    /// archive that could not be read to its end is not: another run may.
    pub(super) fn finish(self, run: &Run) -> Result<Option<Finished>, RunError> {
        run.archive_done(self.half, self.archive, &self.account);
        self.into_finished()
    }

    /// Returns the file of an archive that was accounted for before.
    pub(super) fn into_finished(self) -> Result<Option<Finished>, RunError> {
        let Some(draft) = self.draft.filter(|_| !self.unreadable) else { return Ok(None) };
        let draft = Arc::into_inner(draft)
            .ok_or_else(|| RunError::Internal("a row is still being written".to_owned()))?;
        draft.finish(&self.account).map(Some)
    }
}

fn rejected_row(uid: Option<SopInstanceUid>, member: &Place, rejection: &Rejection) -> Row {
    Row {
        uid,
        length: member.range.len(),
        reason: Some(rejection.reason),
        detail: Some(rejection.detail.clone()),
        member: Some(member.name.clone()),
        ..Row::at(member.range.start, State::Rejected)
    }
}

impl Run {
    /// Begins an archive's file, where this run writes a catalogue.
    pub(super) fn draft(
        &self,
        half: Half,
        archive: u32,
        is_compressed: bool,
    ) -> Result<Option<Arc<Draft>>, RunError> {
        let Some(catalog) = self.catalog.as_ref().filter(|_| self.writes_catalog()) else {
            return Ok(None);
        };
        let object = self.archives(half).get(archive);
        Ok(Some(Arc::new(catalog.draft(half, &object, is_compressed)?)))
    }

    /// Accounts for an archive that cannot be read to its end.
    pub(super) fn broken(
        &self,
        half: Half,
        archive: u32,
        rejection: Rejection,
    ) -> Result<RejectedRow, RunError> {
        let object = self.archives(half).get(archive);
        let archive_url = Arc::clone(object.url());
        let lies = Lies { archive: archive_url, member: None, offset: 0, length: object.size() };
        let row = RejectedRow::of_half(half, Scope::Archive, None, lies, rejection);
        self.note_broken(half, archive, &row)?;
        Ok(row)
    }

    /// Counts and lists a broken archive.
    pub(super) fn note_broken(
        &self,
        half: Half,
        archive: u32,
        row: &RejectedRow,
    ) -> Result<(), RunError> {
        let reason = row.rejection.reason;
        tracing::warn!(side = half.as_str(), archive, reason = reason.code(), "archive is broken");
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Reason::ArchiveUnreadable => tallies.archives.unreadable += 1,
            _ => tallies.archives.damaged += 1,
        }
        drop(tallies);
        self.rows.rejected.push(row)
    }

    /// Adds an archive's account to its side's.
    pub(super) fn archive_done(&self, half: Half, archive: u32, account: &Account) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tallies = &mut *tallies;
        let (side, ignored) = match half {
            Half::Metadata => (&mut tallies.metadata, &mut tallies.ignored.metadata),
            Half::Image => (&mut tallies.images, &mut tallies.ignored.images),
        };
        side.archives += 1;
        side.members += account.members;
        side.rejected += account.rejected;
        side.ignored += account.ignored.total();
        ignored.add(&account.ignored);
        self.progress.archive_done(self.archives(half).get(archive).size());
        tracing::info!(side = half.as_str(), archive, members = account.members, "archive done");
    }
}
