//! The archives of one side, by number. A worker's list grows as it is given archives.

use std::sync::{Arc, PoisonError, RwLock};

use dcmjoin_objects::Object;

/// Archives of one side.
#[derive(Debug)]
pub(super) struct Archives(RwLock<Vec<Object>>);

impl Archives {
    pub(super) fn of(archives: Vec<Object>) -> Self {
        Self(RwLock::new(archives))
    }

    /// Adds an archive; returns its number.
    pub(super) fn add(&self, archive: Object) -> u32 {
        let mut archives = self.0.write().unwrap_or_else(PoisonError::into_inner);
        archives.push(archive);
        (archives.len() - 1) as u32
    }

    /// Has an archive read from a copy of the same version.
    pub(super) fn replace(&self, number: u32, copied: Object) {
        let mut archives = self.0.write().unwrap_or_else(PoisonError::into_inner);
        archives[number as usize] = copied;
    }

    /// Returns the bytes of these archives.
    pub(super) fn bytes(&self, numbers: impl IntoIterator<Item = u32>) -> u64 {
        let archives = self.0.read().unwrap_or_else(PoisonError::into_inner);
        numbers.into_iter().map(|number| archives[number as usize].size()).sum()
    }

    pub(super) fn len(&self) -> u32 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len() as u32
    }

    /// Returns the archive of a number that the list gave.
    pub(super) fn get(&self, number: u32) -> Object {
        self.0.read().unwrap_or_else(PoisonError::into_inner)[number as usize].clone()
    }

    pub(super) fn url(&self, number: u32) -> Arc<str> {
        let archives = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(archives[number as usize].url())
    }
}
