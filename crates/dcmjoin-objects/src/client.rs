//! One client of one store, shared by everything that is read from it or written to it.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::buffers::Buffers;
use crate::error::ErrorKind;
use crate::meter::Meter;
use crate::pace::Pace;
use crate::retry_budget::RetryBudget;
use crate::stragglers::Stragglers;

/// A store's client, the meter of its requests, and what all of them together may ask of it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Uploads in parts; folders have none.
    pub(crate) parts: Option<Parts>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) retry_budget: RetryBudget,
    pub(crate) stragglers: Stragglers,
    pub(crate) buffers: Arc<Buffers>,
    pace: Pace,
}

/// A store's uploads in parts.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn MultipartStore>,
    /// Whether the last request of an upload can carry a condition (`If-None-Match`, `If-Match`).
    pub(crate) conditional: bool,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("conditional", &self.conditional).finish_non_exhaustive()
    }
}

impl Client {
    /// Returns the client of the local file system.
    pub(crate) fn local(meter: Arc<Meter>) -> Self {
        Self::new(Arc::new(LocalFileSystem::new()), None, meter)
    }

    /// Returns a client of a new store in memory.
    pub(crate) fn memory(meter: Arc<Meter>) -> Self {
        Self::remote(Arc::new(InMemory::new()), false, meter)
    }

    /// Returns the client of a store that takes uploads in parts.
    pub(crate) fn remote<S>(store: Arc<S>, conditional: bool, meter: Arc<Meter>) -> Self
    where
        S: ObjectStore + MultipartStore,
    {
        let parts = Parts { store: Arc::clone(&store) as Arc<dyn MultipartStore>, conditional };
        Self::new(store, Some(parts), meter)
    }

    fn new(store: Arc<dyn ObjectStore>, parts: Option<Parts>, meter: Arc<Meter>) -> Self {
        Self {
            store,
            parts,
            meter,
            retry_budget: RetryBudget::default(),
            stragglers: Stragglers::default(),
            buffers: Arc::default(),
            pace: Pace::default(),
        }
    }

    /// Returns true where requests go to a server.
    pub(crate) fn is_remote(&self) -> bool {
        self.parts.is_some()
    }

    /// Begins a request that may be tried again.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self)
    }

    /// Waits for the turn of a request.
    pub(crate) async fn turn(&self) {
        if self.is_remote() {
            self.wait(self.pace.turn()).await;
        }
    }

    /// Returns true while the store wants no more requests than it gets.
    pub(crate) fn is_throttled(&self) -> bool {
        self.pace.is_limited()
    }

    pub(crate) fn went_well(&self) {
        if self.is_remote() {
            self.pace.went_well();
        }
    }

    pub(crate) fn went_wrong(&self, kind: ErrorKind) {
        if kind == ErrorKind::Throttled {
            self.meter.throttled();
        }
        if matches!(kind, ErrorKind::Throttled | ErrorKind::TimedOut) {
            self.pace.slow_down();
        }
    }

    /// Waits, and counts the wait.
    pub(crate) async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            let start = Instant::now();
            tokio::time::sleep(time).await;
            self.meter.waited(start.elapsed());
        }
    }
}
