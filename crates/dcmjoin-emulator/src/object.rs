//! An object as it is kept: small, since there can be a million.

use std::collections::HashMap;
use std::fmt;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto;

use crate::body::Body;
use crate::class::StorageClass;
use crate::random;
use crate::restore::Copy;
use crate::time::Time;

/// An object's entity tag: a digest, and of how many parts where it came in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    digest: [u8; 16],
    parts: u32,
}

impl Tag {
    /// Returns the tag of an object that came whole: the MD5 of its bytes.
    pub(crate) const fn whole(digest: [u8; 16]) -> Self {
        Self { digest, parts: 0 }
    }

    /// Returns the tag of a multipart upload: the MD5 of its parts' MD5s.
    pub(crate) fn of_parts(parts: &[Self]) -> Self {
        let mut md5 = Md5::new();
        parts.iter().for_each(|part| md5.update(&part.digest));
        Self { digest: md5.finalize(), parts: parts.len() as u32 }
    }

    /// Returns the tag of a body that was not uploaded. Bytes in memory have their MD5; others
    /// one that looks like that of an upload in one part, since their bytes are not read for it.
    pub(crate) fn of(body: &Body, number: u64) -> Self {
        if let Body::Bytes(bytes) = body {
            return Self::whole(Md5::checksum(bytes));
        }
        let mut digest = [0; 16];
        digest[..8].copy_from_slice(&random::number(number, body.length()).to_be_bytes());
        digest[8..].copy_from_slice(&random::number(number, u64::MAX).to_be_bytes());
        Self { digest, parts: 1 }
    }

    pub(crate) fn dto(self) -> dto::ETag {
        dto::ETag::Strong(self.to_string())
    }

    pub(crate) fn meets(self, condition: &dto::ETagCondition) -> bool {
        condition.as_etag().is_none_or(|tag| tag.value() == self.to_string())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Hex(&self.digest))?;
        if self.parts > 0 { write!(f, "-{}", self.parts) } else { Ok(()) }
    }
}

/// Bytes in hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a client said of an object besides its bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) checksum: dto::Checksum,
}

/// An object, or one version of it.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// No other object of this emulator has it.
    pub(crate) id: u64,
    pub(crate) body: Body,
    pub(crate) tag: Tag,
    pub(crate) modified: Time,
    pub(crate) class: StorageClass,
    /// It has an id that clients know, since its bucket kept versions when it was put.
    pub(crate) versioned: bool,
    /// It says that there is no object: what a delete leaves where versions are kept.
    pub(crate) marker: bool,
    copy: Option<Box<Copy>>,
    pub(crate) said: Option<Box<Said>>,
}

impl Object {
    pub(crate) const fn new(
        id: u64,
        body: Body,
        tag: Tag,
        class: StorageClass,
        modified: Time,
    ) -> Self {
        let (copy, said) = (None, None);
        Self { id, body, tag, modified, class, versioned: false, marker: false, copy, said }
    }

    pub(crate) fn copy(&self) -> Option<Copy> {
        self.copy.as_deref().copied()
    }

    pub(crate) fn set_copy(&mut self, copy: Option<Copy>) {
        self.copy = copy.map(Box::new);
    }

    /// Returns true where the bytes can be read now.
    pub(crate) fn is_readable(&self) -> bool {
        self.class.archive().is_none() || matches!(self.copy(), Some(Copy::Available { .. }))
    }

    /// Returns the bytes that a restored copy takes now, besides the archive.
    pub(crate) fn copy_bytes(&self) -> u64 {
        match self.copy() {
            Some(Copy::Available { .. }) => self.body.length(),
            _ => 0,
        }
    }

    /// Returns the version's id; `null` for what was put while no versions were kept.
    pub(crate) fn version(&self) -> String {
        if self.versioned {
            // Opaque, as AWS has it: the order of ids says nothing of the order of versions.
            format!("{:016x}{:016x}", random::number(self.id, 0), self.id)
        } else {
            "null".into()
        }
    }

    /// Returns the id for an answer's header, which unversioned objects do not have.
    pub(crate) fn version_header(&self) -> Option<String> {
        self.versioned.then(|| self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_s3() {
        assert_eq!(Tag::of(&"hello".into(), 1).to_string(), "5d41402abc4b2a76b9719d911017c592");
        let part = Tag::whole(Md5::checksum(b"hello"));
        // md5(md5("hello") + md5("hello")), as S3 does it.
        assert_eq!(
            Tag::of_parts(&[part, part]).to_string(),
            format!("{}-2", Hex(&Md5::checksum(&[part.digest, part.digest].concat())))
        );
    }

    #[test]
    fn an_object_is_small() {
        assert!(size_of::<Object>() <= 128, "{}", size_of::<Object>());
    }
}
