//! The step *scan*: an archive's bytes to halves, each given to the caller while it is in memory.
//!
//! Every entry that a tar reader lists is found exactly once: as [`Found::Half`],
//! [`Found::Rejected`] or [`Found::Ignored`]. What breaks the archive itself comes last, as
//! [`Found::Broken`], and is no member.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use dcmjoin_formats::tar::{Member, MemberKind, TarError, TarEvent, TarLimits, TarParser};
use dcmjoin_index::Spool;
use dcmjoin_model::{ByteRange, Half, Reason, Rejection, SopInstanceUid};
use dcmjoin_objects::Object;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::{Members, paid};
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
    pub members: &'a Members,
    /// Bounds of the tar parser.
    pub limits: TarLimits,
    /// The largest member, in bytes.
    pub member_bytes_max: u64,
    /// The longest time that the archive may take.
    pub time_max: Duration,
    /// Only these; all where `None`.
    pub only: Option<&'a HashSet<SopInstanceUid>>,
}

/// A scan of one archive, from its first byte to its last.
pub struct Scanner<'a> {
    scan: &'a Scan<'a>,
    plain: Option<BoxStream<'static, Result<Bytes, SourceError>>>,
    is_compressed: bool,
    parser: TarParser,
    began: Instant,
    current: Option<Current>,
    /// What is to be told next, and after it.
    then: Option<Found>,
    cause: Option<Found>,
}

impl Scan<'_> {
    /// Begins to scan an archive.
    pub async fn open(&self, archive: &Object) -> Scanner<'_> {
        let (plain, is_compressed, then) = match self.reading.open(archive).await {
            Ok(plain) => (Some(plain.stream), plain.compression.is_some(), None),
            Err(error) => (None, false, Some(Found::Broken(unreadable(error)))),
        };
        Scanner {
            scan: self,
            plain,
            is_compressed,
            began: Instant::now(),
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
    /// Returns whether the archive is compressed: then its members cannot be range-read.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

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
                Ok(None) if self.began.elapsed() > self.scan.time_max => {
                    let seconds = self.scan.time_max.as_secs();
                    let detail =
                        format!("expected the end within {seconds} seconds, got more bytes");
                    self.break_off(Rejection::new(Reason::ArchiveLimit, detail));
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
                    let pushed = current.content.push(bytes, length, self.scan.members).await;
                    pushed.unwrap_or_else(|error| self.break_off(spooled(&error)));
                }
                None
            }
            TarEvent::End => {
                let Current { uid, member, content } = self.current.take()?;
                match content.into_bytes() {
                    Ok(bytes) => Some(Found::Half { uid, member, bytes }),
                    Err(error) => {
                        self.break_off(spooled(&error));
                        None
                    }
                }
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

/// The archive may be whole, and this machine has no room to read it.
fn spooled(error: &dcmjoin_index::Error) -> Rejection {
    Rejection::new(Reason::ArchiveUnreadable, format!("a large member: {error}"))
}

fn tar_rejection(error: &TarError) -> Rejection {
    Rejection::new(error.reason(), error.to_string())
}

/// The member whose content comes in.
struct Current {
    uid: SopInstanceUid,
    member: Place,
    content: Content,
}

/// A member's content: one slice of a range in the common case, copied together where it straddles
/// ranges, and in a file where it is too large for that.
#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Slice(Bytes),
    Joined(BytesMut, OwnedSemaphorePermit),
    Spooled(Spool),
}

impl Content {
    async fn push(
        &mut self,
        bytes: Bytes,
        length: u64,
        members: &Members,
    ) -> Result<(), dcmjoin_index::Error> {
        *self = match std::mem::take(self) {
            Self::Empty => Self::Slice(bytes),
            Self::Slice(first) if members.is_large(length) => {
                let mut spool = members.spool()?;
                spool.append(&first)?;
                spool.append(&bytes)?;
                Self::Spooled(spool)
            }
            Self::Slice(first) => {
                // Paid for as a whole before a byte is copied: waiting later could wait for itself.
                let permit = members.take(length).await;
                let mut joined = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&bytes);
                Self::Joined(joined, permit)
            }
            Self::Joined(mut joined, permit) => {
                joined.extend_from_slice(&bytes);
                Self::Joined(joined, permit)
            }
            Self::Spooled(mut spool) => {
                spool.append(&bytes)?;
                Self::Spooled(spool)
            }
        };
        Ok(())
    }

    fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Slice(bytes) => bytes.len() as u64,
            Self::Joined(bytes, _) => bytes.len() as u64,
            Self::Spooled(spool) => spool.len(),
        }
    }

    fn into_bytes(self) -> Result<Bytes, dcmjoin_index::Error> {
        Ok(match self {
            Self::Empty => Bytes::new(),
            Self::Slice(bytes) => bytes,
            Self::Joined(bytes, permit) => paid(bytes.freeze(), permit),
            Self::Spooled(spool) => spool.into_bytes()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::budget::Budget;
    use dcmjoin_objects::Stores;

    use super::*;

    /// What a scan of one archive finds, in words.
    async fn scanned(
        archive: &[u8],
        range_bytes: u64,
        time_max: Duration,
        member_bytes_max: u64,
    ) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.tar"), archive).unwrap();
        let root =
            Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap();
        let object = root.list().await.unwrap().remove(0);
        let members = Members::new(1 << 20, dir.path());
        let (ranges, pieces) = (Budget::new(3 << 20), Budget::new(3 << 20));
        let reading = Reading { ranges, pieces, range_bytes, ratio_max: 10, keep: None };
        let limits = TarLimits::default();
        let scan = Scan {
            half: Half::Image,
            reading: &reading,
            members: &members,
            limits,
            member_bytes_max,
            time_max,
            only: None,
        };
        let mut scanner = scan.open(&object).await;
        let mut found = Vec::new();
        while let Some(next) = scanner.next().await {
            found.push(match next {
                Found::Half { uid, bytes, .. } => {
                    assert!(bytes.iter().all(|&byte| byte == 7), "the content");
                    format!("{uid} {}", bytes.len())
                }
                Found::Rejected { rejection, .. } => rejection.reason.to_string(),
                Found::Ignored(why) => format!("{why:?}"),
                Found::Broken(rejection) => rejection.to_string(),
            });
        }
        found
    }

    fn archive(members: &[(&str, usize)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, length) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(*length as u64);
            builder.append_data(&mut header, name, &vec![7; *length][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn ranges_of_any_size_find_the_same() {
        let tar = archive(&[
            ("1.2.j2c", 5000),
            ("x/", 0),
            ("1.3.j2c", 1),
            ("notes.txt", 9),
            ("1.4.json", 3),
        ]);
        let expected = ["1.2 5000", "Folder", "1.3 1", "Junk", "OtherHalf"];
        for range_bytes in [1, 100, 512, 5000, 1 << 20] {
            assert_eq!(scanned(&tar, range_bytes, HOUR, 1 << 20).await, expected, "{range_bytes}");
        }
    }

    #[tokio::test]
    async fn a_member_that_memory_does_not_hold_goes_through_a_file() {
        let tar = archive(&[("1.2.j2c", 3 << 20), ("1.3.j2c", 5000)]);
        for range_bytes in [100_000, 1 << 20] {
            let found = scanned(&tar, range_bytes, HOUR, 4 << 20).await;
            assert_eq!(found, ["1.2 3145728", "1.3 5000"]);
            let cut = scanned(&tar[..1 << 20], range_bytes, HOUR, 4 << 20).await;
            assert_eq!(cut[0], "member_truncated");
        }
    }

    #[tokio::test]
    async fn limits_are_kept() {
        let tar = archive(&[("1.2.j2c", 5000), ("1.3.j2c", 1)]);
        assert_eq!(scanned(&tar, 512, HOUR, 4999).await, ["member_too_large", "1.3 1"]);
        let late = scanned(&tar, 512, Duration::ZERO, 5000).await;
        assert_eq!(late, ["archive_limit: expected the end within 0 seconds, got more bytes"]);
    }

    #[tokio::test]
    async fn a_bomb_ends_at_its_ratio() {
        let tar = archive(&[("1.2.j2c", 5 << 20), ("1.3.j2c", 1)]);
        let bomb = zstd::bulk::compress(&tar, 19).unwrap();
        let found = scanned(&bomb, 512, HOUR, 1 << 30).await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "member_truncated");
        assert!(found[1].starts_with("archive_limit: expected at most"), "{found:?}");
    }
}
