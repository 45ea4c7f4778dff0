//! What all headers of images have: their place in the series, and their pixels
//! (PS3.3 C.7.6.1, C.7.6.3).

use super::data_set::DataSet;
use super::subject::Study;
use crate::plan::Instance;
use crate::recipe::{Preset, Scene};

/// Adds image and pixels.
pub(super) fn add(data_set: &mut DataSet, instance: &Instance<'_>) {
    general_image(data_set, instance);
    pixels(data_set, instance);
    compression(data_set, instance);
}

fn general_image(data_set: &mut DataSet, instance: &Instance<'_>) {
    let study = Study::of(instance);
    let at = Study::series_begin(instance) + u64::from(instance.slice);
    data_set
        .texts(0x0008_0008, "CS", image_type(instance))
        .text(0x0008_0022, "DA", study.date())
        .text(0x0008_0023, "DA", study.date())
        .text(0x0008_0032, "TM", study.time(at))
        .text(0x0008_0033, "TM", study.time(at + 1))
        .int(0x0020_0012, "IS", 1)
        .int(0x0020_0013, "IS", instance.slice + 1)
        .text(0x0028_0301, "CS", "YES");
}

fn image_type(instance: &Instance<'_>) -> &'static [&'static str] {
    match instance.spec().scene {
        Scene::HeadCt => &["ORIGINAL", "PRIMARY", "AXIAL"],
        Scene::HeadMr if instance.geometry().frames > 1 => {
            &["DERIVED", "PRIMARY", "VOLUME", "NONE"]
        }
        Scene::HeadMr => &["ORIGINAL", "PRIMARY", "M", "SE"],
        Scene::Chest => &["ORIGINAL", "PRIMARY"],
        Scene::Sector => &["ORIGINAL", "PRIMARY", "", "0001"],
        Scene::Bones => &["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"],
        Scene::Screen => &["DERIVED", "SECONDARY"],
        Scene::Mask | Scene::Nothing => &["DERIVED", "PRIMARY"],
    }
}

fn pixels(data_set: &mut DataSet, instance: &Instance<'_>) {
    let geometry = instance.geometry();
    data_set
        .int(0x0028_0002, "US", geometry.samples)
        .text(0x0028_0004, "CS", geometry.photometric)
        .int(0x0028_0010, "US", geometry.rows)
        .int(0x0028_0011, "US", geometry.columns)
        .int(0x0028_0100, "US", geometry.bits_allocated)
        .int(0x0028_0101, "US", geometry.bits_stored)
        .int(0x0028_0102, "US", geometry.bits_stored - 1)
        .int(0x0028_0103, "US", i64::from(geometry.signed));
    if geometry.samples > 1 {
        data_set.int(0x0028_0006, "US", 0);
    }
    if geometry.frames > 1 {
        data_set.int(0x0028_0008, "IS", geometry.frames);
    }
}

fn compression(data_set: &mut DataSet, instance: &Instance<'_>) {
    if instance.spec().is_lossy() {
        data_set.text(0x0028_2110, "CS", "01").decimal(0x0028_2112, "DS", 12.5).text(
            0x0028_2114,
            "CS",
            "ISO_10918_1",
        );
    } else {
        data_set.text(0x0028_2110, "CS", "00");
    }
}

/// Returns the size of a pixel in millimetres: the same field of view in both presets.
pub(super) fn spacing(instance: &Instance<'_>, field_of_view: f64) -> f64 {
    field_of_view / f64::from(instance.geometry().columns)
}

/// Returns the distance between slices in millimetres.
pub(super) const fn slice_step(preset: Preset) -> f64 {
    match preset {
        Preset::Small => 2.5,
        Preset::Full => 1.25,
    }
}

/// Adds where the slice lies (PS3.3 C.7.6.2).
pub(super) fn plane(data_set: &mut DataSet, instance: &Instance<'_>, field_of_view: f64) {
    let step = slice_step(instance.plan.preset);
    let height = f64::from(instance.slice) * step - 40.0;
    let spacing = spacing(instance, field_of_view);
    let corner = -field_of_view / 2.0 + spacing / 2.0;
    data_set
        .decimal(0x0018_0050, "DS", step)
        .decimals(0x0020_0032, "DS", &[corner, corner, height])
        .decimals(0x0020_0037, "DS", &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        .decimal(0x0020_1041, "DS", height)
        .decimals(0x0028_0030, "DS", &[spacing, spacing]);
}

/// Adds the frame of reference that the series' slices share.
pub(super) fn frame_of_reference(data_set: &mut DataSet, instance: &Instance<'_>) {
    let uid = crate::uids::of(instance.plan.seed, crate::uids::Named::Frame, instance.series_index);
    data_set.text(0x0020_0052, "UI", uid).empty(0x0020_1040, "LO");
}

/// Adds how values are shown and what they stand for.
pub(super) fn window(data_set: &mut DataSet, center: f64, width: f64) {
    data_set.decimal(0x0028_1050, "DS", center).decimal(0x0028_1051, "DS", width);
}
