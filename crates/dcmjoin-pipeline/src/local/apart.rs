//! Pairs of halves that lie in known places: each half is read by a range of its own, or from its raw
//! object. So what came late is published before its campaign is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_formats::header::{Header, Transcoder};
use dcmjoin_index::Outcome;
use dcmjoin_model::{Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::{Object, Stores};

use super::intake::transcoded;
use super::stream::Ended;
use super::{Part, Run};
use crate::assemble::{self, Instance};
use crate::config::RunConfig;
use crate::error::RunError;
use crate::pair::Headers;
use crate::progress::Progress;
use crate::publish::Published;
use crate::raw::PairRow;
use crate::rows::{Lies, RejectedRow, Scope};

/// Archives that are remembered, so that each is looked at once.
const ARCHIVES_MAX: usize = 4_096;

/// Publishes pairs by the places of their halves.
pub struct Apart {
    run: Run,
    stores: Arc<Stores>,
    archives: Mutex<HashMap<String, Object>>,
    /// Those that nobody uses now: a new one grows its buffers again.
    transcoders: Mutex<Vec<Transcoder>>,
}

/// Where a half lies: a plain archive, and a range of it.
#[derive(Debug, Clone, Copy)]
pub struct HalfPlace<'a> {
    /// URL of the archive.
    pub archive: &'a str,
    /// Its version; any where `None`.
    pub version: Option<&'a str>,
    /// First byte of the member.
    pub offset: u64,
    /// Bytes of the member.
    pub length: u64,
    /// CRC-32C of them, where it is known.
    pub crc32c: Option<u32>,
    /// XXH3-128 of them, where it is known: names the raw object.
    pub digest: Option<u128>,
}

/// What a pair came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assembled {
    /// It is in the output.
    Published,
    /// It stood there.
    AlreadyThere,
    /// It cannot become a file, or another object stands in its place.
    Rejected,
    /// A half cannot be read, or is another one by now.
    Unreadable,
}

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Apart")
    }
}

impl Apart {
    /// Begins with a configuration, whose sources are not looked at.
    ///
    /// # Errors
    /// [`RunError`] where the output or the spill folder cannot be used.
    pub async fn begin(
        stores: &Arc<Stores>,
        config: RunConfig,
        progress: Arc<Progress>,
    ) -> Result<Self, RunError> {
        Ok(Self::of(Run::begin(stores, config, Part::Given, progress).await?, stores))
    }

    pub(super) fn of(run: Run, stores: &Arc<Stores>) -> Self {
        Self {
            run,
            stores: Arc::clone(stores),
            archives: Mutex::default(),
            transcoders: Mutex::default(),
        }
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Reads both halves of an instance, and publishes it. A header that is among those that were scanned
    /// is taken from there.
    ///
    /// # Errors
    /// [`RunError`] where the output cannot be written.
    pub async fn publish(
        &self,
        uid: &SopInstanceUid,
        scanned: Option<&Headers>,
        metadata: &HalfPlace<'_>,
        image: &HalfPlace<'_>,
    ) -> Result<(Assembled, Option<PairRow>), RunError> {
        let ended = self.ended(uid, scanned, metadata, image).await?;
        let is_unreadable = ended.rejection.as_ref().map(|rejection| rejection.reason)
            == Some(Reason::ArchiveUnreadable);
        let assembled = match ended.outcome {
            Outcome::Published => Assembled::Published,
            Outcome::AlreadyThere => Assembled::AlreadyThere,
            _ if is_unreadable => Assembled::Unreadable,
            _ => Assembled::Rejected,
        };
        let row = match (metadata.digest, image.digest) {
            (Some(header), Some(image)) => ended.to_row(uid, header, image),
            _ => None,
        };
        if let Some(rejection) = ended.rejection {
            self.rejected(uid, metadata, image, rejection)?;
        }
        Ok((assembled, row))
    }

    /// Keeps what pairs of raw objects came to, once their instances are durable.
    ///
    /// # Errors
    /// [`RunError`] where output or raw objects cannot be written.
    pub async fn tell(&self, rows: &[PairRow]) -> Result<(), RunError> {
        let Some(copies) = self.run.raw.as_ref().filter(|_| !rows.is_empty()) else {
            return Ok(());
        };
        self.run.syncs.wait(&self.run.output).await?;
        copies.raw.tell(rows).await
    }

    /// Returns whether pairs are published on threads that may wait for a device.
    #[must_use]
    pub fn to_folder(&self) -> bool {
        self.run.output.is_folder()
    }

    /// Returns how many pairs may be published at the same time.
    #[must_use]
    pub fn publishing_max(&self) -> usize {
        self.run.config.publishing_max.max(1)
    }

    async fn ended(
        &self,
        uid: &SopInstanceUid,
        scanned: Option<&Headers>,
        metadata: &HalfPlace<'_>,
        image: &HalfPlace<'_>,
    ) -> Result<Ended, RunError> {
        let (header, instance) = match self.assembled(uid, scanned, metadata, image).await? {
            Ok(whole) => whole,
            Err(rejection) => return Ok(Ended::rejected(rejection)),
        };
        Ok(match self.run.publisher.publish(&header, &instance).await? {
            Published::Durable(outcome, row) => {
                self.run.in_output(&row, &instance.warnings)?;
                let Instance { kind, warnings, .. } = instance;
                Ended { outcome, kind, object: Some(row), rejection: None, warnings }
            }
            Published::Rejected(rejection) => Ended::rejected(rejection),
        })
    }

    /// The header is there before the payload is read: nobody waits for memory while holding some.
    async fn assembled(
        &self,
        uid: &SopInstanceUid,
        scanned: Option<&Headers>,
        metadata: &HalfPlace<'_>,
        image: &HalfPlace<'_>,
    ) -> Result<Result<(Header, Instance), Rejection>, RunError> {
        let header = match self.header(uid, scanned, metadata).await? {
            Ok(header) => header,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let payload = self.half(Half::Image, uid, image).await?;
        let limits = &self.run.config.limits.payload;
        let instance = payload.and_then(|payload| assemble::pair(&header, payload, limits));
        Ok(instance.map(|instance| (header, instance)))
    }

    async fn header(
        &self,
        uid: &SopInstanceUid,
        scanned: Option<&Headers>,
        place: &HalfPlace<'_>,
    ) -> Result<Result<Header, Rejection>, RunError> {
        if let (Some(scanned), Some(digest)) = (scanned, place.digest)
            && let Some(found) = scanned.find(uid)?
            && found.origin.digest == digest
        {
            return Ok(Ok(found.header));
        }
        let bytes = self.half(Half::Metadata, uid, place).await?;
        let bytes_max = self.run.config.limits.metadata_member_bytes_max;
        Ok(bytes.and_then(|bytes| {
            let mut transcoder = self.transcoder();
            let header = transcoded(&mut transcoder, uid, bytes, bytes_max);
            self.lock_transcoders().push(transcoder);
            header
        }))
    }

    fn transcoder(&self) -> Transcoder {
        let idle = self.lock_transcoders().pop();
        idle.unwrap_or_else(|| self.run.transcoder())
    }

    fn lock_transcoders(&self) -> MutexGuard<'_, Vec<Transcoder>> {
        self.transcoders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rejected(
        &self,
        uid: &SopInstanceUid,
        metadata: &HalfPlace<'_>,
        image: &HalfPlace<'_>,
        rejection: Rejection,
    ) -> Result<(), RunError> {
        if rejection.reason == Reason::ArchiveUnreadable {
            self.run.archive_unreadable();
        }
        self.run.rows.rejected.push(&RejectedRow {
            scope: Scope::Instance,
            rejection,
            uid: Some(uid.clone()),
            metadata: Some(metadata.lies()),
            image: Some(image.lies()),
        })
    }

    /// Reads a half: its raw object, or, where that is not there, its range of the archive.
    async fn half(
        &self,
        half: Half,
        uid: &SopInstanceUid,
        place: &HalfPlace<'_>,
    ) -> Result<Result<Bytes, Rejection>, RunError> {
        if let (Some(copies), Some(digest)) = (&self.run.raw, place.digest) {
            let copy = copies.raw.half(half, uid, digest, place.length)?;
            let mut row = Row::at(0, State::Open);
            (row.length, row.crc32c) = (place.length, place.crc32c);
            if let Ok(bytes) = self.run.read_half(&copy, &row).await? {
                return Ok(Ok(bytes));
            }
        }
        self.range(place).await
    }

    async fn range(&self, place: &HalfPlace<'_>) -> Result<Result<Bytes, Rejection>, RunError> {
        let Some(archive) = self.archive(place).await? else {
            let detail = "expected the archive in the version that the pair tells of, got none";
            return Ok(Err(Rejection::new(Reason::ArchiveUnreadable, detail)));
        };
        let mut row = Row::at(place.offset, State::Open);
        (row.length, row.crc32c) = (place.length, place.crc32c);
        self.run.read_half(&archive, &row).await
    }

    async fn archive(&self, place: &HalfPlace<'_>) -> Result<Option<Object>, RunError> {
        let known = {
            let archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
            archives.get(place.archive).cloned()
        };
        let object = match known {
            Some(object) => object,
            None => match self.run.given(&self.stores, place.archive).await? {
                Ok(object) => object,
                Err(_) => return Ok(None),
            },
        };
        let same = place.version.is_none() || place.version == object.version();
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        if archives.len() >= ARCHIVES_MAX {
            archives.clear();
        }
        if same {
            archives.insert(place.archive.to_owned(), object.clone());
        }
        Ok(same.then_some(object))
    }
}

impl HalfPlace<'_> {
    fn lies(&self) -> Lies {
        let archive = Arc::from(self.archive);
        Lies { archive, member: None, offset: self.offset, length: self.length }
    }
}
