//! The UIDs of the images' side, read before the headers where that side is the smaller one.
//!
//! Nothing is paired or published here. An archive that the catalogue knows is not read; one on a store
//! is copied to a file of the spill folder and read from there ever after, so that it is fetched once.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use dcmjoin_index::{
    Fact, FactRuns, Fingerprint, HeaderPlace, Outcome, PairingIndex, PairingIndexBuilder,
};
use dcmjoin_model::{Half, Reason, SopInstanceUid};
use dcmjoin_objects::Object;
use futures::StreamExt;

use super::{INDEX_SHARE, Part, Run, memory_bytes};
use crate::error::RunError;
use crate::progress::Phase;
use crate::scan::{Found, Scan};
use crate::source::Reading;

/// Their index in memory, as a share of the budget: half of that of headers, since both are there.
const UIDS_SHARE: u64 = 2 * INDEX_SHARE;

/// The UIDs that images may ask a header of.
#[derive(Debug)]
pub(super) struct ImageUids(PairingIndex);

/// UIDs on their way.
struct Gathering {
    run: Arc<Run>,
    facts: FactRuns,
    copies: Copies,
    /// Whether an archive did not give all of its UIDs.
    is_incomplete: AtomicBool,
}

/// Copies of archives, one after the other in one file without a name.
struct Copies {
    file: Arc<File>,
    end: AtomicU64,
}

impl ImageUids {
    /// Reads the UIDs of the image archives, unless the metadata side comes first. Where an archive does
    /// not give all of them, none are kept: any header may be asked for then.
    pub(super) async fn gather(run: &Arc<Run>) -> Result<(), RunError> {
        if !run.reads_images_first() {
            return Ok(());
        }
        let gathering = Arc::new(Gathering {
            run: Arc::clone(run),
            facts: run.facts(),
            copies: Copies::create(run.spill.path())?,
            is_incomplete: AtomicBool::new(false),
        });
        run.each_archive(Phase::Uids, run.order(Half::Image), |number, archive| {
            let gathering = Arc::clone(&gathering);
            async move {
                gathering.archive(number, archive).await?;
                Ok(None)
            }
        })
        .await?;
        let gathering = Arc::into_inner(gathering)
            .ok_or_else(|| RunError::Internal("an archive is still being read".to_owned()))?;
        if let Some(uids) = tokio::task::block_in_place(|| gathering.into_uids())? {
            let set = run.image_uids.set(uids);
            set.map_err(|_| RunError::Internal("UIDs were read twice".to_owned()))?;
        }
        Ok(())
    }
}

impl Run {
    /// Returns whether an image may have this UID. A fingerprint that another UID shares counts too: then
    /// a header is stored in vain.
    pub(super) fn has_image(&self, uid: &SopInstanceUid) -> Result<bool, RunError> {
        let Some(ImageUids(index)) = self.image_uids.get() else { return Ok(true) };
        Ok(index.probe(Fingerprint::of(uid))?.next().is_some())
    }

    /// Checks that an image without header has none because there is none: that nobody wrote another
    /// archive in the place of a local one since its UIDs were read.
    pub(super) fn check_unpaired(&self, uid: &SopInstanceUid) -> Result<(), RunError> {
        if self.has_image(uid)? { Ok(()) } else { Err(RunError::ImagesChanged) }
    }

    /// Returns whether the images' side is read before the headers. A run of some instances knows
    /// already what is asked for, and one with raw objects has other images than those of its archives.
    pub(super) fn reads_images_first(&self) -> bool {
        let bytes = |half| self.archives(half).bytes(self.order(half));
        matches!(self.part, Part::Whole | Part::Shard(_))
            && self.config.only.is_none()
            && self.raw.is_none()
            && self.config.first.is_images(bytes(Half::Metadata), bytes(Half::Image))
    }
}

impl Copies {
    fn create(spill: &Path) -> Result<Self, RunError> {
        let file = tempfile::tempfile_in(spill);
        let file = Arc::new(file.map_err(RunError::io("create", "copies of archives"))?);
        Ok(Self { file, end: AtomicU64::new(0) })
    }
}

impl Gathering {
    async fn archive(&self, number: u32, archive: Object) -> Result<(), RunError> {
        if self.recall(&archive).await? {
            self.run.progress.archive_done(archive.size());
            return Ok(());
        }
        let size = archive.size();
        let here = match archive.is_remote() {
            false => Some(archive),
            true => self.copied(archive).await?,
        };
        match here {
            None => self.is_incomplete.store(true, Relaxed),
            Some(here) => {
                self.scan(&here).await?;
                self.run.images.replace(number, here);
            }
        }
        self.run.progress.archive_done(size);
        Ok(())
    }

    /// Takes the UIDs of an archive from the catalogue; false where it does not tell them.
    async fn recall(&self, archive: &Object) -> Result<bool, RunError> {
        let known = self.run.known(Half::Image, archive).await?;
        let Some(known) = known.filter(|known| known.same_settings) else { return Ok(false) };
        for row in known.reader.rows() {
            if let Some(uid) = row?.uid {
                self.push(&uid)?;
            }
        }
        Ok(true)
    }

    /// Copies an archive to the spill folder; `None` where its store does not give all of it.
    async fn copied(&self, archive: Object) -> Result<Option<Object>, RunError> {
        let start = self.copies.end.fetch_add(archive.size(), Relaxed);
        let mut at = start;
        let mut ranges = std::pin::pin!(self.run.reading.ranges(&archive));
        while let Some(bytes) = ranges.next().await {
            self.run.check_stop()?;
            let Ok(bytes) = bytes else { return Ok(None) };
            let file = &self.copies.file;
            let written = tokio::task::block_in_place(|| file.write_all_at(&bytes, at));
            written.map_err(RunError::io("write", "a copy of an archive"))?;
            at += bytes.len() as u64;
        }
        Ok(Some(archive.with_copy(Arc::clone(&self.copies.file), start)))
    }

    /// Reads the UIDs of an archive.
    async fn scan(&self, archive: &Object) -> Result<(), RunError> {
        // Copies for good are made of what streams past to be published.
        let reading = Reading { keep: None, ..self.run.reading.clone() };
        let scan = Scan { reading: &reading, ..self.run.scan(Half::Image) };
        let mut scanner = scan.open(archive).await;
        while let Some(found) = scanner.next().await {
            self.run.check_stop()?;
            match found {
                Found::Half { uid, .. } => self.push(&uid)?,
                // Damage is in the bytes: another reading finds no more.
                Found::Broken(rejection) if rejection.reason != Reason::ArchiveDamaged => {
                    self.is_incomplete.store(true, Relaxed);
                }
                Found::Broken(_) | Found::Rejected { .. } | Found::Ignored(_) => {}
            }
        }
        Ok(())
    }

    fn push(&self, uid: &SopInstanceUid) -> Result<(), RunError> {
        let fingerprint = Fingerprint::of(uid);
        Ok(self.facts.push(&Fact {
            fingerprint,
            digest: 0,
            archive: 0,
            offset: 0,
            length: 0,
            place: 0,
            outcome: Outcome::Open,
        })?)
    }

    fn into_uids(self) -> Result<Option<ImageUids>, RunError> {
        if self.is_incomplete.into_inner() {
            tracing::warn!("an image archive cannot be read to its end; all headers are stored");
            return Ok(None);
        }
        let bytes_max = memory_bytes(&self.run.config) / UIDS_SHARE;
        let spill = self.run.spill.path();
        let mut builder = PairingIndexBuilder::new(spill, bytes_max, self.facts.len())?;
        let (mut groups, mut group) = (self.facts.into_groups()?, Vec::new());
        while groups.next_group(&mut group)? {
            if let Some(first) = group.first() {
                builder.push(first.fingerprint, HeaderPlace(0))?;
            }
        }
        Ok(Some(ImageUids(builder.seal()?)))
    }
}
