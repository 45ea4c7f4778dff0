//! Reads the metadata side: every header is checked, transcoded and stored; then the facts are
//! merged, and the index is sealed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dcmjoin_formats::compressed;
use dcmjoin_formats::header::{HeaderOptions, Transcoder};
use dcmjoin_index::{Fact, FactRuns, Fingerprint, HeaderPlace, HeaderStore, Outcome, digest};
use dcmjoin_model::{Half, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;

use super::{Run, SideTally};
use crate::error::RunError;
use crate::pair::Headers;
use crate::record::{Origin, Record, same_uid};
use crate::rows::{ConflictRow, Lies};
use crate::scan::{Found, Place};

/// What the merge of the metadata side counted.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
}

struct Intake {
    run: Arc<Run>,
    store: HeaderStore,
    facts: FactRuns,
}

/// Reads all metadata archives; returns their headers, ready to be paired.
pub(super) async fn read(run: &Arc<Run>) -> Result<(Arc<Headers>, Sealed), RunError> {
    let store = HeaderStore::create(run.spill.path())?;
    let intake = Arc::new(Intake { run: Arc::clone(run), store, facts: run.facts() });
    run.each_archive(Half::Metadata, |number, archive| {
        let intake = Arc::clone(&intake);
        async move { intake.archive(number, &archive).await }
    })
    .await?;
    let intake = Arc::into_inner(intake)
        .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
    tokio::task::block_in_place(|| intake.seal())
}

impl Intake {
    async fn archive(&self, number: u32, archive: &Object) -> Result<(), RunError> {
        let config = &self.run.config;
        let scan = self.run.scan(Half::Metadata);
        let options =
            HeaderOptions { limits: config.limits.header, strict_values: config.strict_values };
        let mut transcoder = Transcoder::new(options);
        let mut tally = SideTally::default();
        let mut scanner = scan.open(archive).await;
        while let Some(found) = scanner.next().await {
            self.run.check_stop()?;
            let found = match found {
                Found::Half { uid, member, bytes } => {
                    self.run.progress.bytes.fetch_add(member.range.len(), Relaxed);
                    match self.header(&mut transcoder, number, &uid, &member, bytes)? {
                        Ok(()) => {
                            tally.members += 1;
                            continue;
                        }
                        Err(rejection) => Found::Rejected { uid: Some(uid), member, rejection },
                    }
                }
                other => other,
            };
            self.run.not_a_half(Half::Metadata, number, found, &mut tally)?;
        }
        self.run.archive_done(Half::Metadata, number, &tally);
        Ok(())
    }

    /// Takes one header in, or says why it cannot be.
    fn header(
        &self,
        transcoder: &mut Transcoder,
        archive: u32,
        uid: &SopInstanceUid,
        member: &Place,
        bytes: Bytes,
    ) -> Result<Result<(), Rejection>, RunError> {
        let origin = Origin { archive, offset: member.range.start, length: member.range.len() };
        let digest = digest(&bytes);
        let bytes_max = self.run.config.limits.metadata_member_bytes_max;
        let header = compressed::plain(bytes, bytes_max)
            .and_then(|(document, _)| transcoder.transcode(&document))
            .and_then(|header| same_uid(uid, &header).map(|()| header));
        let header = match header {
            Ok(header) => header,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let place = Record::Header(Box::new(header), origin).append(&self.store)?;
        let fact = Fact {
            fingerprint: Fingerprint::of(uid),
            digest,
            archive,
            offset: origin.offset,
            length: origin.length,
            place: place.0,
            outcome: Outcome::Open,
        };
        self.facts.push(&fact)?;
        self.run.progress.headers.fetch_add(1, Relaxed);
        Ok(Ok(()))
    }

    /// Merges the facts: of each UID one header goes to the index, the one with the smallest
    /// digest. That rule knows neither the order of archives nor their names.
    fn seal(self) -> Result<(Arc<Headers>, Sealed), RunError> {
        let Self { run, store, facts } = self;
        let mut builder = run.index_for(facts.len())?;
        let mut groups = facts.into_groups()?;
        let (mut sealed, mut group) = (Sealed::default(), Vec::new());
        while groups.next_group(&mut group)? {
            sealed.duplicates += groups.omitted();
            for same in by_uid(&store, &group)? {
                let kept = same[0];
                builder.push(kept.fingerprint, HeaderPlace(kept.place))?;
                sealed.duplicates += same.len() as u64 - 1;
                if let Some(row) = conflict_row(&run, &store, Half::Metadata, &same, &kept)? {
                    sealed.conflicts += 1;
                    run.rows.conflicts.push(&row)?;
                }
            }
        }
        Ok((Arc::new(Headers { index: builder.seal()?, store }), sealed))
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
        let uid = Record::read(store, HeaderPlace(fact.place))?.uid().clone();
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
    let uid = Record::read(store, HeaderPlace(kept.place))?.uid().clone();
    let others = same.iter().filter(|fact| fact.digest != kept.digest);
    let dropped = others.map(|fact| lies_of(run, half, fact)).collect();
    Ok(Some(ConflictRow { half, uid, kept: lies_of(run, half, kept), dropped }))
}

/// Returns where a fact's half lies; its name is not kept.
pub(super) fn lies_of(run: &Run, half: Half, fact: &Fact) -> Lies {
    let archive = Arc::clone(run.archives(half)[fact.archive as usize].url());
    Lies { archive, member: None, offset: fact.offset, length: fact.length }
}
