//! JPEG Lossless, process 14 with first-order prediction (ITU-T T.81 H): one component of 16-bit
//! words, predicted from the left.

use crate::recipe::Geometry;

/// How many codes there are of 1, 2, ... 16 bits: one for each of the 17 categories of
/// differences, small ones first.
const CODE_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0];

/// Bits on their way into bytes.
struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

/// Returns the codestream of a picture.
pub(super) fn encode(pixels: &[u16], geometry: &Geometry) -> Vec<u8> {
    let codes = codes();
    let columns = geometry.columns as usize;
    let mut bits = Bits { bytes: start(geometry), held: 0, count: 0 };
    for (at, &pixel) in pixels.iter().enumerate() {
        let predicted = match (at / columns, at % columns) {
            (0, 0) => 1 << (geometry.bits_stored - 1),
            (_, 0) => pixels[at - columns],
            _ => pixels[at - 1],
        };
        bits.difference(pixel.wrapping_sub(predicted), &codes);
    }
    bits.end()
}

/// Returns everything before the bits: the picture's frame, its code table, its scan.
fn start(geometry: &Geometry) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xC3, 0, 11, geometry.bits_stored as u8];
    bytes.extend((geometry.rows as u16).to_be_bytes());
    bytes.extend((geometry.columns as u16).to_be_bytes());
    bytes.extend([1, 1, 0x11, 0]);
    bytes.extend([0xFF, 0xC4, 0, 36, 0]);
    bytes.extend(CODE_COUNTS);
    bytes.extend(0..17);
    // One component with table 0; selection value 1 is the pixel to the left.
    bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0]);
    bytes
}

/// Returns code and length of each category (T.81 C.2).
fn codes() -> Vec<(u32, u32)> {
    let mut codes = Vec::with_capacity(17);
    let mut code = 0;
    for (length, count) in (1..).zip(CODE_COUNTS) {
        for _ in 0..count {
            codes.push((code, length));
            code += 1;
        }
        code <<= 1;
    }
    codes
}

impl Bits {
    /// Appends a difference modulo 65,536: its category, then which of the category it is.
    fn difference(&mut self, difference: u16, codes: &[(u32, u32)]) {
        let negative = difference > 1 << 15;
        let size = if negative { difference.wrapping_neg() } else { difference };
        let category = 16 - size.leading_zeros();
        let (code, length) = codes[category as usize];
        self.push(code, length);
        // Category 16 is the one difference of 32,768, and needs no more.
        if category > 0 && category < 16 {
            let which = if negative { difference.wrapping_sub(1) } else { difference };
            self.push(u32::from(which) & ((1 << category) - 1), category);
        }
    }

    fn push(&mut self, value: u32, count: u32) {
        self.held = self.held << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.bytes.push(byte);
            // A zero tells the value 255 from a marker.
            if byte == 0xFF {
                self.bytes.push(0);
            }
        }
    }

    /// Fills the last byte with ones, and ends the codestream.
    fn end(mut self) -> Vec<u8> {
        let missing = (8 - self.count % 8) % 8;
        self.push((1 << missing) - 1, missing);
        self.bytes.extend([0xFF, 0xD9]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_prefix_free_and_never_all_ones() {
        let codes = codes();
        assert_eq!(codes.len(), 17);
        for (at, &(code, length)) in codes.iter().enumerate() {
            assert_ne!(code, (1 << length) - 1);
            for &(other, longer) in &codes[at + 1..] {
                assert_ne!(other >> (longer - length), code);
            }
        }
    }

    #[test]
    fn differences_are_coded_as_the_standard_says() {
        let coded = |difference: i16| {
            let mut bits = Bits { bytes: Vec::new(), held: 0, count: 0 };
            #[expect(clippy::cast_sign_loss, reason = "differences are modulo 65,536")]
            bits.difference(difference as u16, &codes());
            (bits.held, bits.count)
        };
        assert_eq!(coded(0), (0b00, 2));
        assert_eq!(coded(1), (0b0101, 4));
        assert_eq!(coded(-1), (0b0100, 4));
        assert_eq!(coded(-3), (0b01100, 5));
    }
}
