//! Writes one archive: a tar, by itself or compressed, whose bytes depend on its members only.
//!
//! No clock, no owner, no file system behind it: all times are 0, all owners root.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::options::ArchiveCompression;

/// Written at once to the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// An archive being written.
pub(crate) struct Archive {
    builder: Builder<Sink>,
}

/// Where a tar's bytes go.
enum Sink {
    Plain(BufWriter<File>),
    Gz(GzEncoder<BufWriter<File>>),
    Zst(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl Archive {
    /// Creates the file, which must not be there yet.
    pub(crate) fn create(path: &Path, compress: Option<ArchiveCompression>) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(path)?);
        let sink = match compress {
            None => Sink::Plain(file),
            Some(ArchiveCompression::Gz) => {
                Sink::Gz(GzEncoder::new(file, flate2::Compression::fast()))
            }
            Some(ArchiveCompression::Zst) => Sink::Zst(zstd::stream::write::Encoder::new(file, 1)?),
        };
        Ok(Self { builder: Builder::new(sink) })
    }

    /// Appends a file.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
        self.builder.append_data(&mut header, name, bytes)
    }

    /// Appends a folder's entry.
    pub(crate) fn folder(&mut self, name: &str) -> io::Result<()> {
        let mut header = header(EntryType::Directory, 0o755, 0);
        self.builder.append_data(&mut header, name, io::empty())
    }

    /// Appends a symbolic link.
    pub(crate) fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), name, target)
    }

    /// Ends the archive.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut file = match self.builder.into_inner()? {
            Sink::Plain(file) => file,
            Sink::Gz(encoder) => encoder.finish()?,
            Sink::Zst(encoder) => encoder.finish()?,
        };
        file.flush()
    }
}

/// Returns the header of an entry without a name.
fn header(kind: EntryType, mode: u32, bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Gz(sink) => sink.write(bytes),
            Self::Zst(sink) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Gz(sink) => sink.flush(),
            Self::Zst(sink) => sink.flush(),
        }
    }
}
