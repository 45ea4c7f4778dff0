//! Campaigns: jobs that the same workers share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest name, in bytes: it becomes a part of topics and tables.
pub const NAME_BYTES_MAX: usize = 64;

/// The name of a campaign: lower-case letters, digits, `-` and `_`, at most [`NAME_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignName(String);

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its name.
    pub name: CampaignName,
    /// Tasks of a greater one are claimed first.
    pub priority: i32,
    /// What workers need to know of it, as JSON; stores do not look into it.
    pub settings: String,
}

impl CampaignName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(fits) {
            return Err(Error::Invalid(format!(
                "expected a campaign's name of 1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CampaignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CampaignName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<CampaignName> for String {
    fn from(name: CampaignName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_topics_and_tables() {
        for good in ["a", "2026-q1", "cohort_7", &"x".repeat(64)] {
            assert!(good.parse::<CampaignName>().is_ok(), "{good}");
        }
        for bad in ["", "A", "a.b", "a b", "ä", "a'", &"x".repeat(65)] {
            assert!(bad.parse::<CampaignName>().is_err(), "{bad}");
        }
    }
}
