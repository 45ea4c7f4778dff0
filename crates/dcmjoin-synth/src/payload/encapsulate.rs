//! An encapsulated value as Python programs write it out: a basic offset table, one fragment a
//! frame, and no sequence delimiter (PS3.5 A.4).

/// The tag of an item.
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// Returns the value of Pixel Data. Several frames get a filled offset table, a single one an
/// empty table.
pub(super) fn value(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut table = Vec::new();
    if frames.len() > 1 {
        let mut offset = 0;
        for frame in frames {
            table.extend_from_slice(&u32::to_le_bytes(offset));
            offset += 8 + even(frame) as u32;
        }
    }
    let mut value = Vec::new();
    item(&mut value, &table);
    for frame in frames {
        item(&mut value, frame);
    }
    value
}

/// Appends an item, padded to an even length.
fn item(value: &mut Vec<u8>, bytes: &[u8]) {
    value.extend_from_slice(&ITEM);
    value.extend_from_slice(&(even(bytes) as u32).to_le_bytes());
    value.extend_from_slice(bytes);
    value.resize(value.len() + even(bytes) - bytes.len(), 0);
}

/// Returns the length with its padding.
const fn even(bytes: &[u8]) -> usize {
    bytes.len().next_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_from_the_first_fragment() {
        let value = value(&[vec![1, 2, 3], vec![4]]);
        let table = [ITEM, [8, 0, 0, 0], [0, 0, 0, 0], [12, 0, 0, 0]].concat();
        let first = [&ITEM[..], &[4, 0, 0, 0, 1, 2, 3, 0]].concat();
        let second = [&ITEM[..], &[2, 0, 0, 0, 4, 0]].concat();
        assert_eq!(value, [table, first, second].concat());
    }
}
