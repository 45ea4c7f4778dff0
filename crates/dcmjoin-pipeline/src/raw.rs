//! Raw objects: every half of a campaign as an object of its own, and what its pairs came to.
//!
//! ```text
//! <place>/_dcmjoin/raw/<campaign>/metadata/<hash>/<uid>-<digest>.json
//!                                 images/<hash>/<uid>-<digest>.j2c
//!                                 pairs/<digest>.jsonl.zst
//! ```
//!
//! The bytes of a half are those of its member. `<hash>` is two digits of the UID's fingerprint: stores part
//! their load by prefix, and UIDs share theirs. `<digest>` is XXH3-128 of the bytes.
//!
//! **Invariants.** A key has one content: a half that comes again is the same object, and one of other bytes
//! stands beside it. So nothing is overwritten, and a scan that is repeated writes what stands already.
//! Whoever reads a half knows its length and CRC-32C from its fact, and checks both. **What is not
//! here:** which of several headers counts. The fact log gives the one with the smallest digest.

use std::fmt::Write as _;
use std::io::Read as _;

use bytes::Bytes;
use dcmjoin_index::{Fingerprint, digest};
use dcmjoin_model::{Half, PayloadKind, Rejection, SopInstanceUid, Warnings};
use dcmjoin_objects::{ErrorKind, Location, Object, PutMode, Removed, Root, Stores};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::rows::PublishedRow;

/// Where raw objects lie below their place.
pub const RAW_FOLDER: &str = "_dcmjoin/raw";
/// Of the key of a half: a UID has 64 characters at most.
const KEY_BYTES_MAX: usize = 128;
/// Where it is told what pairs came to.
const PAIRS_FOLDER: &str = "pairs";
/// Rows of one object take some hundred bytes each: what is more is not one of ours.
const PAIR_ROWS_BYTES_MAX: u64 = 256 << 20;
/// Rows are repetitive, and there are many objects of them: speed counts.
const ZSTD_LEVEL: i32 = 3;

/// Where a campaign keeps its raw objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPlace {
    /// The folder or prefix.
    pub place: Location,
    /// Whose they are.
    pub campaign: String,
}

/// The raw objects of a campaign.
#[derive(Debug, Clone)]
pub struct Raw {
    root: Root,
}

/// What a pair of raw objects came to: what the closing needs to account for it without reading
/// either half again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRow {
    /// The instance.
    pub uid: SopInstanceUid,
    /// Of its header's bytes, 32 hexadecimal digits.
    pub header: Digest,
    /// Of its image's bytes, likewise.
    pub image: Digest,
    /// What its payload turned out to be.
    pub kind: Option<PayloadKind>,
    /// The object in the output.
    pub published: Option<PublishedRow>,
    /// Why there is none.
    pub rejection: Option<Rejection>,
    /// What was repaired, kept or noted.
    pub warnings: Warnings,
}

/// A digest as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub u128);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        format!("{:032x}", digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl Raw {
    /// Opens the raw objects of a campaign; nothing is asked of a store yet.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place makes no sense.
    pub fn open(stores: &Stores, place: &RawPlace) -> Result<Self, RunError> {
        let root = stores.open(&place.place)?;
        Ok(Self { root: root.below(&format!("{RAW_FOLDER}/{}", place.campaign))? })
    }

    /// Returns where they lie.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Copies a half's bytes, in parts where they are many; those that stand there are the same.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place cannot be written.
    pub async fn keep(
        &self,
        half: Half,
        uid: &SopInstanceUid,
        digest: u128,
        bytes: Bytes,
    ) -> Result<(), RunError> {
        self.put_once(&key(half, uid, digest), bytes).await
    }

    /// Returns a half that was copied.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place makes no sense.
    pub fn half(
        &self,
        half: Half,
        uid: &SopInstanceUid,
        digest: u128,
        length: u64,
    ) -> Result<Object, RunError> {
        Ok(self.root.sized(&key(half, uid, digest), length)?)
    }

    /// Keeps what pairs came to; their instances must be durable.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place cannot be written.
    pub async fn tell(&self, rows: &[PairRow]) -> Result<(), RunError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, row)
                .map_err(|error| RunError::Internal(format!("encode a pair's row: {error}")))?;
            lines.push(b'\n');
        }
        let packed = zstd::bulk::compress(&lines, ZSTD_LEVEL)
            .map_err(RunError::io("compress", "rows of pairs"))?;
        let key = format!("{PAIRS_FOLDER}/{:032x}.jsonl.zst", digest(&packed));
        self.put_once(&key, packed.into()).await
    }

    /// Returns the objects that tell what pairs came to.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place cannot be listed.
    pub async fn told(&self) -> Result<Vec<Object>, RunError> {
        match self.root.below(PAIRS_FOLDER)?.list().await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
            listed => Ok(listed?),
        }
    }

    /// Removes all raw objects. What has another key's form is left.
    ///
    /// # Errors
    /// [`RunError::Store`] where the place refuses.
    pub async fn remove_all(&self, dry_run: bool) -> Result<Removed, RunError> {
        let mut removed = Removed::default();
        for folder in [folder(Half::Metadata), folder(Half::Image), PAIRS_FOLDER] {
            let is_ours = |key: &str| is_raw_key(&format!("{folder}/{key}"));
            removed.add(self.root.below(folder)?.remove_all(is_ours, dry_run).await?);
        }
        if self.root.is_folder() && !dry_run {
            // Its own folder, where nothing is left in it.
            self.root.remove_all(|_| false, false).await?;
        }
        Ok(removed)
    }

    async fn put_once(&self, key: &str, bytes: Bytes) -> Result<(), RunError> {
        match self.root.put(key, vec![bytes], PutMode::Create).await {
            Err(error) if error.kind == ErrorKind::Exists => Ok(()),
            put => Ok(put?),
        }
    }
}

/// Returns the rows of an object that tells what pairs came to.
///
/// # Errors
/// [`RunError::Store`] where it cannot be read, [`RunError::Invalid`] where it is damaged.
pub async fn pair_rows(object: &Object) -> Result<Vec<PairRow>, RunError> {
    let packed = object.read(0..object.size()).await?;
    let damaged = || RunError::Invalid {
        place: "rows of pairs".to_owned(),
        detail: "expected JSON lines under zstd, got others".to_owned(),
    };
    let decoder = zstd::Decoder::new(&packed[..]).map_err(|_| damaged())?;
    let mut lines = Vec::new();
    decoder.take(PAIR_ROWS_BYTES_MAX).read_to_end(&mut lines).map_err(|_| damaged())?;
    let rows = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    rows.map(|line| serde_json::from_slice(line).map_err(|_| damaged())).collect()
}

fn folder(half: Half) -> &'static str {
    match half {
        Half::Metadata => "metadata",
        Half::Image => "images",
    }
}

fn extension(half: Half) -> &'static str {
    match half {
        Half::Metadata => "json",
        Half::Image => "j2c",
    }
}

fn key(half: Half, uid: &SopInstanceUid, digest: u128) -> String {
    let hash = Fingerprint::of(uid).0 >> 120;
    let mut key = String::with_capacity(KEY_BYTES_MAX);
    // Text takes whatever is written.
    let _ = write!(key, "{}/{hash:02x}/", folder(half));
    key.push_str(uid.as_str());
    let _ = write!(key, "-{digest:032x}.");
    key.push_str(extension(half));
    key
}

/// Returns whether a key below a campaign's raw objects is one that [`Raw`] writes.
fn is_raw_key(key: &str) -> bool {
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if let Some(name) = key.strip_prefix("pairs/") {
        return name.strip_suffix(".jsonl.zst").is_some_and(|name| is_hex(name, 32));
    }
    [Half::Metadata, Half::Image].into_iter().any(|half| {
        let parts = key.strip_prefix(folder(half)).and_then(|rest| rest.strip_prefix('/'));
        let Some((hash, name)) = parts.and_then(|rest| rest.split_once('/')) else { return false };
        let name = name.strip_suffix(extension(half)).and_then(|name| name.strip_suffix('.'));
        let Some((uid, digest)) = name.and_then(|name| name.split_once('-')) else { return false };
        is_hex(hash, 2) && is_hex(digest, 32) && SopInstanceUid::parse(uid).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> SopInstanceUid {
        SopInstanceUid::parse(text).unwrap()
    }

    fn row(number: u128) -> PairRow {
        PairRow {
            uid: uid(&format!("2.25.{number}")),
            header: Digest(number),
            image: Digest(u128::MAX - number),
            kind: Some(PayloadKind::Native),
            published: Some(PublishedRow::new(format!("{number}.dcm"), &["1".into()])),
            rejection: None,
            warnings: Warnings::default(),
        }
    }

    #[test]
    fn keys_of_halves_and_no_others_are_known_again() {
        for half in [Half::Metadata, Half::Image] {
            assert!(is_raw_key(&key(half, &uid("2.25.7"), 7)), "{half}");
        }
        let named = key(Half::Metadata, &uid("2.25.7"), 7);
        assert!(named.ends_with("/2.25.7-00000000000000000000000000000007.json"), "{named}");
        for other in [
            "metadata/a.tar",
            "images/00/1.2.j2c",
            "images/00/1.2-0.j2c",
            "images/zz/1.2-00000000000000000000000000000007.j2c",
            "images/00/x-00000000000000000000000000000007.j2c",
            "images/00/1.2-00000000000000000000000000000007.json",
            "other/00/1.2-00000000000000000000000000000007.j2c",
            "pairs/1.jsonl.zst",
        ] {
            assert!(!is_raw_key(other), "{other}");
        }
    }

    #[tokio::test]
    async fn what_pairs_came_to_is_read_back_and_removed_with_the_halves() {
        let dir = tempfile::tempdir().unwrap();
        let place = RawPlace {
            place: dir.path().display().to_string().parse().unwrap(),
            campaign: "a".to_owned(),
        };
        let raw = Raw::open(&Stores::default(), &place).unwrap();
        assert!(raw.told().await.unwrap().is_empty());
        let rows: Vec<_> = (0..500).map(row).collect();
        raw.tell(&rows).await.unwrap();
        raw.tell(&rows).await.unwrap();
        let told = raw.told().await.unwrap();
        assert_eq!(told.len(), 1, "the same rows are the same object");
        assert_eq!(pair_rows(&told[0]).await.unwrap(), rows);
        for bytes in ["1", "2"] {
            let (uid, digest) = (uid("2.25.7"), digest(bytes.as_bytes()));
            raw.keep(Half::Image, &uid, digest, bytes.into()).await.unwrap();
        }
        let second = raw.half(Half::Image, &uid("2.25.7"), digest(b"2"), 1).unwrap();
        assert_eq!(second.read(0..1).await.unwrap(), "2", "a conflict overwrites nothing");
        raw.root().put("images/notes.txt", vec!["1".into()], PutMode::Create).await.unwrap();
        assert_eq!(raw.remove_all(true).await.unwrap().objects, 3);
        let removed = raw.remove_all(false).await.unwrap();
        assert_eq!((removed.objects, removed.left > 0), (3, true));
        assert_eq!(raw.root().list().await.unwrap().len(), 1);
        assert_eq!(raw.remove_all(false).await.unwrap().objects, 0);
    }
}
