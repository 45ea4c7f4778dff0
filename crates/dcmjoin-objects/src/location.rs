//! What people type for a source or an output: a folder, or a URL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::error::{Error, ErrorKind, Operation};

/// The URL schemes of object stores.
const CLOUD_SCHEMES: [&str; 9] =
    ["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "https"];

/// A source or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder or file on this machine.
    Local(PathBuf),
    /// A bucket, container, prefix or object.
    Cloud(Url),
    /// Nowhere but in this process: what is written is gone with it.
    Memory,
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |detail: &str| Error::new(Operation::Open, text, ErrorKind::Invalid, detail);
        if text.is_empty() {
            return Err(invalid("the location is empty"));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        let url = Url::parse(text).map_err(|_| invalid("it is not a URL"))?;
        if scheme == "file" {
            return url
                .to_file_path()
                .map(Self::Local)
                .map_err(|()| invalid("a file:// URL needs an absolute path"));
        }
        if scheme == "memory" {
            return Ok(Self::Memory);
        }
        if !CLOUD_SCHEMES.contains(&scheme) {
            return Err(invalid("expected a folder, file://, s3://, gs:// or az://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(invalid("credentials and signatures do not belong in a location"));
        }
        Ok(Self::Cloud(url))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Cloud(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Memory => f.write_str("memory://"),
        }
    }
}

/// Returns a path without a trailing slash, `.` for the current folder.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().collect();
    if plain.as_os_str().is_empty() { PathBuf::from(".") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_urls_are_told_apart() {
        assert_eq!("a/b".parse::<Location>().unwrap(), Location::Local("a/b".into()));
        assert_eq!("file:///a".parse::<Location>().unwrap(), Location::Local("/a".into()));
        let Location::Cloud(url) = "s3://bucket/prefix/".parse().unwrap() else {
            panic!("not a URL")
        };
        assert_eq!(url.host_str(), Some("bucket"));
    }

    #[test]
    fn what_cannot_be_a_location_is_refused() {
        for text in
            ["", "ftp://host/x", "s3://key:secret@bucket/x", "https://b/x?X-Amz-Signature=1"]
        {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }
}
