//! A server, a proxy in front of it, and a root that is reached by way of the proxy.

use bytes::Bytes;
use dcmjoin_objects::{Object, Requests, Root, Stores};
use dcmjoin_testkit::{Bucket, FaultProxy, SeaweedFs, Seen};

pub(crate) struct Arranged {
    pub(crate) proxy: FaultProxy,
    /// By way of the proxy.
    pub(crate) root: Root,
    pub(crate) stores: Stores,
    /// Straight to the server.
    pub(crate) bucket: Bucket,
    _server: SeaweedFs,
}

impl Arranged {
    pub(crate) fn new() -> Self {
        Self::with([])
    }

    /// With further variables of the environment.
    pub(crate) fn with<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let server = SeaweedFs::start().unwrap();
        let bucket = server.admin().create_bucket("bucket").unwrap();
        let proxy = FaultProxy::start(&server.admin()).unwrap();
        let own = proxy.access(&server.admin()).env();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let stores = Stores::with_variables(own.chain(variables));
        let root = stores.open(&"s3://bucket".parse().unwrap()).unwrap();
        Self { proxy, root, stores, bucket, _server: server }
    }

    pub(crate) fn counted(&self) -> Requests {
        self.stores.meter().requests()
    }

    /// Puts an object there, past the proxy, and looks it up.
    pub(crate) async fn object(&self, key: &str, body: &[u8]) -> Object {
        self.bucket.put(key, body).unwrap();
        self.root.object(key).await.unwrap().unwrap()
    }

    /// Returns the requests of a method whose target holds a text.
    pub(crate) fn seen(&self, method: &str, target: &str) -> Vec<Seen> {
        let seen = self.proxy.seen().into_iter();
        seen.filter(|seen| seen.method == method && seen.target.contains(target)).collect()
    }
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}
