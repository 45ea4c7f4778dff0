//! What a run has done so far, for those who watch it. Display only: the books are made from facts.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use dcmjoin_model::{Half, WarningCode, Warnings};

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Listing archives.
    Manifest = 0,
    /// Reading the UIDs of image archives, where that side is the smaller one.
    Uids = 1,
    /// Reading metadata archives.
    Metadata = 2,
    /// Reading image archives, pairing, assembling and publishing.
    Images = 3,
    /// Publishing header-only instances, settling conflicts, balancing the books.
    Closing = 4,
}

impl Phase {
    /// Returns the side whose archives are read.
    pub(crate) fn half(self) -> Half {
        if self == Self::Metadata { Half::Metadata } else { Half::Image }
    }
}

/// Counters that grow while a run goes.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    /// Archives of the present phase.
    pub archives: AtomicU64,
    /// Those that are done.
    pub archives_done: AtomicU64,
    /// Bytes of the archives of the present phase.
    pub archive_bytes: AtomicU64,
    /// Those of archives that are done.
    pub archive_bytes_done: AtomicU64,
    /// Bytes of halves that were read, of both sides.
    pub bytes: AtomicU64,
    /// Headers that were taken in.
    pub headers: AtomicU64,
    /// Instances that are in the output.
    pub published: AtomicU64,
    /// Bytes of those.
    pub published_bytes: AtomicU64,
    /// Images without header so far.
    pub unpaired: AtomicU64,
    /// Halves and instances that were rejected.
    pub rejected: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Asks the run to stop at the next member.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Returns true once the run was asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Returns what the run is at.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Manifest,
            1 => Phase::Uids,
            2 => Phase::Metadata,
            3 => Phase::Images,
            _ => Phase::Closing,
        }
    }

    pub(crate) fn begin(&self, phase: Phase, archives: u64, bytes: u64) {
        self.phase.store(phase as u8, Relaxed);
        self.archives.store(archives, Relaxed);
        self.archive_bytes.store(bytes, Relaxed);
        self.archives_done.store(0, Relaxed);
        self.archive_bytes_done.store(0, Relaxed);
    }

    pub(crate) fn begin_side(&self, phase: Phase, sizes: impl ExactSizeIterator<Item = u64>) {
        let archives = sizes.len() as u64;
        self.begin(phase, archives, sizes.sum());
    }

    pub(crate) fn archive_done(&self, bytes: u64) {
        self.archives_done.fetch_add(1, Relaxed);
        self.archive_bytes_done.fetch_add(bytes, Relaxed);
    }
}

/// Warnings of published instances, by code.
#[derive(Debug)]
pub(crate) struct WarningTally([AtomicU64; WarningCode::ALL.len()]);

impl Default for WarningTally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl WarningTally {
    pub(crate) fn add(&self, warnings: &Warnings) {
        for (code, count) in warnings.iter() {
            self.0[code as usize].fetch_add(u64::from(count), Relaxed);
        }
    }

    /// Takes back what another candidate of the same instance had added.
    pub(crate) fn subtract(&self, warnings: &Warnings) {
        for (code, count) in warnings.iter() {
            self.0[code as usize].fetch_sub(u64::from(count), Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (WarningCode, u64)> + '_ {
        let counts =
            WarningCode::ALL.iter().map(|&code| (code, self.0[code as usize].load(Relaxed)));
        counts.filter(|&(_, count)| count > 0)
    }
}
