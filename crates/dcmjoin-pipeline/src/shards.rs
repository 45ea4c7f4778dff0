//! The step *publish* into shards: files one after the other in tars, as training jobs read them.
//!
//! A shard is a ustar archive (POSIX pax(1), "ustar Interchange Format"). A member's name is its SOP
//! Instance UID with `_` for `.`, and `.dcm`: `WebDataset` takes what comes before the first dot for the
//! sample's key. Neither clock nor user is in it, so the same files give the same bytes.
//!
//! What became of a file is known only when its shard is whole: until then all that is to be told
//! of it waits here.

use bytes::{Bytes, BytesMut};
use dcmjoin_index::Outcome;
use dcmjoin_model::{Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::{ErrorKind, PutMode, Root, Writer};
use tar::{EntryType, Header};
use xxhash_rust::xxh3::Xxh3;

use crate::assemble::Instance;
use crate::config::IfExists;
use crate::error::RunError;
use crate::publish::{COMPARE_BYTES, Published, Publisher};
use crate::rows::{PublishedRow, bytes_and_crc32};

/// Files of a shard: what is known of each waits in memory.
const FILES_MAX: usize = 8_192;
/// Bytes of a tar's block, and of the two that end it.
const BLOCK_BYTES: u64 = 512;
const END_BYTES: usize = 1_024;
/// Bytes of the field of a name.
const NAME_BYTES: usize = 100;
/// What an upload gets is copied in pieces of this size, in bytes: it waits there longer than the
/// ranges that it lies in may.
const COPY_BYTES: usize = 1 << 20;
/// What an upload in parts holds, in bytes: one part that fills up, and one on its way.
pub const UPLOAD_BYTES: u64 = 16 << 20;

/// Shards in the making, one after the other; with each file comes a note of the caller's.
pub struct Shards<T> {
    publisher: Publisher,
    stem: String,
    bytes_max: u64,
    upload_bytes: u64,
    number: u32,
    open: Option<Open<T>>,
}

/// What became of a file in a shard.
pub struct Settled<T> {
    /// The caller's note.
    pub note: T,
    /// What became of it.
    pub published: Published,
}

struct Open<T> {
    tar: Tar,
    files: Vec<File<T>>,
}

struct File<T> {
    note: T,
    uid: SopInstanceUid,
    offset: u64,
    bytes: u64,
    crc32: u32,
}

impl<T> std::fmt::Debug for Shards<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shards").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Settled<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settled").field("published", &self.published).finish_non_exhaustive()
    }
}

impl<T> Shards<T> {
    /// Begins with keys of a stem, `<stem>-00000.tar` and so on; a shard ends before it would exceed
    /// `bytes_max`, unless one file alone does. `upload_bytes` are held for a store.
    #[must_use]
    pub fn new(publisher: Publisher, stem: String, bytes_max: u64, upload_bytes: u64) -> Self {
        Self { publisher, stem, bytes_max, upload_bytes, number: 0, open: None }
    }

    /// Adds a file; returns what became of those of the shard that had no room for it.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written.
    pub async fn add(
        &mut self,
        uid: &SopInstanceUid,
        instance: &Instance,
        note: T,
    ) -> Result<Vec<Settled<T>>, RunError> {
        let segments = &instance.file.segments;
        let (bytes, crc32) = bytes_and_crc32(segments);
        let header = header(uid, bytes);
        let padding = bytes.next_multiple_of(BLOCK_BYTES) - bytes;
        let needed = header.len() as u64 + bytes + padding;
        let is_full = self.open.as_ref().is_some_and(|open| {
            open.files.len() >= FILES_MAX
                || open.tar.bytes + needed + END_BYTES as u64 > self.bytes_max
        });
        let settled = if is_full { self.finish().await? } else { Vec::new() };
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let tar = self.tar(needed).await?;
            self.open.insert(Open { tar, files: Vec::new() })
        };
        open.tar.push(header);
        let offset = open.tar.bytes;
        segments.iter().for_each(|segment| open.tar.push(segment.clone()));
        open.tar.push(zeros(padding as usize));
        open.files.push(File { note, uid: uid.clone(), offset, bytes, crc32 });
        Ok(settled)
    }

    async fn tar(&self, needed: u64) -> Result<Tar, RunError> {
        let key = format!("{}-{:05}.tar", self.stem, self.number);
        let len_max = self.bytes_max.max(needed + END_BYTES as u64);
        Tar::begin(&self.publisher, key, len_max, self.upload_bytes).await
    }

    /// Hands over what was added: until then it lies in the memory that it was read into.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn flush(&mut self) -> Result<(), RunError> {
        match &mut self.open {
            Some(open) => open.tar.flush().await,
            None => Ok(()),
        }
    }

    /// Ends the shard; returns what became of its files.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn finish(&mut self) -> Result<Vec<Settled<T>>, RunError> {
        let Some(Open { tar, files }) = self.open.take() else { return Ok(Vec::new()) };
        self.number += 1;
        let key = tar.key.clone();
        let ended = tar.finish(self.publisher.if_exists).await?;
        let settled = files.into_iter().map(|file| {
            let File { note, uid, offset, bytes, crc32 } = file;
            let (offset, crc32) = (Some(offset), format!("{crc32:08x}"));
            let row = PublishedRow { key: key.clone(), offset, bytes, crc32, uid: Some(uid) };
            let published = match &ended {
                Ok(outcome) => Published::Durable(*outcome, row),
                Err(rejection) => Published::Rejected(rejection.clone()),
            };
            Settled { note, published }
        });
        Ok(settled.collect())
    }
}

/// A shard that is being written.
struct Tar {
    root: Root,
    key: String,
    to: To,
    bytes: u64,
    /// Of all bytes: where an object stands already, it tells whether that is the same one.
    digest: Xxh3,
    /// Not handed over yet.
    waiting: Vec<Bytes>,
}

/// Where a shard goes.
enum To {
    Writer(Box<Writer>),
    /// Nowhere: an object stands in its place, and is compared.
    Standing,
    /// Nowhere: nothing is written.
    DryRun,
}

impl Tar {
    async fn begin(
        publisher: &Publisher,
        key: String,
        len_max: u64,
        upload_bytes: u64,
    ) -> Result<Self, RunError> {
        let root = publisher.root.clone();
        let mode = match publisher.if_exists {
            IfExists::Replace => PutMode::Replace,
            IfExists::Skip | IfExists::Fail => PutMode::Create,
        };
        let to = if publisher.dry_run {
            To::DryRun
        } else {
            match root.writer_up_to(&key, len_max, mode).await {
                Ok(mut writer) => {
                    writer.hold_at_most(upload_bytes);
                    To::Writer(Box::new(writer))
                }
                Err(error) if error.kind == ErrorKind::Exists => To::Standing,
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Self { root, key, to, bytes: 0, digest: Xxh3::new(), waiting: Vec::new() })
    }

    fn push(&mut self, bytes: Bytes) {
        self.bytes += bytes.len() as u64;
        self.digest.update(&bytes);
        if !matches!(self.to, To::DryRun | To::Standing) && !bytes.is_empty() {
            self.waiting.push(bytes);
        }
    }

    async fn flush(&mut self) -> Result<(), RunError> {
        let pieces = std::mem::take(&mut self.waiting);
        let To::Writer(writer) = &mut self.to else { return Ok(()) };
        if self.root.is_folder() {
            return Ok(writer.push_all(pieces).await?);
        }
        let mut copy = BytesMut::new();
        for piece in pieces {
            for part in piece.chunks(COPY_BYTES) {
                if copy.len() + part.len() > COPY_BYTES {
                    writer.push(copy.split().freeze()).await?;
                }
                copy.extend_from_slice(part);
            }
        }
        Ok(writer.push(copy.freeze()).await?)
    }

    /// Makes the shard visible, or tells why it cannot be.
    async fn finish(mut self, if_exists: IfExists) -> Result<Result<Outcome, Rejection>, RunError> {
        self.push(zeros(END_BYTES));
        self.flush().await?;
        match std::mem::replace(&mut self.to, To::Standing) {
            To::DryRun => return Ok(Ok(Outcome::Published)),
            To::Standing => {}
            To::Writer(writer) => match writer.finish().await {
                Ok(()) => return Ok(Ok(Outcome::Published)),
                Err(error) if error.kind == ErrorKind::Exists => {}
                Err(error) => return Err(error.into()),
            },
        }
        if if_exists == IfExists::Fail {
            let detail = "expected no object in the shard's place, got one";
            return Ok(Err(Rejection::new(Reason::OutputExists, detail)));
        }
        if self.stands().await? {
            return Ok(Ok(Outcome::AlreadyThere));
        }
        let detail = "expected the same bytes in the shard's place, got others; \
                      --if-exists replace overwrites them";
        Ok(Err(Rejection::new(Reason::OutputDiffers, detail)))
    }

    /// Returns whether what stands in the shard's place has its bytes.
    async fn stands(&self) -> Result<bool, RunError> {
        let Some(object) = self.root.object(&self.key).await? else { return Ok(false) };
        if object.size() != self.bytes {
            return Ok(false);
        }
        let mut standing = Xxh3::new();
        for start in (0..self.bytes).step_by(COMPARE_BYTES as usize) {
            standing.update(&object.read(start..start + COMPARE_BYTES).await?);
        }
        Ok(standing.digest128() == self.digest.digest128())
    }
}

/// Returns what comes before a file: its header, and before that the name where the header has no room
/// for it (POSIX pax(1), "pax Interchange Format").
fn header(uid: &SopInstanceUid, bytes: u64) -> Bytes {
    let name = uid.as_str().replace('.', "_") + ".dcm";
    if name.len() <= NAME_BYTES {
        return block(EntryType::Regular, &name, bytes).to_vec().into();
    }
    let record = record("path", &name);
    let mut blocks = block(EntryType::XHeader, "name", record.len() as u64).to_vec();
    blocks.extend_from_slice(record.as_bytes());
    blocks.resize(blocks.len().next_multiple_of(BLOCK_BYTES as usize), 0);
    blocks.extend_from_slice(&block(EntryType::Regular, &name[..NAME_BYTES], bytes));
    blocks.into()
}

fn block(kind: EntryType, name: &str, bytes: u64) -> [u8; BLOCK_BYTES as usize] {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes);
    header.set_cksum();
    *header.as_bytes()
}

/// Returns a pax record: its length, which counts its own digits, then key and value.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn zeros(bytes: usize) -> Bytes {
    static ZEROS: [u8; END_BYTES] = [0; END_BYTES];
    Bytes::from_static(&ZEROS[..bytes])
}
