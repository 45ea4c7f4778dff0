//! Images of known archives that can be published only now: their header came after them, or
//! `--only` asks for them from another output's catalogue.
//!
//! They are read each by a range of its own, or, where that costs more or the archive is
//! compressed, by one more pass over it that looks at nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dcmjoin_catalog::Row;
use dcmjoin_model::{Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;

use super::images::{Images, Pass};
use super::notes::Notes;
use super::recall::{Missing, Recalled, fact_of, is_open, place_of};
use super::stream::{Image, Stream};
use crate::catalog::{Finished, Known};
use crate::error::RunError;
use crate::scan::{Found, Scan};

/// What a late image needs.
enum Late {
    /// Nothing: it was accounted for.
    No,
    /// Its place among the facts: another image of its instance came first.
    Fact,
    /// Its bytes.
    Bytes(SopInstanceUid),
}

impl Stream {
    /// Looks again at a known archive some of whose images were left.
    pub(super) async fn late(
        self: &Arc<Self>,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        let gone = || RunError::Internal("a known archive is no longer known".to_owned());
        let known =
            self.run.recall_archive(Half::Image, number, archive).await?.ok_or_else(gone)?;
        let mut missing = Missing::default();
        for row in known.reader.rows() {
            let row = row?;
            if let Late::Bytes(_) = self.needs(&known, &row)? {
                missing.add(&row);
            }
        }
        let mut notes = match self.run.writes_catalog() && !missing.is_none() {
            true => Notes::begin(&self.run, Half::Image, number, known.is_compressed())?,
            false => Notes::without_draft(Half::Image, number),
        };
        notes.account = known.account.clone();
        match self.run.selects(&known, missing) {
            true => self.select(&mut notes, number, archive, &known).await?,
            false => self.pass_over(&mut notes, number, archive, &known).await?,
        }
        notes.into_finished()
    }

    fn needs(&self, known: &Known, row: &Row) -> Result<Late, RunError> {
        let Recalled::Half(uid) = self.run.recalled(row) else { return Ok(Late::No) };
        let Some(header) = self.headers.look(&uid)? else { return Ok(Late::No) };
        // A shard has all images of its archive.
        let is_claimed = self.headers.index.is_claimed(header.slot) && !self.run.in_shards();
        Ok(match (is_open(known, row, header.origin), is_claimed) {
            (false, _) => Late::No,
            (true, true) => Late::Fact,
            (true, false) => Late::Bytes(uid),
        })
    }

    /// Reads each late image by its range.
    async fn select(
        self: &Arc<Self>,
        notes: &mut Notes,
        number: u32,
        archive: &Object,
        known: &Known,
    ) -> Result<(), RunError> {
        let mut images = Images::of(self, notes, Pass::Late);
        for row in known.reader.rows() {
            let row = row?;
            let Some(uid) = self.settle_without_bytes(notes, number, known, &row)? else {
                continue;
            };
            match images.meanwhile(self.run.read_half(archive, &row)).await?? {
                Ok(bytes) => {
                    let image = Image { archive: number, uid, member: place_of(&row), bytes };
                    images.add(image).await?;
                }
                Err(rejection) => notes.lost(&self.run, &row, uid, rejection)?,
            }
        }
        images.join().await
    }

    /// Reads the archive from its first byte to its last, for the late images alone.
    async fn pass_over(
        self: &Arc<Self>,
        notes: &mut Notes,
        number: u32,
        archive: &Object,
        known: &Known,
    ) -> Result<(), RunError> {
        let mut late = HashMap::new();
        for row in known.reader.rows() {
            let row = row?;
            if let Some(uid) = self.settle_without_bytes(notes, number, known, &row)? {
                late.insert(row.offset, (uid, row));
            }
        }
        let only: HashSet<_> = late.values().map(|(uid, _)| uid.clone()).collect();
        let scan = Scan { only: Some(&only), ..self.run.scan(Half::Image) };
        let mut images = Images::of(self, notes, Pass::Late);
        let mut scanner = scan.open(archive).await;
        while let Some(found) = images.meanwhile(scanner.next()).await? {
            self.run.check_stop()?;
            if let Found::Half { uid, member, bytes } = found
                && late.remove(&member.range.start).is_some()
            {
                let image = Image { archive: number, uid, member, bytes };
                images.add(image).await?;
            }
        }
        for (uid, row) in late.into_values() {
            let detail = "expected a member that the catalogue tells of, got none";
            let rejection = Rejection::new(Reason::ArchiveUnreadable, detail);
            notes.lost(&self.run, &row, uid, rejection)?;
        }
        images.join().await
    }

    /// Keeps a row as it is and returns `None`, or returns the instance whose bytes are needed.
    fn settle_without_bytes(
        &self,
        notes: &mut Notes,
        archive: u32,
        known: &Known,
        row: &Row,
    ) -> Result<Option<SopInstanceUid>, RunError> {
        match self.needs(known, row)? {
            Late::Bytes(uid) => return Ok(Some(uid)),
            Late::No => {}
            Late::Fact => {
                if let Some(uid) = &row.uid
                    && let Some(header) = self.headers.look(uid)?
                {
                    let mut fact = fact_of(uid, row, archive);
                    fact.place = self.headers.index.place(header.slot)?.0;
                    self.facts.push(&fact)?;
                }
            }
        }
        notes.draft.as_ref().map_or(Ok(()), |draft| draft.push(row.clone()))?;
        Ok(None)
    }
}
