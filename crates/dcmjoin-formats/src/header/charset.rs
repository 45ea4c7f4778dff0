//! Specific Character Set (0008,0005): the characters of JSON, which is UTF-8, to the bytes that a
//! declared character set has for them (PS3.3 C.12.1.1.2, PS3.5 6.1).
//!
//! **Invariant:** what is written reads back as the same text under the declaration, in readers
//! that split values before they decode too; a character that cannot be written so is an error,
//! never a `?`. Then the caller switches the whole data set to `ISO_IR 192`.
//!
//! Absent on purpose: code extensions (ISO 2022 escapes). Text of a data set that declares them is
//! written in the set of its first value where that suffices, and else switched.

use encoding_rs::{EncoderResult, Encoding};

/// The term for UTF-8.
pub(super) const UTF_8_TERM: &str = "ISO_IR 192";

/// A character set that text can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// The default repertoire, ISO-IR 6; also for terms that are not known.
    Ascii,
    /// `ISO_IR 100`: the first 256 characters.
    Latin1,
    /// `ISO_IR 148`: ISO 8859-9, six letters away from Latin 1.
    Latin5,
    /// `ISO_IR 166`: TIS 620.
    Thai,
    /// `ISO_IR 13`: half-width katakana of JIS X 0201.
    Katakana,
    /// ISO 8859 sets by table.
    Table(&'static Encoding),
    /// `GB18030` and `GBK`, where a second byte can be that of a delimiter (PS3.5 6.1.2.3).
    Chinese(&'static Encoding),
    /// `ISO_IR 192`.
    Utf8,
}

/// Text that a character set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unencodable;

impl Charset {
    /// Returns the set that the value of (0008,0005) declares for text without escapes.
    pub(super) fn from_declaration(value: &str) -> Self {
        let first = value.split('\\').next().unwrap_or_default().trim();
        // A term for code extensions has the same initial set as the one without (PS3.3 C.12-3).
        let number = first.strip_prefix("ISO_IR ").or_else(|| first.strip_prefix("ISO 2022 IR "));
        match (first, number) {
            ("ISO_IR 192", _) => Self::Utf8,
            ("GB18030", _) => Self::Chinese(encoding_rs::GB18030),
            ("GBK", _) => Self::Chinese(encoding_rs::GBK),
            (_, Some("13")) => Self::Katakana,
            (_, Some("100")) => Self::Latin1,
            (_, Some("101")) => Self::Table(encoding_rs::ISO_8859_2),
            (_, Some("109")) => Self::Table(encoding_rs::ISO_8859_3),
            (_, Some("110")) => Self::Table(encoding_rs::ISO_8859_4),
            (_, Some("126")) => Self::Table(encoding_rs::ISO_8859_7),
            (_, Some("127")) => Self::Table(encoding_rs::ISO_8859_6),
            (_, Some("138")) => Self::Table(encoding_rs::ISO_8859_8),
            (_, Some("144")) => Self::Table(encoding_rs::ISO_8859_5),
            (_, Some("148")) => Self::Latin5,
            (_, Some("166")) => Self::Thai,
            (_, Some("203")) => Self::Table(encoding_rs::ISO_8859_15),
            _ => Self::Ascii,
        }
    }

    /// Appends text in this set.
    pub(super) fn encode(self, text: &str, to: &mut Vec<u8>) -> Result<(), Unencodable> {
        match self {
            Self::Utf8 => to.extend_from_slice(text.as_bytes()),
            Self::Table(encoding) => with_table(encoding, text, to)?,
            Self::Chinese(encoding) => chinese(encoding, text, to)?,
            Self::Ascii => by_character(text, to, |_| None)?,
            Self::Latin1 => by_character(text, to, |c| u8::try_from(c).ok())?,
            Self::Latin5 => by_character(text, to, latin5)?,
            Self::Thai => by_character(text, to, thai)?,
            Self::Katakana => by_character(text, to, katakana)?,
        }
        Ok(())
    }
}

fn by_character(
    text: &str,
    to: &mut Vec<u8>,
    byte: impl Fn(char) -> Option<u8>,
) -> Result<(), Unencodable> {
    for character in text.chars() {
        let ascii = u8::try_from(character).ok().filter(u8::is_ascii);
        to.push(ascii.or_else(|| byte(character)).ok_or(Unencodable)?);
    }
    Ok(())
}

fn latin5(character: char) -> Option<u8> {
    match character {
        'Ğ' => Some(0xD0),
        'İ' => Some(0xDD),
        'Ş' => Some(0xDE),
        'ğ' => Some(0xF0),
        'ı' => Some(0xFD),
        'ş' => Some(0xFE),
        'Ð' | 'Ý' | 'Þ' | 'ð' | 'ý' | 'þ' => None,
        other => u8::try_from(other).ok(),
    }
}

fn thai(character: char) -> Option<u8> {
    match character {
        '\u{E01}'..='\u{E3A}' | '\u{E3F}'..='\u{E5B}' => {
            u8::try_from(u32::from(character) - 0xE00 + 0xA0).ok()
        }
        _ => None,
    }
}

fn katakana(character: char) -> Option<u8> {
    match character {
        '\u{FF61}'..='\u{FF9F}' => u8::try_from(u32::from(character) - 0xFF61 + 0xA1).ok(),
        // The yen sign and the overline share their bytes with backslash and tilde.
        _ => None,
    }
}

fn with_table(
    encoding: &'static Encoding,
    text: &str,
    to: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let mut encoder = encoding.new_encoder();
    let room =
        encoder.max_buffer_length_from_utf8_without_replacement(text.len()).ok_or(Unencodable)?;
    let start = to.len();
    to.resize(start + room, 0);
    let (result, _, written) =
        encoder.encode_from_utf8_without_replacement(text, &mut to[start..], true);
    to.truncate(start + written);
    match result {
        EncoderResult::InputEmpty => Ok(()),
        EncoderResult::OutputFull | EncoderResult::Unmappable(_) => Err(Unencodable),
    }
}

/// Encodes in GB18030 or GBK, but not what some readers would read otherwise: characters whose bytes
/// hold a delimiter of values (`\`) or of name parts (`^`), which readers that split before they
/// decode would cut in two, and characters whose code differs between versions of the standards.
fn chinese(encoding: &'static Encoding, text: &str, to: &mut Vec<u8>) -> Result<(), Unencodable> {
    let start = to.len();
    let is_gbk = encoding == encoding_rs::GBK;
    if text.chars().any(|c| is_unstable(c) || (is_gbk && is_beyond_gbk(c))) {
        return Err(Unencodable);
    }
    with_table(encoding, text, to)?;
    let delimiters =
        |bytes: &[u8]| bytes.iter().filter(|byte| matches!(byte, b'\\' | b'^')).count();
    if delimiters(&to[start..]) == delimiters(text.as_bytes()) { Ok(()) } else { Err(Unencodable) }
}

/// Returns true for characters that GB 18030 moved in 2005 or 2022, and for private use.
fn is_unstable(character: char) -> bool {
    matches!(
        character,
        '\u{1E3F}' | '\u{9FB4}'..='\u{9FBB}' | '\u{E000}'..='\u{F8FF}' | '\u{FE10}'..='\u{FE19}'
    )
}

/// Returns true for characters that the encoder writes as two bytes which GBK does not have.
fn is_beyond_gbk(character: char) -> bool {
    matches!(
        character,
        '€' | '\u{1F9}' | '\u{2E80}'..='\u{2FFF}' | '\u{303E}' | '\u{3400}'..='\u{4DBF}'
            | '\u{9FA6}'..='\u{9FFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(declaration: &str, text: &str, expect: Option<&[u8]>) {
        let mut bytes = Vec::new();
        let result = Charset::from_declaration(declaration).encode(text, &mut bytes);
        assert_eq!(result.ok().map(|()| bytes.as_slice()), expect, "{declaration}: {text}");
    }

    #[test]
    fn writes_each_single_byte_set() {
        check("ISO_IR 100", "Äneas café", Some(b"\xC4neas caf\xE9"));
        check("ISO_IR 101", "Dvořák", Some(b"Dvo\xF8\xE1k"));
        check("ISO_IR 109", "Ħ", Some(b"\xA1"));
        check("ISO_IR 110", "ĸ", Some(b"\xA2"));
        check("ISO_IR 126", "Διον", Some(b"\xC4\xE9\xEF\xED"));
        check("ISO_IR 127", "قبا", Some(b"\xE2\xC8\xC7"));
        check("ISO_IR 138", "שרון", Some(b"\xF9\xF8\xE5\xEF"));
        check("ISO_IR 144", "Люк", Some(b"\xBB\xEE\xDA"));
        check("ISO_IR 148", "Çavuşoğlu", Some(b"\xC7avu\xFEo\xF0lu"));
        check("ISO_IR 166", "นามสกุล", Some(b"\xB9\xD2\xC1\xCA\xA1\xD8\xC5"));
        check("ISO_IR 203", "€", Some(b"\xA4"));
        check("ISO_IR 13", "ﾔﾏﾀﾞ", Some(b"\xD4\xCF\xC0\xDE"));
        check("ISO_IR 192", "山é", Some("山é".as_bytes()));
        check("ISO 2022 IR 100\\ISO 2022 IR 144", "é", Some(b"\xE9"));
    }

    #[test]
    fn refuses_what_a_set_does_not_have() {
        check("ISO_IR 100", "€", None);
        check("ISO_IR 100", "山", None);
        check("ISO_IR 148", "ð", None);
        check("ISO_IR 13", "¥", None);
        check("ISO_IR 13", "山", None);
        check("ISO_IR 166", "\u{E3B}", None);
        check("ISO_IR 6", "é", None);
        check("", "é", None);
        check("ISO_IR 999", "é", None);
        check("\\ISO 2022 IR 87", "山", None);
    }

    #[test]
    fn chinese_sets_write_no_delimiter_bytes() {
        check("GB18030", "王小东", Some(b"\xCD\xF5\xD0\xA1\xB6\xAB"));
        check("GBK", "王^小", Some(b"\xCD\xF5^\xD0\xA1"));
        check("GB18030", "€", Some(b"\xA2\xE3"));
        check("GBK", "€", None);
        check("GBK", "\u{3447}", None);
        check("GB18030", "\u{3447}", Some(b"\xFE\x56"));
        check("GB18030", "\u{9FB4}", None);
        // 81 5C and 81 5E.
        check("GB18030", "乗", None);
        check("GBK", "乛", None);
    }
}
