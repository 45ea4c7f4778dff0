//! Removing many objects at once.

use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::error::{Error, Operation};
use crate::object::Object;
use crate::root::{Root, blocking};

/// Keys of one request: S3 takes no more.
const KEYS_MAX: usize = 1_000;
/// Requests that are on their way at the same time, each with its keys in memory.
const REQUESTS_MAX: usize = 4;

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were left where they are.
    pub left: u64,
}

impl Root {
    /// Returns an object below whose size is known, in whichever version stands there: nothing is asked
    /// of the store before it is read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] where it is not a valid key.
    pub fn sized(&self, key: &str, size: u64) -> Result<Object, Error> {
        let (path, url) = (self.path(key)?, self.url(key).into());
        let file = self.is_folder().then(|| Arc::new(self.file(&path)));
        let client = Arc::clone(&self.client);
        Ok(Object { client, key: path, url, size, e_tag: None, version_id: None, file, copy: None })
    }

    /// Removes the objects below whose keys are chosen, and then the folders that are empty. With `dry_run`
    /// it only counts them.
    ///
    /// The listing is not held in memory. An object that is gone by then is no error, so the same
    /// again completes what was broken off.
    ///
    /// # Errors
    /// [`Error`] where the store refuses.
    pub async fn remove_all(
        &self,
        is_chosen: impl Fn(&str) -> bool,
        dry_run: bool,
    ) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        if self.folder.as_ref().is_some_and(|folder| !folder.is_dir()) {
            return Ok(removed);
        }
        let mut attempts = self.client.attempts();
        loop {
            attempts.turn().await;
            // Those that were removed are not listed again.
            let before = if dry_run { Removed::default() } else { removed };
            removed = Removed { left: 0, ..before };
            match self.remove_listed(&is_chosen, dry_run, &mut removed).await {
                Ok(()) => break,
                Err(error) => {
                    if removed.objects > before.objects {
                        attempts = self.client.attempts();
                    }
                    attempts.after(error).await?;
                }
            }
        }
        attempts.done();
        if let (Some(folder), false) = (self.folder.clone(), dry_run) {
            let cleared = blocking(move || {
                remove_empty(&folder);
                Ok(())
            });
            cleared.await.map_err(|error| self.io_failed(error))?;
        }
        Ok(removed)
    }

    async fn remove_listed(
        &self,
        is_chosen: &impl Fn(&str) -> bool,
        dry_run: bool,
        removed: &mut Removed,
    ) -> Result<(), Error> {
        self.client.meter.list();
        let failed = |error| Error::from_store(Operation::List, &self.place, &error);
        let prefix = Some(&self.prefix).filter(|prefix| prefix.as_ref() != "");
        let mut listing = self.client.store.list(prefix).try_chunks(KEYS_MAX);
        let mut requests = FuturesUnordered::new();
        loop {
            let (metas, is_last) = match listing.next().await {
                Some(Ok(metas)) => (metas, false),
                Some(Err(error)) => return Err(failed(error.1)),
                None => (Vec::new(), true),
            };
            let count = metas.len();
            let chosen: Vec<ObjectMeta> =
                metas.into_iter().filter(|meta| is_chosen(&self.key_of(meta))).collect();
            removed.left += (count - chosen.len()) as u64;
            if dry_run {
                removed.count(&chosen);
            } else if !chosen.is_empty() {
                requests.push(self.remove(chosen));
            }
            while requests.len() >= REQUESTS_MAX || is_last && !requests.is_empty() {
                if let Some(chosen) = requests.next().await {
                    removed.count(&chosen?);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Removes objects in one request, where the store has one for many.
    async fn remove(&self, chosen: Vec<ObjectMeta>) -> Result<Vec<ObjectMeta>, Error> {
        let paths: Vec<Result<Path, object_store::Error>> =
            chosen.iter().map(|meta| Ok(meta.location.clone())).collect();
        let mut gone = self.client.store.delete_stream(futures::stream::iter(paths).boxed());
        while let Some(one) = gone.next().await {
            match one {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    return Err(Error::from_store(Operation::Delete, &self.somewhere(), &error));
                }
            }
        }
        Ok(chosen)
    }

    fn key_of(&self, meta: &ObjectMeta) -> String {
        let below = meta.location.prefix_match(&self.prefix);
        let parts = below.into_iter().flatten().map(|part| part.as_ref().to_owned());
        parts.collect::<Vec<_>>().join("/")
    }
}

impl Removed {
    fn count(&mut self, objects: &[ObjectMeta]) {
        self.objects += objects.len() as u64;
        self.bytes += objects.iter().map(|meta| meta.size).sum::<u64>();
    }

    /// Adds what else was removed.
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.left += other.left;
    }
}

/// Removes a folder where nothing is in it but empty folders. One that somebody fills meanwhile stays.
fn remove_empty(folder: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // Where it is not empty the system refuses, and that is what is wanted.
    let _ = std::fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use crate::{PutMode, Stores};

    use super::*;

    #[tokio::test]
    async fn what_is_chosen_goes_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        for place in [dir.path().join("a").display().to_string(), "memory://".to_owned()] {
            let root = Stores::default().open(&place.parse().unwrap()).unwrap();
            assert_eq!(root.remove_all(|_| true, false).await.unwrap(), Removed::default());
            for number in 0..1_200 {
                let key = format!("raw/{}/{number}", number % 7);
                root.put(&key, vec!["12345".into()], PutMode::Create).await.unwrap();
            }
            root.put("raw/0/other", vec!["1".into()], PutMode::Create).await.unwrap();
            root.put("beside", vec!["1".into()], PutMode::Create).await.unwrap();
            let below = root.below("raw").unwrap();
            let is_number = |key: &str| !key.ends_with("other");
            let expected = Removed { objects: 1_200, bytes: 6_000, left: 1 };
            assert_eq!(below.remove_all(is_number, true).await.unwrap(), expected);
            assert_eq!(below.remove_all(is_number, false).await.unwrap(), expected);
            let again = Removed { left: 1, ..Removed::default() };
            assert_eq!(below.remove_all(is_number, false).await.unwrap(), again);
            assert_eq!(root.list().await.unwrap().len(), 2);
        }
        assert!(!dir.path().join("a/raw/1").exists(), "empty folders go");
        assert!(dir.path().join("a/raw/0").exists());
    }

    #[tokio::test]
    async fn an_object_of_known_size_is_read_without_a_question() {
        let stores = Stores::default();
        let root = stores.open(&"memory://".parse().unwrap()).unwrap();
        root.put("a/b", vec!["12345".into()], PutMode::Create).await.unwrap();
        let object = root.sized("a/b", 5).unwrap();
        assert_eq!(object.read(0..5).await.unwrap(), "12345");
        assert_eq!(stores.meter().requests().heads, 0);
        assert!(root.sized("a/b", 6).unwrap().read(0..6).await.is_err());
        assert!(root.sized("a/c", 5).unwrap().read(0..5).await.is_err());

        let dir = tempfile::tempdir().unwrap();
        let root = stores.open(&dir.path().display().to_string().parse().unwrap()).unwrap();
        root.put("a/b", vec!["12345".into()], PutMode::Create).await.unwrap();
        assert_eq!(root.sized("a/b", 5).unwrap().read(1..4).await.unwrap(), "234");
        assert!(root.sized("a/b", 6).unwrap().read(0..5).await.is_err());
        assert!(root.sized("a/c", 5).unwrap().read(0..5).await.is_err());
    }
}
