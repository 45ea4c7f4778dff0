//! Headers with functional groups: one item for all frames, and one for each (PS3.3 C.7.6.16).

use super::data_set::{DataSet, code, item, reference};
use super::image::{frame_of_reference, slice_step, spacing};
use super::subject::Study;
use crate::plan::Instance;
use crate::uids::{self, Named};

const SHARED: u32 = 0x5200_9229;
const PER_FRAME: u32 = 0x5200_9230;
/// The width of a head in millimetres.
const HEAD: f64 = 240.0;

/// Adds the modules of an Enhanced MR Image.
pub(super) fn mr(data_set: &mut DataSet, instance: &Instance<'_>) {
    let study = Study::of(instance);
    frame_of_reference(data_set, instance);
    dimensions(data_set, instance, 0x0020_9111, 0x0020_9057);
    data_set
        .text(0x0008_002A, "DT", format!("{}{}", study.date(), study.time(60)))
        .text(0x0008_9205, "CS", "MONOCHROME")
        .text(0x0008_9206, "CS", "VOLUME")
        .text(0x0008_9207, "CS", "NONE")
        .text(0x0008_9208, "CS", "MAGNITUDE")
        .text(0x0008_9209, "CS", "T2")
        .text(0x0018_0015, "CS", "HEAD")
        .text(0x0018_0023, "CS", "3D")
        .decimal(0x0018_0087, "DS", 1.5)
        .text(0x0018_1030, "LO", "PHANTOM T2 3D")
        .text(0x0018_5100, "CS", "HFS")
        .text(0x0018_9004, "CS", "PRODUCT")
        .decimal(0x0018_9073, "FD", 118_500.0)
        .text(0x0018_9100, "CS", "1H")
        .text(0x0018_9174, "CS", "IEC")
        .text(0x2050_0020, "CS", "IDENTITY")
        .items(SHARED, vec![mr_shared(instance)])
        .items(PER_FRAME, frames(instance, |_| {}));
}

/// Adds the modules of a Segmentation.
pub(super) fn segmentation(data_set: &mut DataSet, instance: &Instance<'_>) {
    frame_of_reference(data_set, instance);
    dimensions(data_set, instance, 0x0062_000A, 0x0062_000B);
    let segment = item(|segment| {
        segment
            .items(0x0062_0003, vec![code("49755003", "SCT", "Morphologically Abnormal Structure")])
            .int(0x0062_0004, "US", 1)
            .text(0x0062_0005, "LO", "Lesion")
            .text(0x0062_0008, "CS", "MANUAL")
            .ints(0x0062_000D, "US", &[39_321, 52_428, 45_000])
            .items(0x0062_000F, vec![code("52988006", "SCT", "Lesion")]);
    });
    data_set
        .text(0x0070_0080, "CS", "PHANTOM")
        .text(0x0070_0081, "LO", "Lesion of a phantom")
        .name(0x0070_0084, super::subject::plain_name("Segmenter^Synthetic"))
        .text(0x0062_0001, "CS", "BINARY")
        .items(0x0062_0002, vec![segment])
        .items(SHARED, vec![shared(instance)])
        .items(
            PER_FRAME,
            frames(instance, |frame| {
                frame.items(
                    0x0062_000A,
                    vec![item(|segment| {
                        segment.int(0x0062_000B, "US", 1);
                    })],
                );
            }),
        );
}

/// Adds the one dimension that frames are ordered by.
fn dimensions(data_set: &mut DataSet, instance: &Instance<'_>, group: u32, index: u32) {
    let uid = uids::of(instance.plan.seed, Named::Frame, u32::MAX - instance.series_index);
    data_set
        .text(0x0020_9311, "CS", "3D")
        .items(
            0x0020_9221,
            vec![item(|organization| {
                organization.text(0x0020_9164, "UI", uid.clone());
            })],
        )
        .items(
            0x0020_9222,
            vec![item(|dimension| {
                dimension
                    .text(0x0020_9164, "UI", uid)
                    .text(0x0020_9165, "AT", format!("{index:08X}"))
                    .text(0x0020_9167, "AT", format!("{group:08X}"));
            })],
        );
}

/// Returns what holds for all frames.
fn shared(instance: &Instance<'_>) -> DataSet {
    let spacing = spacing(instance, HEAD);
    item(|shared| {
        shared
            .items(
                0x0020_9116,
                vec![item(|orientation| {
                    orientation.decimals(0x0020_0037, "DS", &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
                })],
            )
            .items(
                0x0028_9110,
                vec![item(|measures| {
                    measures.decimal(0x0018_0050, "DS", slice_step(instance.plan.preset)).decimals(
                        0x0028_0030,
                        "DS",
                        &[spacing, spacing],
                    );
                })],
            )
            .items(
                0x0028_9132,
                vec![item(|window| {
                    window.decimal(0x0028_1050, "DS", 600.0).decimal(0x0028_1051, "DS", 1_200.0);
                })],
            )
            .items(0x0008_1140, vec![reference("1.2.840.10008.5.1.4.1.1.4", source(instance))]);
    })
}

/// Returns what holds for all frames of an MR image: how they were made.
fn mr_shared(instance: &Instance<'_>) -> DataSet {
    let mut shared = shared(instance);
    let mut group = |tag, fill: fn(&mut DataSet)| {
        shared.items(tag, vec![item(fill)]);
    };
    group(0x0020_9071, |anatomy| {
        anatomy.items(0x0008_2218, vec![code("69536005", "SCT", "Head")]).text(
            0x0020_9072,
            "CS",
            "U",
        );
    });
    group(0x0028_9145, |transformation| {
        transformation.decimal(0x0028_1052, "DS", 0.0).decimal(0x0028_1053, "DS", 1.0).text(
            0x0028_1054,
            "LO",
            "US",
        );
    });
    group(0x0018_9226, |frame_type| {
        frame_type
            .texts(0x0008_9007, "CS", &["DERIVED", "PRIMARY", "VOLUME", "NONE"])
            .text(0x0008_9205, "CS", "MONOCHROME")
            .text(0x0008_9206, "CS", "VOLUME")
            .text(0x0008_9207, "CS", "NONE")
            .text(0x0008_9208, "CS", "MAGNITUDE")
            .text(0x0008_9209, "CS", "T2");
    });
    group(0x0018_9112, |timing| {
        timing
            .decimal(0x0018_0080, "DS", 3_200.0)
            .int(0x0018_0091, "IS", 120)
            .decimal(0x0018_1314, "DS", 120.0)
            .int(0x0018_9240, "US", 1)
            .int(0x0018_9241, "US", 1);
    });
    group(0x0018_9114, |echo| {
        echo.decimal(0x0018_9082, "FD", 408.0);
    });
    group(0x0018_9119, |averages| {
        averages.decimal(0x0018_0083, "DS", 1.0);
    });
    group(0x0018_9042, |coil| {
        coil.text(0x0018_1250, "SH", "HeadPhantom")
            .text(0x0018_9041, "LO", "dcmjoin")
            .text(0x0018_9043, "CS", "BODY")
            .text(0x0018_9044, "CS", "NO");
    });
    group(0x0018_9049, |coil| {
        coil.text(0x0018_1251, "SH", "BodyPhantom").text(0x0018_9050, "LO", "dcmjoin").text(
            0x0018_9051,
            "CS",
            "BODY",
        );
    });
    shared
}

/// Returns the UID of an image that these frames come from: one that is in no archive.
fn source(instance: &Instance<'_>) -> String {
    uids::of(instance.plan.seed, Named::Stranger, u32::MAX - instance.index)
}

/// Returns an item for each frame: its number, its place, and what else `fill` adds.
fn frames(instance: &Instance<'_>, fill: impl Fn(&mut DataSet)) -> Vec<DataSet> {
    let step = slice_step(instance.plan.preset);
    (0..instance.geometry().frames)
        .map(|number| {
            item(|frame| {
                frame
                    .items(
                        0x0020_9111,
                        vec![item(|content| {
                            content
                                .text(0x0020_9056, "SH", "1")
                                .int(0x0020_9057, "UL", number + 1)
                                .ints(0x0020_9157, "UL", &[i64::from(number) + 1]);
                        })],
                    )
                    .items(
                        0x0020_9113,
                        vec![item(|position| {
                            let height = f64::from(number) * step;
                            let corner = -HEAD / 2.0;
                            position.decimals(0x0020_0032, "DS", &[corner, corner, height]);
                        })],
                    );
                fill(frame);
            })
        })
        .collect()
}
