//! One byte budget over reading, pairing and publishing: the back-pressure of a run.
//!
//! A range of an archive is paid for before it is read, and given back when the last slice of it
//! is dropped, that is when the last instance that holds a part of it is published.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dcmjoin_index::Spool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for: a semaphore counts in 32 bits, budgets do not.
pub(crate) const UNIT_BYTES: u64 = 64 << 10;

/// Bytes that may be in memory at the same time.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// Where members go that do not lie in one range: those that the budget holds are joined in memory,
/// larger ones in a file.
#[derive(Debug, Clone)]
pub struct Members {
    budget: Budget,
    spill: PathBuf,
}

/// A member of more than this share of the budget goes to a file: two of them would keep all
/// others waiting.
const LARGE_SHARE: u64 = 4;

impl Members {
    /// Returns room for members of so many bytes, and for larger ones in a folder.
    #[must_use]
    pub fn new(bytes: u64, spill: &Path) -> Self {
        Self { budget: Budget::new(bytes), spill: spill.to_owned() }
    }

    /// Returns whether a member goes to a file.
    #[must_use]
    pub fn is_large(&self, length: u64) -> bool {
        length > u64::from(self.budget.units_max) * UNIT_BYTES / LARGE_SHARE
    }

    /// Waits for room in memory.
    pub async fn take(&self, bytes: u64) -> OwnedSemaphorePermit {
        self.budget.take(bytes).await
    }

    /// Begins the file of a large member.
    ///
    /// # Errors
    /// [`dcmjoin_index::Error::Io`] where the folder cannot be written.
    pub fn spool(&self) -> Result<Spool, dcmjoin_index::Error> {
        Spool::create(&self.spill)
    }
}

/// Bytes with what was paid for them.
struct Paid {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Budget {
    /// Returns a budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units_max = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX / 8).max(1);
        Self { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// Waits until so many bytes are free, and takes them. More than the whole budget counts as
    /// the whole budget: such a thing goes alone.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn take(&self, bytes: u64) -> OwnedSemaphorePermit {
        let units =
            u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max);
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        permit.expect("the budget's semaphore is never closed")
    }
}

/// Ties bytes to their permit: it is given back with the last slice of them.
#[must_use]
pub fn paid(bytes: Bytes, permit: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Paid { bytes, _permit: permit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_slice_gives_the_bytes_back() {
        let budget = Budget::new(4 * UNIT_BYTES);
        let permit = budget.take(3 * UNIT_BYTES).await;
        let bytes = paid(Bytes::from_static(b"0123456789"), permit);
        let slice = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(budget.units.available_permits(), 1);
        assert_eq!(slice, "23");
        drop(slice);
        assert_eq!(budget.units.available_permits(), 4);
        drop(budget.take(u64::MAX).await);
    }
}
