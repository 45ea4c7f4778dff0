//! Elements in Explicit VR Little Endian (PS3.5 7.1.2): headers with 16-bit and 32-bit lengths.

/// A tag: group and element.
pub(super) type Tag = (u16, u16);

/// (7FE0,0001) Extended Offset Table.
pub(super) const EXTENDED_OFFSETS: Tag = (0x7fe0, 0x0001);
/// (7FE0,0002) Extended Offset Table Lengths.
pub(super) const EXTENDED_LENGTHS: Tag = (0x7fe0, 0x0002);
/// (7FE0,0010) Pixel Data.
pub(super) const PIXEL_DATA: Tag = (0x7fe0, 0x0010);
/// (FFFE,E000) Item.
pub(super) const ITEM: Tag = (0xfffe, 0xe000);
/// (FFFE,E00D) Item Delimitation Item.
pub(super) const ITEM_END: Tag = (0xfffe, 0xe00d);
/// (FFFE,E0DD) Sequence Delimitation Item.
pub(super) const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
/// The length that stands for "until the delimiter".
pub(super) const UNDEFINED: u32 = u32::MAX;

/// Returns true for the VRs whose length has 32 bits behind two reserved bytes.
pub(super) fn is_long(vr: [u8; 2]) -> bool {
    matches!(
        &vr,
        b"OB"
            | b"OD"
            | b"OF"
            | b"OL"
            | b"OV"
            | b"OW"
            | b"SQ"
            | b"SV"
            | b"UC"
            | b"UN"
            | b"UR"
            | b"UT"
            | b"UV"
    )
}

pub(super) fn put_tag(out: &mut Vec<u8>, (group, element): Tag) {
    out.extend_from_slice(&group.to_le_bytes());
    out.extend_from_slice(&element.to_le_bytes());
}

/// Puts the header of an item, or of an element without a VR.
pub(super) fn put_item(out: &mut Vec<u8>, tag: Tag, length: u32) {
    put_tag(out, tag);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Puts the header of an element with a 32-bit length.
pub(super) fn put_long_header(out: &mut Vec<u8>, tag: Tag, vr: [u8; 2], length: u32) {
    put_tag(out, tag);
    out.extend_from_slice(&vr);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Puts an element with a 32-bit length; the value is of an even length.
pub(super) fn put_long(out: &mut Vec<u8>, tag: Tag, vr: [u8; 2], value: &[u8]) {
    put_long_header(out, tag, vr, value.len() as u32);
    out.extend_from_slice(value);
}

/// Puts an element with a 16-bit length, padded to an even one: text with a space, others with NUL.
pub(super) fn put_short(out: &mut Vec<u8>, tag: Tag, vr: [u8; 2], value: &[u8]) {
    put_tag(out, tag);
    out.extend_from_slice(&vr);
    out.extend_from_slice(&(value.len().next_multiple_of(2) as u16).to_le_bytes());
    out.extend_from_slice(value);
    if value.len() % 2 == 1 {
        out.push(if vr == *b"UI" { 0 } else { b' ' });
    }
}
