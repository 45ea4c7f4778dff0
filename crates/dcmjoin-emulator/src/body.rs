//! What objects hold: bytes in memory, of a file, made up from a seed, or of a source of one's own.
//!
//! **Bounds.** Only [`Body::Bytes`] takes memory by its size; the others make their bytes as they
//! are read, in pieces of [`PIECE_BYTES`].

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::random;

/// How much of an object is made at a time.
pub(crate) const PIECE_BYTES: u64 = 256 * 1024;

/// Makes the bytes of an object when they are asked for.
///
/// The same range must give the same bytes each time.
pub trait Source: Send + Sync {
    /// Returns the object's length in bytes.
    fn length(&self) -> u64;

    /// Returns the bytes of a range that lies within the length.
    ///
    /// # Errors
    /// The client's connection breaks where this fails.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes>;
}

/// The content of an object.
#[derive(Clone)]
pub enum Body {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, as it is when it is read.
    File {
        /// Where it is.
        path: Arc<Path>,
        /// Its length in bytes.
        length: u64,
    },
    /// Bytes that follow from a seed: nothing is stored.
    Generated {
        /// How many bytes.
        length: u64,
        /// Which ones.
        seed: u64,
    },
    /// A source of one's own.
    Source(Arc<dyn Source>),
    /// Ranges of other bodies, one behind the other: a multipart upload.
    Parts(Arc<[(Body, Range<u64>)]>),
}

impl Body {
    /// Returns the body that is a file's content now.
    ///
    /// # Errors
    /// Where the file's length cannot be read.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let length = path.as_ref().metadata()?.len();
        Ok(Self::File { path: path.as_ref().into(), length })
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } | Self::Generated { length, .. } => *length,
            Self::Source(source) => source.length(),
            Self::Parts(parts) => parts.iter().map(|(_, range)| range.end - range.start).sum(),
        }
    }

    /// Returns the bytes of a range that lies within the length.
    ///
    /// # Errors
    /// Where a file or a source cannot be read.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            Self::File { path, .. } => {
                let mut bytes = vec![0; (range.end - range.start) as usize];
                File::open(path)?.read_exact_at(&mut bytes, range.start)?;
                Ok(bytes.into())
            }
            Self::Generated { seed, .. } => Ok(generate(*seed, range)),
            Self::Source(source) => source.read(range),
            Self::Parts(parts) => read_parts(parts, &range),
        }
    }

    /// Returns true where reading may take the thread for a while.
    pub(crate) const fn blocks(&self) -> bool {
        !matches!(self, Self::Bytes(_))
    }

    /// Returns the bytes that the body holds in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Parts(parts) => parts.iter().map(|(body, _)| body.memory_bytes()).sum(),
            Self::File { .. } | Self::Generated { .. } | Self::Source(_) => 0,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Body {
    /// Shows the kind and the length, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Bytes(_) => "Bytes",
            Self::File { .. } => "File",
            Self::Generated { .. } => "Generated",
            Self::Source(_) => "Source",
            Self::Parts(_) => "Parts",
        };
        f.debug_struct(kind).field("length", &self.length()).finish_non_exhaustive()
    }
}

/// Eight bytes at a time, each eight from their place alone: so any range can be made.
fn generate(seed: u64, range: Range<u64>) -> Bytes {
    let first = range.start / 8;
    let last = range.end.div_ceil(8);
    let words = (first..last).flat_map(|index| random::number(seed, index).to_le_bytes());
    let all: Vec<u8> = words.collect();
    let start = (range.start - first * 8) as usize;
    Bytes::from(all).slice(start..start + (range.end - range.start) as usize)
}

fn read_parts(parts: &[(Body, Range<u64>)], wanted: &Range<u64>) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity((wanted.end - wanted.start) as usize);
    let mut offset = 0;
    for (body, range) in parts {
        let length = range.end - range.start;
        let start = wanted.start.max(offset);
        let end = wanted.end.min(offset + length);
        if start < end {
            let within = range.start + (start - offset)..range.start + (end - offset);
            bytes.extend_from_slice(&body.read(within)?);
        }
        offset += length;
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_of_a_generated_body_is_the_same() {
        let body = Body::Generated { length: 1000, seed: 3 };
        let whole = body.read(0..1000).unwrap();
        for (start, end) in [(0, 1), (7, 9), (8, 16), (3, 999), (992, 1000)] {
            let part = body.read(start..end).unwrap();
            assert_eq!(part, whole.slice(start as usize..end as usize));
        }
        assert_ne!(Body::Generated { length: 1000, seed: 4 }.read(0..1000).unwrap(), whole);
    }

    #[test]
    fn parts_are_read_across_their_borders() {
        let parts = [(Body::from("hello world"), 0..5), (Body::from("abcdef"), 2..6)];
        let body = Body::Parts(Arc::new(parts));
        assert_eq!(body.length(), 9);
        assert_eq!(body.read(0..9).unwrap(), "hellocdef");
        assert_eq!(body.read(3..7).unwrap(), "locd");
    }

    #[test]
    fn a_file_is_read_in_ranges() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789").unwrap();
        let body = Body::file(file.path()).unwrap();
        assert_eq!((body.length(), body.memory_bytes()), (10, 0));
        assert_eq!(body.read(2..5).unwrap(), "234");
    }
}
