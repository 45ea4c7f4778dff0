//! Waves: which archives are restored together, so that each is read before its copy goes.
//!
//! Metadata archives come first, since every image is paired with a header; then images, in the
//! manifest's order. A wave is cut where its bytes would exceed the limit; an archive that is larger
//! than the limit is a wave of its own. The cutter sees one archive at a time and keeps none.

use dcmjoin_model::Half;
use serde::Serialize;

use crate::class::SecsRange;
use crate::moment::{DAY, Moment};

/// What lies in one wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wave {
    /// Which, from 0.
    pub number: u64,
    /// Of which side.
    pub half: Half,
    /// Archives in it.
    pub archives: u64,
    /// Bytes in it.
    pub bytes: u64,
}

/// The archives came in an order in which waves cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a metadata archive after an image archive: metadata archives are restored first")]
pub struct MetadataFirst;

/// Cuts archives into waves as they come.
#[derive(Debug, Clone)]
pub struct WaveCutter {
    bytes_max: u64,
    current: Option<Wave>,
    number: u64,
}

impl WaveCutter {
    /// Returns a cutter for waves of so many bytes at the most. Archives of the metadata side are fed
    /// first.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max: bytes_max.max(1), current: None, number: 0 }
    }

    /// Takes the next archive; returns its wave's number, and the wave before where that is now
    /// complete.
    ///
    /// # Errors
    /// [`MetadataFirst`] for a metadata archive after an image archive.
    pub fn push(&mut self, half: Half, bytes: u64) -> Result<(u64, Option<Wave>), MetadataFirst> {
        if half == Half::Metadata && self.current.is_some_and(|wave| wave.half == Half::Image) {
            return Err(MetadataFirst);
        }
        if let Some(wave) = &mut self.current
            && wave.half == half
            && wave.bytes.saturating_add(bytes) <= self.bytes_max
        {
            wave.archives += 1;
            wave.bytes += bytes;
            return Ok((wave.number, None));
        }
        let next = Wave { number: self.number, half, archives: 1, bytes };
        self.number += 1;
        Ok((next.number, self.current.replace(next)))
    }

    /// Returns the last wave.
    pub fn finish(&mut self) -> Option<Wave> {
        self.current.take()
    }
}

/// How waves are sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes read a second, of all machines: measured, or what their networks give.
    pub bytes_per_sec: u64,
    /// How long restores of the tier take: the first copies of a wave wait for its last ones.
    pub restore: SecsRange,
    /// What is kept free at the end of a copy's life, in seconds.
    pub margin_secs: u64,
}

impl Pace {
    /// Returns how long reading so many bytes takes, in seconds.
    #[must_use]
    pub fn read_secs(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes_per_sec.max(1))
    }

    /// Returns the largest wave that is read within copies of so many days; `None` where even an
    /// empty one is not.
    #[must_use]
    pub fn wave_bytes_for(&self, days: u32) -> Option<u64> {
        let secs = (u64::from(days) * DAY).checked_sub(self.waits_secs())?;
        (secs > 0).then(|| self.bytes_per_sec.saturating_mul(secs))
    }

    /// Returns the days that copies must last for a wave of so many bytes to be read, 1 at least.
    #[must_use]
    pub fn days_for(&self, wave_bytes: u64) -> u32 {
        let secs = self.read_secs(wave_bytes).saturating_add(self.waits_secs());
        u32::try_from(secs.div_ceil(DAY)).unwrap_or(u32::MAX).max(1)
    }

    /// Returns how many of the waves to come, by their bytes, are to be on their way together: the first
    /// is read while those behind it are restored. Enough that reading does not wait for them; no more
    /// than are read before copies of so many days go; two in any case.
    #[must_use]
    pub fn ahead(&self, waves: impl IntoIterator<Item = u64>, days: u32) -> usize {
        let most = self.wave_bytes_for(days).unwrap_or(0);
        let enough = self.bytes_per_sec.saturating_mul(self.restore.to);
        let (mut count, mut bytes, mut behind) = (0, 0_u64, 0_u64);
        for wave in waves {
            let all = bytes.saturating_add(wave);
            if count >= 2 && (behind >= enough || all > most) {
                break;
            }
            behind = if count == 0 { 0 } else { behind.saturating_add(wave) };
            bytes = all;
            count += 1;
        }
        count
    }

    /// A copy is not read from while it waits for the last of its wave, nor within the margin.
    fn waits_secs(&self) -> u64 {
        self.restore.to.saturating_sub(self.restore.from).saturating_add(self.margin_secs)
    }
}

/// Returns the earliest time at which a copy may go that was asked for at `requested`, as documented:
/// the days, rounded up to the next midnight UTC.
///
/// The User Guide counts the days from the restore's completion on one page and from the request on
/// another; this is the earlier. For planning only: what the object's own status says is the truth.
#[must_use]
pub const fn expiry_earliest(requested: Moment, days: u32) -> Moment {
    requested.plus(days as u64 * DAY).midnight_up()
}

/// Returns the latest time at which a copy may go whose restore was done at `completed`; what it
/// costs is planned by this.
#[must_use]
pub const fn expiry_latest(completed: Moment, days: u32) -> Moment {
    completed.plus(days as u64 * DAY).midnight_up()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::class::{StorageClass, Tier};
    use crate::moment::HOUR;

    #[test]
    fn metadata_first_and_no_wave_of_both() {
        let mut cutter = WaveCutter::new(100);
        assert_eq!(cutter.push(Half::Metadata, 60), Ok((0, None)));
        let (number, done) = cutter.push(Half::Metadata, 60).unwrap();
        assert_eq!((number, done.map(|wave| wave.bytes)), (1, Some(60)));
        let (number, done) = cutter.push(Half::Image, 1).unwrap();
        assert_eq!((number, done.map(|wave| wave.half)), (2, Some(Half::Metadata)));
        assert_eq!(cutter.push(Half::Metadata, 1), Err(MetadataFirst));
        assert_eq!(cutter.finish().map(|wave| wave.archives), Some(1));
        assert_eq!(cutter.finish(), None);
    }

    #[test]
    fn a_copy_lasts_for_its_wave() {
        let pace = Pace {
            bytes_per_sec: 1_000_000_000,
            restore: Tier::Bulk.takes(StorageClass::Glacier),
            margin_secs: 2 * HOUR,
        };
        // 24 h less 7 h between the first and the last copy, less 2 h.
        assert_eq!(pace.wave_bytes_for(1), Some(15 * HOUR * 1_000_000_000));
        assert_eq!(pace.days_for(15 * HOUR * 1_000_000_000), 1);
        assert_eq!(pace.days_for(15 * HOUR * 1_000_000_000 + 1), 2);
        let deep = Pace { restore: Tier::Bulk.takes(StorageClass::DeepArchive), ..pace };
        assert_eq!(deep.wave_bytes_for(1), None);
        assert!(deep.wave_bytes_for(2).is_some());
    }

    #[test]
    fn as_many_waves_are_ahead_as_the_pace_needs_and_the_copies_allow() {
        let pace = Pace {
            bytes_per_sec: 1_000,
            restore: Tier::Bulk.takes(StorageClass::Glacier),
            margin_secs: 2 * HOUR,
        };
        let hours = |hours: u64| 1_000 * HOUR * hours;
        let ahead = |wave: u64, days| pace.ahead([hours(wave); 50], days);
        // A restore takes up to 12 h: one wave of 12 h behind the first, or twelve of one hour.
        assert_eq!(ahead(12, 3), 2);
        assert_eq!(ahead(6, 3), 3);
        assert_eq!(ahead(1, 3), 13);
        // Copies of a day are read from for 15 h.
        assert_eq!(ahead(5, 1), 3);
        assert_eq!(ahead(12, 1), 2, "two in any case");
        assert_eq!(pace.ahead([hours(1)], 3), 1);
        let slower = Pace { bytes_per_sec: 100, ..pace };
        assert_eq!(slower.ahead([hours(1); 50], 3), 3, "ten times as slow: 10 h a wave");
    }

    #[test]
    fn expiry_is_as_documented() {
        let at = |text| Moment::parse_iso(text).unwrap();
        let done = at("2026-10-15T10:30:00Z");
        assert_eq!(expiry_latest(done, 3), at("2026-10-19T00:00:00Z"));
        assert_eq!(expiry_earliest(at("2026-10-14T22:30:00Z"), 3), at("2026-10-18T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn waves_hold_all_and_no_more_than_they_may(
            sizes in prop::collection::vec((any::<bool>(), 0u64..1_000), 0..200),
            limit in 1u64..2_000,
        ) {
            let mut archives: Vec<_> = sizes
                .into_iter()
                .map(|(image, bytes)| (if image { Half::Image } else { Half::Metadata }, bytes))
                .collect();
            archives.sort_by_key(|(half, _)| *half);
            let mut cutter = WaveCutter::new(limit);
            let mut waves = Vec::new();
            for (half, bytes) in &archives {
                waves.extend(cutter.push(*half, *bytes).unwrap().1);
            }
            waves.extend(cutter.finish());
            prop_assert_eq!(waves.iter().map(|wave| wave.archives).sum::<u64>(), archives.len() as u64);
            let bytes: u64 = archives.iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(waves.iter().map(|wave| wave.bytes).sum::<u64>(), bytes);
            prop_assert!(waves.iter().all(|wave| wave.bytes <= limit || wave.archives == 1));
            prop_assert!(waves.windows(2).all(|pair| pair[0].half <= pair[1].half));
            prop_assert!(waves.iter().enumerate().all(|(at, wave)| wave.number == at as u64));
        }

        #[test]
        fn a_wave_for_days_takes_those_days(days in 1u32..30, rate in 1u64..50_000_000_000) {
            let pace = Pace {
                bytes_per_sec: rate,
                restore: Tier::Standard.takes(StorageClass::Glacier),
                margin_secs: HOUR,
            };
            let bytes = pace.wave_bytes_for(days).unwrap();
            prop_assert_eq!(pace.days_for(bytes), days);
        }
    }
}
