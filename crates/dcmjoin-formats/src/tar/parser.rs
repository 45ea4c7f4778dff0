//! The parser: a state for each thing that the next byte may belong to.

use bytes::Bytes;
use dcmjoin_model::ByteRange;

use super::block::{BLOCK, Block};
use super::entry::{Entries, Entry, Extension};
use super::error::{Fault, Part, TarError};
use super::input::Input;
use super::sparse::Map;
use super::{Member, MemberKind, TarEnd, TarEvent, TarLimits};
use crate::compressed::Compression;

/// Chunks of a plain tar stream in, [`TarEvent`]s out.
///
/// [`TarParser::feed`] one chunk, take [`TarParser::next_event`] until it is `None`, feed the next,
/// and [`TarParser::finish`] where the stream ends. Where the stream can be read anywhere,
/// [`TarParser::jump`] saves reading what nobody wants.
#[derive(Debug)]
pub struct TarParser {
    input: Input,
    state: State,
    entries: Entries,
    /// The content of the extension at hand; kept to reuse its memory.
    extension: Vec<u8>,
    archives: u64,
    end_marker: bool,
    trailing_bytes: u64,
}

/// What the next byte of the input belongs to.
#[derive(Debug)]
enum State {
    /// A header block, or an end marker.
    Header,
    /// A long name with what fills up its last block, or pax records.
    Extension { kind: Extension, offset: u64, size: u64, left: u64, padding: u64 },
    /// Another block of an old GNU sparse map, before the member it describes.
    SparseMap { name: String, size: u64, offset: u64, map: Map },
    /// A member's stored bytes.
    Content { start: u64, size: u64, left: u64, padding: u64, wanted: bool },
    /// What fills up a member's last block.
    Padding { left: u64 },
    /// What follows an end marker and is no archive.
    Trailing,
    /// Nothing: the archive cannot be read on.
    Failed(TarError),
}

/// What one look at the input led to.
enum Step {
    Event(TarEvent),
    Again,
    Feed,
}

impl TarParser {
    /// Returns a parser at the start of an archive.
    #[must_use]
    pub fn new(limits: TarLimits) -> Self {
        Self {
            input: Input::new(),
            state: State::Header,
            entries: Entries::new(limits),
            extension: Vec::new(),
            archives: 0,
            end_marker: false,
            trailing_bytes: 0,
        }
    }

    /// Gives the parser the next bytes of the stream; an empty chunk is no end.
    ///
    /// # Panics
    /// When events of the chunk before have not been taken: the parser holds one chunk, not a queue.
    pub fn feed(&mut self, chunk: Bytes) {
        self.input.feed(chunk);
    }

    /// Returns the next event, or `None` when the next chunk is needed.
    ///
    /// # Errors
    /// [`TarError`] when the archive cannot be read on; from then on always the same.
    pub fn next_event(&mut self) -> Result<Option<TarEvent>, TarError> {
        loop {
            match self.step() {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Again) => {}
                Ok(Step::Feed) => return Ok(None),
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Gives up the rest of the current member's content: no more [`TarEvent::Data`], then its
    /// [`TarEvent::End`].
    pub fn skip_member(&mut self) {
        if let State::Content { wanted, .. } = &mut self.state {
            *wanted = false;
        }
    }

    /// Returns the offset of the next byte that matters and was not fed.
    #[must_use]
    pub fn wanted_from(&self) -> u64 {
        self.input.end().max(self.input.offset() + self.passable())
    }

    /// Passes over what nobody wants without being fed it, and returns the offset of the next byte
    /// to feed. `archive_bytes` is the length of the whole plain stream: the parser never jumps past
    /// it, so that an archive cut short is still seen by [`TarParser::finish`].
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use dcmjoin_formats::tar::{TarLimits, TarParser};
    /// # fn read(_at: u64, _bytes_max: usize) -> Bytes { Bytes::new() }
    /// # let archive_bytes = 0;
    /// # let mut parser = TarParser::new(TarLimits::default());
    /// loop {
    ///     let offset = parser.jump(archive_bytes);
    ///     // Nothing at the end; the last member's end comes all the same.
    ///     parser.feed(read(offset, 1 << 20));
    ///     while let Some(_event) = parser.next_event()? {}
    ///     if offset == archive_bytes {
    ///         break;
    ///     }
    /// }
    /// parser.finish()?;
    /// # Ok::<(), dcmjoin_formats::tar::TarError>(())
    /// ```
    pub fn jump(&mut self, archive_bytes: u64) -> u64 {
        let bytes_max = archive_bytes.saturating_sub(self.input.offset());
        let bytes = self.passable().min(bytes_max);
        self.input.pass(bytes);
        match &mut self.state {
            State::Content { left, padding, .. } => {
                let of_content = bytes.min(*left);
                *left -= of_content;
                *padding -= bytes - of_content;
            }
            State::Padding { left } => *left -= bytes,
            _ => {}
        }
        self.input.end()
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`TarError::Truncated`] when it ends inside a header, an extension or a member's content, and
    /// the error that [`TarParser::next_event`] gave. Missing padding after the last content and a
    /// missing end marker lose nothing: they are no errors.
    ///
    /// # Panics
    /// When events have not been taken.
    pub fn finish(mut self) -> Result<TarEnd, TarError> {
        assert!(
            self.input.chunk_is_empty() || matches!(self.state, State::Failed(_)),
            "the stream was ended before the last chunk's events were taken",
        );
        match self.state {
            State::Failed(error) => return Err(error),
            State::Extension { offset, left, .. } => {
                let (start, got) = (offset + BLOCK as u64, self.extension.len() as u64);
                return Err(truncated(Part::Extension, start, got + left, got));
            }
            State::SparseMap { .. } => return Err(self.truncated_block(Part::Extension)),
            State::Content { left: 0, .. } | State::Padding { .. } | State::Trailing => {}
            State::Content { start, size, left, .. } => {
                return Err(truncated(Part::Content, start, size, size - left));
            }
            State::Header => self.finish_header()?,
        }
        self.entries.check_no_waiting("the end of the stream")?;
        Ok(TarEnd {
            members: self.entries.members,
            archives: self.archives,
            end_marker: self.end_marker,
            trailing_bytes: self.trailing_bytes,
        })
    }

    fn finish_header(&mut self) -> Result<(), TarError> {
        let rest = self.input.straddling();
        if rest.iter().all(|&byte| byte == 0) {
            // Nothing, or the start of an end marker: no header with a name begins so.
        } else if self.end_marker && self.archives > 0 {
            self.trailing_bytes += rest.len() as u64;
        } else {
            return Err(self.truncated_block(Part::Header));
        }
        Ok(())
    }

    fn truncated_block(&self, part: Part) -> TarError {
        let got = self.input.straddling().len() as u64;
        truncated(part, self.input.offset(), BLOCK as u64, got)
    }

    /// Returns how many of the next bytes may be passed over.
    fn passable(&self) -> u64 {
        match self.state {
            State::Content { left, padding, wanted: false, .. } => left + padding,
            State::Padding { left } => left,
            _ => 0,
        }
    }

    fn step(&mut self) -> Result<Step, TarError> {
        match &mut self.state {
            State::Header => self.read_header(),
            State::Extension { .. } => self.read_extension(),
            State::SparseMap { .. } => self.read_sparse_map(),
            State::Content { .. } => Ok(self.read_content()),
            State::Padding { left } => {
                *left -= self.input.skip(*left);
                if *left > 0 {
                    return Ok(Step::Feed);
                }
                self.state = State::Header;
                Ok(Step::Again)
            }
            State::Trailing => {
                self.trailing_bytes += self.input.skip(u64::MAX);
                Ok(Step::Feed)
            }
            State::Failed(error) => Err(error.clone()),
        }
    }

    fn read_header(&mut self) -> Result<Step, TarError> {
        let offset = self.input.offset();
        let Some(block) = self.input.block() else { return Ok(Step::Feed) };
        match Block::read(block) {
            Block::Header(header) => {
                let entry = self.entries.read(header, offset)?;
                self.input.take_block();
                self.begin_archive();
                self.begin(entry, offset)
            }
            Block::Zero => {
                self.input.take_block();
                self.end_marker = true;
                self.entries.end_archive()?;
                Ok(Step::Again)
            }
            Block::Neither(fault) => {
                let compression = Compression::of(block);
                self.refuse(fault, compression, offset)
            }
        }
    }

    /// Notes the first header of an archive: at the start, and wherever one follows an end marker.
    fn begin_archive(&mut self) {
        if self.archives == 0 || self.end_marker {
            self.archives += 1;
            self.end_marker = false;
        }
    }

    /// Decides what a block means that is neither header nor zeros.
    fn refuse(
        &mut self,
        fault: Fault,
        compression: Option<Compression>,
        offset: u64,
    ) -> Result<Step, TarError> {
        if self.archives == 0 {
            let got = match compression {
                Some(Compression::Gzip) => "a gzip stream".into(),
                Some(Compression::Zstd) => "a Zstandard frame".into(),
                None => fault.got,
            };
            return Err(TarError::NotTar { offset, got });
        }
        if !self.end_marker {
            return Err(fault.at(offset));
        }
        self.state = State::Trailing;
        self.trailing_bytes += self.input.drop_straddling();
        Ok(Step::Again)
    }

    fn begin(&mut self, entry: Entry, offset: u64) -> Result<Step, TarError> {
        match entry {
            Entry::Extension { kind, size } => {
                self.extension.clear();
                // Of a long name the padding is looked at, too.
                let (left, padding) = match kind {
                    Extension::LongName => (size + padding(size), 0),
                    _ => (size, padding(size)),
                };
                self.state = State::Extension { kind, offset, size, left, padding };
                Ok(Step::Again)
            }
            Entry::Member { name, size, map: Some(map), .. } if map.extended => {
                self.state = State::SparseMap { name, size, offset, map };
                Ok(Step::Again)
            }
            Entry::Member { name, kind, size, .. } => self.begin_member(name, kind, size, offset),
        }
    }

    fn begin_member(
        &mut self,
        name: String,
        kind: MemberKind,
        size: u64,
        offset: u64,
    ) -> Result<Step, TarError> {
        let start = self.input.offset();
        let padding = padding(size);
        if start.checked_add(size).and_then(|end| end.checked_add(padding)).is_none() {
            let got = format!("{size} bytes");
            return Err(Fault::new("a size that ends within 2^64 bytes", got).at(offset));
        }
        let wanted = kind.has_data();
        self.state = State::Content { start, size, left: size, padding, wanted };
        let range = ByteRange { start, end: start + size };
        let index = self.entries.members - 1;
        Ok(Step::Event(TarEvent::Member(Member { name, kind, range, index })))
    }

    fn read_extension(&mut self) -> Result<Step, TarError> {
        let State::Extension { kind, offset, size, left, padding } = &mut self.state else {
            return Ok(Step::Again);
        };
        let piece = self.input.take(*left);
        *left -= piece.len() as u64;
        self.extension.extend_from_slice(&piece);
        if *left > 0 {
            return Ok(Step::Feed);
        }
        // The size fits: as many bytes were collected.
        let (content, rest) = self.extension.split_at(*size as usize);
        self.entries.extend(*kind, content, rest).map_err(|fault| fault.at(*offset))?;
        self.state = State::Padding { left: *padding };
        Ok(Step::Again)
    }

    fn read_sparse_map(&mut self) -> Result<Step, TarError> {
        let State::SparseMap { name, size, offset, map } = &mut self.state else {
            return Ok(Step::Again);
        };
        let Some(block) = self.input.block() else { return Ok(Step::Feed) };
        map.read_on(block).map_err(|fault| fault.at(*offset))?;
        self.input.take_block();
        if map.extended {
            return Ok(Step::Again);
        }
        let (name, size, offset) = (std::mem::take(name), *size, *offset);
        self.begin_member(name, MemberKind::Sparse, size, offset)
    }

    fn read_content(&mut self) -> Step {
        let State::Content { left, padding, wanted, .. } = &mut self.state else {
            return Step::Again;
        };
        if *left == 0 {
            self.state = State::Padding { left: *padding };
            return Step::Event(TarEvent::End);
        }
        if self.input.chunk_is_empty() {
            return Step::Feed;
        }
        if *wanted {
            let piece = self.input.take(*left);
            *left -= piece.len() as u64;
            return Step::Event(TarEvent::Data(piece));
        }
        *left -= self.input.skip(*left);
        Step::Again
    }
}

/// Returns how many bytes fill up the last block of `size` bytes.
const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

const fn truncated(part: Part, offset: u64, expected: u64, got: u64) -> TarError {
    TarError::Truncated { part, offset, expected, got }
}
