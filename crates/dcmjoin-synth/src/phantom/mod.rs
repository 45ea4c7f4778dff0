//! The pictures: phantoms that a person recognises, drawn from a few numbers.
//!
//! A view goes from 0 to 1 through the body or the movement, so the slices of a series differ as
//! those of a scan do. The name of the modality is burnt in.

mod canvas;
mod flat;
mod head;
mod text;

pub(crate) use canvas::Canvas;
pub(crate) use text::draw as draw_text;

use crate::random::{Random, Use};
use crate::recipe::{Geometry, Scene};

/// Returns one frame. `view` and `moment` go from 0 to 1: which slice or patient, and which frame.
pub(crate) fn render(
    scene: Scene,
    geometry: &Geometry,
    view: f64,
    moment: f64,
    label: &str,
) -> Canvas {
    let mut canvas = Canvas::new(geometry.columns, geometry.rows, geometry.samples);
    // The noise of a frame, the same whenever the frame is drawn.
    let mut noise = Random::of(scene as u64, Use::Pixels, view.to_bits(), moment.to_bits());
    match scene {
        Scene::HeadCt => head::ct(&mut canvas, geometry.signed, view, &mut noise),
        Scene::HeadMr => head::mr(&mut canvas, f64::midpoint(view, moment), &mut noise),
        Scene::Chest => {
            flat::chest(&mut canvas, geometry.bits_stored, view, &mut noise);
            if geometry.photometric == "MONOCHROME1" {
                canvas.invert((1 << geometry.bits_stored) - 1);
            }
        }
        Scene::Sector => flat::sector(&mut canvas, view, moment, &mut noise),
        Scene::Screen => flat::screen(&mut canvas, view),
        Scene::Bones => flat::bones(&mut canvas, view, moment, &mut noise),
        Scene::Mask => flat::mask(&mut canvas, view, moment),
        Scene::Nothing => {}
    }
    if scene != Scene::Mask {
        let scale = text_scale(geometry);
        canvas.write(2 * scale, 2 * scale, scale, label, text_value(geometry));
    }
    canvas
}

/// Returns how large letters are: readable, and out of the picture's way.
pub(crate) const fn text_scale(geometry: &Geometry) -> u32 {
    let scale = geometry.columns / 128;
    if scale == 0 { 1 } else { scale }
}

/// Returns the sample value of letters: the brightest for the eye.
pub(crate) fn text_value(geometry: &Geometry) -> i32 {
    if geometry.photometric == "MONOCHROME1" {
        return 0;
    }
    match (geometry.signed, geometry.bits_stored) {
        (true, _) => 1_200,
        (false, 12) => 2_400,
        (false, 16) => 900,
        (false, bits) => (1 << bits) - 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::recipe::{Preset, Recipe};

    #[test]
    fn every_scene_is_a_picture() {
        for &recipe in Recipe::ALL.iter().filter(|recipe| !recipe.is_header_only()) {
            let spec = recipe.spec();
            let geometry = spec.geometry(Preset::Small);
            let canvas = render(spec.scene, &geometry, 0.5, 0.5, spec.modality);
            let values: BTreeSet<i32> = canvas.values().iter().copied().collect();
            let least = if spec.scene == Scene::Mask { 2 } else { 20 };
            assert!(values.len() >= least, "{recipe:?}: {} values", values.len());
            let (low, high) = if geometry.signed {
                (-32_768, 32_767)
            } else {
                (0, (1_i32 << geometry.bits_stored) - 1)
            };
            assert!(values.iter().all(|value| (low..=high).contains(value)), "{recipe:?}");

            let other = render(spec.scene, &geometry, 0.25, 0.5, spec.modality);
            assert_ne!(canvas.values(), other.values(), "{recipe:?}");
        }
    }
}
