//! The transcoder: a DICOM JSON document (PS3.18 F.2) to the data set that goes into the file.
//!
//! Document bytes in, a [`Header`] out: the data set in Explicit VR Little Endian, what identifies
//! the instance, and what the header says of its pixels. Two passes over flat memory that is kept
//! from document to document: one that reads the document onto a list of elements with spans for
//! values, and one that writes the elements, sorted, straight from the document's bytes.
//!
//! **Invariants**
//! - *Value-lossless against JSON:* what a value's token or string says is in the file, or a warning
//!   of [`WarningCode::is_lossy`] says that it could not be, or the document is rejected. Nothing
//!   is dropped in silence but the pointer from the pixel data element to the other half.
//! - *Deterministic:* the same document gives the same bytes, always; on well-formed documents they
//!   are the bytes that pydicom writes.
//! - *Well-formed:* tags ascend in each data set, lengths are even and add up.
//! - No input makes it panic, recurse without a limit, or use memory beyond a small multiple of the
//!   document.
//!
//! Errors are [`Rejection`]s, whose details name tags and positions, never values.
//!
//! In reading order: `options`, `parse` (with `lexer`, `key` and `tape`), `encode` (with
//! `resolve` and `dictionary` for VRs; `text`, `decimal`, `number` and `charset` for values;
//! `private`), `facts`.

mod charset;
mod decimal;
mod dictionary;
mod encode;
mod facts;
mod halt;
mod key;
mod lexer;
mod number;
mod options;
mod parse;
mod private;
mod resolve;
mod tape;
mod text;
mod vr;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use dcmjoin_model::{
    PixelDescription, Reason, Rejection, SopInstanceUid, TransferSyntax, Uid, WarningCode, Warnings,
};

use self::encode::{Buffers, Encoder, Policy};
use self::facts::Facts;
use self::halt::{Halt, Step};
pub use self::options::{HeaderLimits, HeaderOptions};
use self::parse::Parsed;
use self::tape::Tape;

/// A header, checked and ready to be assembled: the data set without its pixel data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// (0008,0018)
    pub uid: SopInstanceUid,
    /// (0008,0016)
    pub sop_class: Uid,
    /// (0020,000D), where it is there and a UID.
    pub study: Option<Uid>,
    /// (0020,000E), where it is there and a UID.
    pub series: Option<Uid>,
    /// The transfer syntax that the document claims, in (0002,0010) or else (0008,3002)
    /// Available Transfer Syntax UID: a hint, the payload's bytes decide.
    pub transfer_syntax: Option<TransferSyntax>,
    /// What the header says of its pixels.
    pub pixels: PixelDescription,
    /// Pixel data that the document itself carried in (7FE0,0010) `InlineBinary`: native bytes, or
    /// an encapsulated value.
    pub inline_pixels: Option<Bytes>,
    /// The data set holds float or double float pixel data, (7FE0,0008) or (7FE0,0009): the
    /// instance has its pixels, and takes no others (PS3.3 C.7.6.24).
    pub float_pixels: bool,
    /// The data set in Explicit VR Little Endian, in tag order, without group 0002, group lengths,
    /// pixel data (7FE0,0010) and the extended offset table with its lengths (7FE0,0001) to
    /// (7FE0,0003).
    pub data_set: Bytes,
    /// Where in `data_set` the pixel data element belongs.
    pub pixel_data_at: usize,
    /// What was repaired, kept or noted.
    pub warnings: Warnings,
}

/// Memory that a transcoder keeps for the next document: enough for all but a few, and little
/// enough for a transcoder on each thread. One large document must not fill memory for ever.
const KEPT_BYTES: usize = 4 << 20;
const KEPT_RECORDS: usize = 64 << 10;

/// Turns documents into headers, one after the other.
///
/// ```
/// use dcmjoin_formats::header::{HeaderOptions, Transcoder};
///
/// let document = br#"{
///     "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
///     "00080018": {"vr": "UI", "Value": ["2.25.7"]}
/// }"#;
/// let mut transcoder = Transcoder::new(HeaderOptions::default());
/// let header = transcoder.transcode(document)?;
/// assert_eq!(header.uid.as_str(), "2.25.7");
/// assert!(header.warnings.is_empty());
/// assert_eq!(&header.data_set[..8], b"\x08\0\x16\0UI\x1a\0");
/// # Ok::<(), dcmjoin_model::Rejection>(())
/// ```
#[derive(Debug, Default)]
pub struct Transcoder {
    options: HeaderOptions,
    tape: Tape,
    buffers: Buffers,
}

impl Transcoder {
    /// Returns a transcoder.
    #[must_use]
    pub fn new(options: HeaderOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Transcodes one document; what came before has no influence.
    ///
    /// # Errors
    /// A [`Rejection`] where the document is not one DICOM JSON data set with a SOP Instance UID
    /// and a SOP Class UID, is beyond a limit, or has a value that no encoding can hold.
    pub fn transcode(&mut self, document: &[u8]) -> Result<Header, Rejection> {
        let result = self.run(document);
        if document.len() > KEPT_BYTES {
            self.tape.trim(KEPT_RECORDS);
            self.buffers.trim(KEPT_BYTES);
        }
        result.map_err(|halt| match halt {
            Halt::Rejected(rejection) => *rejection,
            // UTF-8 holds all text, so a switch happens once at most.
            Halt::SwitchCharset => {
                Rejection::new(Reason::ValueInvalid, "text that UTF-8 cannot hold")
            }
        })
    }

    /// Returns the bytes that are kept for the next document.
    #[cfg(test)]
    fn memory_bytes(&self) -> usize {
        self.tape.memory_bytes() + self.buffers.out.capacity() + self.buffers.text.capacity()
    }

    fn run(&mut self, document: &[u8]) -> Step<Header> {
        let mut warnings = Warnings::default();
        let document = self.decode(document, &mut warnings)?;
        self.tape.clear();
        let parsed = parse::parse(document, &self.options.limits, &mut self.tape, &mut warnings)?;
        let facts = self.encode(document, &parsed, &mut warnings)?;
        if let (true, Some(code)) = (self.options.strict_values, warnings.first_lossy()) {
            let detail = format!("strict values: {}", code.code());
            return Err(Halt::reject(Reason::ValueInvalid, detail));
        }
        self.header(facts, warnings)
    }

    /// Checks size and encoding; takes the byte order mark off.
    fn decode<'a>(&self, document: &'a [u8], warnings: &mut Warnings) -> Step<&'a str> {
        let limit = self.options.limits.document_bytes_max.min(options::DOCUMENT_CEILING);
        if document.len() > limit {
            let detail = format!("{} bytes, at most {limit} are accepted", document.len());
            return Err(Halt::reject(Reason::JsonLimit, detail));
        }
        let text = std::str::from_utf8(document)
            .map_err(|error| Halt::syntax("UTF-8", error.valid_up_to()))?;
        Ok(text.strip_prefix('\u{FEFF}').map_or(text, |rest| {
            warnings.note(WarningCode::JsonBom);
            rest
        }))
    }

    /// Writes the data set, a second time where its character set has to be switched.
    fn encode(&mut self, document: &str, parsed: &Parsed, warnings: &mut Warnings) -> Step<Facts> {
        let Self { tape, buffers, .. } = self;
        let mut run = |policy, warnings: &mut Warnings| {
            Encoder::new(document, tape, warnings, buffers, policy).root(parsed.root)
        };
        if parsed.ascii {
            return run(Policy::Ascii, warnings);
        }
        let before = warnings.clone();
        match run(Policy::Declared, warnings) {
            Err(Halt::SwitchCharset) => {
                *warnings = before;
                run(Policy::Switched, warnings)
            }
            result => result,
        }
    }

    fn header(&self, mut facts: Facts, warnings: Warnings) -> Step<Header> {
        Ok(Header {
            uid: facts.instance()?,
            sop_class: facts.class()?,
            transfer_syntax: facts.transfer_syntax(),
            study: facts.study,
            series: facts.series,
            pixels: facts.pixels,
            inline_pixels: facts.inline_pixels.map(Bytes::from),
            float_pixels: facts.float_pixels,
            data_set: Bytes::copy_from_slice(&self.buffers.out),
            pixel_data_at: facts.pixel_data_at.unwrap_or(self.buffers.out.len()),
            warnings,
        })
    }
}
