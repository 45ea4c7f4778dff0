//! An archive's bytes: ranges read ahead within the budget, decompressed where they are gz or zst.

use std::io;
use std::ops::Range;
use std::pin::Pin;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use dcmjoin_formats::compressed::Compression;
use dcmjoin_model::{Reason, Rejection};
use dcmjoin_objects::{Error, Object};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use crate::budget::{Budget, paid};
use crate::keep::Keep;

/// Ranges of one archive that are read or held ahead of the parser, the current one included.
pub const RANGES_AHEAD: usize = 2;
/// The piece in which a compressed archive comes out of its decoder, in bytes.
pub(crate) const PLAIN_PIECE_BYTES: usize = 1 << 20;
/// Pieces that the scan of one archive may hold at the same time: one that a member began in, the
/// current one, and one ahead. Budgets must have room for so many, or a scan waits for itself.
pub(crate) const PIECES_HELD_MAX: u64 = RANGES_AHEAD as u64 + 1;
/// The same of ranges, in [`Reading::range_bytes`]: as many ranges, each up to a third longer.
pub(crate) const RANGES_HELD_MAX: u64 = 4;

/// Why an archive's bytes end.
#[derive(Debug)]
pub enum SourceError {
    /// The store cannot give them.
    Store(Error),
    /// The compressed stream is broken or beyond its limits.
    Stream(Rejection),
}

/// How archives are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Ranges that may be in memory.
    pub ranges: Budget,
    /// Decompressed pieces that may be in memory. A budget of its own: who holds a range to
    /// decompress it must not wait for others' ranges.
    pub pieces: Budget,
    /// The least bytes of a range of an archive that has as many; none has twice as many.
    pub range_bytes: u64,
    /// The largest ratio of plain to compressed bytes.
    pub ratio_max: u64,
    /// Where archives are copied to while they stream past.
    pub keep: Option<Keep>,
}

/// An archive's plain bytes, in order.
pub struct Plain {
    /// Whether the archive is compressed: then its members cannot be range-read.
    pub compression: Option<Compression>,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, SourceError>>,
}

impl Reading {
    /// Opens an archive: reads its first range, and knows from it whether it is compressed.
    ///
    /// # Errors
    /// [`SourceError::Store`] where the first range cannot be read.
    pub async fn open(&self, archive: &Object) -> Result<Plain, SourceError> {
        let ranges = self.ranges(archive).boxed();
        let mut ranges = match &self.keep {
            Some(keep) => keep.tee(archive, ranges),
            None => ranges,
        };
        let first = ranges.next().await.unwrap_or(Ok(Bytes::new())).map_err(SourceError::Store)?;
        let compression = Compression::of(&first);
        let ranges = futures::stream::once(async { Ok(first) }).chain(ranges);
        let stream = match compression {
            None => ranges.map_err(SourceError::Store).boxed(),
            Some(compression) => self.decompressed(ranges, compression, archive.size()),
        };
        Ok(Plain { compression, stream })
    }

    /// Parts bytes of an archive into ranges of equal length, as few as have [`Self::range_bytes`]
    /// each: no request is spent on a short end. One range has less than twice of that, one of two
    /// less than one and a half, one of three or more less than four thirds.
    pub(crate) fn parts(&self, bytes: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let (start, end) = (bytes.start, bytes.end);
        let count = ((end - start) / self.range_bytes).max(1);
        let length = (end - start).div_ceil(count);
        (0..count)
            .map(move |number| start + number * length)
            .map(move |at| at..(at + length).min(end))
            .filter(|part| !part.is_empty())
    }

    /// Returns an archive's bytes as they lie there, in order.
    pub(crate) fn ranges(
        &self,
        archive: &Object,
    ) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        let (archive, budget) = (archive.clone(), self.ranges.clone());
        futures::stream::iter(self.parts(&(0..archive.size())))
            .map(move |part| {
                let (archive, budget) = (archive.clone(), budget.clone());
                async move {
                    let permit = budget.take(part.end - part.start).await;
                    archive.read(part).await.map(|bytes| paid(bytes, permit))
                }
            })
            .buffered(RANGES_AHEAD)
    }

    fn decompressed(
        &self,
        ranges: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
        compression: Compression,
        size: u64,
    ) -> BoxStream<'static, Result<Bytes, SourceError>> {
        let reader = StreamReader::new(ranges.map_err(io::Error::other));
        let decoder: Pin<Box<dyn AsyncRead + Send>> = match compression {
            Compression::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::new(reader);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        };
        // A small archive may be all zeros; the ratio says something from a piece on.
        let plain_max = size.saturating_mul(self.ratio_max).max(PLAIN_PIECE_BYTES as u64);
        let state =
            Pieces { decoder, budget: self.pieces.clone(), plain: 0, plain_max, ended: false };
        futures::stream::unfold(state, |mut state| async {
            let piece = state.next().await?;
            state.ended = piece.is_err();
            Some((piece, state))
        })
        .boxed()
    }
}

struct Pieces {
    decoder: Pin<Box<dyn AsyncRead + Send>>,
    budget: Budget,
    plain: u64,
    plain_max: u64,
    ended: bool,
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<Bytes, SourceError>> {
        if self.ended {
            return None;
        }
        let permit = self.budget.take(PLAIN_PIECE_BYTES as u64).await;
        let mut piece = BytesMut::with_capacity(PLAIN_PIECE_BYTES);
        while piece.len() < PLAIN_PIECE_BYTES {
            match self.decoder.read_buf(&mut piece).await {
                Ok(0) => break,
                Ok(read) => self.plain += read as u64,
                // What came before the break is given first: the good prefix counts.
                Err(_) if !piece.is_empty() => break,
                Err(error) => return Some(Err(self.broken(&error))),
            }
        }
        if self.plain > self.plain_max {
            let detail =
                format!("expected at most {} bytes after decompression, got more", self.plain_max);
            return Some(Err(SourceError::Stream(Rejection::new(Reason::ArchiveLimit, detail))));
        }
        (!piece.is_empty()).then(|| Ok(paid(piece.freeze(), permit)))
    }

    fn broken(&self, error: &io::Error) -> SourceError {
        let store = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        if let Some(store) = store {
            return SourceError::Store(store.clone());
        }
        let detail = format!(
            "compressed stream is broken after {} plain bytes: {}",
            self.plain,
            error.kind()
        );
        SourceError::Stream(Rejection::new(Reason::ArchiveDamaged, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_bytes_in_order_in_no_more_memory_than_is_paid_for() {
        const RANGE: u64 = 97;
        let (ranges, pieces) = (Budget::new(1), Budget::new(1));
        let reading = Reading { ranges, pieces, range_bytes: RANGE, ratio_max: 1, keep: None };
        for bytes in 0..40 * RANGE {
            let start = bytes * 3;
            let parts: Vec<_> = reading.parts(&(start..start + bytes)).collect();
            let mut at = start;
            for part in &parts {
                assert_eq!(part.start, at);
                assert!(part.end > at);
                at = part.end;
            }
            assert_eq!(at, start + bytes);
            assert!(parts.len() as u64 <= (bytes / RANGE).max(1), "{bytes}: {}", parts.len());
            let first = parts.iter().take(RANGES_AHEAD + 1);
            let held: u64 = first.map(|part| part.end - part.start).sum();
            assert!(held <= RANGE * RANGES_HELD_MAX, "{bytes}: {held}");
        }
    }
}
