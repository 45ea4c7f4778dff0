//! Commits archives: each once all that it published is on the output's device.
//!
//! A folder is synced for many archives at once: who waits for a sync is served by the first one
//! that begins after it came. Object stores are durable when they answer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dcmjoin_objects::{ErrorKind, Root};
use tokio::sync::Mutex;

use crate::error::RunError;

/// Syncs of an output, shared by all who wait.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    asked: AtomicU64,
    /// The last who asked before the last sync began.
    served: Mutex<u64>,
}

impl Syncs {
    /// Returns once all that was written before the call is durable.
    pub(super) async fn wait(&self, output: &Root) -> Result<(), RunError> {
        if !output.is_folder() {
            return Ok(());
        }
        let ours = self.asked.fetch_add(1, Relaxed) + 1;
        let mut served = self.served.lock().await;
        if *served >= ours {
            return Ok(());
        }
        let waiting = self.asked.load(Relaxed);
        match tokio::task::block_in_place(|| output.sync()) {
            // Nothing was published yet: the archive's file will be the first.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            synced => synced?,
        }
        *served = waiting;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dcmjoin_objects::Stores;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_wait_share_syncs_and_all_are_served() {
        let dir = tempfile::tempdir().unwrap();
        let root =
            Stores::default().open(&dir.path().display().to_string().parse().unwrap()).unwrap();
        let syncs = Arc::new(Syncs::default());
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let (syncs, root) = (Arc::clone(&syncs), root.clone());
                tokio::spawn(async move { syncs.wait(&root).await })
            })
            .collect();
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        assert_eq!(*syncs.served.lock().await, 50);
    }
}
