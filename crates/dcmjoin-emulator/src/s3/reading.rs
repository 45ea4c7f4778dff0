//! The bytes of an answer, made as the client takes them.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};

use crate::body::{Body, PIECE_BYTES};
use crate::bucket::Name;
use crate::fault::Effect;
use crate::world::Shared;

/// What came before a break shall reach the client: so long has the connection to send it.
const FLUSH: Duration = Duration::from_millis(20);

/// A read that is under way.
pub(super) struct Reading {
    pub(super) shared: Arc<Shared>,
    pub(super) bucket: Name,
    pub(super) key: Name,
    pub(super) id: u64,
    pub(super) body: Body,
    /// What is still to be sent.
    pub(super) left: Range<u64>,
    /// How many bytes were sent.
    pub(super) sent: u64,
    /// The object must be restored for this to go on.
    pub(super) archived: bool,
    pub(super) effect: Option<Effect>,
}

impl Reading {
    /// Returns the pieces; an error in them closes the connection.
    pub(super) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
        stream::try_unfold(self, Self::piece)
    }

    async fn piece(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let length = match self.next_length().and_then(|length| self.check_copy().map(|()| length))
        {
            Ok(length) => length,
            Err(error) => {
                tokio::time::sleep(FLUSH).await;
                return Err(error);
            }
        };
        let range = self.left.start..self.left.start + length;
        let body = self.body.clone();
        let bytes = if body.blocks() {
            let read = move || body.read(range);
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??
        } else {
            body.read(range)?
        };
        let bytes = self.flipped(bytes);
        self.left.start += length;
        self.sent += length;
        self.shared.enter().book.ledger.bytes_read += length;
        Ok(Some((bytes, self)))
    }

    /// Returns how much comes next; an error where a fault ends the read here.
    fn next_length(&self) -> io::Result<u64> {
        let length = PIECE_BYTES.min(self.left.end - self.left.start);
        let Some(Effect::CutBody { after } | Effect::ExpireCopy { after }) = self.effect else {
            return Ok(length);
        };
        match after.saturating_sub(self.sent) {
            0 => {
                if matches!(self.effect, Some(Effect::ExpireCopy { .. })) {
                    self.shared.enter().expire(&self.bucket, &self.key, self.id);
                }
                Err(io::Error::other("cut by a fault"))
            }
            rest => Ok(length.min(rest)),
        }
    }

    /// The copy can go while it is read.
    fn check_copy(&self) -> io::Result<()> {
        if !self.archived {
            return Ok(());
        }
        let world = self.shared.enter();
        let bucket = world.buckets.get(&self.bucket);
        let object = bucket.and_then(|bucket| bucket.by_id(&self.key, self.id));
        // An object that was overwritten or deleted goes on being read to its end, as S3 does.
        match object {
            Some(object) if !object.is_readable() => Err(io::Error::other("the copy has expired")),
            _ => Ok(()),
        }
    }

    fn flipped(&self, bytes: Bytes) -> Bytes {
        let Some(Effect::FlipBit { at }) = self.effect else { return bytes };
        let within = self.sent..self.sent + bytes.len() as u64;
        if !within.contains(&at) {
            return bytes;
        }
        let mut bytes = BytesMut::from(&bytes[..]);
        bytes[(at - self.sent) as usize] ^= 1;
        bytes.freeze()
    }
}
