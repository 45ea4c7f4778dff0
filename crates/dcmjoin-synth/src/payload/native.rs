//! Native pixels: frames joined, and retouched so that every instance differs to the eye.

use crate::phantom;
use crate::plan::Instance;
use crate::recipe::Geometry;

/// Returns the frames as one value. Single bits are packed over all frames, lowest bit first
/// (PS3.5 8.1.1, D.2).
pub(super) fn join(frames: &[Vec<u8>], geometry: &Geometry) -> Vec<u8> {
    let joined = frames.concat();
    if geometry.bits_allocated != 1 {
        return joined;
    }
    let pack = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    joined.chunks(8).map(pack).collect()
}

/// Burns an instance's number and a mark at a place of its own into every frame. `version` moves
/// the mark.
pub(super) fn retouch(value: &mut [u8], instance: &Instance<'_>, version: u32) {
    let geometry = instance.geometry();
    if geometry.bits_allocated == 1 {
        // A mask has no room for letters: turn over one pixel of the frame.
        let pixel = instance.random().below(u64::from(geometry.rows * geometry.columns)) as u32;
        let bit = (pixel + version) as usize;
        value[bit / 8] ^= 1 << (bit % 8);
        return;
    }
    let ink = phantom::text_value(&geometry);
    let scale = phantom::text_scale(&geometry);
    let number = (instance.index + 1).to_string();
    let mark = mark(instance, &geometry, version);
    for frame in value.chunks_exact_mut(geometry.frame_bytes()) {
        let mut put = |x: u32, y: u32| set(frame, &geometry, x, y, ink);
        let top = geometry.rows - 9 * scale;
        phantom::draw_text(&number, 2 * scale, top, scale, &mut put);
        disc(mark, geometry.rows / 40 + 1, &mut put);
    }
}

/// Returns the middle of the mark: on a circle around the middle, well inside the picture.
#[expect(clippy::cast_sign_loss, reason = "the circle is inside the picture")]
fn mark(instance: &Instance<'_>, geometry: &Geometry, version: u32) -> (u32, u32) {
    let turn = instance.random().below(1 << 16) as u32 + version * (1 << 14);
    let angle = f64::from(turn) / f64::from(1 << 16) * std::f64::consts::TAU;
    let (sin, cos) = angle.sin_cos();
    let place = |side: u32, along: f64| ((0.5 + 0.3 * along) * f64::from(side)) as u32;
    (place(geometry.columns, cos), place(geometry.rows, sin))
}

/// Calls `put` for each pixel of a disc, which is inside the picture.
fn disc((x, y): (u32, u32), radius: u32, mut put: impl FnMut(u32, u32)) {
    for row in 0..=2 * radius {
        for column in 0..=2 * radius {
            let (across, down) = (column.abs_diff(radius), row.abs_diff(radius));
            if across * across + down * down <= radius * radius {
                put(x + column - radius, y + row - radius);
            }
        }
    }
}

/// Sets all samples of a pixel, where it is inside the frame.
#[expect(clippy::cast_sign_loss, reason = "two's complement is what pixels are in")]
fn set(frame: &mut [u8], geometry: &Geometry, x: u32, y: u32, ink: i32) {
    if x >= geometry.columns || y >= geometry.rows {
        return;
    }
    let pixel = (y * geometry.columns + x) as usize;
    let samples = geometry.samples as usize;
    if geometry.bits_allocated == 8 {
        frame[pixel * samples..(pixel + 1) * samples].fill(ink as u8);
    } else {
        frame[pixel * 2..pixel * 2 + 2].copy_from_slice(&(ink as u16).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Preset, Recipe};

    #[test]
    fn bits_are_packed_lowest_first_over_frames() {
        let geometry = Recipe::SegBits.spec().geometry(Preset::Small);
        let frames = [vec![1, 0, 0, 0, 0], vec![1, 1, 0, 1, 1]];
        assert_eq!(join(&frames, &geometry), [0b0110_0001, 0b11]);
    }
}
