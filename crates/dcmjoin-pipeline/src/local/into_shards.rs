//! Images of one archive on their way into its shards.
//!
//! **What a shard holds** depends on nothing but the archive, the headers and the settings: all of the
//! archive's images that make a file with their header, in the archive's order, whether or not another
//! archive has the same instance. So shards are the same bytes however many workers there are and
//! whichever was killed. Of several files of one instance one is listed: that of the image that came first,
//! or, where they differ, of the one that the merge chooses.
//!
//! **What it is called** tells all that it depends on. A key is never used for other bytes, and what a
//! dead run left stands in nobody's way.

use std::sync::Arc;

use dcmjoin_catalog::Row;
use dcmjoin_index::{Fact, Outcome, digest};
use dcmjoin_model::{Half, PayloadKind, SopInstanceUid, Warnings};
use dcmjoin_objects::Object;

use super::Run;
use super::images::Pass;
use super::notes::Notes;
use super::stream::{Ended, Image, Stream};
use crate::assemble::{self, Instance};
use crate::catalog::{Draft, settings};
use crate::config::Publish;
use crate::error::RunError;
use crate::pair::Headers;
use crate::publish::Published;
use crate::record::Origin;
use crate::rows::{CopyRow, Lies};
use crate::shards::{Settled, Shards};

/// Where shards lie below an output.
const SHARDS_FOLDER: &str = "shards";
/// What of an archive's name its shards keep, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The shards of one archive.
pub(super) struct IntoShards {
    stream: Arc<Stream>,
    draft: Option<Arc<Draft>>,
    shards: Shards<Note>,
}

/// What is to be told of an image once its shard is whole.
struct Note {
    fact: Fact,
    row: Row,
    uid: SopInstanceUid,
    /// Whether its instance is this image's to publish.
    is_first: bool,
    origin: Origin,
    lies: Lies,
    kind: Option<PayloadKind>,
    warnings: Warnings,
}

impl IntoShards {
    /// Begins with an archive; `None` where instances are objects of their own.
    pub(super) fn begin(stream: &Arc<Stream>, notes: &Notes, pass: Pass) -> Option<Self> {
        let archive = stream.run.images.get(notes.archive);
        let late = if pass == Pass::Late { "-late" } else { "" };
        let name = format!("{}{late}", name_of(&archive));
        let shards = stream.run.shards(&stream.headers, &name)?;
        Some(Self { stream: Arc::clone(stream), draft: notes.draft.clone(), shards })
    }

    /// Pairs and assembles an image, and adds the file.
    pub(super) async fn take(&mut self, image: Image) -> Result<(), RunError> {
        let (mut fact, row) = image.noted();
        let Some(paired) = self.stream.headers.find(&image.uid)? else {
            return self.stream.unpaired(image, fact, row, self.draft.as_deref());
        };
        let run = &self.stream.run;
        fact.place = self.stream.headers.index.place(paired.slot)?.0;
        let lies = run.lies(Half::Image, image.archive, &image.member);
        let instance = assemble::pair(&paired.header, image.bytes, &run.config.limits.payload);
        let note = Note {
            fact,
            row,
            uid: image.uid,
            is_first: self.stream.comes_first(&paired),
            origin: paired.origin,
            lies,
            kind: None,
            warnings: Warnings::default(),
        };
        match instance {
            Ok(instance) => self.add(&instance, note).await,
            Err(rejection) => self.tell(note, Published::Rejected(rejection)),
        }
    }

    async fn add(&mut self, instance: &Instance, note: Note) -> Result<(), RunError> {
        let uid = note.uid.clone();
        let note = Note { kind: instance.kind, warnings: instance.warnings.clone(), ..note };
        let settled = self.shards.add(&uid, instance, note).await?;
        self.tell_all(settled)
    }

    /// Hands over what was added, and with it the memory that it lies in.
    pub(super) async fn flush(&mut self) -> Result<(), RunError> {
        self.shards.flush().await
    }

    /// Ends the last shard.
    pub(super) async fn finish(mut self) -> Result<(), RunError> {
        let settled = self.shards.finish().await?;
        self.tell_all(settled)
    }

    fn tell_all(&self, settled: Vec<Settled<Note>>) -> Result<(), RunError> {
        settled.into_iter().try_for_each(|one| self.tell(one.note, one.published))
    }

    fn tell(&self, note: Note, published: Published) -> Result<(), RunError> {
        let Note { mut fact, mut row, uid, is_first, origin, lies, kind, warnings } = note;
        let run = &self.stream.run;
        let ended = match published {
            Published::Durable(outcome, file) => {
                if is_first {
                    fact.outcome = outcome;
                    run.in_output(&file, &warnings)?;
                } else {
                    fact.outcome = match outcome {
                        Outcome::AlreadyThere => Outcome::CopyThere,
                        _ => Outcome::CopyPublished,
                    };
                    let image = (fact.archive, fact.offset);
                    run.rows.copies.push(&CopyRow { image, file: file.clone() })?;
                }
                Ended { outcome, kind, object: Some(file), rejection: None, warnings }
            }
            Published::Rejected(rejection) => {
                if is_first {
                    fact.outcome = Outcome::Rejected;
                    run.reject(uid, origin, Some(lies), rejection.clone())?;
                }
                Ended::rejected(rejection)
            }
        };
        ended.note(&mut row, origin.digest);
        self.stream.tell(&fact, row, self.draft.as_deref())
    }
}

impl Run {
    /// Returns whether instances are published in shards.
    pub(super) fn in_shards(&self) -> bool {
        matches!(self.config.publish, Publish::Shards(_))
    }

    /// Begins shards of a name, which no others of this run have; `None` where instances are
    /// objects of their own.
    pub(super) fn shards<T>(&self, headers: &Headers, name: &str) -> Option<Shards<T>> {
        let Publish::Shards(bytes_max) = self.config.publish else { return None };
        let told = format!("{} {:032x}", settings(&self.config), headers.digest);
        let stem = format!("{SHARDS_FOLDER}/{:016x}/{name}", digest(told.as_bytes()) >> 64);
        Some(Shards::new(self.publisher.clone(), stem, bytes_max, self.upload_bytes))
    }
}

/// Returns what an archive's shards are called: as it is, as far as people are helped by that, and by
/// a digest of its URL and version.
fn name_of(archive: &Object) -> String {
    let url = archive.url();
    let file = url.rsplit('/').next().unwrap_or_default();
    let stem = file.split(".tar").next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let stem: String = stem.chars().take(NAME_CHARS_MAX).map(plain).collect();
    let told = format!("{url} {}", archive.version().unwrap_or_default());
    format!("{stem}-{:016x}", digest(told.as_bytes()) >> 64)
}
