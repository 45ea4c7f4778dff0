//! JPEG and JPEG-LS: from SOI to EOI, marker by marker (ISO 10918-1 B, ISO 14495-1 C).
//!
//! Marker segments are passed by their length, so a thumbnail inside an `APPn` segment confuses
//! nothing. Entropy-coded data is passed byte by byte: FF 00 is a stuffed byte in JPEG, FF and a
//! byte below 80 a stuffed bit in JPEG-LS, `RSTn` belong to the data, every other marker ends it.
//!
//! A missing EOI is no damage: the last scan then ends with the bytes, or with the next SOI. What
//! cannot be seen without decoding: a scan whose data stops early.

use dcmjoin_model::{Reason, Rejection, TransferSyntax};

use super::codestream::{Codestream, Colour, damaged};
use super::scan::{be16, be32, next_ff};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DNL: u8 = 0xdc;
const SOF55: u8 = 0xf7;
const LSE: u8 = 0xf8;
const APP0: u8 = 0xe0;
const APP14: u8 = 0xee;

/// SOF of a frame.
struct Frame {
    sof: u8,
    precision: u8,
    rows: u32,
    columns: u32,
    samples: u8,
    ids: [u8; 3],
}

/// What the markers have said so far.
#[derive(Default)]
struct Walk {
    frame: Option<Frame>,
    scans: u32,
    /// Components in all scans so far; a component may be in several.
    scanned: u32,
    /// Every scan so far has Ss (the predictor of lossless JPEG) 1.
    first_predictor: bool,
    /// The largest NEAR of all scans, where JPEG has Ss.
    near: u8,
    jfif: bool,
    /// The transform of the Adobe segment.
    adobe: Option<u8>,
    /// Lines and columns of an LSE segment for images beyond 65,535 (ISO 14495-1 C.2.4.1.4).
    oversize: Option<(u32, u32)>,
}

/// Walks the codestream that begins with SOI.
pub(super) fn parse(bytes: &[u8]) -> Result<Codestream, Rejection> {
    let mut walk = Walk { first_predictor: true, ..Walk::default() };
    let mut at = 2;
    loop {
        let Some((marker, after)) = marker(bytes, at) else {
            return cut_short(walk, bytes, at);
        };
        match marker {
            EOI => return walk.finish(after, true),
            // The next image begins: this one has no EOI.
            SOI if walk.scans > 0 => return walk.finish(after - 2, false),
            // RSTn, TEM: markers without a segment (ISO 10918-1 B.1.1.4).
            0xd0..=0xd7 | 0x01 => at = after,
            0xc0..=0xfe if marker != SOI => {
                at = segment_end(bytes, marker, after)?;
                walk.segment(marker, &bytes[after + 2..at], after)?;
                if marker == SOS {
                    at = entropy_end(bytes, at, walk.is_jpeg_ls());
                }
            }
            _ => {
                let detail =
                    format!("expected a JPEG marker at byte {}, got ff{marker:02x}", after - 2);
                return Err(damaged(detail));
            }
        }
    }
}

/// Returns the marker at a place and the place behind it; fill bytes FF before it are passed.
fn marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    if bytes.get(at) != Some(&0xff) {
        return None;
    }
    let fill = bytes[at..].iter().take_while(|&&byte| byte == 0xff).count();
    bytes.get(at + fill).map(|&marker| (marker, at + fill + 1))
}

/// No marker where one must be: the end of the bytes, or something else.
fn cut_short(walk: Walk, bytes: &[u8], at: usize) -> Result<Codestream, Rejection> {
    let at_end = bytes.get(at..).is_none_or(|rest| rest.iter().all(|&byte| byte == 0xff));
    if at_end && walk.is_complete() {
        return walk.finish(bytes.len(), false);
    }
    if at_end {
        return Err(damaged(format!("JPEG codestream ends at byte {at}, inside its headers")));
    }
    Err(damaged(format!("expected a JPEG marker at byte {at}, got none")))
}

/// Returns the end of a marker segment whose length stands at `at`.
fn segment_end(bytes: &[u8], marker: u8, at: usize) -> Result<usize, Rejection> {
    let length = be16(bytes, at).map_or(0, usize::from);
    let end = at + length;
    if length < 2 || end > bytes.len() {
        let got = bytes.len().saturating_sub(at);
        let detail = format!(
            "JPEG segment ff{marker:02x} at byte {at}: expected {} bytes, got {got}",
            length.max(2)
        );
        return Err(damaged(detail));
    }
    Ok(end)
}

/// Returns the place of the marker that ends entropy-coded data, or the end of the bytes.
fn entropy_end(bytes: &[u8], from: usize, jpeg_ls: bool) -> usize {
    let mut at = from;
    while let Some(found) = next_ff(bytes, at) {
        at = found;
        match bytes.get(at + 1) {
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            Some(0x01..=0x7f) if jpeg_ls => at += 2,
            Some(0xff) => at += 1,
            Some(_) => return at,
            None => return bytes.len(),
        }
    }
    bytes.len()
}

impl Walk {
    fn is_jpeg_ls(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.sof == SOF55)
    }

    /// Every component has been in a scan.
    fn is_complete(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| self.scanned >= u32::from(frame.samples))
    }

    fn segment(&mut self, marker: u8, body: &[u8], at: usize) -> Result<(), Rejection> {
        let short = || damaged(format!("JPEG segment ff{marker:02x} at byte {at} is too short"));
        match marker {
            // C4, C8 and CC are DHT, JPG and DAC.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | SOF55 => {
                if self.frame.is_some() {
                    return Err(damaged(format!("second JPEG frame header at byte {at}")));
                }
                self.frame = Some(frame(marker, body).ok_or_else(short)?);
            }
            SOS => self.scan(body).ok_or_else(short)?,
            DNL => {
                let lines = be16(body, 0).ok_or_else(short)?;
                if let Some(frame) = self.frame.as_mut().filter(|frame| frame.rows == 0) {
                    frame.rows = lines.into();
                }
            }
            LSE if body.first() == Some(&4) => self.oversize = oversize(body),
            APP0 => self.jfif |= body.starts_with(b"JFIF\0"),
            APP14 if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
            _ => {}
        }
        Ok(())
    }

    fn scan(&mut self, body: &[u8]) -> Option<()> {
        let components = *body.first()?;
        let ss = *body.get(1 + 2 * usize::from(components))?;
        self.scans += 1;
        self.scanned += u32::from(components);
        self.first_predictor &= ss == 1;
        self.near = self.near.max(ss);
        Some(())
    }

    fn finish(self, end: usize, terminated: bool) -> Result<Codestream, Rejection> {
        let Some(frame) = &self.frame else {
            return Err(damaged(format!("JPEG codestream of {end} bytes has no frame header")));
        };
        if !self.is_complete() {
            let (expected, got) = (frame.samples, self.scanned);
            let detail =
                format!("JPEG scans: expected {expected} components, got {got} by byte {end}");
            return Err(damaged(detail));
        }
        let (rows, columns) = match self.oversize {
            Some(size) if frame.rows == 0 && frame.columns == 0 => size,
            _ => (frame.rows, frame.columns),
        };
        let syntaxes = self.syntaxes(frame)?;
        Ok(Codestream {
            range: 0..end,
            end,
            terminated,
            boxes: None,
            syntaxes,
            rows,
            columns,
            samples: frame.samples.into(),
            precision: Some(frame.precision),
            signed: None,
            lossy: matches!(frame.sof, 0xc0 | 0xc1) || (frame.sof == SOF55 && self.near > 0),
            colour: self.colour(frame),
        })
    }

    fn syntaxes(&self, frame: &Frame) -> Result<&'static [TransferSyntax], Rejection> {
        use TransferSyntax as Ts;
        Ok(match frame.sof {
            0xc0 if frame.precision == 8 => &[Ts::JpegBaseline, Ts::JpegExtended],
            0xc0 | 0xc1 => &[Ts::JpegExtended],
            0xc3 if self.first_predictor => &[Ts::JpegLosslessSv1, Ts::JpegLossless],
            0xc3 => &[Ts::JpegLossless],
            SOF55 if self.near == 0 => &[Ts::JpegLsLossless, Ts::JpegLsNearLossless],
            SOF55 => &[Ts::JpegLsNearLossless],
            sof => {
                // Progressive, hierarchical and arithmetic coding: their syntaxes are retired.
                let detail = format!("JPEG frame header ff{sof:02x} has no transfer syntax");
                return Err(Rejection::new(Reason::PayloadUnsupported, detail));
            }
        })
    }

    /// The lossy processes transform colour as the Adobe or JFIF segment says, or else as the names
    /// of the components suggest; the lossless ones keep what they get.
    fn colour(&self, frame: &Frame) -> Option<Colour> {
        if frame.samples != 3 || !matches!(frame.sof, 0xc0 | 0xc1) {
            return None;
        }
        match (self.adobe, self.jfif, &frame.ids) {
            (Some(0), ..) | (None, false, b"RGB") => Some(Colour::Rgb),
            (Some(1), ..) | (None, true, _) => Some(Colour::Ybr),
            _ => None,
        }
    }
}

fn frame(sof: u8, body: &[u8]) -> Option<Frame> {
    let samples = *body.get(5)?;
    // Three bytes a component: its name, its sampling, its table.
    let components = body.get(6..6 + 3 * usize::from(samples))?;
    let id = |index: usize| components.get(3 * index).copied().unwrap_or_default();
    Some(Frame {
        sof,
        precision: body[0],
        rows: be16(body, 1)?.into(),
        columns: be16(body, 3)?.into(),
        samples,
        ids: [id(0), id(1), id(2)],
    })
}

fn oversize(body: &[u8]) -> Option<(u32, u32)> {
    match body.get(1)? {
        2 => Some((be16(body, 2)?.into(), be16(body, 4)?.into())),
        4 => Some((be32(body, 2)?, be32(body, 6)?)),
        _ => None,
    }
}
