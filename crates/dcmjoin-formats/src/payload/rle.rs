//! RLE segment streams (PS3.5 G): a header of 64 bytes and up to 15 `PackBits` segments.
//!
//! A stream does not say how long its last segment is. The header's geometry does: each segment
//! decodes to one byte plane, so a walk over the runs finds the end, and joined streams can be told
//! apart. The walk only counts, it writes nothing.
//!
//! The stream carries no Rows and Columns: a geometry that is wrong shows as segments that decode
//! to too few or too many bytes.

use dcmjoin_model::{PixelDescription, Reason, Rejection, TransferSyntax};

use super::codestream::{Codestream, damaged};
use super::magic::RLE_HEADER;
use super::scan::le32;

/// A run header that stands for nothing (PS3.5 G.3.2).
const NO_OPERATION: u8 = 0x80;

/// What the header's geometry says of a stream.
struct Planes {
    segments: u32,
    bytes: u64,
    rows: u32,
    columns: u32,
    samples: u16,
}

/// Walks the stream that begins with an RLE header.
pub(super) fn parse(bytes: &[u8], pixels: &PixelDescription) -> Result<Codestream, Rejection> {
    let planes = Planes::of(pixels)?;
    let starts = segment_starts(bytes, planes.segments)?;
    let mut end = 0;
    for (index, &start) in starts.iter().enumerate() {
        let next = starts.get(index + 1).copied();
        let segment = &bytes[start..next.unwrap_or(bytes.len())];
        let length = segment_length(segment, planes.bytes)
            .map_err(|error| Rejection::new(error.reason, in_segment(index, &error.detail)))?;
        if next.is_some() && !is_padding(&segment[length..]) {
            let detail = format!("expected {} bytes, got more", planes.bytes);
            return Err(Rejection::new(Reason::GeometryMismatch, in_segment(index, &detail)));
        }
        end = start + length;
    }
    Ok(Codestream {
        range: 0..end,
        end,
        terminated: true,
        boxes: None,
        syntaxes: &[TransferSyntax::RleLossless],
        rows: planes.rows,
        columns: planes.columns,
        samples: planes.samples,
        precision: None,
        signed: None,
        lossy: false,
        colour: None,
    })
}

fn in_segment(index: usize, detail: &str) -> String {
    format!("RLE segment {}: {detail}", index + 1)
}

impl Planes {
    fn of(pixels: &PixelDescription) -> Result<Self, Rejection> {
        let missing = || {
            let detail = "RLE needs Rows, Columns and Bits Allocated, the header lacks one";
            Rejection::new(Reason::GeometryMissing, detail)
        };
        let (rows, columns) = pixels.rows.zip(pixels.columns).ok_or_else(missing)?;
        let bits = pixels.bits_allocated.ok_or_else(missing)?;
        let samples = pixels.samples_per_pixel.unwrap_or(1);
        let plane = u64::from(rows) * u64::from(columns);
        Ok(Self {
            segments: u32::from(samples) * u32::from(bits.div_ceil(8)),
            // Single bits stay packed (PS3.5 8.1.1).
            bytes: if bits == 1 { plane.div_ceil(8) } else { plane },
            rows,
            columns,
            samples,
        })
    }
}

/// Reads the offsets of the header: the first is 64, and each lies behind the one before.
fn segment_starts(bytes: &[u8], expected: u32) -> Result<Vec<usize>, Rejection> {
    let count = le32(bytes, 0).unwrap_or(0);
    if count != expected {
        let detail = format!("RLE segments: expected {expected}, got {count}");
        return Err(Rejection::new(Reason::GeometryMismatch, detail));
    }
    let starts: Vec<usize> =
        (1..=count as usize).filter_map(|at| le32(bytes, 4 * at)).map(|at| at as usize).collect();
    let ascend = starts.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = starts.last().is_some_and(|&last| last < bytes.len());
    if !ascend || !inside || starts.first() != Some(&(RLE_HEADER as usize)) {
        let detail = format!("RLE offsets do not ascend within {} bytes", bytes.len());
        return Err(damaged(detail));
    }
    Ok(starts)
}

/// Returns how many bytes of `PackBits` runs decode to `expected` bytes (PS3.5 G.3.2).
fn segment_length(segment: &[u8], expected: u64) -> Result<usize, Rejection> {
    let mut decoded = 0;
    let mut at = 0;
    while decoded < expected {
        let run = match segment.get(at) {
            Some(&NO_OPERATION) => 0,
            Some(&literal @ ..0x80) => {
                at += usize::from(literal) + 1;
                u64::from(literal) + 1
            }
            Some(&repeat) => {
                at += 1;
                257 - u64::from(repeat)
            }
            None => return Err(damaged(format!("expected {expected} bytes, got {decoded}"))),
        };
        at += 1;
        decoded += run;
    }
    if at > segment.len() {
        return Err(damaged(format!("expected {at} bytes of runs, got {}", segment.len())));
    }
    if decoded > expected {
        let detail = format!("expected {expected} bytes, got a run up to {decoded}");
        return Err(Rejection::new(Reason::GeometryMismatch, detail));
    }
    Ok(at)
}

/// Segments are filled up to an even length with NUL (PS3.5 G.3.1); some encoders use a no-op.
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|&byte| byte == 0 || byte == NO_OPERATION)
}
