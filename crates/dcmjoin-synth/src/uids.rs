//! UIDs of the shapes that archives hold: random numbers under 2.25, and long vendor-like ones.
//!
//! All are under roots that anyone may use for tests, unique by construction (each has the number
//! of what it names, or 122 random bits), and at most 64 characters long.

use crate::random::{Random, Use};

/// What a UID names; keeps the streams of equal numbers apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    Study = 1,
    Series,
    Frame,
    Instance,
    /// An instance that is in no archive: what a misnamed header says it is.
    Stranger,
}

/// Roots of vendor-like UIDs, each with the number of components that follow.
const VENDORS: [&str; 3] =
    ["1.3.6.1.4.1.5962.99.1", "1.2.826.0.1.3680043.8.498", "1.2.276.0.7230010.3.1.4"];

/// Returns the UID of an instance. A series' instances share their shape, as a scanner's do.
pub(crate) fn instance(seed: u64, series: u32, index: u32) -> String {
    let mut shape = Random::of(seed, Use::Uid, 0, u64::from(series));
    let mut random = Random::of(seed, Use::Uid, Named::Instance as u64, u64::from(index));
    match shape.below(4) {
        0 | 1 => under_2_25(&mut random),
        2 => {
            let (vendor, station) = (shape.pick(&VENDORS), shape.within(1_000, 9_999));
            format!("{vendor}.{station}.{}.{index}", random.within(1 << 30, 1 << 32))
        }
        _ => {
            let (vendor, session) = (shape.pick(&VENDORS), shape.within(1 << 40, 1 << 44));
            format!("{vendor}.2020{:02}15.{session}.{index}", shape.within(1, 12))
        }
    }
}

/// Returns the UID of something else.
pub(crate) fn of(seed: u64, named: Named, index: u32) -> String {
    under_2_25(&mut Random::of(seed, Use::Uid, named as u64, u64::from(index)))
}

/// Returns a UID made from a random UUID (PS3.5 B.2).
fn under_2_25(random: &mut Random) -> String {
    let uuid = (u128::from(random.next()) << 64) | u128::from(random.next());
    let version = uuid & !(0xF000 << 64) | (0x4000 << 64);
    let variant = version & !(0b11 << 62) | (0b10 << 62);
    format!("2.25.{variant}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dcmjoin_model::Uid;

    use super::*;

    #[test]
    fn uids_are_lawful_and_unique() {
        let uids: BTreeSet<String> = (0..5_000)
            .map(|index| instance(u64::MAX, index / 10, index))
            .chain((0..1_000).map(|index| of(u64::MAX, Named::Stranger, index)))
            .collect();
        assert_eq!(uids.len(), 6_000);
        for uid in &uids {
            let parsed = Uid::parse(uid).unwrap();
            assert_eq!(parsed.irregularities().count(), 0, "{uid}");
        }
        let random = uids.iter().filter(|uid| uid.starts_with("2.25.")).count();
        assert!((2_000..5_000).contains(&random), "{random}");
    }
}
