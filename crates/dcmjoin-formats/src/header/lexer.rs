//! The lexer: JSON text (RFC 8259) to tokens that are spans of the document.
//!
//! Input is known to be UTF-8. It accepts one thing that JSON does not have, the bare tokens `NaN`,
//! `Infinity` and `-Infinity`, which Python's writer makes. Strings are checked here once, escapes
//! included, so that later passes can decode them without errors.
//!
//! **Invariants:** a span lies within the document, starts and ends at character boundaries, and
//! `at` only grows. Nothing is copied.

use super::halt::{Halt, Step};

/// A half-open range of the document, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Returns the span between two places. Documents are limited to less than 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// Returns the text of the span.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Returns the length in bytes.
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A string between its quotes, escapes not yet decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) span: Span,
    /// Whether there are escapes.
    pub(super) escaped: bool,
}

/// A number that JSON cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFinite {
    NaN,
    Infinity,
    MinusInfinity,
}

impl NotFinite {
    /// Returns the token as it stands in the document.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::Infinity => "Infinity",
            Self::MinusInfinity => "-Infinity",
        }
    }
}

/// A JSON value without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Null,
    Bool(bool),
    Text(Text),
    Number(Span),
    NotFinite(NotFinite),
}

/// What the lexer met besides tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Escapes of characters outside ASCII.
    pub(super) wide_escapes: bool,
    /// Lone surrogate escapes.
    pub(super) lone_surrogates: u32,
    /// `NaN` and its like.
    pub(super) not_finite: u32,
}

/// A place in a document.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) met: Met,
}

/// Bytes of strings that need a look: quotes, backslashes, control characters.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, met: Met::default() }
    }

    /// Returns a lexer over a part of the document that was checked before.
    pub(super) fn over(text: &'a str, span: Span) -> Self {
        let bytes = text.as_bytes().get(..span.end as usize).unwrap_or_default();
        Self { bytes, at: span.start as usize, met: Met::default() }
    }

    /// Returns the next byte that is not white space, without taking it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes a byte, after white space.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Step<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Halt::syntax(what, self.at))
        }
    }

    /// Takes a byte if it comes next, after white space.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes a comma, or else the byte that closes an array or object: returns whether more comes.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Step<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(Halt::syntax("a comma or the end of an array or object", self.at)),
        }
    }

    /// Takes `literal` if it comes next, after white space: a shortcut for what most documents
    /// have, so that the general way is not taken for it.
    #[inline]
    pub(super) fn take_literal(&mut self, literal: &[u8]) -> bool {
        self.peek();
        let found = self.rest().starts_with(literal);
        self.at += if found { literal.len() } else { 0 };
        found
    }

    /// Takes a string of `N` characters if one comes next that has no quotes and no escapes;
    /// `accept` makes something of it, or refuses it. A shortcut like [`Self::take_literal`].
    #[inline]
    pub(super) fn take_short<const N: usize, T>(
        &mut self,
        accept: impl FnOnce([u8; N]) -> Option<T>,
    ) -> Option<T> {
        self.peek();
        let (text, rest) = self.rest().strip_prefix(b"\"")?.split_first_chunk::<N>()?;
        let taken = accept(*text).filter(|_| rest.first() == Some(&b'"'))?;
        self.at += N + 2;
        Some(taken)
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes a string.
    #[inline]
    pub(super) fn string(&mut self) -> Step<Text> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let span = Span::new(start, self.at);
                    self.at += 1;
                    return Ok(Text { span, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Halt::syntax("a character of a string", self.at)),
            }
        }
    }

    /// Skips to the next special byte of a string, eight at a time.
    #[inline]
    fn skip_plain(&mut self) {
        const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
        const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
        while let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            // A zero byte, or a byte below 0x20, borrows into its high bit; bytes that had their
            // high bit set are masked out. The lowest flagged byte is exact.
            let flags = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            let flags = flags & HIGHS;
            if flags != 0 {
                self.at += (flags.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = self.bytes.get(self.at) {
            if SPECIAL[usize::from(byte)] {
                return;
            }
            self.at += 1;
        }
    }

    /// Checks one escape; surrogates that are not in pairs are counted.
    fn escape(&mut self) -> Step<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.code_unit().ok_or_else(|| self.bad_escape())?;
                self.at += 6;
                self.met.wide_escapes |= unit >= 0x80;
                if (0xD800..0xDC00).contains(&unit) && self.low_surrogate_follows() {
                    self.at += 6;
                } else if (0xD800..0xE000).contains(&unit) {
                    self.met.lone_surrogates += 1;
                }
            }
            _ => return Err(self.bad_escape()),
        }
        Ok(())
    }

    #[cold]
    fn bad_escape(&self) -> Halt {
        Halt::syntax("an escape", self.at)
    }

    fn low_surrogate_follows(&self) -> bool {
        self.bytes.get(self.at..self.at + 2) == Some(b"\\u")
            && self.code_unit().is_some_and(|unit| (0xDC00..0xE000).contains(&unit))
    }

    /// Returns the code unit of the `\uXXXX` here.
    fn code_unit(&self) -> Option<u32> {
        code_unit(self.bytes.get(self.at + 2..self.at + 6)?)
    }

    /// Takes a value that is neither an array nor an object.
    #[inline]
    pub(super) fn token(&mut self) -> Step<Token> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Token::Null),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'N') => self.not_finite("NaN", NotFinite::NaN),
            Some(b'I') => self.not_finite("Infinity", NotFinite::Infinity),
            _ => Err(Halt::syntax("a value", self.at)),
        }
    }

    fn word(&mut self, word: &str, token: Token) -> Step<Token> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(Halt::syntax("a value", self.at));
        }
        self.at = end;
        Ok(token)
    }

    fn not_finite(&mut self, word: &str, which: NotFinite) -> Step<Token> {
        self.met.not_finite += 1;
        self.word(word, Token::NotFinite(which))
    }

    fn number(&mut self) -> Step<Token> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
            if self.bytes.get(self.at) == Some(&b'I') {
                return self.not_finite("Infinity", NotFinite::MinusInfinity);
            }
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Halt::syntax("a digit", self.at)),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Token::Number(Span::new(start, self.at)))
    }

    #[inline]
    fn digits(&mut self) -> Step<()> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Halt::syntax("a digit", self.at)) } else { Ok(()) }
    }
}

fn code_unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// Appends a string's characters, escapes decoded; a lone surrogate becomes U+FFFD.
///
/// `raw` is what stands between the quotes of a string that the lexer has checked.
pub(super) fn unescape(raw: &str, to: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        to.push_str(&rest[..at]);
        let (character, length) = decode_escape(&rest.as_bytes()[at..]);
        to.push(character);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    to.push_str(rest);
}

/// Returns the character of the escape that the bytes begin with, and its length.
fn decode_escape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.get(1) {
        Some(b'u') => return decode_unicode(bytes),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&byte) => char::from(byte),
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}

fn decode_unicode(bytes: &[u8]) -> (char, usize) {
    let unit = |at: usize| bytes.get(at..at + 4).and_then(code_unit);
    let Some(first) = unit(2) else { return (char::REPLACEMENT_CHARACTER, bytes.len()) };
    if (0xD800..0xDC00).contains(&first)
        && bytes.get(6..8) == Some(b"\\u")
        && let Some(second @ 0xDC00..0xE000) = unit(8)
    {
        let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_strings_at_every_place() {
        for length in 0..40 {
            let plain = "é".repeat(length / 3) + &"x".repeat(length % 3);
            let text = format!("\"{plain}\",\"tail of the document\"");
            let string = Lexer::new(&text).string().unwrap();
            assert_eq!(string.span.of(&text), plain);
            assert!(!string.escaped);

            let escaped = format!("\"{plain}\\\"{plain}\"");
            let string = Lexer::new(&escaped).string().unwrap();
            assert_eq!(string.span.len(), 2 * plain.len() + 2);
            assert!(string.escaped);

            for control in ['\0', '\n', '\u{1F}'] {
                let text = format!("\"{plain}{control}{plain}         \"");
                let mut lexer = Lexer::new(&text);
                assert!(lexer.string().is_err());
                assert_eq!(lexer.at, 1 + plain.len());
            }
        }
    }

    #[test]
    fn takes_each_kind_of_token() {
        let check = |text: &str, expect: Option<Token>| {
            let mut lexer = Lexer::new(text);
            assert_eq!(lexer.token().ok(), expect, "{text}");
        };
        let number = |end| Some(Token::Number(Span { start: 0, end }));
        check("null", Some(Token::Null));
        check("true", Some(Token::Bool(true)));
        check("false", Some(Token::Bool(false)));
        check("NaN", Some(Token::NotFinite(NotFinite::NaN)));
        check("Infinity", Some(Token::NotFinite(NotFinite::Infinity)));
        check("-Infinity", Some(Token::NotFinite(NotFinite::MinusInfinity)));
        for text in ["0", "-0", "10", "0.5", "1e5", "1E+5", "-12.25e-300"] {
            check(text, number(text.len() as u32));
        }
        // What follows a number is for the caller to judge.
        check("01", number(1));
        for text in ["", "-", "+1", ".5", "1.", "1e", "1e+", "nul", "inf", "'x'", "{}", "[]"] {
            check(text, None);
        }
    }

    #[test]
    fn decodes_escapes() {
        let check = |raw: &str, expect: &str| {
            let mut decoded = String::new();
            unescape(raw, &mut decoded);
            assert_eq!(decoded, expect, "{raw}");
        };
        check("plain é", "plain é");
        check(r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t");
        check(r"\u0041\u00e9\u5C71", "Aé山");
        check(r"\uD83D\uDE00!", "😀!");
        check(r"\uD83D!\uDE00", "\u{FFFD}!\u{FFFD}");
    }
}
