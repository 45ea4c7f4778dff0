//! Binary values: integers, floats, tags, and base64 (PS3.5 6.2, PS3.18 F.2.3, F.2.7).
//!
//! Integers are exact over the whole 64-bit range. One that does not fit its VR, but fits the VR of
//! the same width and the other sign, is written as that one's bit pattern; any other that does not
//! fit is an error, because a wrong number is worse than a missing file.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use dcmjoin_model::{Reason, WarningCode};

use super::decimal::Decimal;
use super::encode::Encoder;
use super::halt::{Halt, Step};
use super::key;
use super::lexer::{NotFinite, Text, Token};
use super::parse::characters;
use super::tape::Element;
use super::text::is_not_finite;
use super::vr::Number;

/// Base64 with or without padding (RFC 4648).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Encoder<'_> {
    /// Writes numbers of a fixed width.
    pub(super) fn numbers(&mut self, element: &Element, number: Number) -> Step<()> {
        let start = self.out.len();
        let mut nulls = 0;
        self.each(element.tag, element.value, |this, index, token| {
            if this.is_nothing(token) {
                nulls += 1;
                return Ok(());
            }
            this.number(element.tag, index, token, number)
        })?;
        if nulls == 0 {
            return Ok(());
        }
        self.warnings.add(WarningCode::ValueNull, nulls);
        if self.out.len() == start {
            return Ok(());
        }
        let what = "an empty value among numbers of a fixed width";
        Err(Halt::reject_element(Reason::ValueInvalid, element.tag, what))
    }

    /// Writes numbers where JSON has them instead of `InlineBinary`.
    pub(super) fn words(&mut self, element: &Element, number: Number) -> Step<()> {
        let start = self.out.len();
        self.numbers(element, number)?;
        if self.out.len() > start {
            self.warnings.note(WarningCode::ValueTyped);
        }
        Ok(())
    }

    fn is_nothing(&self, token: Token) -> bool {
        match token {
            Token::Null => true,
            Token::Text(text) => text.span.of(self.document).trim().is_empty(),
            _ => false,
        }
    }

    #[inline]
    fn number(&mut self, tag: u32, index: usize, token: Token, number: Number) -> Step<()> {
        match number {
            Number::Integer { bytes, signed } => {
                let integer = self.integer_of(tag, token, bytes)?;
                self.put_integer(tag, index, integer, bytes, signed)
            }
            Number::Float => {
                let wide = self.float_of(tag, token)?;
                let narrow = wide as f32;
                if narrow.is_infinite() && wide.is_finite() {
                    return Err(invalid(tag, "a number beyond the range of FL"));
                }
                self.out.extend_from_slice(&narrow.to_le_bytes());
                Ok(())
            }
            Number::Double => {
                let wide = self.float_of(tag, token)?;
                self.out.extend_from_slice(&wide.to_le_bytes());
                Ok(())
            }
        }
    }

    fn integer_of(&mut self, tag: u32, token: Token, bytes: u8) -> Step<i128> {
        let document = self.document;
        let integer = match token {
            Token::Number(span) => {
                let text = span.of(document);
                if let Ok(integer) = text.parse::<i64>() {
                    return Ok(integer.into());
                }
                if text.contains(['.', 'e', 'E']) {
                    self.warnings.note(WarningCode::ValueTyped);
                }
                Decimal::parse(text).and_then(Decimal::to_integer)
            }
            Token::Text(text) => {
                // PS3.18 F.2.3 allows strings for the two of 64 bits.
                if bytes < 8 {
                    self.warnings.note(WarningCode::ValueTyped);
                }
                let text = characters(document, text);
                Decimal::parse(text.trim()).and_then(Decimal::to_integer)
            }
            _ => None,
        };
        integer.ok_or_else(|| invalid(tag, "not an integer"))
    }

    fn put_integer(
        &mut self,
        tag: u32,
        index: usize,
        integer: i128,
        bytes: u8,
        signed: bool,
    ) -> Step<()> {
        let half = 1_i128 << (u32::from(bytes) * 8 - 1);
        let (low, high) = if signed { (-half, half - 1) } else { (0, 2 * half - 1) };
        if !(low..=high).contains(&integer) {
            if !(-half..2 * half).contains(&integer) {
                return Err(invalid(tag, "an integer beyond the range of its VR"));
            }
            // The count of entries in a look-up table is unsigned, whatever the VR of the
            // descriptor is (PS3.3 C.11.1.1.1).
            if !(signed && index == 0 && is_lut_descriptor(tag)) {
                self.wraps += 1;
            }
        }
        self.out.extend_from_slice(&integer.to_le_bytes()[..usize::from(bytes)]);
        Ok(())
    }

    fn float_of(&mut self, tag: u32, token: Token) -> Step<f64> {
        let document = self.document;
        match token {
            Token::Number(span) => finite(span.of(document)),
            Token::NotFinite(NotFinite::NaN) => Some(f64::NAN),
            Token::NotFinite(NotFinite::Infinity) => Some(f64::INFINITY),
            Token::NotFinite(NotFinite::MinusInfinity) => Some(f64::NEG_INFINITY),
            Token::Text(text) => {
                self.warnings.note(WarningCode::ValueTyped);
                let text = characters(document, text);
                let text = text.trim();
                // Rust reads the same words as `is_not_finite` knows.
                if is_not_finite(text) { text.parse().ok() } else { finite(text) }
            }
            Token::Null | Token::Bool(_) => None,
        }
        .ok_or_else(|| invalid(tag, "not a number that a float can hold"))
    }

    /// Writes AT values: group, then element.
    pub(super) fn tags(&mut self, element: &Element) -> Step<()> {
        self.each(element.tag, element.value, |this, _, token| {
            if this.is_nothing(token) {
                this.warnings.note(WarningCode::ValueNull);
                return Ok(());
            }
            let tag = this.tag_of(token).ok_or_else(|| invalid(element.tag, "not a tag"))?;
            let [t0, t1, t2, t3] = tag.to_le_bytes();
            this.out.extend_from_slice(&[t2, t3, t0, t1]);
            Ok(())
        })
    }

    fn tag_of(&mut self, token: Token) -> Option<u32> {
        let document = self.document;
        let other = match token {
            Token::Text(text) => {
                let text = characters(document, text);
                if let Some(tag) = key::hexadecimal(text.as_bytes()) {
                    return Some(tag);
                }
                match key::Key::parse(text.trim()) {
                    key::Key::Tag(tag) | key::Key::OtherForm(tag) => Some(tag),
                    key::Key::Unknown => None,
                }
            }
            Token::Number(span) => span.of(document).parse().ok(),
            _ => None,
        };
        self.warnings.note(WarningCode::AttributeTagForm);
        other
    }

    /// Appends what base64 text stands for.
    pub(super) fn base64(&mut self, tag: u32, text: Text, to: &mut Vec<u8>) -> Step<()> {
        let decoded = characters(self.document, text);
        if decoded.len().is_multiple_of(4) && decode(decoded.as_bytes(), to) {
            return Ok(());
        }
        // White space, the alphabet for URLs, or no padding.
        self.warnings.note(WarningCode::InlineBinaryForm);
        let clean = |byte: u8| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b' ' | b'\t' | b'\r' | b'\n' => None,
            other => Some(other),
        };
        let cleaned: Vec<u8> = decoded.bytes().filter_map(clean).collect();
        if decode(&cleaned, to) {
            return Ok(());
        }
        Err(invalid(tag, "InlineBinary is not base64"))
    }
}

/// Decodes base64; leaves the output as it was when it is not.
fn decode(text: &[u8], to: &mut Vec<u8>) -> bool {
    let start = to.len();
    to.resize(start + base64::decoded_len_estimate(text.len()), 0);
    let length = BASE64.decode_slice(text, &mut to[start..]);
    to.truncate(start + length.as_ref().copied().unwrap_or(0));
    length.is_ok()
}

fn finite(text: &str) -> Option<f64> {
    // Rust's grammar is wider than that of numbers here: it has words.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !is_number {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cold]
fn invalid(tag: u32, what: &str) -> Halt {
    Halt::reject_element(Reason::ValueInvalid, tag, what)
}

/// The descriptors of look-up tables: entries, first value mapped, bits.
fn is_lut_descriptor(tag: u32) -> bool {
    matches!(tag, 0x0028_1100..=0x0028_1103 | 0x0028_1111..=0x0028_1113 | 0x0028_3002)
}
