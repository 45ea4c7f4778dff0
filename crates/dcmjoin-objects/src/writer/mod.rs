//! Writes one object piece by piece, so that it never has to be in memory as a whole.
//!
//! An object of at most [`PART_BYTES`] goes in one request like any other. A larger one goes to a
//! store in parts ([`upload`]), and to a folder as a staged file ([`crate::staged`]). Either way it appears
//! whole or not at all, and under the same conditions as with [`Root::put`].
//!
//! **On error and drop** what was written so far is removed: parts by a request of their own, a
//! staged file at once. A process that is killed can remove nothing, and an upload whose first answer
//! was lost is unknown: a bucket's lifecycle rule for incomplete uploads
//! (`AbortIncompleteMultipartUpload`) removes those.

mod upload;

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{Error, ErrorKind, Operation};
use crate::root::{PutMode, Root, blocking};
use crate::staged::Staged;
use upload::Upload;

/// The largest object that goes in one request, and the part of a larger one, in bytes.
pub(crate) const PART_BYTES: u64 = 16 << 20;

/// Writes one object, of a length that is known before, or that is bounded.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
/// use dcmjoin_objects::{PutMode, Stores};
///
/// let root = Stores::default().open(&"memory://".parse()?)?;
/// let piece = bytes::Bytes::from(vec![7; 8 << 20]);
/// let len = 3 * piece.len() as u64;
/// let mut writer = root.writer("large.dcm", len, PutMode::Create).await?;
/// for _ in 0..3 {
///     writer.push(piece.clone()).await?;
/// }
/// writer.finish().await?;
/// assert_eq!(root.object("large.dcm").await?.map(|object| object.size()), Some(len));
/// # Ok::<(), dcmjoin_objects::Error>(())
/// # }).unwrap();
/// ```
///
/// An error of [`Self::push`] ends the writer: what was written is removed before it returns. The
/// same goes for a writer that is dropped, but then parts are removed in the background.
#[derive(Debug)]
pub struct Writer {
    root: Root,
    path: Path,
    mode: PutMode,
    len: Len,
    pushed: u64,
    sink: Sink,
}

/// How many bytes there will be.
#[derive(Debug, Clone, Copy)]
enum Len {
    Exactly(u64),
    AtMost(u64),
}

impl Len {
    fn max(self) -> u64 {
        match self {
            Self::Exactly(len) | Self::AtMost(len) => len,
        }
    }
}

/// Where the bytes go.
#[derive(Debug)]
enum Sink {
    /// They wait for their one request.
    Whole(Vec<Bytes>),
    Upload(Box<Upload>),
    /// Absent while a write goes on, and after one that was given up.
    Staged(Option<Staged>),
    /// Nowhere any more.
    Closed,
}

impl Root {
    /// Begins to write an object of `len` bytes below, piece by piece.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] under [`PutMode::Create`] and [`ErrorKind::Changed`] under
    /// [`PutMode::Over`] where it is known by now that the object cannot be written;
    /// [`ErrorKind::Invalid`] where it is larger than a store takes; [`Error`] where the store
    /// refuses.
    pub async fn writer(&self, key: &str, len: u64, mode: PutMode) -> Result<Writer, Error> {
        self.begin(key, Len::Exactly(len), mode).await
    }

    /// Begins to write an object of at most `len_max` bytes below, piece by piece. A store gets it in
    /// parts where that bound is larger than one, however long it turns out to be.
    ///
    /// # Errors
    /// As [`Self::writer`].
    pub async fn writer_up_to(
        &self,
        key: &str,
        len_max: u64,
        mode: PutMode,
    ) -> Result<Writer, Error> {
        self.begin(key, Len::AtMost(len_max), mode).await
    }

    async fn begin(&self, key: &str, len: Len, mode: PutMode) -> Result<Writer, Error> {
        let path = self.path(key)?;
        let sink = if len.max() <= PART_BYTES {
            Sink::Whole(Vec::new())
        } else {
            // Better known now than after gigabytes; what decides is checked again at the end.
            self.check(&path, &mode).await?;
            match &self.folder {
                Some(folder) => {
                    let staged = Staged::new(folder.join(key));
                    Sink::Staged(Some(staged.map_err(|error| self.io_failed(error))?))
                }
                None => Sink::Upload(Box::new(
                    Upload::begin(self.clone(), path.clone(), len.max()).await?,
                )),
            }
        };
        Ok(Writer { root: self.clone(), path, mode, len, pushed: 0, sink })
    }
}

impl Writer {
    /// Lowers how many bytes the writer holds while they wait or travel; to be said before the
    /// first push. Two parts are the least, and no part of an upload is under 5 MiB.
    ///
    /// Without it a writer holds up to 80 MiB, more only for objects over 156 GiB.
    pub fn hold_at_most(&mut self, bytes: u64) {
        if let Sink::Upload(upload) = &mut self.sink {
            upload.hold_at_most(bytes);
        }
    }

    /// Adds the next bytes; waits while too many parts are on their way.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there are more bytes than were announced; [`Error`] where the
    /// store or the device refuses.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.push_all(vec![bytes]).await
    }

    /// Adds the next bytes, which lie in pieces: a file gets them in one system call.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub async fn push_all(&mut self, pieces: Vec<Bytes>) -> Result<(), Error> {
        self.pushed += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let done = if self.pushed > self.len.max() {
            Err(self.wrong_length())
        } else {
            self.take(pieces).await
        };
        if done.is_err() {
            self.discard().await;
        }
        done
    }

    async fn take(&mut self, pieces: Vec<Bytes>) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Whole(waiting) => waiting.extend(pieces),
            Sink::Upload(upload) => {
                for piece in pieces {
                    upload.push(piece).await?;
                }
            }
            Sink::Staged(staged) => match staged.take() {
                Some(file) => *staged = Some(append(&self.root, file, pieces).await?),
                None => return Err(self.closed()),
            },
            Sink::Closed => return Err(self.closed()),
        }
        Ok(())
    }

    /// Makes the object visible.
    ///
    /// # Errors
    /// As [`Root::put`]; [`ErrorKind::Invalid`] where bytes are missing. What was written is
    /// removed then.
    pub async fn finish(mut self) -> Result<(), Error> {
        let done = self.publish().await;
        if done.is_err() {
            self.discard().await;
        }
        done
    }

    /// Gives the object up, and removes what was written of it.
    pub async fn abort(mut self) {
        self.discard().await;
    }

    async fn publish(&mut self) -> Result<(), Error> {
        if matches!(self.len, Len::Exactly(len) if len != self.pushed) {
            return Err(self.wrong_length());
        }
        match &mut self.sink {
            Sink::Whole(pieces) => {
                let payload = std::mem::take(pieces).into_iter().collect();
                return self.root.put_at(&self.path, payload, &self.mode).await;
            }
            Sink::Upload(upload) => upload.complete(&self.mode).await?,
            Sink::Staged(staged) => {
                self.root.check(&self.path, &self.mode).await?;
                let Some(file) = staged.take() else { return Err(self.closed()) };
                let only_new = self.mode == PutMode::Create;
                let moved = blocking(move || file.publish(only_new)).await;
                moved.map_err(|error| self.root.io_failed(error))?;
            }
            Sink::Closed => return Err(self.closed()),
        }
        self.sink = Sink::Closed;
        self.root.client.meter.write(self.pushed);
        Ok(())
    }

    async fn discard(&mut self) {
        if let Sink::Upload(upload) = std::mem::replace(&mut self.sink, Sink::Closed) {
            upload.abort().await;
        }
    }

    fn wrong_length(&self) -> Error {
        let detail = match self.len {
            Len::Exactly(len) => format!("expected {len} bytes, got {}", self.pushed),
            Len::AtMost(len) => format!("expected {len} bytes at most, got {}", self.pushed),
        };
        Error::new(Operation::Write, self.root.somewhere(), ErrorKind::Invalid, detail)
    }

    fn closed(&self) -> Error {
        let detail = "its writing has failed before";
        Error::new(Operation::Write, self.root.somewhere(), ErrorKind::Other, detail)
    }
}

async fn append(root: &Root, mut file: Staged, pieces: Vec<Bytes>) -> Result<Staged, Error> {
    let written = blocking(move || file.write(&pieces).map(|()| file)).await;
    written.map_err(|error| root.io_failed(error))
}

#[cfg(test)]
mod tests;
