//! Text values: strings, person names, decimal and integer strings (PS3.5 6.2, 6.4).
//!
//! Strings are written as they are: never cut, trimmed or corrected. What the standard would object
//! to is noted.

use dcmjoin_model::{Reason, WarningCode};

use super::decimal::{DS_CHARS_MAX, Decimal};
use super::encode::{Encoder, Policy};
use super::halt::{Halt, Step};
use super::lexer::{Lexer, Text, Token, unescape};
use super::parse::{characters, name_group};
use super::tape::{Element, Value};
use super::vr::{TextForm, Vr};

/// The most characters of an IS, and of a group of a PN (PS3.5 table 6.2-1).
const IS_CHARS_MAX: usize = 12;
const NAME_GROUP: TextForm = TextForm { chars_max: 64, multi: true, charset: true };
const NUMBER: TextForm = TextForm { chars_max: 0, multi: true, charset: false };

impl Encoder<'_> {
    /// Writes the values of a text VR.
    pub(super) fn texts(&mut self, element: &Element, vr: Vr, form: TextForm) -> Step<()> {
        self.each(element.tag, element.value, |this, index, token| {
            if index > 0 {
                this.separate(form);
            }
            this.text_token(token, vr, form)
        })
    }

    /// Writes a backslash between values. A VR of one value has none: the backslash is text there.
    fn separate(&mut self, form: TextForm) {
        if !form.multi {
            self.warnings.note(WarningCode::TextBackslash);
        }
        self.out.push(b'\\');
    }

    fn text_token(&mut self, token: Token, vr: Vr, form: TextForm) -> Step<()> {
        let document = self.document;
        match token {
            Token::Null => Ok(()),
            Token::Text(text) => self.string(text, vr, form),
            Token::Number(span) => self.typed(span.of(document), vr, form),
            Token::Bool(true) => self.typed("true", vr, form),
            Token::Bool(false) => self.typed("false", vr, form),
            Token::NotFinite(which) => self.typed(which.as_str(), vr, form),
        }
    }

    fn typed(&mut self, text: &str, vr: Vr, form: TextForm) -> Step<()> {
        self.warnings.note(WarningCode::ValueTyped);
        self.put_text(text, vr, form)
    }

    /// Writes a JSON string.
    #[inline]
    fn string(&mut self, text: Text, vr: Vr, form: TextForm) -> Step<()> {
        let raw = text.span.of(self.document);
        if !text.escaped {
            return self.put_text(raw, vr, form);
        }
        let mut decoded = std::mem::take(self.text);
        decoded.clear();
        unescape(raw, &mut decoded);
        if form.multi && decoded.contains('\\') {
            self.warnings.note(WarningCode::TextBackslash);
        }
        let result = self.put_text(&decoded, vr, form);
        *self.text = decoded;
        result
    }

    /// Writes characters, in the character set at hand.
    #[inline]
    fn put_text(&mut self, text: &str, vr: Vr, form: TextForm) -> Step<()> {
        let chars_max = usize::from(form.chars_max);
        if chars_max > 0 && text.len() > chars_max && text.chars().count() > chars_max {
            self.warnings.note(WarningCode::TextTooLong);
        }
        if vr == Vr::UI {
            self.check_uid(text);
        }
        if self.policy == Policy::Ascii || text.is_ascii() {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        if !form.charset {
            self.warnings.note(WarningCode::TextNotAscii);
        }
        self.charset.encode(text, self.out).map_err(|_| Halt::SwitchCharset)
    }

    /// Notes what PS3.5 9.1 would object to in a UID.
    fn check_uid(&mut self, text: &str) {
        let uid = text.trim_end_matches('\0');
        let mut fits = true;
        let mut leading_zero = false;
        // The component so far: its length, and whether it began with zero.
        let mut length = 0;
        let mut zero = false;
        for byte in uid.bytes() {
            match byte {
                b'0'..=b'9' => {
                    zero = if length == 0 { byte == b'0' } else { zero };
                    leading_zero |= zero && length > 0;
                    length += 1;
                }
                b'.' if length > 0 => length = 0,
                _ => fits = false,
            }
        }
        if !fits || (length == 0 && !uid.is_empty()) {
            self.warnings.note(WarningCode::UidForm);
        } else if leading_zero {
            self.warnings.note(WarningCode::UidLeadingZero);
        }
        if uid.len() > dcmjoin_model::uid::UID_BYTES_STANDARD {
            self.warnings.note(WarningCode::UidTooLong);
        }
    }

    /// Writes DS values: numbers keep their token, strings their text, where they fit.
    pub(super) fn decimal_strings(&mut self, element: &Element) -> Step<()> {
        self.each(element.tag, element.value, |this, index, token| {
            if index > 0 {
                this.out.push(b'\\');
            }
            match token {
                Token::Number(span) => {
                    this.decimal(span.of(this.document));
                    Ok(())
                }
                Token::Text(text) if !text.escaped && text.span.len() <= DS_CHARS_MAX => {
                    this.number_string(text.span.of(this.document))
                }
                Token::Text(text) => this.long_decimal_string(text),
                other => this.not_a_number(other),
            }
        })
    }

    #[inline]
    fn decimal(&mut self, text: &str) {
        if text.len() <= DS_CHARS_MAX {
            self.out.extend_from_slice(text.as_bytes());
        } else if let Some(rounded) = Decimal::parse(text).and_then(Decimal::to_ds) {
            self.warnings.note(WarningCode::DecimalRounded);
            self.out.extend_from_slice(rounded.as_bytes());
        } else {
            self.warnings.note(WarningCode::ValueEmptied);
        }
    }

    fn long_decimal_string(&mut self, text: Text) -> Step<()> {
        let decoded = characters(self.document, text);
        let trimmed = decoded.trim();
        if trimmed.len() <= DS_CHARS_MAX || Decimal::parse(trimmed).is_none() {
            return self.number_string(if decoded.len() <= DS_CHARS_MAX {
                &decoded
            } else {
                trimmed
            });
        }
        self.decimal(trimmed);
        Ok(())
    }

    /// Writes a number that came as a string, as it is; the words for numbers that are not finite
    /// have no place in DS and IS.
    fn number_string(&mut self, text: &str) -> Step<()> {
        let number = text.trim();
        if is_not_finite(number) {
            self.warnings.note(WarningCode::ValueEmptied);
            return Ok(());
        }
        if !number.is_empty() && Decimal::parse(number).is_none() {
            self.warnings.note(WarningCode::NumberForm);
        }
        self.put_text(text, Vr::DS, NUMBER)
    }

    fn not_a_number(&mut self, token: Token) -> Step<()> {
        match token {
            Token::NotFinite(_) => self.warnings.note(WarningCode::ValueEmptied),
            Token::Bool(_) => return self.text_token(token, Vr::DS, NUMBER),
            _ => {}
        }
        Ok(())
    }

    /// Writes IS values: integers keep their token, strings their text.
    pub(super) fn integer_strings(&mut self, element: &Element) -> Step<()> {
        self.each(element.tag, element.value, |this, index, token| {
            if index > 0 {
                this.out.push(b'\\');
            }
            match token {
                Token::Number(span) => {
                    this.integer_string(span.of(this.document));
                    Ok(())
                }
                Token::Text(text) => {
                    let decoded = characters(this.document, text);
                    if decoded.len() > IS_CHARS_MAX && decoded.trim().len() > IS_CHARS_MAX {
                        this.warnings.note(WarningCode::TextTooLong);
                    }
                    if decoded.contains(['.', 'e', 'E']) && Decimal::parse(decoded.trim()).is_some()
                    {
                        this.warnings.note(WarningCode::NumberForm);
                    }
                    this.number_string(&decoded)
                }
                other => this.not_a_number(other),
            }
        })
    }

    #[inline]
    fn integer_string(&mut self, text: &str) {
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            if text.len() > IS_CHARS_MAX {
                self.warnings.note(WarningCode::TextTooLong);
            }
            self.out.extend_from_slice(text.as_bytes());
        } else if let Some(integer) = Decimal::parse(text).and_then(Decimal::to_integer) {
            self.warnings.note(WarningCode::ValueTyped);
            self.out.extend_from_slice(integer.to_string().as_bytes());
        } else {
            self.warnings.note(WarningCode::ValueEmptied);
        }
    }

    /// Writes PN values (PS3.5 6.2.1.1, PS3.18 F.2.2).
    pub(super) fn person_names(&mut self, element: &Element) -> Step<()> {
        match element.value {
            Value::Names(span) => {
                let mut lexer = Lexer::over(self.document, span);
                for index in 0.. {
                    if index > 0 {
                        self.out.push(b'\\');
                    }
                    if lexer.take(b'{') {
                        self.name_object(&mut lexer, element.tag)?;
                    } else {
                        let token = lexer.token()?;
                        self.name_token(token)?;
                    }
                    if !lexer.take(b',') {
                        break;
                    }
                }
                Ok(())
            }
            Value::Items(run) => {
                let tape = self.tape;
                for (index, &item) in tape.items(run).iter().enumerate() {
                    if !tape.elements(item).is_empty() {
                        let what = "elements where a person name belongs";
                        return Err(Halt::reject_element(Reason::JsonShape, element.tag, what));
                    }
                    if index > 0 {
                        self.out.push(b'\\');
                    }
                }
                Ok(())
            }
            value => self.each(element.tag, value, |this, index, token| {
                if index > 0 {
                    this.out.push(b'\\');
                }
                this.name_token(token)
            }),
        }
    }

    /// Writes a name that is not an object.
    fn name_token(&mut self, token: Token) -> Step<()> {
        if token == Token::Null {
            return Ok(());
        }
        self.warnings.note(WarningCode::PersonNameForm);
        let form = TextForm { chars_max: 0, ..NAME_GROUP };
        self.text_token(token, Vr::PN, form)
    }

    /// Writes the rest of an object with the groups of a name.
    fn name_object(&mut self, lexer: &mut Lexer<'_>, tag: u32) -> Step<()> {
        let mut groups = [Token::Null; 3];
        if !lexer.take(b'}') {
            loop {
                let key = lexer.string()?;
                lexer.expect(b':', "a colon")?;
                if matches!(lexer.peek(), Some(b'{' | b'[')) {
                    let what = "a group of a person name is not text";
                    return Err(Halt::reject_element(Reason::JsonShape, tag, what));
                }
                let token = lexer.token()?;
                self.name_member(key, token, &mut groups);
                if !lexer.more(b'}')? {
                    break;
                }
            }
        }
        let is_empty = |token: &Token| match token {
            Token::Null => true,
            Token::Text(text) => text.span.len() == 0,
            _ => false,
        };
        let last = groups.iter().rposition(|group| !is_empty(group));
        for (index, &group) in groups.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            if index > 0 {
                self.out.push(b'=');
            }
            self.text_token(group, Vr::PN, NAME_GROUP)?;
        }
        Ok(())
    }

    fn name_member(&mut self, key: Text, token: Token, groups: &mut [Token; 3]) {
        let name = characters(self.document, key);
        let Some(group) = name_group(&name) else {
            self.warnings.note(WarningCode::KeyExtra);
            return;
        };
        if !matches!(&*name, "Alphabetic" | "Ideographic" | "Phonetic") {
            self.warnings.note(WarningCode::KeyForm);
        }
        if token == Token::Null {
            self.warnings.note(WarningCode::ValueNull);
        }
        groups[group] = token;
    }
}

/// Returns true for the words that programs write for numbers that are not finite.
pub(super) fn is_not_finite(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"].iter().any(|known| known.eq_ignore_ascii_case(word))
}
