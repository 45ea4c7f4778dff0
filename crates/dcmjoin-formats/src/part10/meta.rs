//! File meta information (PS3.10 7.1): always built afresh, always in Explicit VR Little Endian.

use dcmjoin_model::{TransferSyntax, Uid};

use super::elements::{put_long, put_short};
use super::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, PREAMBLE_BYTES, PREFIX};

/// (0002,0001): version 1 of this encoding, as the two bytes 00 01.
const VERSION: [u8; 2] = [0, 1];

/// Returns the preamble, the prefix and group 0002.
pub(super) fn write(sop_class: &Uid, instance: &Uid, syntax: TransferSyntax) -> Vec<u8> {
    let mut group = Vec::with_capacity(512);
    put_long(&mut group, (2, 0x0001), *b"OB", &VERSION);
    put_short(&mut group, (2, 0x0002), *b"UI", sop_class.as_str().as_bytes());
    put_short(&mut group, (2, 0x0003), *b"UI", instance.as_str().as_bytes());
    put_short(&mut group, (2, 0x0010), *b"UI", syntax.uid().as_bytes());
    put_short(&mut group, (2, 0x0012), *b"UI", IMPLEMENTATION_CLASS_UID.as_bytes());
    put_short(&mut group, (2, 0x0013), *b"SH", IMPLEMENTATION_VERSION_NAME.as_bytes());

    let mut bytes = vec![0; PREAMBLE_BYTES];
    bytes.extend_from_slice(PREFIX);
    put_short(&mut bytes, (2, 0x0000), *b"UL", &(group.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&group);
    bytes
}
