//! The sans-io tar parser: archive bytes in, members out.
//!
//! [`TarParser`] is fed chunks of the *plain* tar stream as they arrive and gives [`TarEvent`]s: a
//! [`Member`], its content as slices of the chunks fed, its end. It reads v7, ustar, GNU and pax
//! archives, follows GNU tar where the standards leave room, and refuses where following GNU tar
//! would mean guessing.
//!
//! # Invariants
//! - Nothing is copied but header blocks and extension records that straddle two chunks; between
//!   chunks at most one block and one extension record ([`TarLimits::extension_bytes_max`]) are held.
//! - The events do not depend on how the stream was cut into chunks, except that content comes in
//!   other pieces.
//! - Ranges of members never overlap, come in order, and lie within `u64`.
//! - A name is data: it is never a path here, and never empty of meaning by being unsafe.
//!
//! # Errors
//! An error ends the archive: what was given before it stands, and nothing is searched after it. A
//! search for the next header could find one that lies *inside* a member's content. What an error
//! says holds numbers and places, never content.
//!
//! # What is deliberately absent
//! Modes, owners, times and link targets (nothing is extracted), and the expansion of sparse
//! members: they are reported as [`MemberKind::Sparse`] and passed over.
//!
//! ```
//! use bytes::Bytes;
//! use dcmjoin_formats::tar::{TarEvent, TarLimits, TarParser};
//!
//! # let archive = Bytes::from_static(&[0; 1024]);
//! let mut parser = TarParser::new(TarLimits::default());
//! for chunk in archive.chunks(700).map(Bytes::copy_from_slice) {
//!     parser.feed(chunk);
//!     while let Some(event) = parser.next_event()? {
//!         match event {
//!             TarEvent::Member(member) if member.name.ends_with(".json") => {}
//!             TarEvent::Member(_) => parser.skip_member(),
//!             TarEvent::Data(bytes) => println!("{} bytes", bytes.len()),
//!             TarEvent::End => {}
//!         }
//!     }
//! }
//! assert_eq!(parser.finish()?.members, 0);
//! # Ok::<(), dcmjoin_formats::tar::TarError>(())
//! ```

mod block;
mod entry;
mod error;
mod input;
mod parser;
mod pax;
mod sparse;

use bytes::Bytes;
use dcmjoin_model::ByteRange;

pub use error::{Part, TarError};
pub use parser::TarParser;

/// Bounds on what an archive may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarLimits {
    /// The most members of one archive. A hundred million empty members are 51 GB of headers: far
    /// beyond any archive that was made to be used, and a bound for a counter gone wild.
    pub members_max: u64,
    /// The longest name, in bytes as stored. 4,096 is `PATH_MAX` of the systems that write tars; an
    /// object key has 1,024 at most.
    pub name_bytes_max: usize,
    /// The most bytes of one extension (a GNU long name, a set of pax records), since it must be
    /// held as a whole. 1 MiB leaves room for the largest extended attributes and for sparse maps.
    pub extension_bytes_max: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        Self { members_max: 100_000_000, name_bytes_max: 4096, extension_bytes_max: 1 << 20 }
    }
}

/// What a member is, as GNU tar would list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    /// A regular or contiguous file (type flags `0`, NUL, `7`).
    File,
    /// A folder (`5`, GNU `D`), or a file whose name ends in a slash, as v7 wrote folders.
    Folder,
    /// A hard or symbolic link (`1`, `2`).
    Link,
    /// A device or a FIFO (`3`, `4`, `6`).
    Special,
    /// A sparse file in any of GNU's four ways: what is stored are not the file's own bytes.
    Sparse,
    /// Any other type flag: volume labels and continued files of GNU tar (`V`, `M`), and types of
    /// vendors, which pax(1) says to read as files and which may as well be attributes of one.
    Other,
}

impl MemberKind {
    /// Returns true for the kinds whose stored bytes are given as [`TarEvent::Data`].
    #[must_use]
    pub const fn has_data(self) -> bool {
        matches!(self, Self::File | Self::Other)
    }
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name as stored, with U+FFFD for what is not UTF-8: data, never a path.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// The stored bytes, in the plain tar stream; empty for kinds that store none.
    pub range: ByteRange,
    /// How many members come before it.
    pub index: u64,
}

/// What the parser found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarEvent {
    /// A member begins.
    Member(Member),
    /// The next piece of the current member's content: a slice of a chunk that was fed, never
    /// empty. Only for kinds with [`MemberKind::has_data`], and not after
    /// [`TarParser::skip_member`].
    Data(Bytes),
    /// The current member's stored bytes are all there. Every [`TarEvent::Member`] has its end,
    /// unless the archive breaks off before.
    End,
}

/// What is known of an archive that was read to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TarEnd {
    /// How many members it has.
    pub members: u64,
    /// How many archives were joined end to end; 0 where there is no header at all.
    pub archives: u64,
    /// Whether a block of zeros ended it. Without one nothing shows that it is whole: an archive cut
    /// between two members looks like this.
    pub end_marker: bool,
    /// The bytes after the end marker that are neither zeros nor another archive.
    pub trailing_bytes: u64,
}
