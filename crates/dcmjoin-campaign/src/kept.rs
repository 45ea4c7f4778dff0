//! Copies of archives that were read: an archive is done once its copy stands too.

use dcmjoin_objects::{Location, Stores};
use dcmjoin_pipeline::RunError;
use dcmjoin_pipeline::keep::{Keep, KeepError};
use dcmjoin_restore::task::ScanResult;
use futures::StreamExt as _;

use crate::ledger::{Archive, Place};
use crate::trouble::Trouble;
use crate::verdict::{Verdict, refusal};

/// Archives that are looked at, and copied where they have no copy yet, at the same time. Each copy
/// holds [`dcmjoin_pipeline::keep::HELD_BYTES`].
const KEPT_AT_ONCE: usize = 4;

/// Why an archive that was read has no copy.
enum Missing {
    /// Its store, or its copy, is the cause.
    Archive(ScanResult),
    /// Something that is no archive's fault.
    Trouble(Trouble),
}

/// Sees to the copies of archives that were read; those without one are not done. Returns what keeps
/// all of them from being copied.
pub(crate) async fn see_to(
    stores: &Stores,
    place: &Location,
    archives: &[Archive],
    results: &mut [ScanResult],
) -> Option<Trouble> {
    let keep = stores.open(place).map(Keep::new);
    let keep = &keep;
    let read: Vec<(usize, Place)> = (0..archives.len())
        .filter(|at| results[*at] == ScanResult::Done)
        .map(|at| (at, archives[at].place.clone()))
        .collect();
    let looks = read.into_iter().map(|(at, place)| async move {
        let missing = match keep {
            Ok(keep) => see_to_one(stores, keep, &place).await.err(),
            Err(error) => trouble(error.clone()),
        };
        (at, missing)
    });
    let mut seen = futures::stream::iter(looks).buffer_unordered(KEPT_AT_ONCE);
    let mut all = None;
    while let Some((at, missing)) = seen.next().await {
        match missing {
            None => {}
            Some(Missing::Archive(instead)) => results[at] = instead,
            Some(Missing::Trouble(trouble)) => {
                results[at] = ScanResult::Stopped;
                all.get_or_insert(trouble);
            }
        }
    }
    all
}

fn trouble(error: dcmjoin_objects::Error) -> Option<Missing> {
    Trouble::of(&RunError::Store(error)).map(Missing::Trouble)
}

async fn see_to_one(stores: &Stores, keep: &Keep, place: &Place) -> Result<(), Missing> {
    let Place { bucket, key, version } = place;
    let object = match stores.s3_object(bucket, key, version.as_deref()).await {
        Ok(Some(object)) => object,
        Ok(None) => return Err(Missing::Archive(ScanResult::Broke)),
        Err(error) => return Err(missing(KeepError::Source(error))),
    };
    keep.ensure(&object).await.map_err(missing)
}

fn missing(error: KeepError) -> Missing {
    let broke = Missing::Archive(ScanResult::Broke);
    match error {
        KeepError::Source(error) => match refusal(error.kind) {
            Verdict::Refused(result) => Missing::Archive(result),
            Verdict::Read { .. } | Verdict::Unread | Verdict::Barred => {
                trouble(error).unwrap_or(broke)
            }
        },
        KeepError::Target(error) => trouble(error).unwrap_or(broke),
        KeepError::Differs { .. } => broke,
    }
}
