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

use std::borrow::Cow;

use dcmjoin_model::{Reason, WarningCode, Warnings};

use super::dictionary::{Choice, Rule};
use super::halt::{Halt, Step, TagName};
use super::key::Key;
use super::lexer::{Lexer, Met, Span, Text, Token, unescape};
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

    /// Reads `[{…}]`, the form of a DICOMweb response with one instance.
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
    fn member(&mut self) -> Step<()> {
        let name = self.lexer.string()?;
        self.lexer.expect(b':', "a colon")?;
        let tag = match Key::parse(&characters(self.document, name)) {
            Key::Tag(tag) => tag,
            Key::OtherForm(tag) => {
                self.warnings.note(WarningCode::KeyForm);
                tag
            }
            Key::Unknown => return self.unknown_member(),
        };
        self.count_record()?;
        let (vr, value) = match self.lexer.peek() {
            Some(b'{') => self.element(tag)?,
            Some(b'n') => {
                self.lexer.token()?;
                self.warnings.note(WarningCode::ValueNull);
                self.warnings.note(WarningCode::VrMissing);
                (None, Value::Absent)
            }
            _ => {
                let what = format!("{}: expected an object", TagName(tag));
                return Err(Halt::shape(&what, self.lexer.at));
            }
        };
        self.tape.push_element(Element { tag, vr, value });
        Ok(())
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

    fn element_member(&mut self, tag: u32, draft: &mut Draft) -> Step<()> {
        let name = self.lexer.string()?;
        self.lexer.expect(b':', "a colon")?;
        let name = characters(self.document, name);
        let member = Member::parse(&name).or_else(|| {
            let member = Member::parse_any_case(&name);
            if member.is_some() {
                self.warnings.note(WarningCode::KeyForm);
            }
            member
        });
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

    fn vr(&mut self) -> Step<Option<Rule>> {
        let name = match self.lexer.peek() {
            Some(b'"') => self.lexer.string()?.span.of(self.document),
            _ => {
                self.skip()?;
                ""
            }
        };
        let rule = match <[u8; 2]>::try_from(name.as_bytes()) {
            Ok(letters) => Vr::from_name(letters).map(Rule::One),
            Err(_) => Choice::from_name(name).map(Rule::Choice),
        };
        if rule.is_some() {
            return Ok(rule);
        }
        self.warnings.note(WarningCode::VrUnknown);
        let letters = <[u8; 2]>::try_from(name.as_bytes()).ok();
        Ok(letters
            .and_then(|name| Vr::from_name(name.map(|b| b.to_ascii_uppercase())))
            .map(Rule::One))
    }

    fn value(&mut self, tag: u32) -> Step<Value> {
        match self.lexer.peek() {
            Some(b'[') => self.array(tag),
            Some(b'{') => {
                self.warnings.note(WarningCode::ValueScalar);
                let start = self.lexer.at;
                self.objects(tag, start, 0, false)
            }
            Some(b'n') => {
                self.lexer.token()?;
                self.warnings.note(WarningCode::ValueNull);
                Ok(Value::Absent)
            }
            _ => {
                self.warnings.note(WarningCode::ValueScalar);
                self.lexer.token().map(Value::One)
            }
        }
    }

    /// Reads the array of a value.
    fn array(&mut self, tag: u32) -> Step<Value> {
        self.lexer.expect(b'[', "an array")?;
        let start = self.lexer.at;
        let mut count = 0_u32;
        let mut nulls = 0;
        if self.lexer.take(b']') {
            return Ok(Value::Absent);
        }
        loop {
            match self.lexer.peek() {
                Some(b'{') if nulls == count => return self.objects(tag, start, nulls, true),
                Some(b'{') => return self.names(tag, start, true),
                Some(b'[') => {
                    let what = format!("{}: an array in an array", TagName(tag));
                    return Err(Halt::shape(&what, self.lexer.at));
                }
                _ => {}
            }
            let token = self.lexer.token()?;
            nulls += u32::from(token == Token::Null);
            count += 1;
            if !self.lexer.more(b']')? {
                let end = self.lexer.at - 1;
                return Ok(match count {
                    1 => Value::One(token),
                    _ => Value::Several(Span::new(start, end)),
                });
            }
        }
    }

    /// Reads objects from the first on: items, or person names if one looks like that. `start` is
    /// where the values began; `nulls` of them stand before the first object.
    fn objects(&mut self, tag: u32, start: usize, nulls: u32, in_array: bool) -> Step<Value> {
        let items = self.tape.open_items();
        for _ in 0..nulls {
            self.count_record()?;
            self.tape.push_item(Level::NULL);
        }
        loop {
            if self.lexer.peek() == Some(b'n') {
                self.lexer.token()?;
                self.tape.push_item(Level::NULL);
            } else if self.is_name() {
                self.tape.abandon_items(items);
                return self.names(tag, start, in_array);
            } else if self.lexer.peek() == Some(b'{') {
                let level = self.data_set()?;
                self.tape.push_item(level);
            } else {
                let what = format!("{}: an item that is not an object", TagName(tag));
                return Err(Halt::shape(&what, self.lexer.at));
            }
            self.count_record()?;
            if !in_array || !self.lexer.more(b']')? {
                return Ok(Value::Items(self.tape.close_items(items)));
            }
        }
    }

    /// Returns true if an object comes next whose first member is a group of a person name.
    fn is_name(&self) -> bool {
        let mut ahead = self.lexer.clone();
        ahead.take(b'{')
            && ahead.peek() == Some(b'"')
            && ahead.string().is_ok_and(|key| name_group(key.span.of(self.document)).is_some())
    }

    /// Passes over the rest of a value that holds person names.
    fn names(&mut self, tag: u32, start: usize, in_array: bool) -> Step<Value> {
        loop {
            if self.lexer.peek() == Some(b'[') {
                let what = format!("{}: an array in an array", TagName(tag));
                return Err(Halt::shape(&what, self.lexer.at));
            }
            self.skip()?;
            let end = self.lexer.at;
            if !in_array || !self.lexer.more(b']')? {
                return Ok(Value::Names(Span::new(start, end)));
            }
        }
    }

    /// Reads `InlineBinary`: base64 text, by some writers in an array (PS3.18 F.4).
    fn binary(&mut self, tag: u32) -> Step<Value> {
        let in_array = self.lexer.take(b'[');
        if in_array {
            self.warnings.note(WarningCode::InlineBinaryForm);
            if self.lexer.take(b']') {
                return Ok(Value::Absent);
            }
        }
        let value = match self.lexer.peek() {
            Some(b'"') => Value::Binary(self.lexer.string()?),
            Some(b'n') => {
                self.lexer.token()?;
                self.warnings.note(WarningCode::ValueNull);
                Value::Absent
            }
            _ => {
                let what = format!("{}: InlineBinary is not text", TagName(tag));
                return Err(Halt::shape(&what, self.lexer.at));
            }
        };
        if in_array && self.lexer.more(b']')? {
            let what = format!("{}: more than one InlineBinary", TagName(tag));
            return Err(Halt::shape(&what, self.lexer.at));
        }
        Ok(match value {
            Value::Binary(text) if text.span.len() == 0 => Value::Absent,
            other => other,
        })
    }

    /// Reads `BulkDataURI` or `DataFragment`; returns whether it points anywhere.
    fn pointer(&mut self) -> Step<bool> {
        let start = self.lexer.at;
        self.skip()?;
        let text = Span::new(start, self.lexer.at).of(self.document).trim();
        Ok(!matches!(text, "" | "null" | "\"\"" | "[]"))
    }

    /// Passes over a value of any kind.
    fn skip(&mut self) -> Step<()> {
        let close = match self.lexer.peek() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => return self.lexer.token().map(|_| ()),
        };
        self.descend()?;
        self.lexer.at += 1;
        if !self.lexer.take(close) {
            loop {
                if close == b'}' {
                    self.lexer.string()?;
                    self.lexer.expect(b':', "a colon")?;
                }
                self.skip()?;
                if !self.lexer.more(close)? {
                    break;
                }
            }
        }
        self.depth_left += 1;
        Ok(())
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
