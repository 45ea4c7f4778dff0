//! JPEG-LS, lossless (ITU-T T.87): one component of 16-bit words. Names are those of the standard.

#![expect(clippy::many_single_char_names, reason = "the standard's names")]

use crate::recipe::Geometry;

/// How many gradients contexts there are, and two for ends of runs.
const CONTEXTS: usize = 365;
/// Statistics are halved after that many pixels.
const RESET: i32 = 64;
/// The order of run lengths (T.87 A.2.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// The statistics of a context.
#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// The statistics of ends of runs.
#[derive(Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

/// A picture being encoded.
struct Encoder {
    max: i32,
    bits_per_error: u32,
    limit: u32,
    thresholds: [i32; 3],
    contexts: Vec<Context>,
    runs: [RunContext; 2],
    run_index: usize,
    bits: Bits,
}

/// Bits on their way into bytes; after a byte of ones comes one of seven bits.
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    free: u32,
}

/// Returns the codestream of a picture.
pub(super) fn encode(pixels: &[u16], geometry: &Geometry) -> Vec<u8> {
    let columns = geometry.columns as usize;
    let mut encoder = Encoder::new(geometry);
    // Rows with a neighbour on either side; all before the first row is zero.
    let mut above = vec![0; columns + 2];
    let mut row = vec![0; columns + 2];
    for line in pixels.chunks_exact(columns) {
        for (sample, &pixel) in row[1..].iter_mut().zip(line) {
            *sample = i32::from(pixel);
        }
        above[columns + 1] = above[columns];
        row[0] = above[1];
        encoder.line(&above, &row, columns);
        std::mem::swap(&mut above, &mut row);
    }
    encoder.bits.end()
}

impl Encoder {
    fn new(geometry: &Geometry) -> Self {
        let max = (1 << geometry.bits_stored) - 1;
        let factor = (max.min(4_095) + 128) / 256;
        let bits = geometry.bits_stored.max(2);
        let a = ((max + 1 + 32) / 64).max(2);
        Self {
            max,
            bits_per_error: geometry.bits_stored,
            limit: 2 * (bits + bits.max(8)),
            thresholds: [factor + 2, factor * 4 + 3, factor * 17 + 4],
            contexts: vec![Context { a, b: 0, c: 0, n: 1 }; CONTEXTS],
            runs: [RunContext { a, n: 1, negative: 0 }; 2],
            run_index: 0,
            bits: Bits { bytes: start(geometry), held: 0, free: 8 },
        }
    }

    /// Encodes a row; index 1 of both rows is the first pixel.
    fn line(&mut self, above: &[i32], row: &[i32], columns: usize) {
        let mut x = 1;
        while x <= columns {
            let [a, b, c, d] = [row[x - 1], above[x], above[x - 1], above[x + 1]];
            if a == b && b == c && c == d {
                x = self.run(above, row, x, columns);
            } else {
                self.regular(row[x], [a, b, c, d]);
                x += 1;
            }
        }
    }

    /// Encodes a pixel by its context (T.87 A.4 to A.6).
    fn regular(&mut self, sample: i32, [a, b, c, d]: [i32; 4]) {
        let gradients = [d - b, b - c, c - a].map(|gradient| self.quantize(gradient));
        let number = (gradients[0] * 9 + gradients[1]) * 9 + gradients[2];
        let sign = if number < 0 { -1 } else { 1 };
        let context = &mut self.contexts[number.unsigned_abs() as usize];

        let edge = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (edge + sign * context.c).clamp(0, self.max);
        let error = wrap(sign * (sample - predicted), self.max + 1);

        let k = golomb_order(context.n, context.a);
        let mapped = if k == 0 && 2 * context.b <= -context.n {
            if error >= 0 { 2 * error + 1 } else { -2 * (error + 1) }
        } else if error >= 0 {
            2 * error
        } else {
            -2 * error - 1
        };
        context.update(error);
        self.bits.golomb(mapped.unsigned_abs(), k, self.limit, self.bits_per_error);
    }

    /// Encodes a run that begins at a pixel, and returns where it goes on (T.87 A.7).
    fn run(&mut self, above: &[i32], row: &[i32], start: usize, columns: usize) -> usize {
        let value = row[start - 1];
        let mut length = row[start..=columns].iter().take_while(|&&sample| sample == value).count();
        let end = start + length;
        while length >= 1 << J[self.run_index] {
            self.bits.push(1, 1);
            length -= 1 << J[self.run_index];
            self.run_index = (self.run_index + 1).min(J.len() - 1);
        }
        if end > columns {
            if length > 0 {
                self.bits.push(1, 1);
            }
            return end;
        }
        self.bits.push(0, 1);
        self.bits.push(length as u32, J[self.run_index]);
        self.run_end(row[end], value, above[end]);
        self.run_index = self.run_index.saturating_sub(1);
        end + 1
    }

    /// Encodes the pixel that ends a run.
    fn run_end(&mut self, sample: i32, a: i32, b: i32) {
        let level = i32::from(a == b);
        let context = &mut self.runs[usize::from(a == b)];
        let sign = if level == 0 && a > b { -1 } else { 1 };
        let predicted = if level == 1 { a } else { b };
        let error = wrap(sign * (sample - predicted), self.max + 1);

        let k = golomb_order(context.n, context.a + level * (context.n >> 1));
        let mostly_negative = 2 * context.negative >= context.n;
        let map =
            (k == 0 && error > 0 && !mostly_negative) || (error < 0 && (mostly_negative || k != 0));
        let mapped = 2 * error.abs() - level - i32::from(map);
        context.update(error, mapped, level);
        let limit = self.limit - J[self.run_index] - 1;
        self.bits.golomb(mapped.unsigned_abs(), k, limit, self.bits_per_error);
    }

    /// Returns the region of a gradient, from -4 to 4.
    fn quantize(&self, gradient: i32) -> i32 {
        let [low, middle, high] = self.thresholds;
        let region = match gradient.abs() {
            0 => 0,
            size if size < low => 1,
            size if size < middle => 2,
            size if size < high => 3,
            _ => 4,
        };
        region * gradient.signum()
    }
}

impl Context {
    fn update(&mut self, error: i32) {
        self.b += error;
        self.a += error.abs();
        if self.n == RESET {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}

impl RunContext {
    fn update(&mut self, error: i32, mapped: i32, level: i32) {
        self.negative += i32::from(error < 0);
        self.a += (mapped + 1 - level) >> 1;
        if self.n == RESET {
            self.a >>= 1;
            self.n >>= 1;
            self.negative >>= 1;
        }
        self.n += 1;
    }
}

/// Returns the error modulo the range, as close to zero as it gets.
const fn wrap(error: i32, range: i32) -> i32 {
    let error = if error < 0 { error + range } else { error };
    if error >= (range + 1) / 2 { error - range } else { error }
}

/// Returns how many low bits of an error are written as they are.
const fn golomb_order(n: i32, a: i32) -> u32 {
    let mut k = 0;
    while n << k < a {
        k += 1;
    }
    k
}

/// Returns everything before the bits.
fn start(geometry: &Geometry) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xF7, 0, 11, geometry.bits_stored as u8];
    bytes.extend((geometry.rows as u16).to_be_bytes());
    bytes.extend((geometry.columns as u16).to_be_bytes());
    bytes.extend([1, 1, 0x11, 0]);
    // One component; no loss allowed, no interleaving, no point transform.
    bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]);
    bytes
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.held = self.held << 1 | (value >> bit & 1);
            self.free -= 1;
            if self.free == 0 {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let byte = self.held as u8;
        self.bytes.push(byte);
        self.held = 0;
        self.free = if byte == 0xFF { 7 } else { 8 };
    }

    /// Appends a number by its Golomb code of limited length (T.87 A.5.3).
    fn golomb(&mut self, value: u32, k: u32, limit: u32, bits_per_error: u32) {
        let zeros = limit - bits_per_error - 1;
        if value >> k < zeros {
            self.zeros_and_one(value >> k);
            self.push(value & ((1 << k) - 1), k);
        } else {
            self.zeros_and_one(zeros);
            self.push(value - 1, bits_per_error);
        }
    }

    fn zeros_and_one(&mut self, zeros: u32) {
        for _ in 0..zeros {
            self.push(0, 1);
        }
        self.push(1, 1);
    }

    /// Fills the last byte with zeros, and ends the codestream.
    fn end(mut self) -> Vec<u8> {
        let whole = if self.bytes.last() == Some(&0xFF) { 7 } else { 8 };
        // A byte of ones must not stand before the marker.
        if self.free < whole || whole == 7 {
            self.push(0, self.free);
        }
        self.bytes.extend([0xFF, 0xD9]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_wrapped_into_half_the_range() {
        assert_eq!(
            [wrap(5, 256), wrap(-5, 256), wrap(128, 256), wrap(-200, 256)],
            [5, -5, -128, 56]
        );
    }

    /// The example of T.87 H.3: a picture of four by four, and its codestream.
    #[test]
    fn the_example_of_the_standard_comes_out() {
        let pixels = [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];
        let geometry = Geometry {
            rows: 4,
            columns: 4,
            frames: 1,
            samples: 1,
            bits_allocated: 16,
            bits_stored: 8,
            signed: false,
            photometric: "MONOCHROME2",
        };
        let codestream = encode(&pixels, &geometry);
        let bits = &codestream[25..];
        assert_eq!(
            bits,
            [
                0xC0, 0x00, 0x00, 0x6C, 0x80, 0x20, 0x8E, 0x01, 0xC0, 0x00, 0x00, 0x57, 0x40, 0x00,
                0x00, 0x6E, 0xE6, 0x00, 0x00, 0x01, 0xBC, 0x18, 0x00, 0x00, 0x05, 0xD8, 0x00, 0x00,
                0x91, 0x60, 0xFF, 0xD9
            ]
        );
    }
}
