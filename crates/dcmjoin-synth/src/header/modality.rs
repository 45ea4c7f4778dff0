//! What scanners of each modality add: single-frame images, and the older multi-frame ones
//! (PS3.3 A and C.8).

use super::data_set::{DataSet, code, item};
use super::image::{frame_of_reference, plane, slice_step, spacing, window};
use crate::plan::Instance;
use crate::recipe::Recipe;

/// The width of a head in millimetres.
const HEAD: f64 = 240.0;
/// The width of a chest in millimetres.
const CHEST: f64 = 400.0;

/// Adds the CT Image Module.
pub(super) fn ct(data_set: &mut DataSet, instance: &Instance<'_>) {
    let signed = instance.geometry().signed;
    frame_of_reference(data_set, instance);
    plane(data_set, instance, HEAD);
    window(data_set, 40.0, 120.0);
    data_set
        .text(0x0018_0015, "CS", "HEAD")
        .text(0x0018_0022, "CS", "HELICAL MODE")
        .decimal(0x0018_0060, "DS", 120.0)
        .decimal(0x0018_0088, "DS", slice_step(instance.plan.preset))
        .decimal(0x0018_0090, "DS", 500.0)
        .text(0x0018_1030, "LO", "PHANTOM HEAD")
        .decimal(0x0018_1100, "DS", HEAD)
        .decimal(0x0018_1110, "DS", 949.075)
        .decimal(0x0018_1111, "DS", 541.0)
        .decimal(0x0018_1120, "DS", 0.0)
        .decimal(0x0018_1130, "DS", 154.0)
        .text(0x0018_1140, "CS", "CW")
        .int(0x0018_1150, "IS", 1_000)
        .int(0x0018_1151, "IS", 200 + instance.slice % 40)
        .int(0x0018_1152, "IS", 200)
        .text(0x0018_1160, "SH", "BODY FILTER")
        .int(0x0018_1170, "IS", 24)
        .decimals(0x0018_1190, "DS", &[0.7])
        .text(0x0018_1210, "SH", "STANDARD")
        .text(0x0018_5100, "CS", "HFS")
        .decimal(0x0018_9306, "FD", 0.625)
        .decimal(0x0018_9311, "FD", 0.984_375)
        .decimal(0x0018_9345, "FD", 41.5 + f64::from(instance.slice) / 7.0)
        .decimal(0x0028_1052, "DS", if signed { 0.0 } else { -1_024.0 })
        .decimal(0x0028_1053, "DS", 1.0)
        .text(0x0028_1054, "LO", "HU");
    if signed {
        data_set.int(0x0028_0120, "SS", -2_000);
    }
}

/// Adds the MR Image Module.
pub(super) fn mr(data_set: &mut DataSet, instance: &Instance<'_>) {
    frame_of_reference(data_set, instance);
    plane(data_set, instance, HEAD);
    window(data_set, 600.0, 1_200.0);
    let geometry = instance.geometry();
    data_set
        .text(0x0018_0015, "CS", "HEAD")
        .text(0x0018_0020, "CS", "SE")
        .texts(0x0018_0021, "CS", &["SK", "SP"])
        .empty(0x0018_0022, "CS")
        .text(0x0018_0023, "CS", "2D")
        .text(0x0018_0024, "SH", "*synth2d1")
        .text(0x0018_0025, "CS", "N")
        .decimal(0x0018_0080, "DS", 4_000.0)
        .decimal(0x0018_0081, "DS", 101.0)
        .decimal(0x0018_0083, "DS", 1.0)
        .decimal(0x0018_0084, "DS", 63.683_21)
        .text(0x0018_0085, "SH", "1H")
        .ints(0x0018_0086, "IS", &[1])
        .decimal(0x0018_0087, "DS", 1.5)
        .decimal(0x0018_0088, "DS", slice_step(instance.plan.preset))
        .int(0x0018_0089, "IS", geometry.rows)
        .int(0x0018_0091, "IS", 9)
        .decimal(0x0018_0093, "DS", 100.0)
        .decimal(0x0018_0094, "DS", 79.6875)
        .decimal(0x0018_0095, "DS", 199.0)
        .text(0x0018_1030, "LO", "PHANTOM T2 TRA")
        .text(0x0018_1250, "SH", "HeadPhantom")
        .ints(0x0018_1310, "US", &[0, i64::from(geometry.rows), i64::from(geometry.columns), 0])
        .text(0x0018_1312, "CS", "ROW")
        .decimal(0x0018_1314, "DS", 150.0)
        .text(0x0018_1315, "CS", "N")
        .decimal(0x0018_1316, "DS", 0.065_37)
        .decimal(0x0018_1318, "DS", 0.0)
        .text(0x0018_5100, "CS", "HFS");
}

/// Adds the modules of digital and computed radiographs.
pub(super) fn radiograph(data_set: &mut DataSet, instance: &Instance<'_>) {
    let geometry = instance.geometry();
    let white = f64::from((1_u32 << geometry.bits_stored) - 1);
    let spacing = spacing(instance, CHEST);
    window(data_set, white / 2.0, white * 0.9);
    data_set
        .text(0x0018_0015, "CS", "CHEST")
        .decimal(0x0018_0060, "DS", 125.0)
        .decimal(0x0018_1110, "DS", 1_800.0)
        .int(0x0018_1150, "IS", 8)
        .int(0x0018_1152, "IS", 2)
        .text(0x0018_1160, "SH", "NONE")
        .decimals(0x0018_1164, "DS", &[spacing, spacing])
        .text(0x0018_5101, "CS", "PA")
        .texts(0x0020_0020, "CS", &["L", "F"]);
    if instance.series.recipe == Recipe::CrJpeg2000 {
        data_set
            .text(0x0018_1400, "LO", "PHANTOM CHEST")
            .text(0x0018_1402, "CS", "PORTRAIT")
            .text(0x0018_1403, "CS", "NORMAL")
            .decimals(0x0028_0030, "DS", &[spacing, spacing]);
        return;
    }
    data_set
        .text(0x0008_0068, "CS", "FOR PRESENTATION")
        .items(0x0008_2218, vec![code("51185008", "SCT", "Chest")])
        .text(0x0018_7004, "CS", "SCINTILLATOR")
        .decimals(0x0018_7022, "DS", &[spacing, spacing])
        .empty(0x0018_1508, "CS")
        .text(0x0020_0062, "CS", "U")
        .items(0x0040_0555, Vec::new())
        .items(0x0054_0220, vec![code("399348003", "SCT", "postero-anterior")])
        .text(0x0028_1040, "CS", "LOG")
        .int(0x0028_1041, "SS", -1)
        .decimal(0x0028_1052, "DS", 0.0)
        .decimal(0x0028_1053, "DS", 1.0)
        .text(0x0028_1054, "LO", "US")
        .text(0x2050_0020, "CS", "IDENTITY");
}

/// Adds the US modules of clips.
pub(super) fn ultrasound(data_set: &mut DataSet, instance: &Instance<'_>) {
    let geometry = instance.geometry();
    data_set
        .decimal(0x0018_1063, "DS", 33.33)
        .int(0x0018_1088, "IS", 72)
        .int(0x0018_0040, "IS", 30)
        .text(0x0018_1030, "LO", "PHANTOM ECHO")
        .text(0x0018_5010, "LO", "SECTOR")
        .empty(0x0020_0020, "CS")
        .empty(0x0020_0060, "CS")
        .tags(0x0028_0009, &["00181063"])
        .int(0x0028_0014, "US", 1)
        .items(
            0x0018_6011,
            vec![item(|region| {
                region
                    .int(0x0018_6012, "US", 1)
                    .int(0x0018_6014, "US", 1)
                    .int(0x0018_6016, "UL", 0)
                    .int(0x0018_6018, "UL", 0)
                    .int(0x0018_601A, "UL", 0)
                    .int(0x0018_601C, "UL", geometry.columns - 1)
                    .int(0x0018_601E, "UL", geometry.rows - 1)
                    .int(0x0018_6024, "US", 3)
                    .int(0x0018_6026, "US", 3)
                    .decimal(0x0018_602C, "FD", 16.0 / f64::from(geometry.columns))
                    .decimal(0x0018_602E, "FD", 12.0 / f64::from(geometry.rows));
            })],
        );
}

/// Adds the SC Equipment and SC Image Modules.
pub(super) fn capture(data_set: &mut DataSet) {
    data_set
        .text(0x0008_0064, "CS", "WSD")
        .text(0x0018_1012, "DA", "20200101")
        .text(0x0018_1014, "TM", "120000")
        .text(0x0018_1016, "LO", "dcmjoin")
        .text(0x0018_1018, "LO", "Synth Screen")
        .empty(0x0020_0060, "CS")
        .texts(0x0020_0020, "CS", &["L", "F"]);
}

/// Adds the NM modules of static images.
pub(super) fn nuclear(data_set: &mut DataSet, instance: &Instance<'_>) {
    let frames = i64::from(instance.geometry().frames);
    let spacing = spacing(instance, CHEST);
    let ones: Vec<i64> = (0..frames).map(|_| 1).collect();
    window(data_set, 300.0, 600.0);
    data_set
        .decimals(0x0028_0030, "DS", &[spacing, spacing])
        .ints(0x0054_0010, "US", &ones)
        .int(0x0054_0011, "US", 1)
        .ints(0x0054_0020, "US", &(1..=frames).collect::<Vec<_>>())
        .int(0x0054_0021, "US", frames)
        .empty(0x0020_0060, "CS")
        .tags(0x0028_0009, &["00540010", "00540020"])
        .empty(0x0054_0012, "SQ")
        .empty(0x0054_0016, "SQ")
        .empty(0x0054_0022, "SQ")
        .empty(0x0054_0410, "SQ")
        .empty(0x0054_0414, "SQ")
        .int(0x0018_0070, "IS", 500_000)
        .text(0x0018_1030, "LO", "PHANTOM BONES")
        .int(0x0018_1242, "IS", 60_000);
}
