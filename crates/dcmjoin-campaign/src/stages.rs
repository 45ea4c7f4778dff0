//! How far a campaign is, stage by stage: what is left, how fast it goes, how long that takes.

use dcmjoin_model::Half;
use serde::Serialize;

use crate::ledger::{Standing, Tally, WaveTally};
use crate::spec::Spec;

/// States in which an archive has no copy to read yet.
const UNRESTORED: [&str; 4] = ["planned", "requested", "restoring", "expired"];
/// States in which nothing is left to do for an archive.
const ENDED: [&str; 2] = ["done", "failed"];
/// What the journal counts of reading: bytes of archives that were read, and the seconds it took.
pub(crate) const READ: [&str; 2] = ["read_bytes", "read_secs"];

/// One stage of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Which: `restore`, `metadata`, `images`.
    pub stage: &'static str,
    /// Archives that it has not done.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Archives of all states.
    pub of_archives: u64,
    /// Bytes a second at which archives are read: measured, or forecast where nothing was read yet.
    /// Restores have a tier, and no pace.
    pub bytes_per_sec: Option<u64>,
    /// Whether that is measured.
    pub is_measured: bool,
    /// Seconds that the rest takes at that pace, and the tier's longest time where copies are not there.
    pub seconds_left: u64,
}

/// Returns the stages of a campaign, in their order.
#[must_use]
pub fn stages(standing: &Standing, spec: &Spec) -> [Stage; 3] {
    let measured = measured(standing);
    let rate = measured.unwrap_or(spec.bytes_per_sec).max(1);
    let restore_secs = |waiting: Tally| match waiting.archives {
        0 => 0,
        _ => spec.pace().restore.to,
    };
    let waiting = |half: Option<Half>| sum(standing, half, |state| UNRESTORED.contains(&state));
    let read = |stage, half| {
        let left = sum(standing, Some(half), |state| !ENDED.contains(&state));
        Stage {
            stage,
            archives: left.archives,
            bytes: left.bytes,
            of_archives: sum(standing, Some(half), |_| true).archives,
            bytes_per_sec: Some(rate),
            is_measured: measured.is_some(),
            seconds_left: left.bytes.div_ceil(rate) + restore_secs(waiting(Some(half))),
        }
    };
    let restore = waiting(None);
    [
        Stage {
            stage: "restore",
            archives: restore.archives,
            bytes: restore.bytes,
            of_archives: sum(standing, None, |_| true).archives,
            bytes_per_sec: None,
            is_measured: false,
            seconds_left: restore_secs(restore),
        },
        read("metadata", Half::Metadata),
        read("images", Half::Image),
    ]
}

/// Returns the bytes a second at which archives were read so far.
pub(crate) fn measured(standing: &Standing) -> Option<u64> {
    let [bytes, secs] = READ.map(|name| standing.counts.get(name).copied().unwrap_or(0));
    (bytes > 0).then(|| bytes.checked_div(secs)).flatten().filter(|rate| *rate > 0)
}

fn sum(standing: &Standing, half: Option<Half>, wanted: impl Fn(&str) -> bool) -> Tally {
    let of = |wave: &&WaveTally| half.is_none_or(|half| wave.half == half);
    let states = standing.waves.iter().filter(of).flat_map(|wave| &wave.states);
    let tallies = states.filter(|(state, _)| wanted(state)).map(|(_, tally)| tally);
    tallies.fold(Tally { archives: 0, bytes: 0 }, |all, tally| Tally {
        archives: all.archives + tally.archives,
        bytes: all.bytes + tally.bytes,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dcmjoin_restore::spend::SpendMeter;
    use dcmjoin_restore::task::Policy;

    use super::*;
    use crate::ledger::Mode;

    fn wave(number: u64, half: Half, states: &[(&str, u64)]) -> WaveTally {
        let tally = |count: u64| Tally { archives: count, bytes: count * 1_000 };
        let states =
            states.iter().map(|(state, count)| ((*state).to_owned(), tally(*count))).collect();
        WaveTally { wave: number, half, states }
    }

    fn standing(counts: &[(&str, u64)]) -> Standing {
        Standing {
            mode: Mode::Active,
            reason: None,
            spend: SpendMeter::new(None),
            holder: None,
            waves: vec![
                wave(0, Half::Metadata, &[("done", 2)]),
                wave(1, Half::Image, &[("available", 3), ("scanning", 1), ("failed", 1)]),
                wave(2, Half::Image, &[("planned", 5), ("restoring", 1)]),
            ],
            failures: BTreeMap::new(),
            counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        }
    }

    fn spec() -> Spec {
        serde_json::from_value(serde_json::json!({
            "metadata": [], "images": [], "output": "out", "region": "us-east-1", "queue": null,
            "policy": Policy::default(), "wave_bytes": 1, "waves_ahead": null,
            "bytes_per_sec": 10, "restores_per_sec": 1, "budget": null, "prices": null,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_left_is_told_with_its_time() {
        let [restore, metadata, images] = stages(&standing(&[]), &spec());
        let tier = spec().pace().restore.to;
        assert_eq!((restore.archives, restore.of_archives, restore.seconds_left), (6, 13, tier));
        assert_eq!((metadata.archives, metadata.seconds_left), (0, 0));
        assert_eq!((images.archives, images.bytes, images.of_archives), (10, 10_000, 11));
        assert_eq!((images.bytes_per_sec, images.is_measured), (Some(10), false));
        assert_eq!(images.seconds_left, 1_000 + tier);
    }

    #[test]
    fn what_was_measured_counts() {
        let read = [("read_bytes", 5_000), ("read_secs", 50)];
        let [_, _, images] = stages(&standing(&read), &spec());
        assert_eq!((images.bytes_per_sec, images.is_measured), (Some(100), true));
        let nothing = [("read_bytes", 0), ("read_secs", 50)];
        assert!(!stages(&standing(&nothing), &spec())[2].is_measured);
    }
}
