//! Writes a data set as DICOM JSON (PS3.18 F), the way pydicom does: keys sorted, `Value` before
//! `vr`, a space after each comma and colon, nothing but ASCII. And in other ways, all lawful.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::data_set::{DataSet, Element, PersonName, Value};

/// How a document is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As pydicom writes.
    Usual,
    /// `vr` before `Value`, no spaces, UTF-8 as it is.
    Compact,
    /// Keys with lower-case digits.
    LowerCase,
    /// DS and IS as strings (PS3.18 F.2.3).
    NumbersAsStrings,
    /// A byte order mark first.
    Marked,
    /// The document as a gzip stream.
    Gzip,
}

impl Spelling {
    /// The ways other than the usual one.
    pub(crate) const OTHERS: [Self; 5] =
        [Self::Compact, Self::LowerCase, Self::NumbersAsStrings, Self::Marked, Self::Gzip];
}

/// A document being written.
struct Writer {
    text: String,
    spelling: Spelling,
}

/// Returns the document of a sorted data set; [`Spelling::Gzip`] is up to the caller.
pub(super) fn document(data_set: &DataSet, spelling: Spelling) -> String {
    let mut writer = Writer { text: String::with_capacity(16 << 10), spelling };
    if spelling == Spelling::Marked {
        writer.text.push('\u{FEFF}');
    }
    writer.data_set(data_set);
    writer.text
}

impl Writer {
    fn data_set(&mut self, data_set: &DataSet) {
        self.list('{', '}', &data_set.elements, |writer, element| {
            if writer.spelling == Spelling::LowerCase {
                write!(writer.text, "\"{:08x}\"", element.tag)
            } else {
                write!(writer.text, "\"{:08X}\"", element.tag)
            }
            .expect("writing to memory does not fail");
            writer.colon();
            writer.element(element);
        });
    }

    fn element(&mut self, element: &Element) {
        self.text.push('{');
        if matches!(element.value, Value::Empty) {
            self.member("vr", |writer| writer.string(element.vr));
        } else if self.spelling == Spelling::Compact {
            self.member("vr", |writer| writer.string(element.vr));
            self.comma();
            self.value(element);
        } else {
            self.value(element);
            self.comma();
            self.member("vr", |writer| writer.string(element.vr));
        }
        self.text.push('}');
    }

    fn value(&mut self, element: &Element) {
        let as_strings =
            self.spelling == Spelling::NumbersAsStrings && matches!(element.vr, "DS" | "IS");
        match &element.value {
            Value::Empty => {}
            Value::Binary(bytes) => {
                self.member("InlineBinary", |writer| writer.string(&STANDARD.encode(bytes)));
            }
            Value::BulkDataUri(uri) => self.member("BulkDataURI", |writer| writer.string(uri)),
            Value::Texts(texts) => self.values(texts, |writer, text| writer.string(text)),
            Value::Name(name) => {
                self.values(std::slice::from_ref(name), Self::name);
            }
            Value::Items(items) => self.values(items, Self::data_set),
            Value::Integers(ints) => {
                self.values(ints, |writer, int| writer.number(&int.to_string(), as_strings));
            }
            // The shortest text that reads back as the same number, as Python writes it.
            Value::Decimals(decimals) => self.values(decimals, |writer, decimal| {
                writer.number(&format!("{decimal:?}"), as_strings);
            }),
        }
    }

    fn values<T>(&mut self, values: &[T], each: impl FnMut(&mut Self, &T)) {
        self.member("Value", |writer| writer.list('[', ']', values, each));
    }

    fn name(&mut self, name: &PersonName) {
        let writings = [
            ("Alphabetic", Some(&name.alphabetic)),
            ("Ideographic", name.ideographic.as_ref()),
            ("Phonetic", name.phonetic.as_ref()),
        ];
        let writings: Vec<_> =
            writings.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
        self.list('{', '}', &writings, |writer, (key, text)| {
            writer.member(key, |writer| writer.string(text));
        });
    }

    fn member(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.string(key);
        self.colon();
        value(self);
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        parts: &[T],
        mut each: impl FnMut(&mut Self, &T),
    ) {
        self.text.push(open);
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.comma();
            }
            each(self, part);
        }
        self.text.push(close);
    }

    fn number(&mut self, number: &str, as_string: bool) {
        if as_string {
            self.string(number);
        } else {
            self.text.push_str(number);
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                letter if letter.is_ascii() || self.spelling == Spelling::Compact => {
                    self.text.push(letter);
                }
                letter => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        write!(self.text, "\\u{unit:04x}")
                            .expect("writing to memory does not fail");
                    }
                }
            }
        }
        self.text.push('"');
    }

    fn comma(&mut self) {
        self.text.push_str(if self.spelling == Spelling::Compact { "," } else { ", " });
    }

    fn colon(&mut self) {
        self.text.push_str(if self.spelling == Spelling::Compact { ":" } else { ": " });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(spelling: Spelling) -> String {
        let mut data_set = DataSet::default();
        let name = PersonName {
            alphabetic: "Phantom^Ren\u{e9}".into(),
            ideographic: Some("\u{5e7b}".into()),
            phonetic: None,
        };
        data_set
            .text(0x0018_1020, "LO", "a\"b")
            .name(0x0010_0010, name)
            .decimals(0x0018_0050, "DS", &[5.0, 0.312_500_4])
            .empty(0x0008_0090, "PN");
        data_set.sort();
        document(&data_set, spelling)
    }

    #[test]
    fn the_usual_spelling_is_that_of_pydicom() {
        assert_eq!(
            written(Spelling::Usual),
            concat!(
                r#"{"00080090": {"vr": "PN"}, "#,
                r#""00100010": {"Value": [{"Alphabetic": "Phantom^Ren\u00e9", "#,
                r#""Ideographic": "\u5e7b"}], "vr": "PN"}, "#,
                r#""00180050": {"Value": [5.0, 0.3125], "vr": "DS"}, "#,
                r#""00181020": {"Value": ["a\"b"], "vr": "LO"}}"#
            )
        );
    }

    #[test]
    fn other_spellings_say_the_same() {
        assert!(
            written(Spelling::Compact).contains(r#""00180050":{"vr":"DS","Value":[5.0,0.3125]}"#)
        );
        assert!(written(Spelling::Compact).contains('\u{5e7b}'));
        assert!(written(Spelling::NumbersAsStrings).contains(r#""Value": ["5.0", "0.3125"]"#));
        assert!(written(Spelling::Marked).starts_with('\u{FEFF}'));
        for spelling in Spelling::OTHERS {
            let text = written(spelling);
            let text = text.trim_start_matches('\u{FEFF}');
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(parsed["00181020"]["Value"][0], "a\"b");
        }
    }
}
