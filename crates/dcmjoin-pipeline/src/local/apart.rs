//! Pairs of halves that lie in known places: each half is read by a range of its own. So what came
//! late is published before its campaign is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dcmjoin_catalog::{Row, State};
use dcmjoin_model::{Rejection, SopInstanceUid};
use dcmjoin_objects::{Object, Stores};

use super::intake::transcoded;
use super::{Part, Run};
use crate::assemble;
use crate::config::RunConfig;
use crate::error::RunError;
use crate::progress::Progress;
use crate::publish::Published;

/// Archives that are remembered, so that each is looked at once.
const ARCHIVES_MAX: usize = 4_096;

/// Publishes pairs by the places of their halves.
pub struct Apart {
    run: Run,
    stores: Arc<Stores>,
    archives: Mutex<HashMap<String, Object>>,
}

/// Where a half lies: a plain archive, and a range of it.
#[derive(Debug, Clone)]
pub struct HalfPlace {
    /// URL of the archive.
    pub archive: String,
    /// Its version; any where `None`.
    pub version: Option<String>,
    /// First byte of the member.
    pub offset: u64,
    /// Bytes of the member.
    pub length: u64,
    /// CRC-32C of them, where it is known.
    pub crc32c: Option<u32>,
}

/// What a pair came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assembled {
    /// It is in the output.
    InOutput,
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
        let run = Run::begin(stores, config, Part::Given, progress).await?;
        Ok(Self { run, stores: Arc::clone(stores), archives: Mutex::default() })
    }

    /// Reads both halves of an instance, and publishes it.
    ///
    /// # Errors
    /// [`RunError`] where the output cannot be written.
    pub async fn publish(
        &self,
        uid: &SopInstanceUid,
        metadata: &HalfPlace,
        image: &HalfPlace,
    ) -> Result<Assembled, RunError> {
        let (Some(header), Some(payload)) = (self.half(metadata).await?, self.half(image).await?)
        else {
            return Ok(Assembled::Unreadable);
        };
        let limits = &self.run.config.limits;
        let bytes_max = limits.metadata_member_bytes_max;
        let header = transcoded(&mut self.run.transcoder(), uid, header, bytes_max);
        let instance = header.and_then(|header| {
            let instance = assemble::pair(&header, payload, &limits.payload)?;
            Ok((header, instance))
        });
        let (header, instance) = match instance {
            Ok(whole) => whole,
            Err(rejection) => return Ok(rejected(&rejection)),
        };
        match self.run.publisher.publish(&header, &instance).await? {
            Published::Durable(_, row) => {
                self.run.in_output(&row, &instance.warnings)?;
                Ok(Assembled::InOutput)
            }
            Published::Rejected(rejection) => Ok(rejected(&rejection)),
        }
    }

    /// Returns the bytes of a half; `None` where they cannot be had.
    async fn half(&self, place: &HalfPlace) -> Result<Option<Bytes>, RunError> {
        let Some(archive) = self.archive(place).await? else { return Ok(None) };
        let mut row = Row::at(place.offset, State::Open);
        (row.length, row.crc32c) = (place.length, place.crc32c);
        Ok(self.run.read_half(&archive, &row).await?.ok())
    }

    async fn archive(&self, place: &HalfPlace) -> Result<Option<Object>, RunError> {
        let known = {
            let archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
            archives.get(&place.archive).cloned()
        };
        let object = match known {
            Some(object) => object,
            None => match self.run.given(&self.stores, &place.archive).await? {
                Ok(object) => object,
                Err(_) => return Ok(None),
            },
        };
        let same = place.version.is_none() || place.version.as_deref() == object.version();
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        if archives.len() >= ARCHIVES_MAX {
            archives.clear();
        }
        if same {
            archives.insert(place.archive.clone(), object.clone());
        }
        Ok(same.then_some(object))
    }
}

fn rejected(rejection: &Rejection) -> Assembled {
    tracing::debug!(reason = rejection.reason.code(), "a late pair is rejected");
    Assembled::Rejected
}
