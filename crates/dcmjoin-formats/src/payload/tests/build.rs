//! Builders of small payloads: structures that are right marker by marker, around nonsense data.

use dcmjoin_model::PixelDescription;

/// A grey image of 4 rows and 6 columns, 8 bits.
pub(crate) fn grey() -> PixelDescription {
    PixelDescription {
        rows: Some(4),
        columns: Some(6),
        samples_per_pixel: Some(1),
        bits_allocated: Some(8),
        bits_stored: Some(8),
        pixel_representation: Some(0),
        photometric_interpretation: Some("MONOCHROME2".into()),
        ..PixelDescription::default()
    }
}

/// The same in frames.
pub(crate) fn grey_frames(frames: u32) -> PixelDescription {
    PixelDescription { number_of_frames: Some(frames), ..grey() }
}

/// The same in colour.
pub(crate) fn colour(photometric: &str) -> PixelDescription {
    PixelDescription {
        samples_per_pixel: Some(3),
        planar_configuration: Some(0),
        photometric_interpretation: Some(photometric.into()),
        ..grey()
    }
}

/// A marker segment: the marker, the length, the body.
pub(crate) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap();
    [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
}

/// A JPEG or JPEG-LS codestream.
pub(crate) struct Jpeg {
    pub(crate) sof: u8,
    pub(crate) precision: u8,
    pub(crate) samples: u8,
    /// Ss: the predictor of lossless JPEG, NEAR of JPEG-LS.
    pub(crate) ss: u8,
    /// Segments between SOI and SOF.
    pub(crate) before: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Jpeg {
    pub(crate) fn new(sof: u8) -> Self {
        let data = vec![1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 4];
        Self { sof, precision: 8, samples: 1, ss: 0, before: Vec::new(), data }
    }

    /// Without EOI.
    pub(crate) fn open(&self) -> Vec<u8> {
        let mut frame = vec![self.precision, 0, 4, 0, 6, self.samples];
        let mut scan = vec![self.samples];
        for id in 1..=self.samples {
            frame.extend([id, 0x11, 0]);
            scan.extend([id, 0]);
        }
        scan.extend([self.ss, 63, 0]);
        let head = [vec![0xff, 0xd8], self.before.clone(), segment(self.sof, &frame)];
        [head.concat(), segment(0xda, &scan), self.data.clone()].concat()
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        [self.open(), vec![0xff, 0xd9]].concat()
    }
}

/// A baseline JPEG of the grey image.
pub(crate) fn jpeg() -> Vec<u8> {
    Jpeg::new(0xc0).build()
}

/// A J2K or HTJ2K codestream of one tile.
#[derive(Clone)]
pub(crate) struct J2k {
    pub(crate) samples: u16,
    pub(crate) depth: u8,
    pub(crate) transform: u8,
    /// 0 is 9/7, 1 is 5/3.
    pub(crate) wavelet: u8,
    pub(crate) progression: u8,
    pub(crate) ht: bool,
    /// Segments between COD and the first tile-part.
    pub(crate) after: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// Psot, where it is not the tile-part's length.
    pub(crate) part_length: Option<u32>,
}

impl J2k {
    pub(crate) fn new() -> Self {
        Self {
            samples: 1,
            depth: 7,
            transform: 0,
            wavelet: 1,
            progression: 0,
            ht: false,
            after: Vec::new(),
            // What a search for markers would trip over.
            data: vec![9, 0xff, 0x4f, 0xff, 0x51, 7, 8],
            part_length: None,
        }
    }

    fn size(&self) -> Vec<u8> {
        let rsiz: u16 = if self.ht { 1 << 14 } else { 0 };
        let mut size = rsiz.to_be_bytes().to_vec();
        for word in [6_u32, 4, 0, 0, 6, 4, 0, 0] {
            size.extend(word.to_be_bytes());
        }
        size.extend(self.samples.to_be_bytes());
        for _ in 0..self.samples {
            size.extend([self.depth, 1, 1]);
        }
        segment(0x51, &size)
    }

    /// Without EOC.
    pub(crate) fn open(&self) -> Vec<u8> {
        let style = if self.ht { 0x40 } else { 0 };
        let cod = [0, self.progression, 0, 1, self.transform, 5, 4, 4, style, self.wavelet];
        let caps = if self.ht { segment(0x50, &[0, 2, 0, 0, 0, 0]) } else { Vec::new() };
        let length = u32::try_from(14 + self.data.len()).unwrap();
        let part = self.part_length.unwrap_or(length).to_be_bytes();
        let sot = segment(0x90, &[&[0, 0][..], &part, &[0, 1]].concat());
        let head = [vec![0xff, 0x4f], self.size(), caps, segment(0x52, &cod)].concat();
        [head, self.after.clone(), sot, vec![0xff, 0x93], self.data.clone()].concat()
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        [self.open(), vec![0xff, 0xd9]].concat()
    }
}

/// A reversible J2K of the grey image.
pub(crate) fn j2k() -> Vec<u8> {
    J2k::new().build()
}

/// A box.
pub(crate) fn jp2_box(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &kind, contents].concat()
}

/// The boxes before a codestream.
pub(crate) fn jp2_head() -> Vec<u8> {
    [b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), jp2_box(*b"ftyp", b"jp2 "), jp2_box(*b"jp2h", b"")]
        .concat()
}

/// An RLE stream of `planes` segments, each of 24 equal bytes.
pub(crate) fn rle(planes: u32) -> Vec<u8> {
    let segment = [233_u8, 7];
    let mut header = planes.to_le_bytes().to_vec();
    for plane in 0..15 {
        let offset = if plane < planes { 64 + 2 * plane } else { 0 };
        header.extend(offset.to_le_bytes());
    }
    [header, segment.repeat(planes as usize)].concat()
}

/// An item.
pub(crate) fn item(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap();
    [&[0xfe, 0xff, 0, 0xe0][..], &length.to_le_bytes(), contents].concat()
}

/// An encapsulated value with an empty offset table and no delimiter, as pydicom holds it.
pub(crate) fn items(fragments: &[&[u8]]) -> Vec<u8> {
    let mut value = item(&[]);
    for fragment in fragments {
        value.extend(item(fragment));
    }
    value
}
