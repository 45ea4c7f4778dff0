//! Clients of object stores, by settings of the environment.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::client::Client;
use crate::condition::Connector;
use crate::meter::Meter;
use crate::profile;
use crate::stores::Variables;

/// A request of S3, from connecting to the last byte of its answer, takes no longer;
/// `AWS_TIMEOUT` (`90s`) goes before it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// [`crate::attempts::Attempts`] tries again, and counts; the client does not.
fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, ..RetryConfig::default() }
}

pub(crate) fn client(
    url: &Url,
    variables: &Variables,
    meter: Arc<Meter>,
) -> Result<Client, String> {
    install_ring();
    let (scheme, _) = ObjectStoreScheme::parse(url).map_err(|_| "it names no bucket".to_owned())?;
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => Client::remote(Arc::new(s3(url, variables)?), true, meter),
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

fn s3(url: &Url, variables: &Variables) -> Result<AmazonS3, String> {
    s3_builder(variables).with_url(url.as_str()).build().map_err(config)
}

/// Returns what gives keys to S3's clients by these variables: roles of web identity, containers
/// and machines too. It keeps them until they are about to end.
pub(crate) fn keys(variables: &Variables) -> Result<AwsCredentialProvider, String> {
    install_ring();
    // No bucket is asked for anything.
    let store = s3_builder(variables).with_bucket_name("none").build().map_err(config)?;
    Ok(Arc::clone(store.credentials()))
}

fn install_ring() {
    // A second provider is refused, and the first one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn s3_builder(variables: &Variables) -> AmazonS3Builder {
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
    builder.with_http_connector(Connector::default()).with_retry(no_retries())
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
