//! One client of one store, shared by everything that is read from it or written to it.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;

use crate::meter::Meter;

/// A store's client, and the meter of its requests.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Uploads in parts; folders have none.
    pub(crate) parts: Option<Parts>,
    pub(crate) meter: Arc<Meter>,
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
        Self { store: Arc::new(LocalFileSystem::new()), parts: None, meter }
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
        Self { store, parts: Some(parts), meter }
    }
}
