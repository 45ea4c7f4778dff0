//! Opens locations; one client a bucket, however many archives a manifest names in it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, OnceLock};

use object_store::path::Path;
use url::Url;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Operation};
use crate::location::{Location, plain};
use crate::meter::Meter;
use crate::object::Object;
use crate::root::{Root, VERSION_MARK};

type Variables = HashMap<String, String>;

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
        let process = || {
            // Variables that are not text are none of ours.
            let text = |(name, value): (OsString, OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            std::env::vars_os().filter_map(text).collect()
        };
        self.variables.clone().unwrap_or_else(process)
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

#[cfg(not(feature = "cloud"))]
mod cloud {
    use super::{Arc, Client, Meter, Url, Variables};

    pub(super) fn client(_: &Url, _: &Variables, _: Arc<Meter>) -> Result<Client, String> {
        Err("this build has no object stores, only folders".to_owned())
    }
}

#[cfg(feature = "cloud")]
mod cloud {
    use std::time::Duration;

    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::{BackoffConfig, ClientOptions, ObjectStoreScheme, RetryConfig};

    use super::{Arc, Client, Meter, Url, Variables};
    use crate::condition::Connector;
    use crate::profile;

    /// A request of S3, from connecting to the last byte of its answer, takes no longer;
    /// `AWS_TIMEOUT` (`90s`) goes before it.
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// [`crate::attempts::Attempts`] tries again, and counts; the client does not.
    fn no_retries() -> RetryConfig {
        RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, ..RetryConfig::default() }
    }

    pub(super) fn client(
        url: &Url,
        variables: &Variables,
        meter: Arc<Meter>,
    ) -> Result<Client, String> {
        // A second provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (scheme, _) =
            ObjectStoreScheme::parse(url).map_err(|_| "it names no bucket".to_owned())?;
        Ok(match scheme {
            ObjectStoreScheme::AmazonS3 => {
                Client::remote(Arc::new(s3(url, variables)?), true, meter)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let store = GoogleCloudStorageBuilder::from_env()
                    .with_url(url.as_str())
                    .with_retry(no_retries())
                    .build()
                    .map_err(config)?;
                Client::remote(Arc::new(store), false, meter)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let store = MicrosoftAzureBuilder::from_env()
                    .with_url(url.as_str())
                    .with_retry(no_retries())
                    .build()
                    .map_err(config)?;
                Client::remote(Arc::new(store), false, meter)
            }
            _ => return Err("expected a folder, file://, s3://, gs:// or az://".to_owned()),
        })
    }

    fn s3(url: &Url, variables: &Variables) -> Result<object_store::aws::AmazonS3, String> {
        let env = |name: &str| variables.get(name).cloned().filter(|value| !value.is_empty());
        let endpoint = env("AWS_ENDPOINT_URL_S3").or_else(|| env("AWS_ENDPOINT_URL"));
        // Whoever names an http:// endpoint means it.
        let http = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(http);
        let mut builder = AmazonS3Builder::new().with_client_options(options);
        for (key, value) in profile::settings(env) {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        for (key, value) in variables.iter().filter(|(key, _)| key.starts_with("AWS_")) {
            if let Ok(key) = key.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(keys) = profile::Rotating::of(variables) {
            builder = builder.with_credentials(Arc::new(keys));
        }
        // Objects are removed one by one, and not every store knows `DeleteObjects`.
        let builder = builder.with_disable_bulk_delete(true);
        let builder = builder.with_http_connector(Connector::default());
        builder.with_url(url.as_str()).with_retry(no_retries()).build().map_err(config)
    }

    /// The builders' errors name settings and never their values, except for URLs.
    fn config(error: object_store::Error) -> String {
        match error {
            object_store::Error::Generic { source, .. } if !source.to_string().contains("://") => {
                format!("its settings are not complete: {source}")
            }
            _ => "its settings are not complete or not valid".to_owned(),
        }
    }
}
