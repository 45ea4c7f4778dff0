//! What headers mean together: extensions, and the member that they belong to.
//!
//! The rules are those of GNU tar. A long name (`L`) and pax records (`x`, `X`) wait for the next
//! header that is not itself an extension; of two of a kind the later counts, as a whole. Global
//! records (`g`) hold until the next ones, which replace them as a whole, or the end marker. For the
//! name, pax records go before global ones, those before a long name, that before the header.
//! The size of pax records goes before the header's, whatever the header's is: a reader that
//! disagrees about sizes disagrees about what is a header and what is content (CVE-2025-62518,
//! CVE-2026-33055).

use super::block::{Format, Header, until_nul};
use super::error::{Fault, TarError};
use super::pax::{self, Records};
use super::sparse::Map;
use super::{MemberKind, TarLimits};

/// What a header announces. Sizes are of what is stored after it.
#[derive(Debug)]
pub(super) enum Entry {
    Extension { kind: Extension, size: u64 },
    Member { name: String, kind: MemberKind, size: u64, map: Option<Map> },
}

/// The kinds of extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    LongName,
    /// The target of a link: it is held to the same rules, and not kept.
    LongLink,
    Pax,
    Global,
}

/// The extensions in force.
#[derive(Debug)]
pub(super) struct Entries {
    limits: TarLimits,
    long_name: Option<Vec<u8>>,
    pax: Option<Records>,
    global: Records,
    /// Where the first of the extensions stands that wait for their member.
    waiting_since: Option<u64>,
    pub(super) members: u64,
}

impl Entries {
    pub(super) fn new(limits: TarLimits) -> Self {
        let global = Records::default();
        Self { limits, long_name: None, pax: None, global, waiting_since: None, members: 0 }
    }

    /// Returns what the header at `offset` announces.
    pub(super) fn read(&mut self, header: Header, offset: u64) -> Result<Entry, TarError> {
        let kind = match header.type_flag() {
            b'L' => Extension::LongName,
            b'K' => Extension::LongLink,
            b'x' | b'X' => Extension::Pax,
            b'g' => Extension::Global,
            _ => return self.read_member(header, offset),
        };
        let size = header.size().map_err(|fault| fault.at(offset))?;
        check("bytes of extension", self.limits.extension_bytes_max, size, offset)?;
        if kind != Extension::Global {
            self.waiting_since.get_or_insert(offset);
        }
        Ok(Entry::Extension { kind, size })
    }

    /// Keeps an extension's content for the member it belongs to. `rest` is what fills up its last
    /// block, for a long name.
    pub(super) fn extend(
        &mut self,
        kind: Extension,
        content: &[u8],
        rest: &[u8],
    ) -> Result<(), Fault> {
        match kind {
            Extension::LongName => {
                let name = until_nul(content);
                // GNU tar takes a name up to its NUL, others up to its size.
                if name.len() == content.len() && rest.first().is_some_and(|&byte| byte != 0) {
                    return Err(Fault::new("a long name within its size", "more of it"));
                }
                self.long_name = Some(name.to_vec());
            }
            Extension::LongLink => {}
            Extension::Pax => self.pax = Some(pax::read(content)?),
            Extension::Global => {
                let records = pax::read(content)?;
                if records.sparse {
                    return Err(Fault::new("a sparse map for one member", "a global one"));
                }
                self.global = records;
            }
        }
        Ok(())
    }

    /// Ends one archive of those that are joined: global records are not for the next.
    pub(super) fn end_archive(&mut self) -> Result<(), TarError> {
        self.global = Records::default();
        self.check_no_waiting("an end marker")
    }

    /// Checks that no extension waits for a member, which would be lost.
    pub(super) fn check_no_waiting(&self, got: &'static str) -> Result<(), TarError> {
        match self.waiting_since {
            None => Ok(()),
            Some(offset) => Err(Fault::new("a member after its extensions", got).at(offset)),
        }
    }

    fn read_member(&mut self, header: Header, offset: u64) -> Result<Entry, TarError> {
        check("members", self.limits.members_max, self.members + 1, offset)?;
        self.members += 1;
        self.waiting_since = None;
        let (long_name, pax) = (self.long_name.take(), self.pax.take().unwrap_or_default());
        let size = self.stored_size(header, &pax).map_err(|fault| fault.at(offset))?;
        let sparse = pax.sparse;
        if sparse && header.format() != Format::Ustar {
            // GNU tar looks for these records in ustar headers alone, and loses its place else.
            let fault = Fault::new("a ustar header after GNU.sparse records", "another");
            return Err(fault.at(offset));
        }
        let long_name = pax.name.or_else(|| self.global.name.clone()).or(long_name);
        let name = if let Some(name) = long_name {
            self.check_name(name.len(), offset)?;
            text(name)
        } else {
            let name = header.name();
            self.check_name(name.len(), offset)?;
            String::from_utf8_lossy(&name).into_owned()
        };
        let kind = if sparse { MemberKind::Sparse } else { kind(header.type_flag(), &name) };
        let with_map = header.type_flag() == b'S' && header.format() == Format::Gnu;
        let map = with_map.then(|| Map::read(header)).transpose();
        Ok(Entry::Member { name, kind, size, map: map.map_err(|fault| fault.at(offset))? })
    }

    fn stored_size(&self, header: Header, pax: &Records) -> Result<u64, Fault> {
        let of_records = pax.size.or(self.global.size);
        match header.type_flag() {
            // Some tars write the size of the linked file, and store nothing.
            b'1' => Ok(of_records.unwrap_or(0)),
            b'5' if !pax.sparse => header.size().map(|_| 0),
            // The header's size must be a number even where it does not count, as for GNU tar.
            _ => header.size().map(|size| of_records.unwrap_or(size)),
        }
    }

    fn check_name(&self, length: usize, offset: u64) -> Result<(), TarError> {
        check("bytes of name", self.limits.name_bytes_max as u64, length as u64, offset)
    }
}

fn check(what: &'static str, max: u64, got: u64, offset: u64) -> Result<(), TarError> {
    if got > max { Err(TarError::Limit { offset, what, max, got }) } else { Ok(()) }
}

fn text(name: Vec<u8>) -> String {
    String::from_utf8(name)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn kind(type_flag: u8, name: &str) -> MemberKind {
    match type_flag {
        b'0' | 0 | b'7' if name.ends_with('/') => MemberKind::Folder,
        b'0' | 0 | b'7' => MemberKind::File,
        b'1' | b'2' => MemberKind::Link,
        b'3' | b'4' | b'6' => MemberKind::Special,
        b'5' | b'D' => MemberKind::Folder,
        b'S' => MemberKind::Sparse,
        _ => MemberKind::Other,
    }
}
