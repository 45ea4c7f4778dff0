//! The rows that a run leaves beside its instances: what was published, rejected, unpaired and in
//! conflict, one JSON document a line.
//!
//! They are spooled on local disk while the run goes and uploaded at its end, so they take no
//! memory however many they are. These files name UIDs and archives: they lie in the output, never
//! in a log.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dcmjoin_model::{Half, MemberLocation, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Root;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::since::Since;

/// What a rejection is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A whole archive, from the break on.
    Archive,
    /// A metadata member.
    Metadata,
    /// An image member.
    Image,
    /// A pair, or a header-only instance.
    Instance,
}

impl From<Half> for Scope {
    fn from(half: Half) -> Self {
        match half {
            Half::Metadata => Self::Metadata,
            Half::Image => Self::Image,
        }
    }
}

/// Where a half lies, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lies {
    /// The archive's URL or path.
    pub archive: Arc<str>,
    /// The member's name, where it is at hand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member: Option<String>,
    /// The first byte in the plain tar.
    pub offset: u64,
    /// The length in bytes.
    pub length: u64,
}

impl From<MemberLocation> for Lies {
    fn from(location: MemberLocation) -> Self {
        Self {
            archive: location.archive,
            member: Some(location.member),
            offset: location.range.start,
            length: location.range.len(),
        }
    }
}

/// A line of `rejected.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// What is rejected.
    pub scope: Scope,
    /// Why, and what was expected and found.
    #[serde(flatten)]
    pub rejection: Rejection,
    /// The instance, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<SopInstanceUid>,
    /// Its metadata half, or the metadata archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Lies>,
    /// Its image half, or the image archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<Lies>,
}

impl RejectedRow {
    /// Returns a row about something of one side.
    #[must_use]
    pub fn of_half(
        half: Half,
        scope: Scope,
        uid: Option<SopInstanceUid>,
        lies: Lies,
        rejection: Rejection,
    ) -> Self {
        let (metadata, image) = match half {
            Half::Metadata => (Some(lies), None),
            Half::Image => (None, Some(lies)),
        };
        Self { scope, rejection, uid, metadata, image }
    }
}

/// A line of `unpaired.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpairedRow {
    /// The half that is there.
    pub half: Half,
    /// The instance.
    pub uid: SopInstanceUid,
    /// Where it lies.
    #[serde(flatten)]
    pub lies: Lies,
    /// When its archive was first read; absent where that was before it was told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Since>,
}

/// A line of `conflicts.jsonl`: the same half of one instance with different bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// The half that there are several of.
    pub half: Half,
    /// The instance.
    pub uid: SopInstanceUid,
    /// The one that is used.
    pub kept: Lies,
    /// The others.
    pub dropped: Vec<Lies>,
}

/// A line of `published.jsonl`: a file that readers may trust, an object of its own or in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRow {
    /// The key of the object below the output.
    pub key: String,
    /// Its first byte in a shard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<u64>,
    /// Its size in bytes.
    pub bytes: u64,
    /// CRC-32 (IEEE) of it, eight hexadecimal digits.
    pub crc32: String,
    /// The instance, where it lies in a shard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<SopInstanceUid>,
}

/// A file in a shard whose instance is listed elsewhere, by the image that it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRow {
    /// The number of the image's archive, and its first byte there.
    pub image: (u32, u64),
    /// The file.
    pub file: PublishedRow,
}

impl PublishedRow {
    /// Returns the row of an object.
    #[must_use]
    pub fn new(key: String, segments: &[Bytes]) -> Self {
        let (bytes, crc32) = bytes_and_crc32(segments);
        Self { key, offset: None, bytes, crc32: format!("{crc32:08x}"), uid: None }
    }
}

/// Returns the size and the CRC-32 (IEEE) of a file.
#[must_use]
pub fn bytes_and_crc32(segments: &[Bytes]) -> (u64, u32) {
    let mut crc = crc32fast::Hasher::new();
    segments.iter().for_each(|segment| crc.update(segment));
    (segments.iter().map(|segment| segment.len() as u64).sum(), crc.finalize())
}

/// A file of rows that was uploaded: what the commit marker covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsFile {
    /// Its name beside the marker.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// CRC-32 (IEEE) of it, eight hexadecimal digits.
    pub crc32: String,
}

/// Rows of one kind, on local disk; or of one that nobody asks for.
#[derive(Debug)]
pub struct Rows {
    spool: Option<Mutex<Spool>>,
}

/// A file of rows that is being written, with what is true of it so far.
#[derive(Debug)]
struct Spool {
    writer: BufWriter<tempfile::NamedTempFile>,
    rows: u64,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl Spool {
    fn create(spill: &Path) -> Result<Self, RunError> {
        let failed = RunError::io("create a spool in", spill.display().to_string());
        let file = tempfile::NamedTempFile::new_in(spill).map_err(failed)?;
        let (writer, crc) = (BufWriter::new(file), crc32fast::Hasher::new());
        Ok(Self { writer, rows: 0, bytes: 0, crc })
    }

    fn push(&mut self, line: &[u8]) -> Result<(), RunError> {
        self.writer.write_all(line).map_err(spool("append to"))?;
        self.crc.update(line);
        self.rows += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<FinishedRows, RunError> {
        let Self { writer, rows, bytes, crc } = self;
        let file = writer.into_inner().map_err(|error| spool("append to")(error.into_error()))?;
        Ok(FinishedRows { file, rows, bytes, crc32: format!("{:08x}", crc.finalize()) })
    }

    /// Returns the lines from the first on.
    fn lines(&mut self) -> Result<impl Iterator<Item = std::io::Result<Vec<u8>>>, RunError> {
        self.writer.rewind().map_err(spool("rewind"))?;
        Ok(BufReader::new(self.writer.get_mut()).split(b'\n'))
    }
}

fn line_of(row: &impl Serialize) -> Result<Vec<u8>, RunError> {
    let mut line = serde_json::to_vec(row).map_err(internal)?;
    line.push(b'\n');
    Ok(line)
}

impl Rows {
    /// Creates an empty spool.
    ///
    /// # Errors
    /// [`RunError::Io`] where the folder cannot be written.
    pub fn create(spill: &Path) -> Result<Self, RunError> {
        Ok(Self { spool: Some(Mutex::new(Spool::create(spill)?)) })
    }

    /// Returns a spool that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { spool: None }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn push(&self, row: &impl Serialize) -> Result<(), RunError> {
        let Some(spool) = &self.spool else { return Ok(()) };
        let line = line_of(row)?;
        spool.lock().unwrap_or_else(PoisonError::into_inner).push(&line)
    }

    /// Reads the rows in the order in which they were added.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device fails, and what `of` returns.
    pub fn each<R: DeserializeOwned>(
        &self,
        mut of: impl FnMut(R) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let Some(rows) = &self.spool else { return Ok(()) };
        for line in rows.lock().unwrap_or_else(PoisonError::into_inner).lines()? {
            of(serde_json::from_slice(&line.map_err(spool("read"))?).map_err(internal)?)?;
        }
        Ok(())
    }

    /// Ends the spool with the rows as they were added; it is empty then.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn finish(&self, spill: &Path) -> Result<FinishedRows, RunError> {
        let mut spool = self.kept()?;
        std::mem::replace(&mut *spool, Spool::create(spill)?).finish()
    }

    /// Ends the spool: each row becomes what `edit` makes of it, or goes.
    ///
    /// # Errors
    /// [`RunError::Io`] where the device is full or fails.
    pub fn finish_edited<R: Serialize + DeserializeOwned>(
        &self,
        spill: &Path,
        mut edit: impl FnMut(R) -> Option<R>,
    ) -> Result<FinishedRows, RunError> {
        let mut edited = Spool::create(spill)?;
        for line in self.kept()?.lines()? {
            let line = line.map_err(spool("read"))?;
            if let Some(row) = edit(serde_json::from_slice(&line).map_err(internal)?) {
                edited.push(&line_of(&row)?)?;
            }
        }
        edited.finish()
    }

    fn kept(&self) -> Result<MutexGuard<'_, Spool>, RunError> {
        let nothing = || RunError::Internal("rows were asked for that nobody kept".to_owned());
        let spool = self.spool.as_ref().ok_or_else(nothing)?;
        Ok(spool.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn internal(error: serde_json::Error) -> RunError {
    RunError::Internal(format!("a row that is no JSON: {error}"))
}

fn spool(action: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    RunError::io(action, "a spool of rows")
}

/// Rows that are final, on local disk.
#[derive(Debug)]
pub struct FinishedRows {
    file: tempfile::NamedTempFile,
    rows: u64,
    bytes: u64,
    crc32: String,
}

impl FinishedRows {
    /// Returns how many there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Uploads the rows as an object.
    ///
    /// # Errors
    /// [`RunError::Store`] where the output cannot be written.
    pub async fn upload(self, root: &Root, folder: &str, name: &str) -> Result<RowsFile, RunError> {
        root.put_file(&format!("{folder}/{name}"), self.file.path()).await?;
        Ok(RowsFile {
            name: name.to_owned(),
            rows: self.rows,
            bytes: self.bytes,
            crc32: self.crc32,
        })
    }
}

/// Rejections by reason, with one example each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejections(pub BTreeMap<Reason, ReasonCount>);

/// How often a reason was met, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// How often.
    pub count: u64,
    /// One of them.
    pub example: RejectedRow,
}

impl Rejections {
    /// Counts a row.
    pub fn count(&mut self, row: &RejectedRow) {
        let counted = self.0.entry(row.rejection.reason);
        counted.or_insert_with(|| ReasonCount { count: 0, example: row.clone() }).count += 1;
    }
}

/// The rows that were written before a conflict was settled otherwise, and what stands for them.
#[derive(Debug, Default)]
pub struct Superseded {
    /// Rejections of instances; `None` where the instance was published after all.
    pub rejected: HashMap<SopInstanceUid, Option<RejectedRow>>,
    /// Published objects, by key.
    pub published: HashMap<String, PublishedRow>,
    /// Files in shards, by instance; `None` where there is none after all.
    pub in_shards: HashMap<SopInstanceUid, Option<PublishedRow>>,
}

impl Superseded {
    /// Returns whether all objects stand as they were published.
    #[must_use]
    pub fn has_no_published(&self) -> bool {
        self.published.is_empty() && self.in_shards.is_empty()
    }

    /// Returns what stands for a rejection.
    #[must_use]
    pub fn rejected(&self, row: RejectedRow) -> Option<RejectedRow> {
        let uid = row.uid.as_ref().filter(|_| row.scope == Scope::Instance);
        match uid.and_then(|uid| self.rejected.get(uid)) {
            Some(settled) => settled.clone(),
            None => Some(row),
        }
    }

    /// Returns what stands for a published object.
    #[must_use]
    pub fn published(&self, row: PublishedRow) -> Option<PublishedRow> {
        match &row.uid {
            Some(uid) => self.in_shards.get(uid).cloned().unwrap_or(Some(row)),
            None => Some(self.published.get(&row.key).cloned().unwrap_or(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_filtered_and_with_their_checksum() {
        let spill = tempfile::tempdir().unwrap();
        let rows = Rows::create(spill.path()).unwrap();
        for key in ["a", "b", "c"] {
            rows.push(&PublishedRow::new(key.to_owned(), &[Bytes::from_static(b"123456789")]))
                .unwrap();
        }
        let edit = |row: PublishedRow| (row.key != "b").then_some(row);
        let finished = rows.finish_edited(spill.path(), edit).unwrap();
        let text = std::fs::read_to_string(finished.file.path()).unwrap();
        assert_eq!(
            text,
            "{\"key\":\"a\",\"bytes\":9,\"crc32\":\"cbf43926\"}\n{\"key\":\"c\",\"bytes\":9,\"crc32\":\"cbf43926\"}\n"
        );
        assert_eq!((finished.rows, finished.bytes), (2, text.len() as u64));
        assert_eq!(finished.crc32, format!("{:08x}", crc32fast::hash(text.as_bytes())));

        let all = |row: PublishedRow| Some(row);
        let edited = rows.finish_edited(spill.path(), all).unwrap();
        let as_added = rows.finish(spill.path()).unwrap();
        assert_eq!(
            std::fs::read(edited.file.path()).unwrap(),
            std::fs::read(as_added.file.path()).unwrap()
        );
        assert_eq!(
            (edited.rows, edited.bytes, &edited.crc32),
            (as_added.rows, as_added.bytes, &as_added.crc32)
        );
        assert_eq!(as_added.rows, 3);
    }

    #[test]
    fn a_rejected_row_is_flat() {
        let lies = Lies {
            archive: "a.tar".into(),
            member: Some("1.2.json".into()),
            offset: 512,
            length: 3,
        };
        let rejection = Rejection::new(Reason::JsonSyntax, "expected a value at byte 2");
        let row = RejectedRow::of_half(Half::Metadata, Scope::Metadata, None, lies, rejection);
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["reason"], "json_syntax");
        assert_eq!(json["metadata"]["offset"], 512);
        assert_eq!(serde_json::from_value::<RejectedRow>(json).unwrap(), row);
    }
}
