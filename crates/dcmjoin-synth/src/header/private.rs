//! Private elements, as every scanner adds some: with creators, numbers, binary blocks, sequences
//! (PS3.5 7.8).

use super::data_set::{DataSet, item};
use crate::plan::Instance;
use crate::recipe::Preset;

/// Adds two private groups.
pub(super) fn add(data_set: &mut DataSet, instance: &Instance<'_>) {
    let mut random = instance.random();
    data_set
        .text(0x0009_0010, "LO", "DCMJOIN SYNTH IDEN 01")
        .text(0x0009_1001, "LO", "SYNTHETIC")
        .text(0x0009_1002, "SH", "SY01")
        .int(0x0009_1027, "SL", -i64::from(random.next() as u32 >> 1))
        .empty(0x0009_1030, "SH")
        .int(0x0009_10E7, "UL", random.next() as u32)
        .decimals(0x0009_10E8, "FD", &[0.1 + f64::from(instance.slice), -1e-7])
        .decimals(0x0009_10E9, "FL", &[0.5, -2.25]);
    let block_bytes = match instance.plan.preset {
        Preset::Small => 96,
        Preset::Full => 2_048,
    };
    let block = (0..block_bytes / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    data_set
        .text(0x0029_0010, "LO", "DCMJOIN SYNTH BLOCK")
        .text(0x0029_0011, "LO", "DCMJOIN SYNTH TREE")
        .text(0x0029_1008, "CS", "IMAGE NUM 4")
        .binary(0x0029_1010, "OB", block)
        .binary(0x0029_1018, "UN", random.next().to_le_bytes()[..6].to_vec())
        .items(
            0x0029_1120,
            vec![item(|outer| {
                outer.text(0x0029_0011, "LO", "DCMJOIN SYNTH TREE").items(
                    0x0029_1121,
                    vec![item(|inner| {
                        inner
                            .text(0x0029_0011, "LO", "DCMJOIN SYNTH TREE")
                            .text(0x0029_1122, "LT", "two levels down")
                            .int(0x0029_1123, "US", instance.slice % 100);
                    })],
                );
            })],
        );
}
