//! The reading pass: DICOM JSON (PS3.18 F.2) to a [`Tape`].
//!
//! Each byte of the document is looked at once. Values are held as spans until their element's
//! `vr` is known, which often comes after them, so nothing here depends on a VR except by what a
//! value looks like: an object with tags as keys is an item, one with `Alphabetic` and its like is
//! a person name.
//!
//! Errors: `json_syntax` for what is not JSON, `json_shape` for JSON that is not one data set,
//! `json_limit`. Recursion is one step a level of items, within
//! [`HeaderLimits::depth_max`](super::HeaderLimits::depth_max).

mod value;

use std::borrow::Cow;

use dcmjoin_model::{Reason, WarningCode, Warnings};

use super::dictionary::{Choice, Rule};
use super::halt::{Halt, Step, TagName};
use super::key::{self, Key};
use super::lexer::{Lexer, Met, Text, Token, unescape};
use super::options::{DEPTH_CEILING, HeaderLimits};
use super::tape::{Element, Level, Open, Tape, Value};
use super::vr::Vr;

/// A document that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its data set.
    pub(super) root: Level,
    /// Whether no text in it has a character outside ASCII.
    pub(super) ascii: bool,
}

/// Reads a document onto an empty tape.
pub(super) fn parse(
    document: &str,
    limits: &HeaderLimits,
    tape: &mut Tape,
    warnings: &mut Warnings,
) -> Step<Parsed> {
    // The root itself is no nesting.
    let depth_at_root = limits.depth_max.min(DEPTH_CEILING) + 1;
    let mut parser = Parser {
        document,
        lexer: Lexer::new(document),
        tape,
        warnings,
        depth_left: depth_at_root,
        depth_at_root,
        records_left: limits.elements_max,
    };
    let root = parser.document()?;
    let Met { wide_escapes, lone_surrogates, not_finite } = parser.lexer.met;
    for (code, count) in
        [(WarningCode::JsonLoneSurrogate, lone_surrogates), (WarningCode::JsonNan, not_finite)]
    {
        if count > 0 {
            warnings.add(code, count);
        }
    }
    Ok(Parsed { root, ascii: !wide_escapes && document.is_ascii() })
}

struct Parser<'a> {
    document: &'a str,
    lexer: Lexer<'a>,
    tape: &'a mut Tape,
    warnings: &'a mut Warnings,
    depth_left: u16,
    depth_at_root: u16,
    records_left: usize,
}

/// The members of an element that DICOM JSON defines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Vr,
    Value,
    InlineBinary,
    BulkData,
}

impl Member {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "vr" => Some(Self::Vr),
            "Value" => Some(Self::Value),
            "InlineBinary" => Some(Self::InlineBinary),
            "BulkDataURI" | "DataFragment" => Some(Self::BulkData),
            _ => None,
        }
    }

    /// Reads names in another case: to take `value` for something else would lose it.
    #[cold]
    fn parse_any_case(name: &str) -> Option<Self> {
        let names = ["vr", "Value", "InlineBinary", "BulkDataURI", "DataFragment"];
        names.into_iter().find(|known| known.eq_ignore_ascii_case(name)).and_then(Self::parse)
    }
}

/// An element that is being read.
#[derive(Default)]
struct Draft {
    vr_seen: bool,
    vr: Option<Rule>,
    value: Option<Value>,
    binary: Option<Value>,
    elsewhere: bool,
}

impl Parser<'_> {
    fn document(&mut self) -> Step<Level> {
        let root = match self.lexer.peek() {
            Some(b'{') => self.data_set()?,
            Some(b'[') => self.array_of_one()?,
            Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(Halt::shape("expected an object, found another value", self.lexer.at));
            }
            _ => return Err(Halt::syntax("a JSON document", self.lexer.at)),
        };
        match self.lexer.peek() {
            None => Ok(root),
            Some(_) => Err(Halt::syntax("the end of the document", self.lexer.at)),
        }
    }

    /// Reads `[{…}]`, the form of a response of a web service with one instance.
    fn array_of_one(&mut self) -> Step<Level> {
        self.lexer.expect(b'[', "an array")?;
        if self.lexer.peek() != Some(b'{') {
            return Err(Halt::shape("expected one data set in the array", self.lexer.at));
        }
        let root = self.data_set()?;
        if self.lexer.more(b']')? {
            return Err(Halt::shape("expected one data set, found more", self.lexer.at));
        }
        self.warnings.note(WarningCode::JsonArray);
        Ok(root)
    }

    /// Reads an object with elements as members.
    fn data_set(&mut self) -> Step<Level> {
        self.descend()?;
        self.lexer.expect(b'{', "an object")?;
        let level = self.tape.open_level();
        if !self.lexer.take(b'}') {
            loop {
                self.member()?;
                if !self.lexer.more(b'}')? {
                    break;
                }
            }
        }
        self.depth_left += 1;
        self.close_level(level)
    }

    fn descend(&mut self) -> Step<()> {
        if self.depth_left == 0 {
            return Err(Halt::reject(
                Reason::JsonLimit,
                format!("nested deeper than the limit at byte {}", self.lexer.at),
            ));
        }
        self.depth_left -= 1;
        Ok(())
    }

    fn count_record(&mut self) -> Step<()> {
        match self.records_left.checked_sub(1) {
            Some(left) => self.records_left = left,
            None => return Err(Halt::reject(Reason::JsonLimit, "more elements than the limit")),
        }
        Ok(())
    }

    fn close_level(&mut self, level: Open) -> Step<Level> {
        let is_root = self.depth_left == self.depth_at_root;
        let (document, warnings) = (self.document, &mut *self.warnings);
        let mut conflict = false;
        let level = self.tape.close_level(level, |goes, stays| {
            warnings.note(WarningCode::KeyDuplicate);
            conflict |= is_root && goes.tag == SOP_INSTANCE && !same_text(document, goes, stays);
        });
        if conflict {
            return Err(Halt::reject(
                Reason::UidMismatch,
                "(0008,0018) stands twice, with different values",
            ));
        }
        Ok(level)
    }

    /// Reads one member of a data set.
    #[inline]
    fn member(&mut self) -> Step<()> {
        let Some(tag) = self.key()? else { return self.unknown_member() };
        self.count_record()?;
        let (vr, value) = match self.lexer.peek() {
            Some(b'{') => self.element(tag)?,
            _ => self.bare_element(tag)?,
        };
        self.tape.push_element(Element { tag, vr, value });
        Ok(())
    }

    /// Reads a member's name and colon; returns `None` for what no tag names.
    #[inline]
    fn key(&mut self) -> Step<Option<u32>> {
        let tag = match self.lexer.take_short::<8, _>(|name| key::hexadecimal(&name)) {
            Some(tag) => Some(tag),
            None => self.other_key()?,
        };
        self.lexer.expect(b':', "a colon")?;
        Ok(tag)
    }

    #[cold]
    fn other_key(&mut self) -> Step<Option<u32>> {
        let name = self.lexer.string()?;
        Ok(match Key::parse(&characters(self.document, name)) {
            Key::Tag(tag) => Some(tag),
            Key::OtherForm(tag) => {
                self.warnings.note(WarningCode::KeyForm);
                Some(tag)
            }
            Key::Unknown => None,
        })
    }

    /// Reads what stands in an element's place: `null` has no value to lose, all else may.
    #[cold]
    fn bare_element(&mut self, tag: u32) -> Step<(Option<Rule>, Value)> {
        if self.lexer.peek() != Some(b'n') {
            return Err(self.shape(tag, "expected an object"));
        }
        self.lexer.token()?;
        self.warnings.note(WarningCode::ValueNull);
        self.warnings.note(WarningCode::VrMissing);
        Ok((None, Value::Absent))
    }

    #[cold]
    fn shape(&self, tag: u32, what: &str) -> Halt {
        Halt::shape(&format!("{}: {what}", TagName(tag)), self.lexer.at)
    }

    /// Passes over a member that no tag names, unless it may be an element.
    fn unknown_member(&mut self) -> Step<()> {
        if self.lexer.peek() == Some(b'{') {
            return Err(Halt::shape("a key that is neither tag nor keyword", self.lexer.at));
        }
        self.warnings.note(WarningCode::KeyExtra);
        self.skip()
    }

    /// Reads the object of an element.
    fn element(&mut self, tag: u32) -> Step<(Option<Rule>, Value)> {
        self.lexer.expect(b'{', "an object")?;
        let mut draft = Draft::default();
        if !self.lexer.take(b'}') {
            loop {
                self.element_member(tag, &mut draft)?;
                if !self.lexer.more(b'}')? {
                    break;
                }
            }
        }
        if !draft.vr_seen {
            self.warnings.note(WarningCode::VrMissing);
        }
        self.settle(tag, &draft).map(|value| (draft.vr, value))
    }

    #[inline]
    fn element_member(&mut self, tag: u32, draft: &mut Draft) -> Step<()> {
        let member = if self.lexer.take_literal(b"\"vr\"") {
            Some(Member::Vr)
        } else if self.lexer.take_literal(b"\"Value\"") {
            Some(Member::Value)
        } else {
            self.other_member()?
        };
        self.lexer.expect(b':', "a colon")?;
        let again = match member {
            Some(Member::Vr) => {
                draft.vr = self.vr()?;
                std::mem::replace(&mut draft.vr_seen, true)
            }
            Some(Member::Value) => draft.value.replace(self.value(tag)?).is_some(),
            Some(Member::InlineBinary) => draft.binary.replace(self.binary(tag)?).is_some(),
            Some(Member::BulkData) => {
                draft.elsewhere |= self.pointer()?;
                false
            }
            None => {
                self.warnings.note(WarningCode::KeyExtra);
                self.skip()?;
                false
            }
        };
        if again {
            self.warnings.note(WarningCode::KeyDuplicate);
        }
        Ok(())
    }

    fn other_member(&mut self) -> Step<Option<Member>> {
        let name = self.lexer.string()?;
        let name = characters(self.document, name);
        let member = Member::parse(&name);
        if member.is_some() {
            return Ok(member);
        }
        let member = Member::parse_any_case(&name);
        if member.is_some() {
            self.warnings.note(WarningCode::KeyForm);
        }
        Ok(member)
    }

    /// Chooses among the forms of a value; two that both have one are ambiguous.
    fn settle(&mut self, tag: u32, draft: &Draft) -> Step<Value> {
        let present = |value: Option<Value>| value.filter(|value| !matches!(value, Value::Absent));
        match (present(draft.value), present(draft.binary)) {
            (None, None) if draft.elsewhere => Ok(Value::Elsewhere),
            (None, None) => Ok(Value::Absent),
            (Some(_), Some(_)) => Err(Halt::reject_element(
                Reason::ValueInvalid,
                tag,
                "both Value and InlineBinary have a value",
            )),
            (Some(value), None) | (None, Some(value)) => {
                if draft.elsewhere {
                    self.warnings.note(WarningCode::KeyExtra);
                }
                Ok(value)
            }
        }
    }

    #[inline]
    fn vr(&mut self) -> Step<Option<Rule>> {
        match self.lexer.take_short::<2, _>(Vr::from_name) {
            Some(vr) => Ok(Some(Rule::One(vr))),
            None => self.other_vr(),
        }
    }

    /// Reads a `vr` that is not one: several names, a name in lower case, or nothing of use.
    #[cold]
    fn other_vr(&mut self) -> Step<Option<Rule>> {
        let name = if self.lexer.peek() == Some(b'"') {
            characters(self.document, self.lexer.string()?)
        } else {
            self.skip()?;
            Cow::Borrowed("")
        };
        let letters = <[u8; 2]>::try_from(name.as_bytes()).ok();
        let choice = Choice::from_name(&name).map(Rule::Choice);
        let known = choice.or_else(|| letters.and_then(Vr::from_name).map(Rule::One));
        if known.is_some() {
            return Ok(known);
        }
        self.warnings.note(WarningCode::VrUnknown);
        let upper_case = letters.map(|letters| letters.map(|b| b.to_ascii_uppercase()));
        Ok(upper_case.and_then(Vr::from_name).map(Rule::One))
    }
}

/// (0008,0018) SOP Instance UID.
pub(super) const SOP_INSTANCE: u32 = 0x0008_0018;

/// Returns which group of a person name a member is: 0 alphabetic, 1 ideographic, 2 phonetic.
pub(super) fn name_group(name: &str) -> Option<usize> {
    ["Alphabetic", "Ideographic", "Phonetic"]
        .into_iter()
        .position(|group| group.eq_ignore_ascii_case(name))
}

/// Returns the characters of a string.
pub(super) fn characters(document: &str, text: Text) -> Cow<'_, str> {
    let raw = text.span.of(document);
    if !text.escaped {
        return Cow::Borrowed(raw);
    }
    let mut decoded = String::new();
    unescape(raw, &mut decoded);
    Cow::Owned(decoded)
}

/// Returns whether two elements hold the same text, padding aside.
fn same_text(document: &str, one: &Element, other: &Element) -> bool {
    let text = |element: &Element| match element.value {
        Value::One(Token::Text(text)) => Some(characters(document, text)),
        _ => None,
    };
    let trim = |text: &str| text.trim_end_matches([' ', '\0']).to_owned();
    matches!((text(one), text(other)), (Some(a), Some(b)) if trim(&a) == trim(&b))
}
