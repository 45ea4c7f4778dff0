//! A head in slices, after Shepp and Logan: skull, brain, ventricles, and a lesion that wanders.

use super::canvas::Canvas;
use crate::random::Random;

/// An ellipse in the plane of a slice.
struct Ellipse {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    turn: f64,
}

impl Ellipse {
    const fn new(x: f64, y: f64, width: f64, height: f64, turn: f64) -> Self {
        Self { x, y, width, height, turn }
    }

    /// Returns the squared distance from the middle, 1 on the rim.
    fn distance(&self, x: f64, y: f64) -> f64 {
        let (sin, cos) = self.turn.sin_cos();
        let (x, y) = (x - self.x, y - self.y);
        let (along, across) = ((x * cos + y * sin) / self.width, (y * cos - x * sin) / self.height);
        along * along + across * across
    }
}

/// The parts of a slice.
struct Slice {
    skull: Ellipse,
    brain: Ellipse,
    ventricles: [Ellipse; 2],
    nose: Ellipse,
    lesion: Ellipse,
}

/// What is at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tissue {
    Air,
    Skin,
    Bone,
    Grey,
    White,
    Fluid,
    Lesion,
}

impl Slice {
    /// Returns the slice at a height from 0, the neck, to 1, the crown.
    fn at(view: f64) -> Self {
        let rise = (view - 0.35) / 0.7;
        let size = (1.0 - rise * rise).max(0.15).sqrt();
        let open = (1.0 - ((view - 0.5) * 3.0).powi(2)).max(0.05).sqrt();
        let (sin, cos) = (view * 6.0).sin_cos();
        Self {
            skull: Ellipse::new(0.0, 0.0, 0.69 * size, 0.88 * size, 0.0),
            brain: Ellipse::new(0.0, 0.0, 0.60 * size, 0.79 * size, 0.0),
            ventricles: [
                Ellipse::new(0.16 * size, -0.05, 0.11 * open * size, 0.31 * open * size, -0.31),
                Ellipse::new(-0.16 * size, -0.05, 0.11 * open * size, 0.31 * open * size, 0.31),
            ],
            nose: Ellipse::new(0.0, -0.86 * size, 0.12 * (1.0 - view), 0.10 * (1.0 - view), 0.0),
            lesion: Ellipse::new(0.34 * cos * size, 0.45 * sin * size, 0.09, 0.09, 0.0),
        }
    }

    fn tissue(&self, x: f64, y: f64) -> Tissue {
        let from_middle = self.skull.distance(x, y);
        if from_middle > 1.12 {
            let nose = self.nose.width > 0.01 && self.nose.distance(x, y) < 1.0;
            return if nose { Tissue::Skin } else { Tissue::Air };
        }
        if from_middle > 1.0 {
            return Tissue::Skin;
        }
        if self.brain.distance(x, y) > 1.0 {
            return Tissue::Bone;
        }
        if self.lesion.distance(x, y) < 1.0 {
            return Tissue::Lesion;
        }
        if self.ventricles.iter().any(|ventricle| ventricle.distance(x, y) < 1.0) {
            return Tissue::Fluid;
        }
        // The folds of the cortex, and the cleft between the halves.
        let folds = 0.72 + 0.06 * (y.atan2(x) * 18.0).sin();
        if x.abs() < 0.012 {
            Tissue::Fluid
        } else if self.brain.distance(x, y) > folds {
            Tissue::Grey
        } else {
            Tissue::White
        }
    }
}

/// Draws a CT slice: in Hounsfield units where values are signed, plus 1,024 where they are not.
/// Signed pictures have the padding of a round field of view.
pub(super) fn ct(canvas: &mut Canvas, signed: bool, view: f64, noise: &mut Random) {
    let slice = Slice::at(view);
    canvas.paint(|x, y| {
        if signed && x * x + y * y > 1.0 {
            return -2_000;
        }
        let units = match slice.tissue(x, y) {
            Tissue::Air => -1_000,
            Tissue::Skin => -60,
            Tissue::Bone => 900,
            Tissue::Grey => 42,
            Tissue::White => 28,
            Tissue::Fluid => 4,
            Tissue::Lesion => 75,
        };
        let value = units + noise.below(9) as i32 - 4;
        if signed { value } else { (value + 1_024).max(0) }
    });
}

/// Draws a T2-weighted MR slice: fluid bright, bone dark.
pub(super) fn mr(canvas: &mut Canvas, view: f64, noise: &mut Random) {
    let slice = Slice::at(view);
    canvas.paint(|x, y| {
        let signal = match slice.tissue(x, y) {
            Tissue::Air => 20,
            Tissue::Skin => 800,
            Tissue::Bone => 90,
            Tissue::Grey => 620,
            Tissue::White => 430,
            Tissue::Fluid => 1_500,
            Tissue::Lesion => 1_150,
        };
        // Coils hear the near side better.
        let shading = 1.0 - 0.15 * y;
        (f64::from(signal) * shading) as i32 + noise.below(24) as i32
    });
}
