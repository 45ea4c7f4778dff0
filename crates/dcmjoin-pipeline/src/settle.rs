//! The step *settle*: which of several different image halves of one instance is used.
//!
//! While archives stream past, the first image of an instance is published, whichever it is: that
//! depends on timing. Once all are known, a rule that does not depend on it decides: of the images
//! that make a valid file, the one with the smallest digest. Where that is not the one in the
//! output, it is read again by its range and written over it. Conflicts are rare, so this costs a
//! few requests, and it makes runs with any order, speed or history end with the same bytes.

use bytes::{Bytes, BytesMut};
use dcmjoin_formats::compressed::Compression;
use dcmjoin_index::Fact;
use dcmjoin_model::{Reason, Rejection};
use dcmjoin_objects::Object;
use futures::StreamExt;

use crate::scan::unreadable;
use crate::source::{Reading, SourceError};

/// Bytes that tell whether an archive is compressed.
const MAGIC_BYTES: u64 = 8;

/// Reads a member again: by its range, or through the whole stream where the archive is compressed.
///
/// # Errors
/// `archive_unreadable` where the archive no longer gives it.
pub async fn read_again(
    reading: &Reading,
    archive: &Object,
    fact: &Fact,
) -> Result<Bytes, Rejection> {
    let read = async |range| {
        let bytes = archive.read(range).await;
        bytes.map_err(|error| unreadable(SourceError::Store(error)))
    };
    if Compression::of(&read(0..MAGIC_BYTES).await?).is_none() {
        return whole(read(fact.offset..fact.offset + fact.length).await?, fact);
    }
    let mut plain = reading.open(archive).await.map_err(unreadable)?;
    let mut member = BytesMut::new();
    let mut position = 0;
    let end = fact.offset + fact.length;
    while position < end {
        let Some(piece) = plain.stream.next().await else { break };
        let piece = piece.map_err(unreadable)?;
        let from = fact.offset.saturating_sub(position).min(piece.len() as u64);
        let to = (end - position).min(piece.len() as u64);
        member.extend_from_slice(&piece[from as usize..to as usize]);
        position += piece.len() as u64;
    }
    whole(member.freeze(), fact)
}

/// Checks that the bytes are those that were read the first time.
fn whole(bytes: Bytes, fact: &Fact) -> Result<Bytes, Rejection> {
    if dcmjoin_index::digest(&bytes) == fact.digest {
        return Ok(bytes);
    }
    let detail = format!("expected the {} bytes that were read before, got others", fact.length);
    Err(Rejection::new(Reason::ArchiveUnreadable, detail))
}

/// Returns one fact for each different content, in the order of their digests.
#[must_use]
pub fn candidates(same: &[Fact]) -> Vec<Fact> {
    let mut candidates: Vec<Fact> = Vec::new();
    for &fact in same {
        if candidates.last().is_none_or(|last| last.digest != fact.digest) {
            candidates.push(fact);
        }
    }
    candidates
}
