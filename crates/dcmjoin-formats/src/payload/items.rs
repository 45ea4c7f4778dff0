//! The items of an encapsulated value (PS3.5 A.4): offset table and fragments.
//!
//! Input: bytes that begin with an item tag. Output: the offset table and the places of the
//! fragments; the sequence delimiter may be missing, as it is in what pydicom's `PixelData` holds.
//!
//! **Invariants:** items are passed by their length alone, so item tags inside a fragment confuse
//! nothing. An item that passes the end, or bytes that are no item before the delimiter, are
//! `payload_damaged`.

use std::ops::Range;

use dcmjoin_model::Rejection;

use super::PayloadLimits;
use super::codestream::damaged;
use super::magic::{Form, ITEM, SEQUENCE_END};
use super::scan::le32;

/// The bytes of an item's tag and length.
pub(crate) const ITEM_HEADER_BYTES: usize = 8;

/// The items of a value.
#[derive(Debug)]
pub(super) struct Items {
    /// Offsets of the frames' first items, from the first fragment's item tag; empty where the
    /// value has none.
    pub(super) offsets: Vec<u32>,
    /// The contents of each fragment.
    pub(super) fragments: Vec<Range<usize>>,
    /// Bytes other than padding stand behind the items.
    pub(super) trailing: bool,
}

impl Items {
    /// Returns where each fragment's item tag lies, counted as offset tables count.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        let base = self.fragments.first().map_or(0, |first| first.start);
        self.fragments.iter().map(move |fragment| (fragment.start - base) as u64)
    }
}

/// Walks the items.
pub(super) fn parse(bytes: &[u8], limits: &PayloadLimits) -> Result<Items, Rejection> {
    let mut fragments = Vec::new();
    let mut at = 0;
    while bytes[at..].starts_with(&ITEM) {
        let start = at + ITEM_HEADER_BYTES;
        let length = le32(bytes, at + ITEM.len());
        let end = length.map_or(usize::MAX, |length| start.saturating_add(length as usize));
        if end > bytes.len() {
            let got = bytes.len().saturating_sub(start);
            let expected = length.map_or("a length".into(), |length| format!("{length} bytes"));
            return Err(damaged(format!("item at byte {at}: expected {expected}, got {got}")));
        }
        fragments.push(start..end);
        if fragments.len() > limits.fragments_max {
            return Err(damaged(format!("more than {} fragments", limits.fragments_max)));
        }
        at = end;
    }
    let trailing = end_of_items(bytes, at)?;
    let offsets = offset_table(bytes, &fragments);
    if offsets.is_some() {
        fragments.remove(0);
    }
    if fragments.is_empty() {
        return Err(damaged(format!("no fragment in {at} bytes of items")));
    }
    Ok(Items { offsets: offsets.unwrap_or_default(), fragments, trailing })
}

/// Reads what stands behind the last item: the delimiter or nothing, and perhaps padding. Returns
/// whether other bytes follow.
fn end_of_items(bytes: &[u8], at: usize) -> Result<bool, Rejection> {
    let padding = |rest: &[u8]| rest.iter().all(|&byte| byte == 0);
    let rest = &bytes[at..];
    if rest.starts_with(&SEQUENCE_END) {
        return Ok(!padding(rest.get(ITEM_HEADER_BYTES..).unwrap_or_default()));
    }
    if padding(rest) {
        return Ok(false);
    }
    Err(damaged(format!("expected an item or the sequence delimiter at byte {at}, got neither")))
}

/// Reads the first item as an offset table. `None` where it is a fragment: some writers leave the
/// table out, though PS3.5 A.4 wants its item even when empty.
fn offset_table(bytes: &[u8], items: &[Range<usize>]) -> Option<Vec<u32>> {
    let first = &bytes[items.first()?.clone()];
    let is_table = first.is_empty()
        || (first.len().is_multiple_of(4) && le32(first, 0) == Some(0))
        || (items.len() > 1 && first.len().is_multiple_of(4) && Form::of(first).is_none());
    is_table.then(|| first.chunks_exact(4).filter_map(|word| le32(word, 0)).collect())
}

#[cfg(test)]
mod tests {
    use dcmjoin_model::Reason;

    use super::*;

    fn item(contents: &[u8]) -> Vec<u8> {
        [&ITEM[..], &u32::try_from(contents.len()).unwrap().to_le_bytes(), contents].concat()
    }

    fn check(bytes: &[u8], offsets: &[u32], lengths: &[usize], trailing: bool) {
        let items = parse(bytes, &PayloadLimits::default()).unwrap();
        let got: Vec<_> = items.fragments.iter().map(ExactSizeIterator::len).collect();
        assert_eq!((&items.offsets[..], &got[..], items.trailing), (offsets, lengths, trailing));
    }

    #[test]
    fn tables_and_delimiters_are_optional() {
        let one = item(&[0xff, 0xd8]);
        let end = [&SEQUENCE_END[..], &[0; 4]].concat();
        check(&[item(&[]), one.clone()].concat(), &[], &[2], false);
        check(&[item(&[]), one.clone(), end.clone()].concat(), &[], &[2], false);
        check(&[item(&[0; 4]), one.clone(), end.clone(), vec![0]].concat(), &[0], &[2], false);
        check(&[item(&[]), one.clone(), end, vec![7]].concat(), &[], &[2], true);
        check(&one, &[], &[2], false);
    }

    #[test]
    fn starts_count_from_the_first_fragment() {
        let bytes = [item(&[]), item(&[1; 4]), item(&[2; 2]), item(&[3; 6])].concat();
        let items = parse(&bytes, &PayloadLimits::default()).unwrap();
        assert_eq!(items.starts().collect::<Vec<_>>(), [0, 12, 22]);
    }

    #[test]
    fn broken_items_are_damage() {
        let undefined = [&ITEM[..], &[0xff; 4], &[0; 8]].concat();
        let garbage = [item(&[]), item(&[1; 4]), vec![1, 2, 3]].concat();
        for bytes in [&ITEM[..], &undefined, &garbage, &item(&[]), &item(&[1; 4])[..10]] {
            let error = parse(bytes, &PayloadLimits::default()).unwrap_err();
            assert_eq!(error.reason, Reason::PayloadDamaged, "{bytes:02x?}");
        }
    }
}
