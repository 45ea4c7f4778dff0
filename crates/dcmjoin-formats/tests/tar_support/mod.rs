//! What the tests of the tar parser share: a writer of lawful and unlawful archives, and a reader
//! that collects what the parser gives.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod gnu;
pub(crate) mod monster;

use bytes::Bytes;
use dcmjoin_formats::tar::{Member, TarEnd, TarError, TarEvent, TarLimits, TarParser};

pub(crate) const BLOCK: usize = 512;

/// The fields of a header block that matter here.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    pub(crate) type_flag: u8,
    pub(crate) size: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// Magic and version.
    pub(crate) magic: [u8; 8],
    /// Added to the right checksum.
    pub(crate) checksum_off_by: i64,
    /// Take bytes as signed when adding up.
    pub(crate) checksum_signed: bool,
    /// Written into the block before the checksum is taken: where, and what.
    pub(crate) extra: Vec<(usize, Vec<u8>)>,
}

pub(crate) const V7: [u8; 8] = [0; 8];
pub(crate) const USTAR: [u8; 8] = *b"ustar\x0000";
pub(crate) const GNU: [u8; 8] = *b"ustar  \0";

/// A size as most tars write it.
pub(crate) fn octal(size: u64) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

/// A size as GNU tar writes those beyond 8 GiB.
pub(crate) fn base_256(size: u64) -> Vec<u8> {
    [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat()
}

pub(crate) fn file(name: &str, size: u64) -> Header {
    Header {
        name: name.into(),
        prefix: Vec::new(),
        type_flag: b'0',
        size: octal(size),
        link: Vec::new(),
        magic: USTAR,
        checksum_off_by: 0,
        checksum_signed: false,
        extra: Vec::new(),
    }
}

impl Header {
    pub(crate) fn flag(mut self, type_flag: u8) -> Self {
        self.type_flag = type_flag;
        self
    }

    pub(crate) fn magic(mut self, magic: [u8; 8]) -> Self {
        self.magic = magic;
        self
    }

    pub(crate) fn size(mut self, field: impl Into<Vec<u8>>) -> Self {
        self.size = field.into();
        self
    }

    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(crate) fn extra(mut self, at: usize, bytes: impl Into<Vec<u8>>) -> Self {
        self.extra.push((at, bytes.into()));
        self
    }

    pub(crate) fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, &self.size);
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[self.type_flag]);
        put(157, &self.link);
        put(257, &self.magic);
        put(345, &self.prefix);
        for (at, bytes) in &self.extra {
            put(*at, bytes);
        }
        let sum: i64 = block
            .iter()
            .map(
                |&byte| {
                    if self.checksum_signed { i64::from(byte.cast_signed()) } else { byte.into() }
                },
            )
            .sum();
        let text = format!("{:06o}\0 ", sum + self.checksum_off_by);
        block[148..156].copy_from_slice(text.as_bytes());
        block
    }
}

/// An archive in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn header(mut self, header: &Header) -> Self {
        self.0.extend(header.block());
        self
    }

    /// Content, with padding.
    pub(crate) fn content(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn member(self, name: &str, content: &[u8]) -> Self {
        self.header(&file(name, content.len() as u64)).content(content)
    }

    /// An extension with its content.
    pub(crate) fn extension(self, type_flag: u8, content: &[u8]) -> Self {
        let header = file("./extension", content.len() as u64).flag(type_flag);
        self.header(&header).content(content)
    }

    /// GNU's long name.
    pub(crate) fn long_name(self, name: &str) -> Self {
        let header = file("././@LongLink", name.len() as u64 + 1).flag(b'L').magic(GNU);
        self.header(&header).content(&[name.as_bytes(), b"\0"].concat())
    }

    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        self.extension(b'x', &pax_records(records))
    }

    pub(crate) fn global(self, records: &[(&str, &str)]) -> Self {
        self.extension(b'g', &pax_records(records))
    }

    pub(crate) fn zeros(mut self, blocks: usize) -> Self {
        self.0.resize(self.0.len() + blocks * BLOCK, 0);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn end(self) -> Self {
        self.zeros(2)
    }
}

pub(crate) fn pax_records(records: &[(&str, &str)]) -> Vec<u8> {
    records.iter().flat_map(|(key, value)| pax_record(key, value.as_bytes())).collect()
}

pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// A member, what was given of its content, and whether its end was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) member: Member,
    pub(crate) data: Vec<u8>,
    pub(crate) whole: bool,
}

/// All that the parser gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) members: Vec<Seen>,
    pub(crate) end: Result<TarEnd, TarError>,
}

impl Listing {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.members.iter().map(|seen| seen.member.name.as_str()).collect()
    }

    pub(crate) fn collect(&mut self, event: TarEvent) {
        match event {
            TarEvent::Member(member) => {
                if let Some(last) = self.members.last() {
                    assert!(last.whole, "a member began before the last one's end");
                }
                self.members.push(Seen { member, data: Vec::new(), whole: false });
            }
            TarEvent::Data(bytes) => {
                assert!(!bytes.is_empty());
                let last = self.members.last_mut().expect("content without a member");
                assert!(!last.whole, "content after its end");
                last.data.extend(bytes);
            }
            TarEvent::End => self.members.last_mut().expect("an end without a member").whole = true,
        }
    }
}

/// Parses an archive that arrives in these chunks.
pub(crate) fn parse_chunks(limits: TarLimits, chunks: impl IntoIterator<Item = Bytes>) -> Listing {
    let mut parser = TarParser::new(limits);
    let mut listing = Listing { members: Vec::new(), end: Ok(TarEnd::default()) };
    'archive: for chunk in chunks {
        parser.feed(chunk);
        loop {
            match parser.next_event() {
                Ok(Some(event)) => listing.collect(event),
                Ok(None) => break,
                Err(_) => break 'archive,
            }
        }
    }
    listing.end = parser.finish();
    listing
}

/// Parses an archive in one chunk.
pub(crate) fn parse(archive: &[u8]) -> Listing {
    parse_chunks(TarLimits::default(), [Bytes::copy_from_slice(archive)])
}
