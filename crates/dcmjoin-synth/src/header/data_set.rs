//! A data set while it is made: elements in any order, sorted when they are written.

use std::borrow::Cow;

/// Text that is mostly known beforehand.
pub(crate) type Text = Cow<'static, str>;

/// A data set, or an item of a sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataSet {
    pub(super) elements: Vec<Element>,
}

/// One element.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(super) tag: u32,
    pub(super) vr: &'static str,
    pub(super) value: Value,
}

/// The value of an element.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Empty,
    Texts(Vec<Text>),
    Integers(Vec<i64>),
    Decimals(Vec<f64>),
    Name(PersonName),
    Items(Vec<DataSet>),
    Binary(Vec<u8>),
    BulkDataUri(Text),
}

/// A person's name in up to three writings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PersonName {
    pub(super) alphabetic: Text,
    pub(super) ideographic: Option<Text>,
    pub(super) phonetic: Option<Text>,
}

impl DataSet {
    /// Adds an element, in the place of one of the same tag.
    fn put(&mut self, tag: u32, vr: &'static str, value: Value) -> &mut Self {
        match self.elements.iter_mut().find(|element| element.tag == tag) {
            Some(element) => *element = Element { tag, vr, value },
            None => self.elements.push(Element { tag, vr, value }),
        }
        self
    }

    /// Adds an element without a value.
    pub(super) fn empty(&mut self, tag: u32, vr: &'static str) -> &mut Self {
        self.put(tag, vr, Value::Empty)
    }

    /// Adds one text.
    pub(super) fn text(&mut self, tag: u32, vr: &'static str, text: impl Into<Text>) -> &mut Self {
        self.put(tag, vr, Value::Texts(vec![text.into()]))
    }

    /// Adds several texts.
    pub(super) fn texts(
        &mut self,
        tag: u32,
        vr: &'static str,
        texts: &[&'static str],
    ) -> &mut Self {
        self.put(tag, vr, Value::Texts(texts.iter().map(|&text| text.into()).collect()))
    }

    /// Adds a whole number.
    pub(super) fn int(&mut self, tag: u32, vr: &'static str, int: impl Into<i64>) -> &mut Self {
        self.put(tag, vr, Value::Integers(vec![int.into()]))
    }

    /// Adds several whole numbers.
    pub(super) fn ints(&mut self, tag: u32, vr: &'static str, ints: &[i64]) -> &mut Self {
        self.put(tag, vr, Value::Integers(ints.to_vec()))
    }

    /// Adds the tags of other elements.
    pub(super) fn tags(&mut self, tag: u32, others: &[&'static str]) -> &mut Self {
        self.texts(tag, "AT", others)
    }

    /// Adds decimals. Those that become text are rounded to five places, so that they fit the
    /// sixteen characters of DS.
    pub(super) fn decimals(&mut self, tag: u32, vr: &'static str, decimals: &[f64]) -> &mut Self {
        let fit = |&decimal: &f64| {
            if vr == "DS" { (decimal * 1e5).round() / 1e5 + 0.0 } else { decimal }
        };
        self.put(tag, vr, Value::Decimals(decimals.iter().map(fit).collect()))
    }

    /// Adds one decimal.
    pub(super) fn decimal(&mut self, tag: u32, vr: &'static str, decimal: f64) -> &mut Self {
        self.decimals(tag, vr, &[decimal])
    }

    /// Adds a person's name.
    pub(super) fn name(&mut self, tag: u32, name: PersonName) -> &mut Self {
        self.put(tag, "PN", Value::Name(name))
    }

    /// Adds a sequence.
    pub(super) fn items(&mut self, tag: u32, items: Vec<DataSet>) -> &mut Self {
        self.put(tag, "SQ", Value::Items(items))
    }

    /// Adds bytes.
    pub(super) fn binary(&mut self, tag: u32, vr: &'static str, bytes: Vec<u8>) -> &mut Self {
        self.put(tag, vr, Value::Binary(bytes))
    }

    /// Adds a value that lies elsewhere.
    pub(super) fn bulk(&mut self, tag: u32, vr: &'static str, uri: impl Into<Text>) -> &mut Self {
        self.put(tag, vr, Value::BulkDataUri(uri.into()))
    }

    /// Takes an element away.
    pub(super) fn remove(&mut self, tag: u32) {
        self.elements.retain(|element| element.tag != tag);
    }

    /// Puts the elements in tag order, in items too.
    pub(super) fn sort(&mut self) {
        self.elements.sort_unstable_by_key(|element| element.tag);
        for element in &mut self.elements {
            if let Value::Items(items) = &mut element.value {
                items.iter_mut().for_each(DataSet::sort);
            }
        }
    }
}

/// Returns a data set made in one go: `item(|item| { item.text(...); })`.
pub(super) fn item(fill: impl FnOnce(&mut DataSet)) -> DataSet {
    let mut item = DataSet::default();
    fill(&mut item);
    item
}

/// Returns an item of a code sequence (PS3.3 8.8).
pub(super) fn code(value: &'static str, scheme: &'static str, meaning: &'static str) -> DataSet {
    item(|item| {
        item.text(0x0008_0100, "SH", value).text(0x0008_0102, "SH", scheme).text(
            0x0008_0104,
            "LO",
            meaning,
        );
    })
}

/// Returns an item that refers to an instance.
pub(super) fn reference(sop_class: &'static str, uid: String) -> DataSet {
    item(|item| {
        item.text(0x0008_1150, "UI", sop_class).text(0x0008_1155, "UI", uid);
    })
}
