//! Reading values: arrays, items, person names, `InlineBinary`, pointers to bulk data.

use dcmjoin_model::WarningCode;

use super::super::halt::Step;
use super::super::lexer::{Span, Token};
use super::super::tape::{Level, Value};
use super::{Parser, name_group};

impl Parser<'_> {
    pub(super) fn value(&mut self, tag: u32) -> Step<Value> {
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
                    return Err(self.shape(tag, "an array in an array"));
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
                return Err(self.shape(tag, "an item that is not an object"));
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
                return Err(self.shape(tag, "an array in an array"));
            }
            self.skip()?;
            let end = self.lexer.at;
            if !in_array || !self.lexer.more(b']')? {
                return Ok(Value::Names(Span::new(start, end)));
            }
        }
    }

    /// Reads `InlineBinary`: base64 text, by some writers in an array (PS3.18 F.4).
    pub(super) fn binary(&mut self, tag: u32) -> Step<Value> {
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
                return Err(self.shape(tag, "InlineBinary is not text"));
            }
        };
        if in_array && self.lexer.more(b']')? {
            return Err(self.shape(tag, "more than one InlineBinary"));
        }
        Ok(match value {
            Value::Binary(text) if text.span.len() == 0 => Value::Absent,
            other => other,
        })
    }

    /// Reads `BulkDataURI` or `DataFragment`; returns whether it points anywhere.
    pub(super) fn pointer(&mut self) -> Step<bool> {
        let start = self.lexer.at;
        self.skip()?;
        let text = Span::new(start, self.lexer.at).of(self.document).trim();
        Ok(!matches!(text, "" | "null" | "\"\"" | "[]"))
    }

    /// Passes over a value of any kind.
    pub(super) fn skip(&mut self) -> Step<()> {
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
