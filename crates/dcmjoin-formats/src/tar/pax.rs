//! Pax extended headers: `length keyword=value` lines (POSIX pax(1), "pax Extended Header").
//!
//! Read by GNU tar's rules, with one difference: where GNU tar complains, drops the rest of the
//! records and goes on with a size and a name that may be wrong, the whole archive is refused here.
//! A reader that skips what it cannot read loses its place in the stream, or lists names that are
//! not the member's.

use super::block::{SIZE_MAX, until_nul};
use super::error::Fault;

/// What the records of one extended header say, as far as a reader of members must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// `GNU.sparse.name`, or else `path`.
    pub(super) name: Option<Vec<u8>>,
    /// `size`: the stored bytes.
    pub(super) size: Option<u64>,
    /// Whether the member is sparse in one of GNU's versions 0.0, 0.1 and 1.0.
    pub(super) sparse: bool,
}

/// The state of `GNU.sparse.*` (GNU tar manual, "Storing Sparse Files").
#[derive(Default)]
struct Sparse {
    any: bool,
    major: u64,
    /// Versions 0.0 and 0.1: how long the map that follows is, and whether one did.
    blocks: u64,
    mapped: bool,
    named: bool,
}

/// Reads the records of one extended header.
pub(super) fn read(mut rest: &[u8]) -> Result<Records, Fault> {
    let mut records = Records::default();
    let mut sparse = Sparse::default();
    // A NUL ends the records before their stated length does; only padding may follow.
    while rest.first().is_some_and(|&byte| byte != 0) {
        let (Record { keyword, value }, tail) = record(rest)?;
        rest = tail;
        match keyword {
            b"path" if !sparse.named => records.name = Some(until_nul(value).to_vec()),
            b"size" => records.size = Some(decimal(value)?),
            _ => {
                if let Some(keyword) = keyword.strip_prefix(b"GNU.sparse.") {
                    sparse.note(keyword, value, &mut records)?;
                }
            }
        }
    }
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Fault::new("pax records up to their stated length", "a NUL between them"));
    }
    records.sparse = sparse.verdict()?;
    Ok(records)
}

struct Record<'a> {
    keyword: &'a [u8],
    value: &'a [u8],
}

/// Takes the first record off, and returns it and what follows it.
fn record(rest: &[u8]) -> Result<(Record<'_>, &[u8]), Fault> {
    // Blanks before and after the length are not in the standard; GNU tar passes over them.
    let digits_start = blanks(rest);
    let digits = rest[digits_start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits_end = digits_start + digits;
    let length = decimal(&rest[digits_start..digits_end])
        .map_err(|_| Fault::new("a pax record that begins with its length", "none"))?;
    let line = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let Some((line, tail)) = line else {
        let got = format!("a length of {length} where {} bytes are left", rest.len());
        return Err(Fault::new("a pax record within its header", got));
    };
    let line = line
        .strip_suffix(b"\n")
        .ok_or_else(|| Fault::new("a pax record that ends with a line feed", "none"))?;
    let body = line.get(digits_end..).unwrap_or_default();
    let body_start = blanks(body);
    if body_start == 0 {
        return Err(Fault::new("a pax record with a blank after its length", "none"));
    }
    let body = &body[body_start..];
    match body.iter().position(|byte| matches!(byte, b'=' | 0)) {
        Some(at) if body[at] == b'=' => {
            Ok((Record { keyword: &body[..at], value: &body[at + 1..] }, tail))
        }
        _ => Err(Fault::new("a pax record with an equals sign", "none")),
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// Reads a decimal number within GNU tar's range, with nothing around it.
fn decimal(digits: &[u8]) -> Result<u64, Fault> {
    let fault =
        || Fault::new("a decimal number in a pax record", format!("{} bytes", digits.len()));
    let add = |value: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit).filter(|value| *value <= SIZE_MAX)
    };
    if digits.is_empty() {
        return Err(fault());
    }
    digits.iter().try_fold(0, add).ok_or_else(fault)
}

impl Sparse {
    fn note(&mut self, keyword: &[u8], value: &[u8], records: &mut Records) -> Result<(), Fault> {
        self.any = true;
        match keyword {
            b"major" => self.major = decimal(value)?,
            b"numblocks" => (self.blocks, self.mapped) = (decimal(value)?, false),
            b"map" | b"numbytes" if self.blocks == 0 => {
                return Err(Fault::new("GNU.sparse.numblocks before a sparse map", "none"));
            }
            b"map" | b"numbytes" => self.mapped = true,
            b"name" => {
                self.named = true;
                records.name = Some(until_nul(value).to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns whether the member is sparse. With a real size but no map, GNU tar 1.34 takes the
    /// real size for the stored one and loses its place; others do not: refused.
    fn verdict(&self) -> Result<bool, Fault> {
        let sparse = self.major > 0 || self.mapped;
        if self.any && !sparse {
            return Err(Fault::new("a sparse map or version with GNU.sparse records", "none"));
        }
        Ok(sparse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], name: Option<&str>, size: Option<u64>, sparse: bool) {
        let name = name.map(|name| name.as_bytes().to_vec());
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(read(bytes), Ok(Records { name, size, sparse }), "{text}");
    }

    #[test]
    fn lawful_records_are_read() {
        check(b"", None, None, false);
        check(b"12 path=a/b\n11 size=42\n", Some("a/b"), Some(42), false);
        check(b"11 path=ab\n10 path=c\n", Some("c"), None, false);
        check(b"16 comment=a=b\n\n10 size=1\n", None, Some(1), false);
        check(b"9 path=a\n\0\0\0", Some("a"), None, false);
        check(b"  12 path=a\n", Some("a"), None, false);
        check(b"13 path=a\0bc\n", Some("a"), None, false);
        check(b"8 path=\n", Some(""), None, false);
        check(b"28 size=9223372036854775807\n", None, Some(SIZE_MAX), false);
    }

    #[test]
    fn sparse_records_are_seen_in_all_three_versions() {
        check(
            b"26 GNU.sparse.numblocks=1\n24 GNU.sparse.offset=99\n25 GNU.sparse.numbytes=1\n",
            None,
            None,
            true,
        );
        check(b"26 GNU.sparse.numblocks=1\n22 GNU.sparse.map=0,1\n", None, None, true);
        check(b"22 GNU.sparse.major=1\n21 GNU.sparse.name=x\n10 path=y\n", Some("x"), None, true);
    }

    #[test]
    fn malformed_records_are_refused() {
        let cases: &[(&[u8], &str)] = &[
            (b"path=a\n", "begins with its length"),
            (b"x path=a\n", "begins with its length"),
            (b"99999999999999999999 path=a\n", "begins with its length"),
            (b"9path=ab\n", "a blank after its length"),
            (b"99 path=a\n", "within its header"),
            (b"9 path=a\n7", "within its header"),
            (b"9 path=ab\n", "ends with a line feed"),
            (b"0 path=a\n", "ends with a line feed"),
            (b"2 path=a\n", "ends with a line feed"),
            (b"2\npath=a\n", "a blank after its length"),
            (b"9 path a\n", "an equals sign"),
            (b"9 pa\0th=\n", "an equals sign"),
            (b"8 size=\n", "decimal number"),
            (b"11 size=-1\n", "decimal number"),
            (b"11 size=+1\n", "decimal number"),
            (b"11 size=1k\n", "decimal number"),
            (b"28 size=9223372036854775808\n", "decimal number"),
            (b"9 path=a\n\x009 path=b\n", "up to their stated length"),
            (b"25 GNU.sparse.realsize=1\n", "a sparse map or version"),
            (b"22 GNU.sparse.map=0,1\n", "before a sparse map"),
        ];
        for (bytes, expect) in cases {
            let text = String::from_utf8_lossy(bytes);
            match read(bytes) {
                Ok(records) => panic!("{text}: {records:?}"),
                Err(fault) => assert!(fault.expected.contains(expect), "{text}: {fault:?}"),
            }
        }
    }
}
