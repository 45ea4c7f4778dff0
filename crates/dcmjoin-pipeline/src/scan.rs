//! The step *scan*: an archive's bytes to halves, each given to the caller while it is in memory.
//!
//! Every entry that a tar reader lists is found exactly once: as [`Found::Half`],
//! [`Found::Rejected`] or [`Found::Ignored`]. What breaks the archive itself comes last, as
//! [`Found::Broken`], and is no member.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use dcmjoin_formats::tar::{Member, MemberKind, Part, TarError, TarEvent, TarLimits, TarParser};
use dcmjoin_model::{ByteRange, Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::{Budget, paid};
use crate::member::{Role, role};
use crate::source::{Reading, SourceError};

/// Why a member is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignorance {
    /// A folder.
    Folder,
    /// A link, or a device.
    Link,
    /// The other side's half.
    OtherHalf,
    /// Neither half.
    Junk,
    /// Not on the list of wanted UIDs.
    NotWanted,
}

/// What a scan finds.
#[derive(Debug)]
pub enum Found {
    /// One half, with its bytes as they lie in the archive.
    Half {
        /// From the member's name.
        uid: SopInstanceUid,
        /// Where it lies.
        member: Place,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A member that cannot be a half.
    Rejected {
        /// From the member's name, where it has one.
        uid: Option<SopInstanceUid>,
        /// Where it lies.
        member: Place,
        /// Why.
        rejection: Rejection,
    },
    /// A member that is no half.
    Ignored(Ignorance),
    /// The archive ends before its end, or has more than it should.
    Broken(Rejection),
}

/// A member's name and range in the plain tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name: data, never a path.
    pub name: String,
    /// The content.
    pub range: ByteRange,
}

/// What is looked for, and how.
#[derive(Debug)]
pub struct Scan<'a> {
    /// Which half the archives of this side hold.
    pub half: Half,
    /// How they are read.
    pub reading: &'a Reading,
    /// Memory for members that straddle ranges.
    pub members: &'a Budget,
    /// Bounds of the tar parser.
    pub limits: TarLimits,
    /// The largest member, in bytes.
    pub member_bytes_max: u64,
    /// Only these; all where `None`.
    pub only: Option<&'a HashSet<SopInstanceUid>>,
}

/// A scan of one archive, from its first byte to its last.
pub struct Scanner<'a> {
    scan: &'a Scan<'a>,
    plain: Option<BoxStream<'static, Result<Bytes, SourceError>>>,
    parser: TarParser,
    current: Option<Current>,
    /// What is to be told next, and after it.
    then: Option<Found>,
    cause: Option<Found>,
}

impl Scan<'_> {
    /// Begins to scan an archive.
    pub async fn open(&self, archive: &Object) -> Scanner<'_> {
        let (plain, then) = match self.reading.open(archive).await {
            Ok(plain) => (Some(plain.stream), None),
            Err(error) => (None, Some(Found::Broken(unreadable(error)))),
        };
        Scanner {
            scan: self,
            plain,
            parser: TarParser::new(self.limits),
            current: None,
            then,
            cause: None,
        }
    }

    /// Decides by name and size alone whether a member's content is wanted.
    fn select(&self, member: Member) -> Result<Current, Found> {
        let place = Place { name: member.name, range: member.range };
        let role = role(&place.name, self.half);
        let uid = match (member.kind, role) {
            (MemberKind::Folder, _) => return Err(Found::Ignored(Ignorance::Folder)),
            (MemberKind::Link | MemberKind::Special, _) => {
                return Err(Found::Ignored(Ignorance::Link));
            }
            (_, Role::OtherHalf) => return Err(Found::Ignored(Ignorance::OtherHalf)),
            (_, Role::Junk) => return Err(Found::Ignored(Ignorance::Junk)),
            (_, Role::NotUid) => {
                let detail =
                    "expected a SOP Instance UID before the extension of the name".to_owned();
                return Err(rejected(None, place, Reason::MemberName, detail));
            }
            (_, Role::Half(uid)) => uid,
        };
        if self.only.is_some_and(|only| !only.contains(&uid)) {
            return Err(Found::Ignored(Ignorance::NotWanted));
        }
        if member.kind == MemberKind::Sparse {
            let detail = "expected a plain file, got a sparse one".to_owned();
            return Err(rejected(Some(uid), place, Reason::MemberSparse, detail));
        }
        if place.range.len() > self.member_bytes_max {
            let detail = format!(
                "expected at most {} bytes, got {}",
                self.member_bytes_max,
                place.range.len()
            );
            return Err(rejected(Some(uid), place, Reason::MemberTooLarge, detail));
        }
        Ok(Current { uid, member: place, content: Content::default() })
    }
}

impl Scanner<'_> {
    /// Returns what is found next, or `None` at the end of the archive.
    pub async fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.then.take() {
                self.then = self.cause.take();
                return Some(found);
            }
            let plain = self.plain.as_mut()?;
            match self.parser.next_event() {
                Ok(Some(event)) => {
                    if let Some(found) = self.event(event).await {
                        return Some(found);
                    }
                }
                Ok(None) => match plain.next().await {
                    Some(Ok(chunk)) => self.parser.feed(chunk),
                    Some(Err(error)) => self.break_off(unreadable(error)),
                    None => self.finish(),
                },
                Err(error) => self.break_off(tar_rejection(&error)),
            }
        }
    }

    async fn event(&mut self, event: TarEvent) -> Option<Found> {
        match event {
            TarEvent::Member(member) => match self.scan.select(member) {
                Ok(taken) => {
                    self.current = Some(taken);
                    None
                }
                Err(not_a_half) => {
                    self.parser.skip_member();
                    Some(not_a_half)
                }
            },
            TarEvent::Data(bytes) => {
                if let Some(current) = &mut self.current {
                    let length = current.member.range.len();
                    current.content.push(bytes, length, self.scan.members).await;
                }
                None
            }
            TarEvent::End => {
                let Current { uid, member, content } = self.current.take()?;
                Some(Found::Half { uid, member, bytes: content.into_bytes() })
            }
        }
    }

    fn finish(&mut self) {
        let parser = std::mem::replace(&mut self.parser, TarParser::new(self.scan.limits));
        match parser.finish() {
            Ok(end) if end.trailing_bytes > 0 => {
                let detail = format!(
                    "expected the end after the end marker, got {} bytes that are no archive",
                    end.trailing_bytes
                );
                self.break_off(Rejection::new(Reason::ArchiveDamaged, detail));
            }
            Ok(_) => self.plain = None,
            Err(error) => self.break_off(tar_rejection(&error)),
        }
    }

    /// Ends the archive before its end: a member that was begun is truncated, then comes the cause.
    fn break_off(&mut self, cause: Rejection) {
        self.plain = None;
        let broken = Found::Broken(cause);
        self.then = Some(match self.current.take() {
            None => broken,
            Some(Current { uid, member, content }) => {
                let detail =
                    format!("expected {} bytes, got {}", member.range.len(), content.len());
                self.cause = Some(broken);
                rejected(Some(uid), member, Reason::MemberTruncated, detail)
            }
        });
    }
}

fn rejected(uid: Option<SopInstanceUid>, member: Place, reason: Reason, detail: String) -> Found {
    Found::Rejected { uid, member, rejection: Rejection::new(reason, detail) }
}

/// Returns why an archive's bytes end early.
#[must_use]
pub fn unreadable(error: SourceError) -> Rejection {
    match error {
        SourceError::Store(error) => Rejection::new(Reason::ArchiveUnreadable, error.detail),
        SourceError::Stream(rejection) => rejection,
    }
}

fn tar_rejection(error: &TarError) -> Rejection {
    let reason = match error {
        TarError::Truncated { part: Part::Content, .. } => Reason::ArchiveDamaged,
        other => other.reason(),
    };
    Rejection::new(reason, error.to_string())
}

/// The member whose content comes in.
struct Current {
    uid: SopInstanceUid,
    member: Place,
    content: Content,
}

/// A member's content: one slice of a range in the common case, copied together where it straddles
/// ranges.
#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Slice(Bytes),
    Joined(BytesMut, OwnedSemaphorePermit),
}

impl Content {
    async fn push(&mut self, bytes: Bytes, length: u64, budget: &Budget) {
        *self = match std::mem::take(self) {
            Self::Empty => Self::Slice(bytes),
            Self::Slice(first) => {
                // Paid for as a whole before a byte is copied: waiting later could wait for itself.
                let permit = budget.take(length).await;
                let mut joined = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&bytes);
                Self::Joined(joined, permit)
            }
            Self::Joined(mut joined, permit) => {
                joined.extend_from_slice(&bytes);
                Self::Joined(joined, permit)
            }
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Slice(bytes) => bytes.len(),
            Self::Joined(bytes, _) => bytes.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::Slice(bytes) => bytes,
            Self::Joined(bytes, permit) => paid(bytes.freeze(), permit),
        }
    }
}
