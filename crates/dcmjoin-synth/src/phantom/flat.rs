//! The pictures that are no slices: a chest, an ultrasound sector, a screen, a bone scan, a mask.

use super::canvas::Canvas;
use crate::random::Random;

/// Returns 1 in the middle of an ellipse, 0 on its rim and outside.
fn dome(x: f64, y: f64, width: f64, height: f64) -> f64 {
    (1.0 - (x / width).powi(2) - (y / height).powi(2)).max(0.0)
}

/// Draws a chest radiograph, bone bright: lungs, ribs, spine, heart, and a nodule.
pub(super) fn chest(canvas: &mut Canvas, bits: u32, view: f64, noise: &mut Random) {
    let white = f64::from((1_u32 << bits) - 1);
    let breath = 0.9 + 0.12 * view;
    let (nodule_x, nodule_y) = (if view < 0.5 { 0.42 } else { -0.42 }, view * 0.9 - 0.5);
    canvas.paint(|x, y| {
        let waist = 0.92 + 0.06 * (y * 2.0).cos();
        let body = dome(x, y - 0.1, waist, 1.9).sqrt();
        let mut shade = 0.04 + 0.62 * body;
        let lung = dome(x.abs() - 0.42, y + 0.05, 0.32 * breath, 0.68 * breath).sqrt();
        shade -= 0.45 * lung.min(0.8);
        let rib = ((y - 0.35 * x * x) * 24.0).sin();
        shade += 0.07 * rib.max(0.0) * lung.min(0.5);
        let clavicle = (y + 0.62 + 0.15 * (x.abs() - 0.4)).abs();
        if clavicle < 0.025 && x.abs() < 0.75 {
            shade += 0.12;
        }
        shade += 0.30 * dome(x, 0.0, 0.09, 1.0).sqrt();
        shade += 0.26 * dome(x - 0.14, y - 0.28, 0.34, 0.36).sqrt();
        shade += 0.30 * dome(x - nodule_x, y - nodule_y, 0.06, 0.06);
        // A ruler along the left rim, so that scale and orientation show.
        if x < -0.94 && (y * 10.0).rem_euclid(1.0) < 0.15 {
            shade = 0.9;
        }
        let grain = noise.below(64) as i32 * (1 << bits) / 8_192;
        ((shade.clamp(0.0, 0.95) * white) as i32 + grain).min((1 << bits) - 1)
    });
}

/// Draws an ultrasound frame: a fan of speckle, a chamber that beats, a coloured jet.
pub(super) fn sector(canvas: &mut Canvas, view: f64, moment: f64, noise: &mut Random) {
    let beat = 0.75 + 0.25 * (moment * std::f64::consts::TAU).sin();
    let side = 0.5 * (view - 0.5);
    canvas.paint_rgb(|x, y| {
        let (depth, angle) = (x.hypot(y + 1.0), x.atan2(y + 1.0));
        if !(0.12..=1.85).contains(&depth) || angle.abs() > 0.75 {
            return [0, 0, 0];
        }
        let speckle = (noise.below(256) * noise.below(256) / 256) as i32;
        let wall = dome(x - side, y - 0.05, 0.48 * beat, 0.58 * beat);
        let gain = match wall {
            wall if wall > 0.35 => 0.12,
            wall if wall > 0.0 => 1.5,
            _ => 0.8 - 0.25 * depth,
        };
        let grey = ((f64::from(speckle + 40) * gain) as i32).clamp(6, 255);
        let jet = dome(x - side, y - 0.1 + 0.2 * beat, 0.10, 0.30);
        if jet > 0.0 && moment < 0.6 {
            return [200, (120.0 * (1.0 - jet)) as i32, 20];
        }
        if jet > 0.0 { [20, (120.0 * jet) as i32, 220] } else { [grey, grey, grey] }
    });
}

/// Draws a screen capture: colour bars, a ramp, and a curve.
pub(super) fn screen(canvas: &mut Canvas, view: f64) {
    const BARS: [[i32; 3]; 8] = [
        [235, 235, 235],
        [235, 235, 16],
        [16, 235, 235],
        [16, 235, 16],
        [235, 16, 235],
        [235, 16, 16],
        [16, 16, 235],
        [40, 40, 40],
    ];
    canvas.paint_rgb(|x, y| {
        let across = f64::midpoint(x, 1.0);
        if y < -0.72 {
            return [24, 32, 64];
        }
        if y < 0.0 {
            let bar = (across * 8.0 + view * 8.0) as i32 % 8;
            return BARS[bar.unsigned_abs() as usize];
        }
        if y < 0.3 {
            return [(across * 255.0) as i32; 3];
        }
        let curve = 0.65 + 0.25 * (x * 9.0 + view * 12.0).sin();
        if (y - curve).abs() < 0.03 { [90, 250, 120] } else { [12, 20, 30] }
    });
}

/// Draws a bone scan: a skeleton of counts seen from an angle, and two hot spots.
pub(super) fn bones(canvas: &mut Canvas, view: f64, moment: f64, noise: &mut Random) {
    let turn = (moment * std::f64::consts::PI).cos();
    let spot = 0.6 * view - 0.2;
    canvas.paint(|x, y| {
        let x = x * 1.4;
        let body = dome(x, y, 0.75, 1.0);
        let skull = dome(x, y + 0.78, 0.24, 0.2);
        let spine = dome(x - 0.05 * turn, y - 0.05, 0.07, 0.8).sqrt();
        let ribs = dome(x, y + 0.2, 0.55, 0.4) * (y * 30.0 + x.abs() * 6.0).sin().max(0.0);
        let pelvis = dome(x, y - 0.6, 0.5, 0.18);
        let hot = dome(x - 0.3 * turn, y - spot, 0.09, 0.07)
            + dome(x + 0.25 * turn, y + 0.35, 0.06, 0.05);
        let mean =
            6.0 + 40.0 * body + 160.0 * (skull + spine + ribs) + 130.0 * pelvis + 600.0 * hot;
        // Counts scatter by their root, as decays do.
        let scatter = mean.sqrt() * f64::from(noise.below(1_000) as i32 - 500) / 500.0;
        (mean + scatter).max(0.0) as i32
    });
}

/// Draws a mask: the lesion of a head, growing and shrinking through the frames.
pub(super) fn mask(canvas: &mut Canvas, view: f64, moment: f64) {
    let size = 0.25 + 0.3 * (moment * std::f64::consts::PI).sin();
    let (sin, cos) = (view * 6.0).sin_cos();
    canvas.paint(|x, y| i32::from(dome(x - 0.3 * cos, y - 0.3 * sin, size, size * 1.3) > 0.0));
}
