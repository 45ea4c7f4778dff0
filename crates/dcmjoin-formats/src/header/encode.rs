//! The writing pass: a [`Tape`] to a data set in Explicit VR Little Endian (PS3.5 7, A.2).
//!
//! Elements are written in tag order, each with an even length; sequences and items have defined
//! lengths, so that equal documents give equal bytes. What does not belong in a file is left out
//! here, each with its warning; the pixel data element of the root is handed out apart.
//!
//! The pass stops with [`Halt::SwitchCharset`] when text does not fit the declared character set;
//! the caller runs it again with [`Policy::Switched`].

use dcmjoin_model::{Reason, WarningCode, Warnings};

use super::charset::{Charset, UTF_8_TERM};
use super::dictionary::Rule;
use super::facts::Facts;
use super::halt::{Halt, Step};
use super::lexer::{Lexer, Text, Token};
use super::parse::characters;
use super::private::Creators;
use super::tape::{Element, Level, Tape, Value};
use super::vr::{Form, Vr};

/// (0002,0010) Transfer Syntax UID.
const TRANSFER_SYNTAX: u32 = 0x0002_0010;
/// (0008,0005) Specific Character Set.
const CHARACTER_SET: u32 = 0x0008_0005;
/// (7FE0,0001) to (7FE0,0003): the extended offset table, its lengths, and the length of all.
const OFFSET_TABLES: std::ops::RangeInclusive<u32> = 0x7FE0_0001..=0x7FE0_0003;
/// (7FE0,0008) and (7FE0,0009): float and double float pixel data.
const FLOAT_PIXELS: std::ops::RangeInclusive<u32> = 0x7FE0_0008..=0x7FE0_0009;
/// (7FE0,0010) Pixel Data.
const PIXEL_DATA: u32 = 0x7FE0_0010;

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// The document is ASCII: bytes are the same in every character set.
    Ascii,
    /// In the character sets that the document declares.
    Declared,
    /// In UTF-8, whatever the document declares.
    Switched,
}

/// Memory that lives from document to document.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The data set.
    pub(super) out: Vec<u8>,
    /// A string with its escapes decoded.
    pub(super) text: String,
    /// The levels from the root to the one that is being written.
    pub(super) scopes: Vec<Level>,
}

impl Buffers {
    /// Gives memory back beyond what ordinary documents need.
    pub(super) fn trim(&mut self, bytes_kept: usize) {
        self.out.clear();
        self.out.shrink_to(bytes_kept);
        self.text.clear();
        self.text.shrink_to(bytes_kept);
    }
}

/// The pass.
pub(super) struct Encoder<'a> {
    pub(super) document: &'a str,
    pub(super) tape: &'a Tape,
    pub(super) warnings: &'a mut Warnings,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) text: &'a mut String,
    pub(super) scopes: &'a mut Vec<Level>,
    pub(super) policy: Policy,
    pub(super) charset: Charset,
    /// Integers of the element at hand that were written as the other sign's bit pattern.
    pub(super) wraps: u32,
    facts: Facts,
}

/// Where an element is being written.
#[derive(Debug, Clone, Copy)]
struct Begun {
    start: usize,
    value: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(
        document: &'a str,
        tape: &'a Tape,
        warnings: &'a mut Warnings,
        buffers: &'a mut Buffers,
        policy: Policy,
    ) -> Self {
        let Buffers { out, text, scopes } = buffers;
        out.clear();
        scopes.clear();
        let charset = if policy == Policy::Switched { Charset::Utf8 } else { Charset::Ascii };
        let facts = Facts::default();
        Self { document, tape, warnings, out, text, scopes, policy, charset, wraps: 0, facts }
    }

    /// Writes the root data set, without its pixel data.
    pub(super) fn root(mut self, root: Level) -> Step<Facts> {
        let tape = self.tape;
        self.enter(root);
        let mut creators = Creators::default();
        let mut declared = self.policy != Policy::Switched;
        for element in tape.elements(root) {
            if !declared && element.tag >= CHARACTER_SET {
                declared = true;
                if element.tag > CHARACTER_SET {
                    self.declare_utf_8(Value::Absent)?;
                }
            }
            if self.is_apart(element)? {
                continue;
            }
            if element.tag > PIXEL_DATA {
                self.facts.pixel_data_at.get_or_insert(self.out.len());
            }
            self.check_creator(&mut creators, element);
            let value = self.element(element)?;
            self.facts.observe(element.tag, value.vr, self.out.get(value.at..).unwrap_or_default());
        }
        if !declared {
            self.declare_utf_8(Value::Absent)?;
        }
        self.facts.pixel_data_at.get_or_insert(self.out.len());
        Ok(self.facts)
    }

    /// Handles elements that do not go into the data set as they are.
    fn is_apart(&mut self, element: &Element) -> Step<bool> {
        let tag = element.tag;
        if let Some(code) = misplaced(tag) {
            self.warnings.note(code);
            if let (TRANSFER_SYNTAX, Value::One(Token::Text(text))) = (tag, element.value) {
                let uid = characters(self.document, text);
                self.facts.observe(tag, Vr::UI, uid.as_bytes());
            }
            return Ok(true);
        }
        let elsewhere = match element.value {
            Value::Absent | Value::Elsewhere | Value::One(Token::Null) => true,
            Value::One(Token::Text(text)) => text.span.len() == 0,
            _ => false,
        };
        if OFFSET_TABLES.contains(&tag) {
            self.warnings.note(WarningCode::OffsetTableRebuilt);
            return Ok(true);
        }
        if FLOAT_PIXELS.contains(&tag) {
            // What lies elsewhere is told apart from what is not there: an image half would be
            // written as (7FE0,0010), and that would be wrong.
            self.facts.float_pixels = !elsewhere;
            return Ok(elsewhere && !matches!(element.value, Value::Elsewhere));
        }
        if tag != PIXEL_DATA {
            return Ok(false);
        }
        self.facts.pixels.pixel_data_words = match element.vr {
            Some(Rule::One(Vr::OB)) => Some(false),
            Some(Rule::One(Vr::OW)) => Some(true),
            _ => None,
        };
        if let Value::Binary(text) = element.value {
            let mut pixels = Vec::new();
            self.base64(tag, text, &mut pixels)?;
            self.warnings.note(WarningCode::PixelDataInHeader);
            self.facts.inline_pixels = Some(pixels);
        } else if !elsewhere {
            let what = "pixel data in another form than InlineBinary";
            return Err(Halt::reject_element(Reason::ValueInvalid, tag, what));
        }
        Ok(true)
    }

    /// Writes the elements of an item.
    fn data_set(&mut self, level: Level) -> Step<()> {
        let tape = self.tape;
        let outer = self.charset;
        self.enter(level);
        let mut creators = Creators::default();
        for element in tape.elements(level) {
            if misplaced(element.tag).is_some() {
                self.warnings.note(WarningCode::GroupDropped);
                continue;
            }
            self.check_creator(&mut creators, element);
            self.element(element)?;
        }
        self.scopes.pop();
        self.charset = outer;
        Ok(())
    }

    /// Makes a level the innermost one; its character set holds for it and what it contains.
    fn enter(&mut self, level: Level) {
        self.scopes.push(level);
        if self.policy == Policy::Declared
            && let Some(element) = self.tape.find(level, CHARACTER_SET)
        {
            self.charset = Charset::from_declaration(&self.declaration(element.value));
        }
    }

    /// Returns the terms of a (0008,0005), joined.
    fn declaration(&self, value: Value) -> String {
        let term = |token: Token| match token {
            Token::Text(text) => characters(self.document, text).into_owned(),
            _ => String::new(),
        };
        match value {
            Value::One(token) => term(token),
            Value::Several(span) => {
                let mut lexer = Lexer::over(self.document, span);
                let mut terms = Vec::new();
                while let Ok(token) = lexer.token() {
                    terms.push(term(token));
                    lexer.take(b',');
                }
                terms.join("\\")
            }
            _ => String::new(),
        }
    }

    /// Writes (0008,0005) as `ISO_IR 192`, in place of what it was.
    fn declare_utf_8(&mut self, value: Value) -> Step<()> {
        let before = self.declaration(value);
        match before.trim() {
            UTF_8_TERM => {}
            "" => self.warnings.note(WarningCode::CharsetMissing),
            _ => self.warnings.note(WarningCode::CharsetSwitched),
        }
        let begun = self.begin(CHARACTER_SET, Vr::CS);
        self.out.extend_from_slice(UTF_8_TERM.as_bytes());
        self.finish(begun, CHARACTER_SET, Vr::CS)
    }

    fn check_creator(&mut self, creators: &mut Creators, element: &Element) {
        if !creators.admit(element) {
            self.warnings.note(WarningCode::PrivateCreatorMissing);
        }
    }

    /// Writes an element; returns its VR and where its value is.
    fn element(&mut self, element: &Element) -> Step<Written> {
        if element.tag == CHARACTER_SET && self.policy == Policy::Switched {
            self.declare_utf_8(element.value)?;
            return Ok(Written { vr: Vr::CS, at: self.out.len() });
        }
        let mut vr = self.resolve(element);
        let mut begun = self.begin(element.tag, vr);
        self.value(element, vr)?;
        if self.wraps > 0 {
            if let Some(other) = self.other_sign(element, vr) {
                self.out.truncate(begun.start);
                vr = other;
                begun = self.begin(element.tag, vr);
                self.value(element, vr)?;
            }
            if self.wraps > 0 {
                self.warnings.add(WarningCode::ValueWrapped, self.wraps);
                self.wraps = 0;
            }
        }
        self.finish(begun, element.tag, vr)?;
        Ok(Written { vr, at: begun.value })
    }

    /// Writes an element's header with a length of zero.
    fn begin(&mut self, tag: u32, vr: Vr) -> Begun {
        let start = self.out.len();
        let [t0, t1, t2, t3] = tag.to_le_bytes();
        let [v0, v1] = vr.name();
        // A tag is two 16-bit numbers, group first (PS3.5 7.1.1).
        self.out.extend_from_slice(&[t2, t3, t0, t1, v0, v1, 0, 0]);
        if vr.has_long_length() {
            self.out.extend_from_slice(&[0; 4]);
        }
        Begun { start, value: self.out.len() }
    }

    /// Pads an element's value and sets its length.
    fn finish(&mut self, begun: Begun, tag: u32, vr: Vr) -> Step<()> {
        let Begun { start, value } = begun;
        if (self.out.len() - value) % 2 == 1 {
            self.out.push(vr.padding());
        }
        let length = self.length_since(value, tag)?;
        if vr.has_long_length() {
            self.out[start + 8..value].copy_from_slice(&length.to_le_bytes());
        } else if let Ok(length) = u16::try_from(length) {
            self.out[start + 6..value].copy_from_slice(&length.to_le_bytes());
        } else {
            // PS3.5 6.2.2: the way to write it that every reader of Explicit VR knows.
            self.warnings.note(WarningCode::VrOversize);
            self.out.splice(value..value, length.to_le_bytes());
            self.out[start + 4..value].copy_from_slice(b"UN\0\0");
        }
        Ok(())
    }

    fn length_since(&self, at: usize, tag: u32) -> Step<u32> {
        u32::try_from(self.out.len() - at)
            .ok()
            .filter(|&length| length < u32::MAX)
            .ok_or_else(|| Halt::reject_element(Reason::DataSetTooLarge, tag, "more than 4 GiB"))
    }

    /// Writes a value in the form of its VR.
    fn value(&mut self, element: &Element, vr: Vr) -> Step<()> {
        self.wraps = 0;
        match (element.value, vr.form()) {
            (Value::Absent, _) => Ok(()),
            (Value::One(Token::Null), form) if form != Form::Items => {
                self.warnings.note(WarningCode::ValueNull);
                Ok(())
            }
            (Value::Elsewhere, _) => {
                let what = "the value lies elsewhere, behind BulkDataURI or DataFragment";
                Err(Halt::reject_element(Reason::BulkDataMissing, element.tag, what))
            }
            (Value::Binary(text), form) => self.binary(element.tag, text, form),
            (_, Form::Items) => self.sequence(element),
            (_, Form::PersonName) => self.person_names(element),
            (_, Form::Text(form)) => self.texts(element, vr, form),
            (_, Form::DecimalString) => self.decimal_strings(element),
            (_, Form::IntegerString) => self.integer_strings(element),
            (_, Form::Tag) => self.tags(element),
            (_, Form::Numbers(number)) => self.numbers(element, number),
            (_, Form::Bytes(number)) => self.words(element, number),
        }
    }

    /// Writes `InlineBinary`, which any VR may have in practice.
    fn binary(&mut self, tag: u32, text: Text, form: Form) -> Step<()> {
        let start = self.out.len();
        let mut out = std::mem::take(self.out);
        let result = self.base64(tag, text, &mut out);
        *self.out = out;
        result?;
        let width = match form {
            Form::Numbers(number) => number.bytes(),
            Form::Tag => 4,
            Form::Items => {
                let what = "a sequence as InlineBinary";
                return Err(Halt::reject_element(Reason::ValueInvalid, tag, what));
            }
            _ => 1,
        };
        if (self.out.len() - start).is_multiple_of(width) {
            return Ok(());
        }
        let what = "InlineBinary is not a whole number of values";
        Err(Halt::reject_element(Reason::ValueInvalid, tag, what))
    }

    /// Writes the items of a sequence (PS3.5 7.5).
    fn sequence(&mut self, element: &Element) -> Step<()> {
        match element.value {
            Value::Items(run) => {
                let tape = self.tape;
                tape.items(run).iter().try_for_each(|&item| self.item(element.tag, item))
            }
            value => self.each(element.tag, value, |this, _, token| {
                if token == Token::Null {
                    return this.item(element.tag, Level::NULL);
                }
                let what = "an item that is not an object";
                Err(Halt::reject_element(Reason::JsonShape, element.tag, what))
            }),
        }
    }

    fn item(&mut self, tag: u32, item: Level) -> Step<()> {
        self.out.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0]);
        let start = self.out.len();
        if item == Level::NULL {
            self.warnings.note(WarningCode::SequenceNullItem);
        } else {
            self.data_set(item)?;
        }
        let length = self.length_since(start, tag)?;
        self.out[start - 4..start].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Calls `put` with each token of a value and its place.
    pub(super) fn each(
        &mut self,
        tag: u32,
        value: Value,
        mut put: impl FnMut(&mut Self, usize, Token) -> Step<()>,
    ) -> Step<()> {
        match value {
            Value::Absent => Ok(()),
            Value::One(token) => put(self, 0, token),
            Value::Several(span) => {
                let mut lexer = Lexer::over(self.document, span);
                for index in 0.. {
                    put(self, index, lexer.token()?)?;
                    if !lexer.take(b',') {
                        break;
                    }
                }
                Ok(())
            }
            _ => {
                let what = "objects where plain values belong";
                Err(Halt::reject_element(Reason::JsonShape, tag, what))
            }
        }
    }
}

/// An element in the output.
struct Written {
    vr: Vr,
    at: usize,
}

/// Returns the warning for an element that does not belong in a file's data set: commands and
/// file meta information (PS3.7 E, PS3.10 7.1), the odd groups that nobody may use and delimiters
/// (PS3.5 7.8.1, 7.5), group lengths (retired, PS3.5 7.2).
fn misplaced(tag: u32) -> Option<WarningCode> {
    match (tag >> 16, tag & 0xFFFF) {
        (0x0002, _) => Some(WarningCode::FileMetaRebuilt),
        (0x0000 | 0x0001 | 0x0003 | 0x0005..=0x0007 | 0xFFFE | 0xFFFF, _) | (_, 0) => {
            Some(WarningCode::GroupDropped)
        }
        _ => None,
    }
}
