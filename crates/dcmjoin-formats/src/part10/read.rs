//! The reader: a file to a summary, for `inspect` and for reading back what was written.
//!
//! It checks the structure that it passes: prefix, group length, VRs, lengths, delimiters, tags in
//! order. It keeps no values but those that name and describe the instance, and decodes no
//! pixels. Deflated data sets are not opened.

use dcmjoin_model::{ByteRange, PayloadKind, PixelDescription, TransferSyntax, Uid};

use super::elements::{
    EXTENDED_LENGTHS, EXTENDED_OFFSETS, ITEM, PIXEL_DATA, SEQUENCE_END, Tag, UNDEFINED,
};
use super::summary::{OffsetTable, PixelDataSummary, ReadError, Summary};
use super::walk::{Element, Encoding, Walk};
use super::{PREAMBLE_BYTES, PREFIX};

/// Reads a file.
///
/// # Errors
/// [`ReadError`] at the first place where the structure is broken.
pub fn read(bytes: &[u8]) -> Result<Summary, ReadError> {
    if bytes.get(PREAMBLE_BYTES..PREAMBLE_BYTES + PREFIX.len()) != Some(PREFIX) {
        return Err(ReadError::Prefix);
    }
    let mut reading = Reading::new(bytes);
    let data_set_at = reading.group_0002(PREAMBLE_BYTES + PREFIX.len())?;
    reading.summary.data_set_at = data_set_at as u64;
    let encoding = match reading.summary.transfer_syntax {
        Some(TransferSyntax::ImplicitVrLittleEndian) => Encoding::IMPLICIT_LITTLE,
        Some(TransferSyntax::ExplicitVrBigEndian) => Encoding::EXPLICIT_BIG,
        Some(TransferSyntax::DeflatedExplicitVrLittleEndian) => {
            return Err(ReadError::Deflated { offset: data_set_at as u64 });
        }
        _ => Encoding::EXPLICIT_LITTLE,
    };
    reading.data_set(data_set_at, encoding)?;
    Ok(reading.summary)
}

/// A file under way.
struct Reading<'a> {
    walk: Walk<'a>,
    summary: Summary,
    /// (7FE0,0001) and (7FE0,0002).
    extended: [Option<&'a [u8]>; 2],
}

impl<'a> Reading<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let summary = Summary {
            transfer_syntax_uid: String::new(),
            transfer_syntax: None,
            meta_sop_class: None,
            meta_uid: None,
            implementation_class: None,
            implementation_version: None,
            uid: None,
            sop_class: None,
            study: None,
            series: None,
            modality: None,
            pixels: PixelDescription::default(),
            pixel_data: None,
            data_set_at: 0,
            elements: 0,
            out_of_order: 0,
        };
        Self { walk: Walk { bytes }, summary, extended: [None; 2] }
    }

    /// Reads group 0002, and returns where it ends.
    fn group_0002(&mut self, from: usize) -> Result<usize, ReadError> {
        let encoding = Encoding::EXPLICIT_LITTLE;
        let mut at = from;
        let mut announced = None;
        // What follows may be in another encoding: nothing but its group is looked at.
        while self.walk.bytes[at..].starts_with(&[2, 0]) {
            let element = self.walk.element(at, encoding)?;
            let value = self.walk.value(element)?;
            at = element.value_at + value.len();
            match element.tag.1 {
                0x0000 => announced = number(value, encoding).map(|length| at + length as usize),
                0x0002 => self.summary.meta_sop_class = uid(value),
                0x0003 => self.summary.meta_uid = uid(value),
                0x0010 => self.transfer_syntax(value),
                0x0012 => self.summary.implementation_class = uid(value),
                0x0013 => self.summary.implementation_version = text(value),
                _ => {}
            }
        }
        match announced {
            Some(expected) if expected != at => {
                Err(ReadError::GroupLength { expected: expected as u64, got: at as u64 })
            }
            _ => Ok(at),
        }
    }

    fn transfer_syntax(&mut self, value: &[u8]) {
        let uid = text(value).unwrap_or_default();
        self.summary.transfer_syntax = TransferSyntax::from_uid(&uid);
        self.summary.transfer_syntax_uid = uid;
    }

    fn data_set(&mut self, from: usize, encoding: Encoding) -> Result<(), ReadError> {
        let mut at = from;
        let mut last: Option<Tag> = None;
        while at < self.walk.bytes.len() {
            let element = self.walk.element(at, encoding)?;
            if element.tag.0 == ITEM.0 {
                return Err(ReadError::Delimiter { offset: at as u64, got: element.tag });
            }
            self.summary.elements += 1;
            self.summary.out_of_order += usize::from(last.is_some_and(|last| last >= element.tag));
            last = Some(element.tag);
            at = if element.tag == PIXEL_DATA {
                self.pixel_data(element, encoding)?
            } else {
                self.value(element, encoding)?;
                self.walk.behind(element, encoding)?
            };
        }
        Ok(())
    }

    fn value(&mut self, element: Element, encoding: Encoding) -> Result<(), ReadError> {
        if element.length == UNDEFINED {
            return Ok(());
        }
        let value = self.walk.value(element)?;
        let short = || number(value, encoding).and_then(|number| u16::try_from(number).ok());
        let Summary { pixels, .. } = &mut self.summary;
        match element.tag {
            (0x0008, 0x0016) => self.summary.sop_class = uid(value),
            (0x0008, 0x0018) => self.summary.uid = uid(value),
            (0x0008, 0x0060) => self.summary.modality = text(value),
            (0x0020, 0x000d) => self.summary.study = uid(value),
            (0x0020, 0x000e) => self.summary.series = uid(value),
            (0x0028, 0x0002) => pixels.samples_per_pixel = short(),
            (0x0028, 0x0004) => pixels.photometric_interpretation = text(value),
            (0x0028, 0x0006) => pixels.planar_configuration = short(),
            (0x0028, 0x0008) => {
                pixels.number_of_frames = text(value).and_then(|frames| frames.parse().ok());
            }
            (0x0028, 0x0010) => pixels.rows = number(value, encoding),
            (0x0028, 0x0011) => pixels.columns = number(value, encoding),
            (0x0028, 0x0100) => pixels.bits_allocated = short(),
            (0x0028, 0x0101) => pixels.bits_stored = short(),
            (0x0028, 0x0103) => pixels.pixel_representation = short(),
            (0x0028, 0x2110) => pixels.lossy = text(value).as_deref() == Some("01"),
            EXTENDED_OFFSETS => self.extended[0] = Some(value),
            EXTENDED_LENGTHS => self.extended[1] = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// Reads the pixel data element, and returns the place behind it.
    fn pixel_data(&mut self, element: Element, encoding: Encoding) -> Result<usize, ReadError> {
        let start = element.value_at as u64;
        if element.length != UNDEFINED {
            let end = start + self.walk.value(element)?.len() as u64;
            self.summary.pixel_data = Some(PixelDataSummary {
                vr: element.vr,
                kind: PayloadKind::Native,
                value: ByteRange { start, end },
                fragments: Vec::new(),
                offset_table: OffsetTable::Empty,
                frames: self.native_frames(start, end),
            });
            return Ok(end as usize);
        }
        let (items, end) = self.items(element.value_at, encoding)?;
        let (table, fragments) = match items.split_first() {
            Some((table, fragments)) => (*table, fragments.to_vec()),
            None => (ByteRange { start, end: start }, Vec::new()),
        };
        let value = ByteRange { start, end: end as u64 };
        let table = &self.walk.bytes[table.start as usize..table.end as usize];
        let (offset_table, frames) = self.frames(table, &fragments);
        self.summary.pixel_data = Some(PixelDataSummary {
            vr: element.vr,
            kind: PayloadKind::Encapsulated,
            value,
            fragments,
            offset_table,
            frames,
        });
        Ok(end)
    }

    /// Returns the contents of the items up to the sequence delimiter, and the place behind it.
    fn items(&self, from: usize, enc: Encoding) -> Result<(Vec<ByteRange>, usize), ReadError> {
        let mut items = Vec::new();
        let mut at = from;
        loop {
            let item = self.walk.element(at, enc)?;
            match item.tag {
                SEQUENCE_END => return Ok((items, item.value_at)),
                ITEM => at = item.value_at + self.walk.value(item)?.len(),
                got => return Err(ReadError::Delimiter { offset: at as u64, got }),
            }
            items.push(ByteRange { start: item.value_at as u64, end: at as u64 });
        }
    }

    fn native_frames(&self, start: u64, end: u64) -> Vec<ByteRange> {
        let pixels = &self.summary.pixels;
        let frames = u64::from(pixels.frames());
        let length = pixels.native_bytes().unwrap_or(0);
        let fits = length > 0 && length <= end - start && length.is_multiple_of(frames);
        let whole = frames == 1 || pixels.bits_allocated.is_some_and(|bits| bits % 8 == 0);
        if !fits || !whole {
            return Vec::new();
        }
        let frame = length / frames;
        let range =
            |at: u64| ByteRange { start: start + at * frame, end: start + (at + 1) * frame };
        (0..frames).map(range).collect()
    }

    /// Returns the offset table, and the frames where each lies in one fragment.
    fn frames(&self, table: &[u8], fragments: &[ByteRange]) -> (OffsetTable, Vec<ByteRange>) {
        // Offsets count from the first fragment's item, eight bytes before its contents.
        let base = fragments.first().map_or(0, |first| first.start);
        let starts: Vec<u64> = fragments.iter().map(|fragment| fragment.start - base).collect();
        let one_each = fragments.len() == self.summary.pixels.frames() as usize;
        let frames = if one_each { fragments.to_vec() } else { Vec::new() };
        if let [Some(offsets), Some(lengths)] = self.extended {
            let lengths_hold =
                words::<8>(lengths).eq(fragments.iter().map(|fragment| fragment.len()));
            let entries = offsets.len() / 8;
            let consistent = words::<8>(offsets).eq(starts.iter().copied()) && lengths_hold;
            return (OffsetTable::Extended { entries, consistent }, frames);
        }
        if table.is_empty() {
            return (OffsetTable::Empty, frames);
        }
        let consistent = words::<4>(table).all(|offset| starts.binary_search(&offset).is_ok());
        (OffsetTable::Basic { entries: table.len() / 4, consistent }, frames)
    }
}

/// Returns little-endian words of `N` bytes, at most eight.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes
        .chunks_exact(N)
        .map(|word| word.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
}

/// Returns a US or UL.
fn number(value: &[u8], encoding: Encoding) -> Option<u32> {
    match *value {
        [a, b] => Some(encoding.u16([a, b]).into()),
        [a, b, c, d] => Some(encoding.u32([a, b, c, d])),
        _ => None,
    }
}

/// Returns ASCII text without padding; `None` for other bytes.
fn text(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?.trim_matches(['\0', ' ']);
    Some(text.to_owned())
}

fn uid(value: &[u8]) -> Option<Uid> {
    Uid::parse(&text(value)?).ok()
}
