//! Private elements and their creators (PS3.5 7.8.1).

use super::lexer::Token;
use super::tape::{Element, Value};

/// The creators of one private group of a data set, as its elements pass in tag order.
#[derive(Debug, Default)]
pub(super) struct Creators {
    group: u32,
    /// One bit for each block 10 to FF.
    blocks: [u64; 4],
}

impl Creators {
    /// Takes the next element; returns false for a private one whose block nobody has reserved.
    pub(super) fn admit(&mut self, element: &Element) -> bool {
        let group = element.tag >> 16;
        if group.is_multiple_of(2) {
            return true;
        }
        if group != self.group {
            *self = Self { group, blocks: [0; 4] };
        }
        let number = element.tag & 0xFFFF;
        if (0x10..=0xFF).contains(&number) {
            let named = !matches!(element.value, Value::Absent | Value::One(Token::Null));
            self.blocks[(number / 64) as usize] |= u64::from(named) << (number % 64);
            return true;
        }
        let block = number >> 8;
        block >= 0x10 && self.blocks[(block / 64) as usize] >> (block % 64) & 1 == 1
    }
}
