//! J2K and HTJ2K: from SOC to EOC (ISO 15444-1 A, ISO 15444-15 A).
//!
//! The main header and the tile-part headers are read marker by marker; tile-parts are passed by
//! Psot, so the bytes FF D9 FF 4F inside packet data confuse nothing. Only a last tile-part with
//! Psot 0 is searched for its EOC: packet data never holds FF followed by a byte above 8F (A.1,
//! B.10.1), but for the counter of an SOP segment.
//!
//! A missing EOC is no damage: such a codestream ends with its last tile-part. A tile-part that
//! passes the end, or a tile that no tile-part begins, is.

use dcmjoin_model::{Rejection, TransferSyntax};

use super::codestream::{Codestream, Colour, damaged};
use super::scan::{be16, be32, next_ff};

const CAP: u16 = 0xff50;
const SIZ: u16 = 0xff51;
const COD: u16 = 0xff52;
const COC: u16 = 0xff53;
const TLM: u16 = 0xff55;
const POC: u16 = 0xff5f;
const SOT: u16 = 0xff90;
const SOD: u16 = 0xff93;
const EOC: u16 = 0xffd9;

/// SOT: the marker, Lsot, Isot, Psot, `TPsot`, `TNsot` (A.4.2).
const SOT_BYTES: usize = 12;
/// An SOP segment: the marker, its length 4, and a 16-bit packet counter (A.8.1).
const SOP: [u8; 4] = [0xff, 0x91, 0, 4];
const SOP_BYTES: usize = 6;
/// Bit 14 of Rsiz: capabilities are in a CAP segment (ISO 15444-15 A.2).
const RSIZ_HT: u16 = 1 << 14;
/// The bit of Pcap that stands for part 15, HTJ2K (ISO 15444-15 A.3).
const PCAP_PART15: u32 = 1 << (32 - 15);
/// The bit of the code-block style that stands for HT code-blocks (ISO 15444-15 A.4).
const STYLE_HT: u8 = 1 << 6;
/// Resolution, position, component, layer (A.6.1, table A.16).
const RPCL: u8 = 2;
/// A tile-part's index is below this; more tiles than that cannot be named (A.4.2).
const TILES_MAX: u64 = 65_535;

/// SIZ (A.5.1).
struct Size {
    rsiz: u16,
    rows: u32,
    columns: u32,
    components: u16,
    precision: u8,
    signed: bool,
    tiles: u64,
}

/// What the coding style segments say, of all tiles and components together.
struct Style {
    /// Multiple component transform.
    transform: bool,
    /// All wavelets so far are 5/3; `None` before the first.
    reversible: Option<bool>,
    ht_blocks: bool,
    /// Pcap of the CAP segment.
    capabilities: Option<u32>,
    streaming: Streaming,
}

/// What `.202` asks for beyond `.201` (PS3.5 10.18.1).
struct Streaming {
    /// Every progression is RPCL.
    rpcl: bool,
    /// Tile-part lengths are in the main header.
    lengths: bool,
}

impl Style {
    fn new() -> Self {
        Self {
            transform: false,
            reversible: None,
            ht_blocks: false,
            capabilities: None,
            streaming: Streaming { rpcl: true, lengths: false },
        }
    }
}

/// Walks the codestream that begins with SOC.
pub(super) fn parse(bytes: &[u8]) -> Result<Codestream, Rejection> {
    let mut style = Style::new();
    let (size, first_part) = main_header(bytes, &mut style)?;
    let (end, terminated) = tile_parts(bytes, first_part, &size, &mut style)?;
    let ht = style.is_ht(size.rsiz);
    let reversible = style.reversible == Some(true);
    Ok(Codestream {
        range: 0..end,
        end,
        terminated,
        boxes: None,
        syntaxes: style.syntaxes(ht, reversible),
        rows: size.rows,
        columns: size.columns,
        samples: size.components,
        precision: Some(size.precision),
        signed: Some(size.signed),
        lossy: !reversible,
        colour: Some(match (style.transform, reversible) {
            (false, _) => Colour::Untransformed,
            (true, true) => Colour::Reversible,
            (true, false) => Colour::Irreversible,
        }),
    })
}

/// Reads from SOC to the first SOT.
fn main_header(bytes: &[u8], style: &mut Style) -> Result<(Size, usize), Rejection> {
    let mut size = None;
    let mut at = 2;
    loop {
        let (marker, body, end) = segment(bytes, at)?;
        match marker {
            SIZ if size.is_none() => {
                let read = read_size(body);
                size = Some(read.ok_or_else(|| damaged(format!("SIZ at byte {at} is broken")))?);
            }
            SOT => break,
            _ => {
                let components = size.as_ref().map_or(0, |size| size.components);
                style.segment(marker, body, components);
            }
        }
        at = end;
    }
    match size {
        Some(size) if style.reversible.is_some() => Ok((size, at)),
        _ => Err(damaged(format!("J2K main header of {at} bytes lacks SIZ or COD"))),
    }
}

/// Returns a marker segment's marker, body and end.
fn segment(bytes: &[u8], at: usize) -> Result<(u16, &[u8], usize), Rejection> {
    let cut = || damaged(format!("J2K codestream ends in the marker segment at byte {at}"));
    let marker = be16(bytes, at).ok_or_else(cut)?;
    let length = usize::from(be16(bytes, at + 2).ok_or_else(cut)?);
    if marker < 0xff00 || length < 2 {
        let detail = format!("expected a J2K marker segment at byte {at}, got {marker:04x}");
        return Err(damaged(detail));
    }
    let end = at + 2 + length;
    let body = bytes.get(at + 4..end).ok_or_else(cut)?;
    Ok((marker, body, end))
}

fn read_size(body: &[u8]) -> Option<Size> {
    let words: Vec<u32> = (0..8).map(|word| be32(body, 2 + 4 * word)).collect::<Option<_>>()?;
    let [x, y, x0, y0, tile_x, tile_y, first_x, first_y] = words[..] else { return None };
    let components = be16(body, 34)?;
    let &[depth, step_x, step_y] = body.get(36..39)? else { return None };
    let of_component = |end: u32, start: u32, step: u8| {
        let step = u32::from(step);
        (step > 0 && start < end).then(|| end.div_ceil(step) - start.div_ceil(step))
    };
    let tiles = |end: u32, start: u32, step: u32| {
        (step > 0 && start <= end).then(|| u64::from((end - start).div_ceil(step)))
    };
    Some(Size {
        rsiz: be16(body, 0)?,
        columns: of_component(x, x0, step_x)?,
        rows: of_component(y, y0, step_y)?,
        components,
        // Ssiz: the sign, and the number of bits less one.
        precision: (depth & 0x7f) + 1,
        signed: depth & 0x80 != 0,
        tiles: tiles(x, first_x, tile_x)? * tiles(y, first_y, tile_y)?,
    })
}

/// Passes all tile-parts, and returns where the codestream ends and whether EOC stands there.
fn tile_parts(
    bytes: &[u8],
    first: usize,
    size: &Size,
    style: &mut Style,
) -> Result<(usize, bool), Rejection> {
    let mut at = first;
    let mut tiles_begun = 0;
    let terminated = loop {
        match be16(bytes, at) {
            Some(SOT) => {}
            Some(EOC) => break true,
            _ => break false,
        }
        let part = tile_part(bytes, at, size, style)?;
        tiles_begun += u64::from(part.first_of_tile);
        at = part.end;
    };
    if size.tiles > TILES_MAX || tiles_begun < size.tiles {
        let tiles = size.tiles;
        let detail = format!("J2K tiles: expected {tiles}, got {tiles_begun} by byte {at}");
        return Err(damaged(detail));
    }
    Ok((if terminated { at + 2 } else { at }, terminated))
}

struct TilePart {
    end: usize,
    first_of_tile: bool,
}

/// Passes the tile-part whose SOT stands at `at`.
fn tile_part(
    bytes: &[u8],
    at: usize,
    size: &Size,
    style: &mut Style,
) -> Result<TilePart, Rejection> {
    let (_, sot, header) = segment(bytes, at)?;
    let (Some(tile), Some(length), Some(&part)) = (be16(sot, 0), be32(sot, 2), sot.get(6)) else {
        return Err(damaged(format!("SOT at byte {at} is broken")));
    };
    if u64::from(tile) >= size.tiles {
        let detail = format!("SOT at byte {at}: expected a tile below {}, got {tile}", size.tiles);
        return Err(damaged(detail));
    }
    let data = tile_part_header(bytes, header, size.components, style)?;
    let end = match length as usize {
        0 => packets_end(bytes, data),
        length => at.saturating_add(length),
    };
    if end < data || end > bytes.len() || header != at + SOT_BYTES {
        let got = bytes.len() - at;
        let detail = format!("tile-part at byte {at}: expected {length} bytes, got {got}");
        return Err(damaged(detail));
    }
    Ok(TilePart { end, first_of_tile: part == 0 })
}

/// Reads the segments between SOT and SOD, and returns the place behind SOD.
fn tile_part_header(
    bytes: &[u8],
    from: usize,
    components: u16,
    style: &mut Style,
) -> Result<usize, Rejection> {
    let mut at = from;
    while be16(bytes, at) != Some(SOD) {
        let (marker, body, end) = segment(bytes, at)?;
        style.segment(marker, body, components);
        at = end;
    }
    Ok(at + 2)
}

/// Returns the place of the EOC that ends packet data of unknown length, or the end of the bytes.
fn packets_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = next_ff(bytes, at) {
        at = found;
        let rest = &bytes[at..];
        if rest.starts_with(&SOP) && rest.len() >= SOP_BYTES {
            at += SOP_BYTES;
        } else if be16(rest, 0) == Some(EOC) {
            return at;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

impl Style {
    fn segment(&mut self, marker: u16, body: &[u8], components: u16) {
        match marker {
            // Scod, progression, layers (2), transform; levels, width, height, style, wavelet.
            COD => {
                if let &[_, progression, _, _, transform, _, _, _, style, wavelet, ..] = body {
                    self.streaming.rpcl &= progression == RPCL;
                    self.transform |= transform & 1 != 0;
                    self.component(style, wavelet);
                }
            }
            // The component's index is one byte below 257 components, else two.
            COC => {
                let index_bytes = if components < 257 { 1 } else { 2 };
                if let Some(&[_, _, _, _, style, wavelet, ..]) = body.get(index_bytes..) {
                    self.component(style, wavelet);
                }
            }
            CAP => self.capabilities = be32(body, 0),
            TLM => self.streaming.lengths = true,
            // Progressions of its own, which replace those of COD.
            POC => self.streaming.rpcl = false,
            _ => {}
        }
    }

    fn component(&mut self, style: u8, wavelet: u8) {
        self.ht_blocks |= style & STYLE_HT != 0;
        self.reversible = Some(self.reversible.unwrap_or(true) && wavelet == 1);
    }

    fn is_ht(&self, rsiz: u16) -> bool {
        let declared = match self.capabilities {
            Some(capabilities) => capabilities & PCAP_PART15 != 0,
            None => rsiz & RSIZ_HT != 0,
        };
        declared || self.ht_blocks
    }

    fn syntaxes(&self, ht: bool, reversible: bool) -> &'static [TransferSyntax] {
        use TransferSyntax as Ts;
        let streamable = self.streaming.rpcl && self.streaming.lengths;
        match (ht, reversible) {
            (true, true) if streamable => &[Ts::Htj2kLosslessRpcl, Ts::Htj2kLossless, Ts::Htj2k],
            (true, true) => &[Ts::Htj2kLossless, Ts::Htj2k],
            (true, false) => &[Ts::Htj2k],
            (false, true) => &[Ts::Jpeg2000Lossless, Ts::Jpeg2000],
            (false, false) => &[Ts::Jpeg2000],
        }
    }
}
