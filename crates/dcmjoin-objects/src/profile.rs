//! The shared credentials and configuration files of AWS (`~/.aws`), for people whose keys are
//! there and not in the environment.
//!
//! Static keys, session tokens and regions only. Roles, SSO and processes need the AWS CLI:
//! `eval "$(aws configure export-credentials --format env)"`.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
        let overruled = settings(env(Some("lab"), Some("other")));
        assert_eq!(overruled.keys().collect::<Vec<_>>(), ["aws_region"]);
    }
}
