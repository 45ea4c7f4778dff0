//! The archives of one side, by number. A worker's list grows as it is given archives.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dcmjoin_objects::Object;

use crate::since::Since;

/// Archives of one side.
#[derive(Debug)]
pub(super) struct Archives(RwLock<Vec<Listed>>);

#[derive(Debug)]
struct Listed {
    archive: Object,
    /// When it was first read; none before that.
    since: Option<Since>,
}

impl From<Object> for Listed {
    fn from(archive: Object) -> Self {
        Self { archive, since: None }
    }
}

impl Archives {
    pub(super) fn of(archives: Vec<Object>) -> Self {
        Self(RwLock::new(archives.into_iter().map(Listed::from).collect()))
    }

    fn listed(&self) -> RwLockReadGuard<'_, Vec<Listed>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed_mut(&self) -> RwLockWriteGuard<'_, Vec<Listed>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an archive; returns its number.
    pub(super) fn add(&self, archive: Object) -> u32 {
        let mut listed = self.listed_mut();
        listed.push(archive.into());
        (listed.len() - 1) as u32
    }

    /// Has an archive read from a copy of the same version.
    pub(super) fn replace(&self, number: u32, copied: Object) {
        self.listed_mut()[number as usize].archive = copied;
    }

    /// Says when an archive was first read, as an earlier run told.
    pub(super) fn known_since(&self, number: u32, since: Option<Since>) {
        self.listed_mut()[number as usize].since = since;
    }

    /// Returns when an archive was first read: now, where nobody has before.
    pub(super) fn since(&self, number: u32) -> Since {
        if let Some(since) = self.listed()[number as usize].since {
            return since;
        }
        *self.listed_mut()[number as usize].since.get_or_insert_with(Since::now)
    }

    /// Returns the bytes of these archives.
    pub(super) fn bytes(&self, numbers: impl IntoIterator<Item = u32>) -> u64 {
        let listed = self.listed();
        numbers.into_iter().map(|number| listed[number as usize].archive.size()).sum()
    }

    pub(super) fn len(&self) -> u32 {
        self.listed().len() as u32
    }

    /// Returns the archive of a number that the list gave.
    pub(super) fn get(&self, number: u32) -> Object {
        self.listed()[number as usize].archive.clone()
    }

    pub(super) fn url(&self, number: u32) -> Arc<str> {
        Arc::clone(self.listed()[number as usize].archive.url())
    }
}
