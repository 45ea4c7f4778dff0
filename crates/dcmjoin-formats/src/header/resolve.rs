//! Which VR an element gets: the document's, or one that other attributes decide.
//!
//! In the order of trust: the document's `vr`; for an ambiguous one, Pixel Representation, Bits
//! Allocated and their like in the nearest enclosing data set that has them; for none, or UN with a
//! JSON value, the dictionary; for a private element without one, the JSON type of the value.

use dcmjoin_model::WarningCode;

use super::decimal::Decimal;
use super::dictionary::{self, Choice, Rule};
use super::encode::Encoder;
use super::lexer::{Lexer, Token};
use super::tape::{Element, Value};
use super::vr::Vr;

const BITS_ALLOCATED: u32 = 0x0028_0100;
const PIXEL_REPRESENTATION: u32 = 0x0028_0103;
const WAVEFORM_BITS_ALLOCATED: u32 = 0x5400_1004;
const OVERLAY_DATA: u32 = 0x6000_3000;

/// The most bytes of a US under its 16-bit length field.
const US_BYTES_MAX: usize = 0xFFFE;

impl Encoder<'_> {
    /// Returns the VR to write.
    #[inline]
    pub(super) fn resolve(&mut self, element: &Element) -> Vr {
        match element.vr {
            Some(Rule::One(Vr::UN)) => self.resolve_unknown(element),
            Some(Rule::One(vr)) => vr,
            Some(Rule::Choice(choice)) => {
                self.warnings.note(WarningCode::VrAmbiguous);
                self.choose(choice, element)
            }
            None => self.look_up(element),
        }
    }

    /// A UN has no JSON value (PS3.18 F.2.3): if it has one, the writer knew more than it said.
    fn resolve_unknown(&mut self, element: &Element) -> Vr {
        match element.value {
            Value::Absent | Value::One(Token::Null) | Value::Binary(_) | Value::Elsewhere => Vr::UN,
            Value::One(_) | Value::Several(_) | Value::Names(_) | Value::Items(_) => {
                self.warnings.note(WarningCode::VrUnResolved);
                self.look_up(element)
            }
        }
    }

    fn look_up(&self, element: &Element) -> Vr {
        match dictionary::rule(element.tag) {
            Some(Rule::One(vr)) if vr != Vr::UN => vr,
            Some(Rule::Choice(choice)) => self.choose(choice, element),
            _ => self.infer(element.value),
        }
    }

    /// Returns the VR that holds a value by its JSON type.
    fn infer(&self, value: Value) -> Vr {
        let mut tokens = Vec::new();
        match value {
            Value::Absent | Value::Binary(_) | Value::Elsewhere => return Vr::UN,
            Value::Items(_) => return Vr::SQ,
            Value::Names(_) => return Vr::PN,
            Value::One(token) => tokens.push(token),
            Value::Several(span) => {
                let mut lexer = Lexer::over(self.document, span);
                while let Ok(token) = lexer.token() {
                    tokens.push(token);
                    lexer.take(b',');
                }
            }
        }
        tokens.retain(|token| *token != Token::Null);
        let is_text = |token: &Token| matches!(token, Token::Text(_) | Token::Bool(_));
        let is_integer = |token: &Token| match token {
            Token::Number(span) => {
                span.len() <= 12 && !span.of(self.document).contains(['.', 'e', 'E'])
            }
            _ => false,
        };
        let is_short = |token: &Token| !matches!(token, Token::Text(text) if text.escaped || text.span.len() > 64);
        if tokens.is_empty() {
            Vr::UN
        } else if !tokens.iter().any(is_text) {
            if tokens.iter().all(is_integer) { Vr::IS } else { Vr::DS }
        } else if tokens.iter().all(is_short) {
            Vr::LO
        } else if tokens.len() == 1 {
            Vr::UT
        } else {
            Vr::UC
        }
    }

    /// Decides an ambiguous VR as PS3.5 A.2 and the notes of PS3.6 do.
    fn choose(&self, choice: Choice, element: &Element) -> Vr {
        match choice {
            Choice::UsSs => self.signed_or_not(element),
            Choice::ObOw => self.bytes_or_words(element.tag),
            Choice::UsOw | Choice::UsSsOw => numbers_or_words(element.value),
        }
    }

    fn signed_or_not(&self, element: &Element) -> Vr {
        match self.integer_in_scope(PIXEL_REPRESENTATION) {
            Some(0) => Vr::US,
            Some(_) => Vr::SS,
            None if self.has_negative(element.value) => Vr::SS,
            None => Vr::US,
        }
    }

    fn bytes_or_words(&self, tag: u32) -> Vr {
        let bits = match tag {
            // Overlays are packed bits: OW is what every reader takes (PS3.5 8.1.2).
            _ if tag & 0xFF00_FFFF == OVERLAY_DATA => None,
            0x5400_0000..=0x5400_FFFF => self.integer_in_scope(WAVEFORM_BITS_ALLOCATED),
            _ => self.integer_in_scope(BITS_ALLOCATED),
        };
        if bits.is_some_and(|bits| bits <= 8) { Vr::OB } else { Vr::OW }
    }

    /// Returns the VR of the other sign where Pixel Representation and the dictionary call for it:
    /// a value that did not fit shows that the document's `vr` was a guess.
    pub(super) fn other_sign(&mut self, element: &Element, vr: Vr) -> Option<Vr> {
        let other = match vr {
            Vr::US => Vr::SS,
            Vr::SS => Vr::US,
            _ => return None,
        };
        let is_ambiguous = dictionary::rule(element.tag) == Some(Rule::Choice(Choice::UsSs));
        let calls_for_it = self.integer_in_scope(PIXEL_REPRESENTATION)? == i128::from(vr == Vr::US);
        if !(is_ambiguous && calls_for_it && element.vr == Some(Rule::One(vr))) {
            return None;
        }
        self.warnings.note(WarningCode::VrAmbiguous);
        Some(other)
    }

    /// Returns an attribute of the nearest enclosing data set that has it.
    fn integer_in_scope(&self, tag: u32) -> Option<i128> {
        let found = |&level| self.tape.find(level, tag).and_then(|found| self.integer(found.value));
        self.scopes.iter().rev().find_map(found)
    }

    fn integer(&self, value: Value) -> Option<i128> {
        let span = match value {
            Value::One(Token::Number(span)) => span,
            Value::One(Token::Text(text)) => text.span,
            _ => return None,
        };
        Decimal::parse(span.of(self.document).trim()).and_then(Decimal::to_integer)
    }

    fn has_negative(&self, value: Value) -> bool {
        match value {
            Value::One(Token::Number(span)) | Value::Several(span) => {
                span.of(self.document).contains('-')
            }
            _ => false,
        }
    }
}

/// Look-up table data: words, unless there are few enough numbers for US.
fn numbers_or_words(value: Value) -> Vr {
    match value {
        Value::One(Token::Number(_)) => Vr::US,
        // Each number takes two bytes there, and at least two here.
        Value::Several(span) if span.len() <= US_BYTES_MAX => Vr::US,
        _ => Vr::OW,
    }
}
