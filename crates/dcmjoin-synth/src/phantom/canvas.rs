//! A picture while it is drawn: samples by pixel, wide enough for any depth.

use super::text;

/// A picture.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    width: u32,
    height: u32,
    samples: u32,
    values: Vec<i32>,
}

impl Canvas {
    /// Returns a picture of zeros.
    pub(crate) fn new(width: u32, height: u32, samples: u32) -> Self {
        Self { width, height, samples, values: vec![0; (width * height * samples) as usize] }
    }

    /// Returns the samples, by pixel.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[i32] {
        &self.values
    }

    /// Paints every pixel from its place; places go from -1 to 1 along both sides.
    pub(crate) fn paint(&mut self, mut colour: impl FnMut(f64, f64) -> i32) {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let samples = self.samples as usize;
        let mut pixels = self.values.chunks_exact_mut(samples);
        for row in 0..self.height {
            let y = (f64::from(row) + 0.5) / height * 2.0 - 1.0;
            for column in 0..self.width {
                let x = (f64::from(column) + 0.5) / width * 2.0 - 1.0;
                if let Some(pixel) = pixels.next() {
                    pixel.fill(colour(x, y));
                }
            }
        }
    }

    /// Paints every pixel in colour.
    pub(crate) fn paint_rgb(&mut self, mut colour: impl FnMut(f64, f64) -> [i32; 3]) {
        let (width, height) = (self.width, self.height);
        for (at, pixel) in self.values.chunks_exact_mut(3).enumerate() {
            let (row, column) = (at as u32 / width, at as u32 % width);
            let x = (f64::from(column) + 0.5) / f64::from(width) * 2.0 - 1.0;
            let y = (f64::from(row) + 0.5) / f64::from(height) * 2.0 - 1.0;
            pixel.copy_from_slice(&colour(x, y));
        }
    }

    /// Turns black to white.
    pub(crate) fn invert(&mut self, white: i32) {
        for value in &mut self.values {
            *value = white - *value;
        }
    }

    /// Burns in a line of text.
    pub(crate) fn write(&mut self, left: u32, top: u32, scale: u32, line: &str, value: i32) {
        let (width, height, samples) = (self.width, self.height, self.samples);
        text::draw(line, left, top, scale, |x, y| {
            if x < width && y < height {
                let at = ((y * width + x) * samples) as usize;
                self.values[at..at + samples as usize].fill(value);
            }
        });
    }

    /// Returns the samples as bytes, little-endian where they are more than one.
    #[expect(clippy::cast_sign_loss, reason = "two's complement is what pixels are in")]
    pub(crate) fn bytes(&self, bits_allocated: u32) -> Vec<u8> {
        if bits_allocated <= 8 {
            self.values.iter().map(|&value| value as u8).collect()
        } else {
            self.values.iter().flat_map(|&value| (value as u16).to_le_bytes()).collect()
        }
    }
}
