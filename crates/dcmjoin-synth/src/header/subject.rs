//! What all headers have: the instance, its patient, study, series and equipment
//! (PS3.3 C.7.1 to C.7.5, C.12.1).

use super::data_set::{DataSet, PersonName, Text, code, item, reference};
use super::{SOP_CLASS, SOP_INSTANCE};
use crate::plan::Instance;
use crate::random::{Random, Use};
use crate::uids::{self, Named};

/// A patient's name, and the character set that the header declares for it.
struct Writing {
    charset: Option<&'static str>,
    alphabetic: &'static str,
    ideographic: Option<&'static str>,
    phonetic: Option<&'static str>,
}

impl Writing {
    const fn latin(charset: Option<&'static str>, alphabetic: &'static str) -> Self {
        Self { charset, alphabetic, ideographic: None, phonetic: None }
    }
}

/// Latin 1 is what most archives declare; some declare nothing, some Unicode.
const WRITINGS: [Writing; 8] = [
    Writing::latin(Some("ISO_IR 100"), "Phantom^Ren\u{e9}"),
    Writing::latin(Some("ISO_IR 100"), "Ph\u{e4}ntom^J\u{f8}rgen^^Dr"),
    Writing::latin(Some("ISO_IR 100"), "Phantom^Alice"),
    Writing::latin(Some("ISO_IR 100"), "Phantom^Bob^Q"),
    Writing::latin(None, "Phantom^Carol"),
    Writing::latin(Some("ISO_IR 6"), "PHANTOM^DAVID"),
    Writing {
        charset: Some("ISO_IR 192"),
        alphabetic: "Phantom^Taro",
        ideographic: Some("\u{5e7b}\u{5f71}^\u{592a}\u{90ce}"),
        phonetic: Some("\u{3052}\u{3093}\u{3048}\u{3044}^\u{305f}\u{308d}\u{3046}"),
    },
    Writing {
        charset: Some("ISO_IR 192"),
        alphabetic: "Phantom^Gildong",
        ideographic: Some("\u{5e7b}^\u{5409}\u{6d1e}"),
        phonetic: Some("\u{d658}^\u{ae38}\u{b3d9}"),
    },
];

/// What makes up a study, the same for all its instances.
pub(super) struct Study {
    number: u32,
    writing: &'static Writing,
    female: bool,
    birth_year: u64,
    weight: u64,
    day: u64,
    second: u64,
}

impl Study {
    pub(super) fn of(instance: &Instance<'_>) -> Self {
        let number = instance.series.study;
        let mut random = Random::of(instance.plan.seed, Use::Study, u64::from(number), 0);
        Self {
            number,
            writing: random.pick(&WRITINGS),
            female: random.chance(0.5),
            birth_year: random.within(1930, 2005),
            weight: random.within(48, 104),
            day: random.below(336),
            second: random.within(7 * 3_600, 18 * 3_600),
        }
    }

    /// Returns the study's date. Months have 28 days: lawful everywhere.
    pub(super) fn date(&self) -> String {
        format!("2020{:02}{:02}", self.day / 28 + 1, self.day % 28 + 1)
    }

    /// Returns a time some seconds after the study began.
    pub(super) fn time(&self, after: u64) -> String {
        let second = self.second + after;
        let (hour, minute, second) = (second / 3_600 % 24, second / 60 % 60, second % 60);
        format!("{hour:02}{minute:02}{second:02}")
    }

    /// Returns the seconds from the study's begin to the series'.
    pub(super) fn series_begin(instance: &Instance<'_>) -> u64 {
        u64::from(instance.series.number) * 180
    }
}

/// Adds what all headers have.
pub(super) fn add(data_set: &mut DataSet, instance: &Instance<'_>) {
    let study = Study::of(instance);
    sop(data_set, instance, &study);
    patient(data_set, &study);
    general_study(data_set, instance, &study);
    general_series(data_set, instance, &study);
    equipment(data_set, instance);
}

fn sop(data_set: &mut DataSet, instance: &Instance<'_>, study: &Study) {
    if let Some(charset) = study.writing.charset {
        data_set.text(0x0008_0005, "CS", charset);
    }
    data_set
        .text(0x0008_0012, "DA", study.date())
        .text(0x0008_0013, "TM", study.time(Study::series_begin(instance) + 1))
        .text(0x0008_0014, "UI", "1.3.6.1.4.1.5962.3")
        .text(SOP_CLASS, "UI", instance.spec().sop_class)
        .text(SOP_INSTANCE, "UI", instance.uid())
        .text(0x0008_0201, "SH", "+0000");
}

fn patient(data_set: &mut DataSet, study: &Study) {
    let writing = study.writing;
    let number = study.number;
    data_set
        .name(
            0x0010_0010,
            PersonName {
                alphabetic: format!("{}{number:05}", writing.alphabetic).into(),
                ideographic: writing.ideographic.map(Text::from),
                phonetic: writing.phonetic.map(Text::from),
            },
        )
        .text(0x0010_0020, "LO", format!("PHANTOM-{number:06}"))
        .text(0x0010_0021, "LO", "SYNTHETIC")
        .text(0x0010_0030, "DA", format!("{}0101", study.birth_year))
        .text(0x0010_0040, "CS", if study.female { "F" } else { "M" })
        .items(
            0x0010_1002,
            vec![item(|other| {
                other.text(0x0010_0020, "LO", format!("OTHER-{number}")).text(
                    0x0010_0022,
                    "CS",
                    "TEXT",
                );
            })],
        )
        .text(0x0010_1010, "AS", format!("{:03}Y", 2_020 - study.birth_year))
        .decimal(0x0010_1020, "DS", 1.5 + f64::from(study.weight as u32) / 500.0)
        .decimal(0x0010_1030, "DS", f64::from(study.weight as u32))
        .empty(0x0010_2180, "SH")
        .text(0x0010_4000, "LT", "Synthetic: nobody's data.\r\nMade for tests.")
        .text(0x0012_0062, "CS", "YES")
        .text(0x0012_0063, "LO", "Never identified: made from random numbers");
}

fn general_study(data_set: &mut DataSet, instance: &Instance<'_>, study: &Study) {
    let seed = instance.plan.seed;
    data_set
        .text(0x0020_000D, "UI", uids::of(seed, Named::Study, study.number))
        .text(0x0008_0020, "DA", study.date())
        .text(0x0008_0030, "TM", study.time(0))
        .text(0x0008_0050, "SH", format!("A{:08}", study.number))
        .name(0x0008_0090, plain_name("Referrer^Synthetic"))
        .text(0x0008_1030, "LO", "PHANTOM STUDY")
        .items(0x0008_1032, vec![code("P5-00000", "99DCMJOIN", "Phantom procedure")])
        .items(
            0x0008_1110,
            vec![reference(
                "1.2.840.10008.3.1.2.3.1",
                uids::of(seed, Named::Study, u32::MAX - study.number),
            )],
        )
        .text(0x0020_0010, "SH", study.number.to_string())
        .text(0x0032_1060, "LO", "Phantom, all slices");
}

fn general_series(data_set: &mut DataSet, instance: &Instance<'_>, study: &Study) {
    let spec = instance.spec();
    let begin = Study::series_begin(instance);
    let seed = instance.plan.seed;
    data_set
        .text(0x0008_0060, "CS", spec.modality)
        .text(0x0020_000E, "UI", uids::of(seed, Named::Series, instance.series_index))
        .int(0x0020_0011, "IS", instance.series.number)
        .text(0x0008_0021, "DA", study.date())
        .text(0x0008_0031, "TM", study.time(begin))
        .text(0x0008_103E, "LO", instance.series.recipe.as_str())
        .name(0x0008_1070, plain_name("Operator^Synthetic"))
        .items(
            0x0008_1111,
            vec![reference("1.2.840.10008.3.1.2.3.3", uids::of(seed, Named::Study, u32::MAX))],
        )
        .text(0x0040_0244, "DA", study.date())
        .text(0x0040_0245, "TM", study.time(begin))
        .text(0x0040_0253, "SH", format!("PPS{}", study.number))
        .text(0x0040_0254, "LO", "PHANTOM")
        .items(
            0x0040_0275,
            vec![item(|request| {
                request
                    .text(0x0032_1060, "LO", "Phantom, all slices")
                    .text(0x0040_0007, "LO", "Phantom step")
                    .items(0x0040_0008, vec![code("S1", "99DCMJOIN", "Phantom protocol")])
                    .text(0x0040_0009, "SH", format!("S{}", study.number))
                    .text(0x0040_1001, "SH", format!("R{}", study.number));
            })],
        );
}

fn equipment(data_set: &mut DataSet, instance: &Instance<'_>) {
    let station =
        Random::of(instance.plan.seed, Use::Series, instance.series.study.into(), 0).below(12);
    data_set
        .text(0x0008_0070, "LO", "dcmjoin")
        .text(0x0008_0080, "LO", "SYNTHETIC HOSPITAL")
        .text(0x0008_0081, "ST", "1 Nowhere Street\r\nExampletown")
        .text(0x0008_1010, "SH", format!("STATION{station:02}"))
        .text(0x0008_1040, "LO", "Radiology of Phantoms")
        .text(0x0008_1090, "LO", "Synth 1")
        .text(0x0018_1000, "LO", format!("{:06}", 100_000 + station))
        .texts(0x0018_1020, "LO", &["synth", "1.0"]);
}

/// Returns a name in one writing.
pub(super) fn plain_name(name: &'static str) -> PersonName {
    PersonName { alphabetic: name.into(), ..PersonName::default() }
}
