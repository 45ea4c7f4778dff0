//! Reads the metadata side: every header is checked, transcoded and stored; then the facts are
//! merged, and the index is sealed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_formats::compressed;
use dcmjoin_formats::header::{Header, HeaderOptions, Transcoder};
use dcmjoin_index::{
    Fact, FactRuns, Fingerprint, Frame, HeaderPlace, HeaderStore, Learnt, Outcome, digest,
};
use dcmjoin_model::{Half, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;

use super::Run;
use super::image_uids::ImageUids;
use super::notes::Notes;
use super::raw::Members;
use super::recall::{Missing, Recalled, lies_of_row, place_of};
use super::stream::row_of;
use crate::assemble::is_header_only;
use crate::catalog::{Finished, Known};
use crate::error::RunError;
use crate::header_pack;
use crate::pair::Headers;
use crate::progress::Phase;
use crate::record::{Head, Origin, Record, same_uid};
use crate::rows::{ConflictRow, Lies};
use crate::scan::{Found, Place};

/// What the merge of the metadata side counted.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    /// Headers that no image asks for, and that are no instance by themselves.
    pub(super) unpaired: u64,
}

pub(super) struct Intake {
    run: Arc<Run>,
    store: HeaderStore,
    facts: FactRuns,
}

/// A header that was stored.
struct Stored {
    fact: Fact,
    crc32c: u32,
    frame: Frame,
}

/// Reads all metadata archives; returns their headers, ready to be paired.
pub(super) async fn read(run: &Arc<Run>) -> Result<(Arc<Headers>, Sealed), RunError> {
    ImageUids::gather(run).await?;
    let intake = Intake::begin(run)?;
    run.each_archive(Phase::Metadata, run.order(Half::Metadata), |number, archive| {
        let intake = Arc::clone(&intake);
        async move { intake.archive(number, &archive).await }
    })
    .await?;
    Intake::seal(intake)
}

impl Intake {
    pub(super) fn begin(run: &Arc<Run>) -> Result<Arc<Self>, RunError> {
        let store = HeaderStore::create(run.spill.path())?;
        Ok(Arc::new(Self { run: Arc::clone(run), store, facts: run.facts() }))
    }

    /// Merges the facts and seals the index; nobody may be reading an archive any more.
    pub(super) fn seal(intake: Arc<Self>) -> Result<(Arc<Headers>, Sealed), RunError> {
        let intake = Arc::into_inner(intake)
            .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
        tokio::task::block_in_place(|| intake.merge())
    }

    pub(super) async fn archive(
        &self,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        let run = &self.run;
        if let Some(known) = run.recall_archive(Half::Metadata, number, archive).await? {
            let is_taken = match run.config.only {
                None => self.unpack(number, &known).await?,
                Some(_) => self.select(number, archive, &known).await?,
            };
            if is_taken {
                return Ok(None);
            }
        }
        self.scan(number, archive).await
    }

    pub(super) async fn scan(
        &self,
        number: u32,
        archive: &Object,
    ) -> Result<Option<Finished>, RunError> {
        let scan = self.run.scan(Half::Metadata);
        let mut transcoder = self.run.transcoder();

        let mut scanner = scan.open(archive).await;
        let mut notes = Notes::begin(&self.run, Half::Metadata, number, scanner.is_compressed())?;
        let mut members = Members::of(&self.run);
        while let Some(found) = members.meanwhile(scanner.next()).await? {
            self.run.check_stop()?;
            let found = match found {
                Found::Half { uid, member, bytes } => {
                    self.run.progress.bytes.fetch_add(member.range.len(), Relaxed);
                    let raw = self.run.copies().map(|_| bytes.clone());
                    match self.header(&mut transcoder, number, &uid, &member, bytes)? {
                        Ok(Stored { fact, crc32c, frame }) => {
                            if let Some(bytes) = raw {
                                members.add((uid.clone(), fact.digest, bytes)).await?;
                            }
                            notes.account.members += 1;
                            self.take(&fact)?;
                            if let Some(draft) = &notes.draft {
                                draft.header(&self.store, &frame)?;
                                draft.push(row_of(&uid, &fact, crc32c))?;
                            }
                            continue;
                        }
                        Err(rejection) => {
                            if let Some(bytes) = raw {
                                members.add((uid.clone(), digest(&bytes), bytes)).await?;
                            }
                            Found::Rejected { uid: Some(uid), member, rejection }
                        }
                    }
                }
                other => other,
            };
            notes.not_a_half(&self.run, found)?;
        }
        members.join().await?;
        notes.finish(&self.run)
    }

    /// Takes the headers of a known archive from its pack; false where there is none.
    async fn unpack(&self, number: u32, known: &Known) -> Result<bool, RunError> {
        let Some(catalog) = self.run.catalog.as_ref().filter(|_| known.same_settings) else {
            return Ok(false);
        };
        let Some(pack) = catalog.pack(known).await? else { return Ok(false) };
        let taken = tokio::task::block_in_place(|| {
            header_pack::unpack(
                pack,
                known.pack_of(),
                number,
                &self.store,
                |head, frame, learnt| {
                    self.run.check_stop()?;
                    let (uid, origin) = (head.uid.clone(), head.origin);
                    let place = self.unpacked(head, frame, learnt)?;
                    self.take(&fact_at(&uid, origin, place))
                },
            )
        });
        match taken {
            Ok(()) => {}
            Err(RunError::Invalid { .. }) => {
                tracing::warn!("a header pack is damaged; its archive is read again");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let run = &self.run;
        let mut notes = run.recall_notes(Half::Metadata, number, known)?;
        for row in known.reader.rows() {
            let row = row?;
            if let Recalled::Rejected(rejection) = run.recalled(&row) {
                let lies = lies_of_row(run, Half::Metadata, number, &row);
                run.recall_rejected(&mut notes, lies, row, rejection)?;
            }
        }
        notes.finish(run)?;
        Ok(true)
    }

    /// Reads only the wanted headers of a known archive; false where it is better read as a whole.
    async fn select(&self, number: u32, archive: &Object, known: &Known) -> Result<bool, RunError> {
        let run = &self.run;
        let mut missing = Missing::default();
        for row in known.reader.rows() {
            let row = row?;
            match run.recalled(&row) {
                Recalled::Rejected(_) if !known.same_settings => return Ok(false),
                Recalled::Half(_) => missing.add(&row),
                _ => {}
            }
        }
        if !run.selects(known, missing) {
            return Ok(false);
        }
        let mut notes = run.recall_notes(Half::Metadata, number, known)?;
        let mut transcoder = self.run.transcoder();
        for row in known.reader.rows() {
            let row = row?;
            let lies = lies_of_row(run, Half::Metadata, number, &row);
            match run.recalled(&row) {
                Recalled::NotWanted => notes.account.ignored.not_wanted += 1,
                Recalled::Rejected(rejection) => {
                    run.recall_rejected(&mut notes, lies, row, rejection)?;
                }
                Recalled::Half(uid) => match run.read_half(archive, &row).await? {
                    Err(rejection) => notes.lost(run, &row, uid, rejection)?,
                    Ok(bytes) => {
                        let member = place_of(&row);
                        match self.header(&mut transcoder, number, &uid, &member, bytes)? {
                            Ok(stored) => self.take(&stored.fact)?,
                            Err(rejection) => notes.reject(run, Some(uid), lies, rejection)?,
                        }
                    }
                },
            }
        }
        notes.finish(run)?;
        Ok(true)
    }

    /// Stores one header, or says why it cannot be.
    fn header(
        &self,
        transcoder: &mut Transcoder,
        archive: u32,
        uid: &SopInstanceUid,
        member: &Place,
        bytes: Bytes,
    ) -> Result<Result<Stored, Rejection>, RunError> {
        let origin = Origin {
            archive,
            offset: member.range.start,
            length: member.range.len(),
            digest: digest(&bytes),
        };
        let crc32c = crc32c::crc32c(&bytes);
        let bytes_max = self.run.config.limits.metadata_member_bytes_max;
        let header = match transcoded(transcoder, uid, bytes, bytes_max) {
            Ok(header) => header,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let is_whole = self.run.has_image(uid)? || is_header_only(&header);
        let record = Record::Header(Box::new(header), origin);
        let (place, frame) = if is_whole {
            record.append(&self.store)?
        } else {
            // A pack has all headers: a run to come may ask for others.
            let bare = Record::Bare(Head { uid: uid.clone(), origin });
            (bare.append(&self.store)?.0, record.frame(&self.store)?)
        };
        Ok(Ok(Stored { fact: fact_at(uid, origin, place), crc32c, frame }))
    }

    /// Stores a header of a pack.
    fn unpacked(
        &self,
        head: Head,
        frame: &Frame,
        learnt: &Learnt,
    ) -> Result<HeaderPlace, RunError> {
        let is_whole = self.run.has_image(&head.uid)?
            || match Record::of_frame(&self.store, frame, learnt)? {
                Record::Header(header, _) => is_header_only(&header),
                Record::Bare(_) => false,
            };
        match is_whole {
            true => Ok(self.store.append_frame(frame, learnt)?),
            false => Ok(Record::Bare(head).append(&self.store)?.0),
        }
    }

    fn take(&self, fact: &Fact) -> Result<(), RunError> {
        self.facts.push(fact)?;
        self.run.progress.headers.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Merges the facts: of each UID one header goes to the index, the one with the smallest
    /// digest. That rule knows neither the order of archives nor their names.
    fn merge(self) -> Result<(Arc<Headers>, Sealed), RunError> {
        let Self { run, store, facts } = self;
        let may_be_bare = run.image_uids.get().is_some();
        let mut builder = run.index_for(facts.len())?;
        let mut groups = facts.into_groups()?;
        let (mut sealed, mut group, mut all) = (Sealed::default(), Vec::new(), 0_u128);
        while groups.next_group(&mut group)? {
            sealed.duplicates += groups.omitted();
            for same in by_uid(&store, &group)? {
                let kept = same[0];
                let place = HeaderPlace(kept.place);
                match if may_be_bare { Head::read_bare(&store, place)? } else { None } {
                    None => builder.push(kept.fingerprint, place)?,
                    Some(head) => {
                        let lies = run.lies_of_header(head.origin);
                        let archive = head.origin.archive;
                        run.unpaired(Half::Metadata, head.uid, lies, archive)?;
                        sealed.unpaired += 1;
                    }
                }
                all = all.wrapping_add(kept.digest ^ kept.fingerprint.0);
                sealed.duplicates += same.len() as u64 - 1;
                if let Some(row) = conflict_row(&run, &store, Half::Metadata, &same, &kept)? {
                    sealed.conflicts += 1;
                    run.rows.conflicts.push(&row)?;
                }
            }
        }
        Ok((Arc::new(Headers { index: builder.seal()?, store, digest: all }), sealed))
    }
}

impl Run {
    pub(super) fn transcoder(&self) -> Transcoder {
        Transcoder::new(HeaderOptions {
            limits: self.config.limits.header,
            strict_values: self.config.strict_values,
        })
    }
}

/// Returns the header of a member's bytes.
pub(super) fn transcoded(
    transcoder: &mut Transcoder,
    uid: &SopInstanceUid,
    bytes: Bytes,
    bytes_max: u64,
) -> Result<Header, Rejection> {
    compressed::plain(bytes, bytes_max)
        .and_then(|(document, _)| transcoder.transcode(&document))
        .and_then(|header| same_uid(uid, &header).map(|()| header))
}

fn fact_at(uid: &SopInstanceUid, origin: Origin, place: HeaderPlace) -> Fact {
    Fact {
        fingerprint: Fingerprint::of(uid),
        digest: origin.digest,
        archive: origin.archive,
        offset: origin.offset,
        length: origin.length,
        place: place.0,
        outcome: Outcome::Open,
    }
}

/// Parts the facts of one fingerprint by UID; each part keeps the order of the facts.
pub(super) fn by_uid(store: &HeaderStore, group: &[Fact]) -> Result<Vec<Vec<Fact>>, RunError> {
    if let [only] = group {
        return Ok(vec![vec![*only]]);
    }
    let mut parts: Vec<(SopInstanceUid, Vec<Fact>)> = Vec::new();
    let mut known: Option<(u64, usize)> = None;
    for &fact in group {
        // Images of one header share its place: no need to read it again.
        if let Some((place, part)) = known
            && place == fact.place
        {
            parts[part].1.push(fact);
            continue;
        }
        let uid = Head::read(store, HeaderPlace(fact.place))?.uid;
        let part = parts.iter().position(|(other, _)| *other == uid).unwrap_or(parts.len());
        match parts.get_mut(part) {
            Some((_, facts)) => facts.push(fact),
            None => parts.push((uid, vec![fact])),
        }
        known = Some((fact.place, part));
    }
    Ok(parts.into_iter().map(|(_, facts)| facts).collect())
}

/// Returns the row of a conflict, or `None` where all halves have the same bytes.
pub(super) fn conflict_row(
    run: &Run,
    store: &HeaderStore,
    half: Half,
    same: &[Fact],
    kept: &Fact,
) -> Result<Option<ConflictRow>, RunError> {
    if same.iter().all(|fact| fact.digest == kept.digest) {
        return Ok(None);
    }
    let uid = Head::read(store, HeaderPlace(kept.place))?.uid;
    let others = same.iter().filter(|fact| fact.digest != kept.digest);
    let dropped = others.map(|fact| lies_of(run, half, fact)).collect();
    Ok(Some(ConflictRow { half, uid, kept: lies_of(run, half, kept), dropped }))
}

/// Returns where a fact's half lies; its name is not kept.
pub(super) fn lies_of(run: &Run, half: Half, fact: &Fact) -> Lies {
    let archive = run.archives(half).url(fact.archive);
    Lies { archive, member: None, offset: fact.offset, length: fact.length }
}
