//! Opens locations; one client a bucket, however many archives a manifest names in it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, OnceLock};

use object_store::path::Path;
use url::Url;

use crate::client::Client;
#[cfg(feature = "cloud")]
use crate::cloud;
use crate::error::{Error, ErrorKind, Operation};
use crate::location::{Location, plain};
use crate::meter::Meter;
use crate::object::Object;
use crate::root::{Root, VERSION_MARK};

pub(crate) type Variables = HashMap<String, String>;

/// The stores of a run: their clients and the meter that they share.
#[derive(Debug, Default)]
pub struct Stores {
    /// Variables in place of the process's own.
    variables: Option<Variables>,
    meter: Arc<Meter>,
    /// All folders have one: it keeps buffers for ranges, which must not be as many as archives.
    folders: OnceLock<Arc<Client>>,
    buckets: Mutex<HashMap<String, Arc<Client>>>,
}

impl Stores {
    /// Returns stores that take S3's settings from these variables, not from the process's
    /// environment.
    pub fn with_variables<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: Some(variables.collect()), ..Self::default() }
    }

    fn variables(&self) -> Variables {
        self.variables.clone().unwrap_or_else(process_variables)
    }

    /// Returns the meter of all requests.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Opens a folder, bucket or prefix. Nothing is asked of a server yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the location or the configuration in the environment makes
    /// no sense.
    pub fn open(&self, location: &Location) -> Result<Root, Error> {
        let meter = || Arc::clone(&self.meter);
        let folders = || self.folders.get_or_init(|| Arc::new(Client::local(meter())));
        let (client, prefix, folder) = match location {
            Location::Local(path) => {
                let folder = plain(path);
                let absolute = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
                let prefix = Path::from_absolute_path(&absolute)
                    .map_err(|_| invalid(location, "the path holds what cannot be a key"))?;
                (Arc::clone(folders()), prefix, Some(folder))
            }
            Location::Memory => (Arc::new(Client::memory(meter())), Path::default(), None),
            Location::Cloud(url) => {
                let (_, prefix) = object_store::ObjectStoreScheme::parse(url)
                    .map_err(|_| invalid(location, "it names no bucket"))?;
                (self.bucket(location, url)?, prefix, None)
            }
        };
        let place = folder
            .as_ref()
            .map_or_else(|| location.to_string(), |folder| folder.display().to_string());
        Ok(Root { client, place: place.into(), prefix, folder })
    }

    /// Looks up an object of S3: this version of it, or the current one. `None` where there is none.
    ///
    /// # Errors
    /// [`Error`] where the store cannot tell.
    pub async fn s3_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Object>, Error> {
        let root = self.open(&format!("s3://{bucket}").parse()?)?;
        match version {
            Some(version) => root.object_version(key, version).await,
            None => root.object(key).await,
        }
    }

    /// Returns bucket, key and version of a URL that names a version, as [`Object::url`] does.
    #[must_use]
    pub fn parts_of_version(url: &str) -> Option<(&str, &str, &str)> {
        let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
        let (key, version) = key.rsplit_once(VERSION_MARK)?;
        Some((bucket, key, version))
    }

    fn bucket(&self, location: &Location, url: &Url) -> Result<Arc<Client>, Error> {
        let name = url[..url::Position::BeforePath].to_owned();
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = buckets.get(&name) {
            return Ok(Arc::clone(client));
        }
        let client = cloud::client(url, &self.variables(), Arc::clone(&self.meter));
        let client = Arc::new(client.map_err(|detail| invalid(location, &detail))?);
        buckets.insert(name, Arc::clone(&client));
        Ok(client)
    }
}

fn invalid(location: &Location, detail: &str) -> Error {
    Error::new(Operation::Open, location.to_string(), ErrorKind::Invalid, detail)
}

/// Returns the process's environment. Variables that are not text are none of ours.
pub(crate) fn process_variables() -> Variables {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

#[cfg(not(feature = "cloud"))]
mod cloud {
    use super::{Arc, Client, Meter, Url, Variables};

    pub(super) fn client(_: &Url, _: &Variables, _: Arc<Meter>) -> Result<Client, String> {
        Err("this build has no object stores, only folders".to_owned())
    }
}
