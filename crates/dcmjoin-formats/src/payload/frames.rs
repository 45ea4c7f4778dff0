//! Fragments to frames (PS3.5 A.4): which fragments hold which frame.
//!
//! An encapsulated value tells its frames apart in one of four ways, tried in this order: as many
//! fragments as frames; an offset table with an entry a frame; fragments that begin a codestream;
//! several codestreams joined inside one fragment. The header's Number of Frames decides which one
//! holds: a grouping that gives another number is none.

use std::ops::Range;

use bytes::Bytes;
use dcmjoin_model::{PixelDescription, Reason, Rejection, WarningCode, Warnings};

use super::PayloadLimits;
use super::codestream::{Codestream, Place, damaged, joined};
use super::items::Items;
use super::magic::{Form, ITEM};

/// A frame: its fragments, and what the walk over them found.
pub(super) struct Frame {
    /// The frame's bytes, unpadded.
    pub(super) fragments: Vec<Bytes>,
    /// Its codestream.
    pub(super) stream: Codestream,
    /// Bytes that are neither codestream nor padding were left out.
    pub(super) trailing: bool,
}

/// Groups fragments into frames, as runs of fragments.
pub(super) fn group(
    payload: &[u8],
    items: &Items,
    frames: usize,
    warnings: &mut Warnings,
) -> Vec<Range<usize>> {
    let count = items.fragments.len();
    let by_table = by_offset_table(items);
    let groups = if frames == count {
        (0..count).map(|at| at..at + 1).collect()
    } else if frames == 1 {
        runs(&[0], count)
    } else if let Some(groups) = by_table.clone().filter(|groups| groups.len() == frames) {
        groups
    } else {
        by_codestream_starts(payload, items)
    };
    if !items.offsets.is_empty() && by_table.as_ref() != Some(&groups) {
        warnings.note(WarningCode::OffsetTableRebuilt);
    }
    groups
}

/// Returns the runs between the entries of the offset table; `None` where an entry is not the place
/// of an item.
fn by_offset_table(items: &Items) -> Option<Vec<Range<usize>>> {
    let starts: Vec<u64> = items.starts().collect();
    let firsts: Vec<usize> = items
        .offsets
        .iter()
        .map(|&offset| starts.binary_search(&u64::from(offset)).ok())
        .collect::<Option<_>>()?;
    let ascend = firsts.windows(2).all(|pair| pair[0] < pair[1]);
    (firsts.first() == Some(&0) && ascend).then(|| runs(&firsts, starts.len()))
}

fn by_codestream_starts(payload: &[u8], items: &Items) -> Vec<Range<usize>> {
    let begins = |at: usize| {
        let form = Form::of(&payload[items.fragments[at].clone()]);
        matches!(form, Some(Form::J2k | Form::Jp2 | Form::Jpeg | Form::Rle | Form::JpegXl))
    };
    let count = items.fragments.len();
    let firsts: Vec<usize> = (0..count).filter(|&at| at == 0 || begins(at)).collect();
    runs(&firsts, count)
}

fn runs(firsts: &[usize], count: usize) -> Vec<Range<usize>> {
    let ends = firsts.iter().skip(1).copied().chain([count]);
    firsts.iter().copied().zip(ends).map(|(first, end)| first..end).collect()
}

/// Walks the codestream or codestreams of one group of fragments. `number` is that of its first
/// frame, from 1.
pub(super) fn read(
    payload: &Bytes,
    group: &[Range<usize>],
    number: usize,
    pixels: &PixelDescription,
    limits: &PayloadLimits,
) -> Result<Vec<Frame>, Rejection> {
    let place = Place { frame: number, at: group.first().map_or(0, |first| first.start) };
    match group {
        [only] => one_fragment(&payload.slice(only.clone()), place, pixels, limits),
        several => {
            several_fragments(payload, several, place, pixels, limits).map(|frame| vec![frame])
        }
    }
}

fn one_fragment(
    fragment: &Bytes,
    place: Place,
    pixels: &PixelDescription,
    limits: &PayloadLimits,
) -> Result<Vec<Frame>, Rejection> {
    let found = joined(fragment, place, pixels, limits)?;
    if found.streams.is_empty() {
        return Err(place.of(&unknown(fragment)));
    }
    let last = found.streams.len() - 1;
    let frame = |(at, stream): (usize, Codestream)| Frame {
        fragments: vec![fragment.slice(stream.range.clone())],
        trailing: stream.has_trailing() || (at == last && found.trailing),
        stream,
    };
    Ok(found.streams.into_iter().enumerate().map(frame).collect())
}

/// The fragments are joined in a buffer for the walk; what is returned are slices, but for
/// fragments of odd lengths, which become one.
fn several_fragments(
    payload: &Bytes,
    group: &[Range<usize>],
    place: Place,
    pixels: &PixelDescription,
    limits: &PayloadLimits,
) -> Result<Frame, Rejection> {
    let parts: Vec<&[u8]> = group.iter().map(|part| &payload[part.clone()]).collect();
    let whole = parts.concat();
    let mut found = joined(&whole, place, pixels, limits)?;
    let count = found.streams.len();
    let stream = found.streams.pop().ok_or_else(|| place.of(&unknown(&whole)))?;
    if count > 1 {
        let detail = format!("expected 1 codestream in {} fragments, got {count}", group.len());
        return Err(place.of(&Rejection::new(Reason::FrameCount, detail)));
    }
    let trailing = stream.has_trailing() || found.trailing;
    let mut fragments = cut(payload, group, &stream.range);
    // Padding may stand behind a frame, not within it: odd pieces cannot stay pieces.
    let pieces = fragments.len().saturating_sub(1);
    if fragments.iter().take(pieces).any(|fragment| fragment.len() % 2 == 1) {
        fragments = vec![Bytes::copy_from_slice(&whole[stream.range.clone()])];
    }
    Ok(Frame { fragments, stream, trailing })
}

/// Returns the fragments' parts of a range of their joined bytes.
fn cut(payload: &Bytes, group: &[Range<usize>], range: &Range<usize>) -> Vec<Bytes> {
    let mut fragments = Vec::with_capacity(group.len());
    let mut from = 0;
    for part in group {
        let to = from + part.len();
        let start = part.start + range.start.clamp(from, to) - from;
        let end = part.start + range.end.clamp(from, to) - from;
        if start < end {
            fragments.push(payload.slice(start..end));
        }
        from = to;
    }
    fragments
}

fn unknown(bytes: &[u8]) -> Rejection {
    if bytes.starts_with(&ITEM) {
        return damaged("a fragment that begins with an item tag: encapsulated twice");
    }
    let got: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let detail = format!("expected a codestream in a fragment, got {}", got.join(" "));
    Rejection::new(Reason::PayloadUnrecognised, detail)
}
