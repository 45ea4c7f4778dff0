//! The writer: header and pixels to the segments of a file.
//!
//! Native pixels are OW above 8 Bits Allocated and OB up to there, as pydicom's `save_as` writes
//! them (PS3.5 A.2 allows OB and OW up to 8). Encapsulated ones are OB of undefined length: the
//! basic offset table is filled while its 32-bit offsets reach, else it is empty and the extended
//! offset table stands before the pixels (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

use bytes::Bytes;
use dcmjoin_model::{ByteRange, PayloadKind, PixelDescription, Reason, Rejection, TransferSyntax};

use super::elements::{
    self, EXTENDED_LENGTHS, EXTENDED_OFFSETS, PIXEL_DATA, UNDEFINED, put_item, put_long,
    put_long_header,
};
use super::meta;
use super::segments::Segments;
use crate::header::Header;
use crate::payload::items::ITEM_HEADER_BYTES;
use crate::payload::{PixelValue, Pixels};

/// The longest value of a defined length: even, and below the mark of an undefined one.
const VALUE_BYTES_MAX: u64 = u32::MAX as u64 - 1;
/// The largest offset that a basic offset table can hold.
const BASIC_OFFSET_MAX: u64 = u32::MAX as u64;
/// More frames than this get no ranges: single-bit and thumbnail frames by the hundred million
/// would need more memory for their ranges than for their pixels.
const RANGES_MAX: u64 = 1 << 22;

/// A file, ready to be written segment by segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part10 {
    /// The file's bytes in order. Pixels are slices of the payload.
    pub segments: Vec<Bytes>,
    /// The file's length in bytes.
    pub len: u64,
    /// Each frame's bytes in the file, unpadded. Empty where frames are not whole ranges: in
    /// several fragments, not aligned to bytes, or a video.
    pub frames: Vec<ByteRange>,
    /// The value of (7FE0,0010): native with its padding, encapsulated from the offset table's item
    /// through the sequence delimiter.
    pub pixel_data: Option<ByteRange>,
}

/// Assembles a file. Without pixels, or with [`PayloadKind::Empty`], it holds the header alone.
///
/// # Errors
/// `data_set_too_large` where native pixels or a fragment are too long for a 32-bit length.
pub fn assemble(header: &Header, pixels: Option<&Pixels>) -> Result<Part10, Rejection> {
    assemble_within(header, pixels, BASIC_OFFSET_MAX)
}

/// Assembles with another largest basic offset, so that tests need not allocate 4 GiB.
pub(super) fn assemble_within(
    header: &Header,
    pixels: Option<&Pixels>,
    basic_offset_max: u64,
) -> Result<Part10, Rejection> {
    let pixels = pixels.filter(|pixels| pixels.kind != PayloadKind::Empty);
    let syntax =
        pixels.map_or(TransferSyntax::ExplicitVrLittleEndian, |pixels| pixels.transfer_syntax);
    let at = header.pixel_data_at.min(header.data_set.len());
    let mut file = File { head: header.data_set.slice(..at), ..File::default() };
    file.segments.put(&meta::write(&header.sop_class, &header.uid, syntax));
    match pixels.map(|pixels| &pixels.value) {
        None => file.head(&[]),
        Some(PixelValue::Native(value)) => file.native(value, &header.pixels)?,
        Some(PixelValue::Encapsulated(frames)) => {
            file.encapsulated(frames, syntax, basic_offset_max)?;
        }
    }
    file.segments.share(&header.data_set.slice(at..));
    let File { segments, frames, pixel_data, .. } = file;
    Ok(Part10 { len: segments.len(), segments: segments.finish(), frames, pixel_data })
}

/// A file under way.
#[derive(Default)]
struct File {
    /// The data set before the pixel data.
    head: Bytes,
    segments: Segments,
    frames: Vec<ByteRange>,
    pixel_data: Option<ByteRange>,
}

impl File {
    /// Puts the data set before the pixel data, with the extended offset tables in their place.
    fn head(&mut self, extended: &[u8]) {
        let at = if extended.is_empty() { self.head.len() } else { behind_tables(&self.head) };
        self.segments.share(&self.head.slice(..at));
        self.segments.put(extended);
        self.segments.share(&self.head.slice(at..));
    }

    fn native(&mut self, value: &Bytes, pixels: &PixelDescription) -> Result<(), Rejection> {
        let length = fitting(value.len() as u64, "native pixels")?;
        let vr = if pixels.bits_allocated > Some(8) { *b"OW" } else { *b"OB" };
        self.head(&[]);
        let mut element = Vec::new();
        put_long_header(&mut element, PIXEL_DATA, vr, length);
        self.segments.put(&element);
        let start = self.segments.len();
        self.segments.share(value);
        self.frames = native_frames(start, value.len() as u64, pixels);
        self.segments.pad(start);
        self.pixel_data = Some(ByteRange { start, end: self.segments.len() });
        Ok(())
    }

    fn encapsulated(
        &mut self,
        frames: &[Vec<Bytes>],
        syntax: TransferSyntax,
        basic_offset_max: u64,
    ) -> Result<(), Rejection> {
        for fragment in frames.iter().flatten() {
            fitting(fragment.len() as u64, "a fragment")?;
        }
        let tables = Tables::of(frames, syntax, basic_offset_max);
        self.head(&tables.extended);
        let mut element = Vec::new();
        put_long_header(&mut element, PIXEL_DATA, *b"OB", UNDEFINED);
        self.segments.put(&element);
        let start = self.segments.len();
        self.item(&tables.basic.into());
        for frame in frames {
            for fragment in frame {
                let range = self.item(fragment);
                self.frames.push(range);
            }
        }
        let whole = frames.iter().all(|frame| frame.len() == 1);
        if !whole || is_video(syntax) {
            self.frames.clear();
        }
        let mut delimiter = Vec::new();
        put_item(&mut delimiter, elements::SEQUENCE_END, 0);
        self.segments.put(&delimiter);
        self.pixel_data = Some(ByteRange { start, end: self.segments.len() });
        Ok(())
    }

    /// Puts an item, padded to an even length, and returns where its unpadded bytes are.
    fn item(&mut self, contents: &Bytes) -> ByteRange {
        let mut header = Vec::new();
        put_item(&mut header, elements::ITEM, contents.len().next_multiple_of(2) as u32);
        self.segments.put(&header);
        let start = self.segments.len();
        self.segments.share(contents);
        let end = self.segments.len();
        self.segments.pad(start);
        ByteRange { start, end }
    }
}

/// Returns an even length that 32 bits hold.
pub(super) fn fitting(length: u64, what: &str) -> Result<u32, Rejection> {
    let even = length.saturating_add(length % 2);
    u32::try_from(even).ok().filter(|_| even <= VALUE_BYTES_MAX).ok_or_else(|| {
        let detail = format!("expected at most {VALUE_BYTES_MAX} bytes in {what}, got {length}");
        Rejection::new(Reason::DataSetTooLarge, detail)
    })
}

fn native_frames(start: u64, length: u64, pixels: &PixelDescription) -> Vec<ByteRange> {
    let frames = u64::from(pixels.frames());
    let one = PixelDescription { number_of_frames: None, ..pixels.clone() };
    let frame = one.native_bytes().unwrap_or(0);
    // Single bits run on from frame to frame: then the frames' lengths don't add up, or only by
    // the rounding of the last byte.
    let bits = u64::from(pixels.bits_allocated.unwrap_or(0));
    let pixels_a_frame =
        u64::from(pixels.rows.unwrap_or(0)) * u64::from(pixels.columns.unwrap_or(0));
    let aligned = frames == 1 || bits % 8 == 0 || (pixels_a_frame % 8 == 0);
    if frames > RANGES_MAX || !aligned || frame.checked_mul(frames) != Some(length) {
        return Vec::new();
    }
    let range = |at: u64| ByteRange { start: start + at * frame, end: start + (at + 1) * frame };
    (0..frames).map(range).collect()
}

/// The offset tables of an encapsulated value.
struct Tables {
    /// The value of the basic offset table's item.
    basic: Vec<u8>,
    /// The elements (7FE0,0001) and (7FE0,0002), or nothing.
    extended: Vec<u8>,
}

impl Tables {
    fn of(frames: &[Vec<Bytes>], syntax: TransferSyntax, basic_offset_max: u64) -> Self {
        let none = Self { basic: Vec::new(), extended: Vec::new() };
        // A video's fragments are no frames (PS3.5 8.2.5): nothing to point at.
        if is_video(syntax) {
            return none;
        }
        let offsets = offsets(frames);
        let in_basic = offsets.last().is_none_or(|&last| last <= basic_offset_max)
            && offsets.len() as u64 * 4 <= VALUE_BYTES_MAX;
        if in_basic {
            let basic = offsets.iter().flat_map(|&offset| (offset as u32).to_le_bytes());
            return Self { basic: basic.collect(), ..none };
        }
        // The extended table is for frames of one fragment each (PS3.3 C.7.6.3.1.8).
        if frames.iter().any(|frame| frame.len() != 1) {
            return none;
        }
        let words = |words: &mut dyn Iterator<Item = u64>| -> Vec<u8> {
            words.flat_map(u64::to_le_bytes).collect()
        };
        let mut lengths = frames.iter().flatten().map(|fragment| even(fragment.len()));
        let mut extended = Vec::new();
        put_long(&mut extended, EXTENDED_OFFSETS, *b"OV", &words(&mut offsets.into_iter()));
        put_long(&mut extended, EXTENDED_LENGTHS, *b"OV", &words(&mut lengths));
        Self { extended, ..none }
    }
}

/// Returns where each frame's first item lies, from the first fragment's item.
fn offsets(frames: &[Vec<Bytes>]) -> Vec<u64> {
    let mut next = 0;
    let mut offset = |frame: &Vec<Bytes>| {
        let start = next;
        next += frame
            .iter()
            .map(|fragment| ITEM_HEADER_BYTES as u64 + even(fragment.len()))
            .sum::<u64>();
        start
    };
    frames.iter().map(&mut offset).collect()
}

/// The length of an item, as its header and (7FE0,0002) have it.
fn even(length: usize) -> u64 {
    length.next_multiple_of(2) as u64
}

/// Returns where (7FE0,0001) and (7FE0,0002) belong: before (7FE0,0003) Encapsulated Pixel Data
/// Value Total Length, the one element that stands between them and the pixel data.
fn behind_tables(head: &[u8]) -> usize {
    const TOTAL_LENGTH: [u8; 12] =
        [0xe0, 0x7f, 0x03, 0x00, b'U', b'V', 0x00, 0x00, 0x08, 0x00, 0x00, 0x00];
    let at = head.len().saturating_sub(TOTAL_LENGTH.len() + 8);
    if head[at..].starts_with(&TOTAL_LENGTH) { at } else { head.len() }
}

fn is_video(syntax: TransferSyntax) -> bool {
    use TransferSyntax as Ts;
    matches!(
        syntax,
        Ts::Mpeg2MainProfile
            | Ts::Mpeg2HighLevel
            | Ts::Mpeg4HighProfile
            | Ts::Mpeg4BdCompatible
            | Ts::HevcMainProfile
            | Ts::HevcMain10Profile
    )
}
