//! Headers that are complete by themselves: a report, a key object selection, a presentation
//! state, a structure set (PS3.3 A.33, A.35, A.19.3). They refer to the series before them in the
//! study.

use super::data_set::{DataSet, code, item, reference};
use super::subject::{Study, plain_name};
use crate::plan::{Instance, Plan};
use crate::recipe::Recipe;
use crate::uids::{self, Named};

/// Points of a contour.
const CONTOUR_POINTS: u32 = 24;

/// Adds the modules of a document.
pub(super) fn add(data_set: &mut DataSet, instance: &Instance<'_>) {
    let images = Images::of(instance);
    let study = Study::of(instance);
    data_set.int(0x0020_0013, "IS", instance.slice + 1).text(0x0008_0023, "DA", study.date()).text(
        0x0008_0033,
        "TM",
        study.time(900),
    );
    match instance.series.recipe {
        Recipe::KeyObjects => key_objects(data_set, instance, &images),
        Recipe::Presentation => presentation(data_set, &images),
        Recipe::StructureSet => structures(data_set, instance, &images),
        _ => report(data_set, instance, &images),
    }
}

/// The images that a document is about.
struct Images {
    study: String,
    series: String,
    sop_class: &'static str,
    uids: Vec<String>,
}

impl Images {
    /// Returns the first images of the series before the document's, or where the study has none
    /// or it is a document too, one that is in no archive.
    fn of(document: &Instance<'_>) -> Self {
        let plan: &Plan = document.plan;
        let study = uids::of(plan.seed, Named::Study, document.series.study);
        let first = document.index - document.slice;
        let before = first.checked_sub(1).map(|last| plan.instance(last)).filter(|last| {
            last.series.study == document.series.study && !last.series.recipe.is_header_only()
        });
        match before {
            Some(last) => Self {
                study,
                series: uids::of(plan.seed, Named::Series, last.series_index),
                sop_class: last.spec().sop_class,
                uids: (first - last.series.count.min(3)..first)
                    .map(|index| plan.instance(index).uid())
                    .collect(),
            },
            None => Self {
                study,
                series: uids::of(plan.seed, Named::Series, u32::MAX - document.series_index),
                sop_class: Recipe::CtNative.spec().sop_class,
                uids: vec![uids::of(plan.seed, Named::Stranger, u32::MAX - document.index)],
            },
        }
    }

    fn references(&self) -> Vec<DataSet> {
        self.uids.iter().map(|uid| reference(self.sop_class, uid.clone())).collect()
    }

    /// Returns the study with its series and images, as evidence.
    fn hierarchy(&self) -> DataSet {
        item(|study| {
            study.text(0x0020_000D, "UI", self.study.clone()).items(
                0x0008_1115,
                vec![item(|series| {
                    series
                        .text(0x0020_000E, "UI", self.series.clone())
                        .items(0x0008_1199, self.references());
                })],
            );
        })
    }
}

/// Returns an item of the content tree.
fn content(
    relation: &'static str,
    kind: &'static str,
    concept: Option<DataSet>,
    fill: impl FnOnce(&mut DataSet),
) -> DataSet {
    item(|content| {
        content.text(0x0040_A010, "CS", relation).text(0x0040_A040, "CS", kind);
        if let Some(concept) = concept {
            content.items(0x0040_A043, vec![concept]);
        }
        fill(content);
    })
}

/// Returns the images as items of the content tree.
fn content_images(images: &Images, relation: &'static str) -> Vec<DataSet> {
    let image = |uid: &String| {
        content(relation, "IMAGE", None, |content| {
            content.items(0x0008_1199, vec![reference(images.sop_class, uid.clone())]);
        })
    };
    images.uids.iter().map(image).collect()
}

fn report(data_set: &mut DataSet, instance: &Instance<'_>, images: &Images) {
    let finding = content("CONTAINS", "TEXT", Some(code("121071", "DCM", "Finding")), |content| {
        let text = format!("Phantom without findings.\nNumber {}.", instance.index + 1);
        content.text(0x0040_A160, "UT", text);
    });
    let size = content("CONTAINS", "NUM", Some(code("M-02550", "SRT", "Diameter")), |content| {
        content.items(
            0x0040_A300,
            vec![item(|measured| {
                measured.items(0x0040_08EA, vec![code("mm", "UCUM", "millimeter")]).decimal(
                    0x0040_A30A,
                    "DS",
                    12.5,
                );
            })],
        );
    });
    let mut section = vec![finding, size];
    section.extend(content_images(images, "CONTAINS"));
    let findings =
        content("CONTAINS", "CONTAINER", Some(code("121070", "DCM", "Findings")), |content| {
            content.text(0x0040_A050, "CS", "SEPARATE").items(0x0040_A730, section);
        });
    data_set
        .text(0x0040_A040, "CS", "CONTAINER")
        .items(0x0040_A043, vec![code("126000", "DCM", "Imaging Measurement Report")])
        .text(0x0040_A050, "CS", "SEPARATE")
        .empty(0x0040_A372, "SQ")
        .items(0x0040_A375, vec![images.hierarchy()])
        .text(0x0040_A491, "CS", "COMPLETE")
        .text(0x0040_A493, "CS", "UNVERIFIED")
        .items(0x0040_A730, vec![findings]);
}

fn key_objects(data_set: &mut DataSet, instance: &Instance<'_>, images: &Images) {
    let mut tree = vec![content(
        "CONTAINS",
        "TEXT",
        Some(code("113012", "DCM", "Key Object Description")),
        |content| {
            content.text(0x0040_A160, "UT", format!("Selection {}", instance.index + 1));
        },
    )];
    tree.extend(content_images(images, "CONTAINS"));
    data_set
        .text(0x0040_A040, "CS", "CONTAINER")
        .items(0x0040_A043, vec![code("113000", "DCM", "Of Interest")])
        .text(0x0040_A050, "CS", "SEPARATE")
        .items(0x0040_A375, vec![images.hierarchy()])
        .items(
            0x0040_A504,
            vec![item(|template| {
                template.text(0x0008_0105, "CS", "DCMR").text(0x0040_DB00, "CS", "2010");
            })],
        )
        .items(0x0040_A730, tree);
}

fn presentation(data_set: &mut DataSet, images: &Images) {
    let series = item(|series| {
        series
            .text(0x0020_000E, "UI", images.series.clone())
            .items(0x0008_1140, images.references());
    });
    let area = item(|area| {
        area.ints(0x0070_0052, "SL", &[1, 1])
            .ints(0x0070_0053, "SL", &[512, 512])
            .text(0x0070_0100, "CS", "SCALE TO FIT")
            .ints(0x0070_0102, "IS", &[1, 1]);
    });
    data_set
        .empty(0x0020_0060, "CS")
        .text(0x0070_0080, "CS", "PHANTOM")
        .empty(0x0070_0081, "LO")
        .text(0x0070_0082, "DA", "20200101")
        .text(0x0070_0083, "TM", "120000")
        .name(0x0070_0084, plain_name("Presenter^Synthetic"))
        .items(0x0008_1115, vec![series])
        .items(0x0070_005A, vec![area])
        .items(
            0x0028_3110,
            vec![item(|lut| {
                lut.decimal(0x0028_1050, "DS", 40.0).decimal(0x0028_1051, "DS", 350.0);
            })],
        )
        .text(0x2050_0020, "CS", "IDENTITY");
}

fn structures(data_set: &mut DataSet, instance: &Instance<'_>, images: &Images) {
    let frame = uids::of(instance.plan.seed, Named::Frame, instance.series_index);
    let contours = |ring: u32| {
        let contour = |(slice, uid): (u32, &String)| {
            item(|contour| {
                contour
                    .items(0x3006_0016, vec![reference(images.sop_class, uid.clone())])
                    .text(0x3006_0042, "CS", "CLOSED_PLANAR")
                    .int(0x3006_0046, "IS", CONTOUR_POINTS)
                    .decimals(0x3006_0050, "DS", &circle(ring, slice));
            })
        };
        (0..).zip(&images.uids).map(contour).collect()
    };
    let rois = 1..=3_u32;
    data_set
        .text(0x0020_0052, "UI", frame.clone())
        .empty(0x0020_1040, "LO")
        .text(0x3006_0002, "SH", "PHANTOM")
        .text(0x3006_0008, "DA", "20200101")
        .text(0x3006_0009, "TM", "120000")
        .items(0x3006_0010, vec![referenced_frame(images, &frame)])
        .items(
            0x3006_0020,
            rois.clone()
                .map(|number| {
                    item(|roi| {
                        roi.int(0x3006_0022, "IS", number)
                            .text(0x3006_0024, "UI", frame.clone())
                            .text(0x3006_0026, "LO", format!("Ring {number}"))
                            .text(0x3006_0036, "CS", "AUTOMATIC");
                    })
                })
                .collect(),
        )
        .items(
            0x3006_0039,
            rois.clone()
                .map(|number| {
                    item(|roi| {
                        roi.ints(0x3006_002A, "IS", &[255, i64::from(number) * 60, 0])
                            .items(0x3006_0040, contours(number))
                            .int(0x3006_0084, "IS", number);
                    })
                })
                .collect(),
        )
        .items(
            0x3006_0080,
            rois.map(|number| {
                item(|observation| {
                    observation
                        .int(0x3006_0082, "IS", number)
                        .int(0x3006_0084, "IS", number)
                        .text(0x3006_00A4, "CS", "ORGAN")
                        .empty(0x3006_00A6, "PN");
                })
            })
            .collect(),
        )
        .text(0x300E_0002, "CS", "UNAPPROVED");
}

/// Returns the frame of reference with the study, series and images it spans.
fn referenced_frame(images: &Images, frame: &str) -> DataSet {
    let series = item(|series| {
        series
            .text(0x0020_000E, "UI", images.series.clone())
            .items(0x3006_0016, images.references());
    });
    let study = item(|study| {
        study
            .text(0x0008_1150, "UI", "1.2.840.10008.3.1.2.3.1")
            .text(0x0008_1155, "UI", images.study.clone())
            .items(0x3006_0014, vec![series]);
    });
    item(|referenced| {
        referenced.text(0x0020_0052, "UI", frame.to_owned()).items(0x3006_0012, vec![study]);
    })
}

/// Returns the points of a circle in a slice, in millimetres.
fn circle(ring: u32, slice: u32) -> Vec<f64> {
    (0..CONTOUR_POINTS)
        .flat_map(|point| {
            let angle = f64::from(point) / f64::from(CONTOUR_POINTS) * std::f64::consts::TAU;
            let (sin, cos) = angle.sin_cos();
            let radius = 20.0 * f64::from(ring);
            [radius * cos, radius * sin, f64::from(slice) * 2.5]
        })
        .collect()
}
