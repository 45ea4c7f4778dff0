//! JP2: boxes around a J2K codestream (ISO 15444-1 I.4). DICOM carries the codestream alone (PS3.5
//! A.4.4), so the boxes are taken off.
//!
//! Lengths come in three forms: 32 bits, 64 bits behind a length of 1, and 0 for a last box that
//! runs to the end. A box that passes the end of the bytes is `payload_damaged`.

use std::ops::Range;

use dcmjoin_model::Rejection;

use super::codestream::{Boxes, Codestream, damaged, skip_padding};
use super::j2k;
use super::magic::JP2_SIGNATURE;
use super::scan::be32;

/// Walks the boxes that begin with the signature, and the codestream in the first `jp2c` box.
pub(super) fn parse(bytes: &[u8]) -> Result<Codestream, Rejection> {
    let mut found: Option<Codestream> = None;
    let mut at = JP2_SIGNATURE.len();
    while let Some((kind, contents)) = next_box(bytes, at, found.is_some())? {
        at = contents.end;
        if &kind == b"jp2c" && found.is_none() {
            let stream = codestream(bytes, contents)?;
            at = stream.end;
            found = Some(stream);
        }
    }
    let mut stream = found.ok_or_else(|| damaged(format!("no jp2c box in {at} bytes of JP2")))?;
    stream.end = at;
    Ok(stream)
}

/// A box: its kind, and the place of its contents.
type Jp2Box = ([u8; 4], Range<usize>);

/// Returns the kind and contents of the box at a place; `None` at the end of the boxes.
///
/// Behind the codestream, whatever does not look like a box ends them: padding, or the next image.
fn next_box(bytes: &[u8], at: usize, behind: bool) -> Result<Option<Jp2Box>, Rejection> {
    let rest = &bytes[at..];
    let looks = rest.get(4..8).is_some_and(|kind| kind.iter().all(|b| (0x20..0x7f).contains(b)));
    if rest.is_empty() || rest.starts_with(JP2_SIGNATURE) || (behind && !looks) {
        return Ok(None);
    }
    let broken = || damaged(format!("JP2 box at byte {at} is broken or passes the end"));
    let kind = *rest.get(4..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(broken)?;
    let (header, length) = match be32(rest, 0).ok_or_else(broken)? {
        0 => (8, rest.len()),
        1 => {
            let wide = rest.get(8..).and_then(|rest| rest.first_chunk()).ok_or_else(broken)?;
            (16, usize::try_from(u64::from_be_bytes(*wide)).map_err(|_| broken())?)
        }
        length => (8, length as usize),
    };
    if length < header || length > rest.len() {
        return Err(broken());
    }
    Ok(Some((kind, at + header..at + length)))
}

fn codestream(bytes: &[u8], contents: Range<usize>) -> Result<Codestream, Rejection> {
    let inner = &bytes[contents.clone()];
    let mut stream = j2k::parse(inner).map_err(|error| {
        damaged(format!("jp2c box at byte {}: {}", contents.start, error.detail))
    })?;
    stream.range = contents.start..contents.start + stream.end;
    let mut trailing = false;
    if contents.end == bytes.len() {
        // A last box may run over images that are joined behind it: the codestream knows its end.
        stream.end = stream.range.end;
    } else {
        trailing = skip_padding(inner, stream.end) < inner.len();
        stream.end = contents.end;
    }
    stream.boxes = Some(Boxes { trailing });
    Ok(stream)
}
