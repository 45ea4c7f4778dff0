//! The shared credentials and configuration files of AWS (`~/.aws`), for people whose keys are
//! there and not in the environment.
//!
//! Static keys, session tokens and regions only. Roles, SSO and processes need the AWS CLI:
//! `eval "$(aws configure export-credentials --format env)"`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// How often the keys of a profile are read.
const READ_EVERY: Duration = Duration::from_secs(10);

/// Settings that a profile gives, by the names that `object_store` knows.
pub(crate) type Settings = BTreeMap<String, String>;

/// Variables whose presence says that credentials come from elsewhere.
const OTHER_SOURCES: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Returns the settings of the profile `AWS_PROFILE` (else `default`), where nothing in the
/// environment goes before it.
pub(crate) fn settings(env: impl Fn(&str) -> Option<String>) -> Settings {
    let profile = env("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let file = |variable: &str, name: &str| {
        let path = env(variable)
            .map(PathBuf::from)
            .or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".aws").join(name)))?;
        std::fs::read_to_string(path).ok()
    };
    let mut settings = Settings::new();
    if let Some(text) = file("AWS_CONFIG_FILE", "config") {
        settings.extend(section(&text, &format!("profile {profile}")));
        settings.extend(section(&text, &profile));
    }
    if let Some(text) = file("AWS_SHARED_CREDENTIALS_FILE", "credentials") {
        settings.extend(section(&text, &profile));
    }
    if OTHER_SOURCES.iter().any(|variable| env(variable).is_some()) {
        settings.retain(|key, _| key == "aws_region");
    }
    settings
}

/// Keys of S3 that whoever rotates them may replace.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// What temporary keys bring with them.
    pub token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Returns the keys that the environment gives now, else the profile's in `~/.aws`: files are
    /// read anew each time.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::from(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from(env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(id) = env("AWS_ACCESS_KEY_ID") {
            let secret = env("AWS_SECRET_ACCESS_KEY")?;
            return Some(Self { id, secret, token: env("AWS_SESSION_TOKEN") });
        }
        Self::of(&mut settings(env))
    }

    fn of(settings: &mut Settings) -> Option<Self> {
        Some(Self {
            id: settings.remove("aws_access_key_id")?,
            secret: settings.remove("aws_secret_access_key")?,
            token: settings.remove("aws_session_token"),
        })
    }
}

/// Keys of a profile, which are read again now and then: who rotates them replaces the file before
/// the old ones end.
pub(crate) struct Rotating {
    variables: HashMap<String, String>,
    read: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl std::fmt::Debug for Rotating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotating")
    }
}

impl Rotating {
    /// Returns the keys of the profile, where it is the profile that gives them.
    pub(crate) fn of(variables: &HashMap<String, String>) -> Option<Self> {
        let rotating = Self { variables: variables.clone(), read: Mutex::new(None) };
        rotating.keys().is_some().then_some(rotating)
    }

    fn keys(&self) -> Option<Keys> {
        let env = |name: &str| self.variables.get(name).cloned().filter(|value| !value.is_empty());
        Keys::of(&mut settings(env))
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Rotating {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = read.as_ref().filter(|(when, _)| when.elapsed() < READ_EVERY) {
            return Ok(Arc::clone(keys));
        }
        // A file that is being replaced may be gone for a moment.
        let keys = self.keys().map(|keys| {
            Arc::new(AwsCredential { key_id: keys.id, secret_key: keys.secret, token: keys.token })
        });
        let keys = keys.or_else(|| read.as_ref().map(|(_, keys)| Arc::clone(keys)));
        let gone = || object_store::Error::Generic { store: "S3", source: "no keys".into() };
        let keys = keys.ok_or_else(gone)?;
        *read = Some((Instant::now(), Arc::clone(&keys)));
        Ok(keys)
    }
}

/// Returns the settings of one section of an INI file.
fn section(text: &str, name: &str) -> Settings {
    let mut inside = false;
    let mut settings = Settings::new();
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title.trim() == name;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            let key = match key.trim() {
                "aws_access_key_id" => "aws_access_key_id",
                "aws_secret_access_key" => "aws_secret_access_key",
                "aws_session_token" => "aws_session_token",
                "region" => "aws_region",
                _ => continue,
            };
            settings.insert(key.to_owned(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_gives_keys_and_region() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name).display().to_string()
        };
        let config =
            path("config", "[default]\nregion=eu-west-1\n[profile lab]\nregion = us-east-2\n");
        let keys =
            path("credentials", "[lab]\naws_access_key_id = A\naws_secret_access_key= S\n# x\n");
        let env = |profile: Option<&str>, key: Option<&str>| {
            let (profile, key) = (profile.map(str::to_owned), key.map(str::to_owned));
            let (config, keys) = (config.clone(), keys.clone());
            move |name: &str| match name {
                "AWS_PROFILE" => profile.clone(),
                "AWS_CONFIG_FILE" => Some(config.clone()),
                "AWS_SHARED_CREDENTIALS_FILE" => Some(keys.clone()),
                "AWS_ACCESS_KEY_ID" => key.clone(),
                _ => None,
            }
        };
        let lab = settings(env(Some("lab"), None));
        assert_eq!(lab["aws_access_key_id"], "A");
        assert_eq!(lab["aws_region"], "us-east-2");
        assert_eq!(settings(env(None, None))["aws_region"], "eu-west-1");
        assert_eq!(Keys::from(env(Some("lab"), None)).unwrap().secret, "S");
        assert_eq!(Keys::from(env(None, None)), None);
        let overruled = settings(env(Some("lab"), Some("other")));
        assert_eq!(overruled.keys().collect::<Vec<_>>(), ["aws_region"]);
    }
}
