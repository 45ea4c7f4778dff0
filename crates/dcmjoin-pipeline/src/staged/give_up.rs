//! When a half without partner is given up: a rule that the user sets for a campaign.
//!
//! Nothing is done to a half that is given up. It is listed as such, the raw objects that were kept for it
//! may go, and it pairs as any other where its other half comes after all.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// The rule of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GiveUp {
    /// Once all archives of the campaign are through: `watermark`.
    #[default]
    Watermark,
    /// Once its archive was first read so long ago: `age=30d`.
    Age(Duration),
    /// Once so many closings of the campaign found no other half: `attempts=3`.
    Attempts(u32),
}

/// What a rule asks of a half without partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// Since its archive was first read.
    pub time: Duration,
    /// Closings that found no other half.
    pub attempts: u32,
    /// Whether no archive of its campaign is open.
    pub is_through: bool,
}

impl GiveUp {
    /// Returns whether a half that has waited so is given up.
    #[must_use]
    pub fn is_over(self, waited: Waited) -> bool {
        match self {
            Self::Watermark => waited.is_through,
            Self::Age(age) => waited.time >= age,
            Self::Attempts(attempts) => waited.attempts >= attempts,
        }
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watermark => f.write_str("watermark"),
            Self::Age(age) => {
                let age = humantime::format_duration(*age).to_string();
                write!(f, "age={}", age.replace(' ', ""))
            }
            Self::Attempts(attempts) => write!(f, "attempts={attempts}"),
        }
    }
}

impl FromStr for GiveUp {
    type Err = RunError;

    fn from_str(text: &str) -> Result<Self, RunError> {
        let age = |age: &str| humantime::parse_duration(age).ok().map(Self::Age);
        let attempts = |count: &str| count.parse().ok().filter(|&n| n > 0).map(Self::Attempts);
        let rule = match text.split_once('=') {
            None => (text == "watermark").then_some(Self::Watermark),
            Some(("age", value)) => age(value),
            Some(("attempts", value)) => attempts(value),
            Some(_) => None,
        };
        rule.ok_or_else(|| RunError::Invalid {
            place: text.to_owned(),
            detail: "expected watermark, age=TIME such as age=30d, or attempts=N, got another rule"
                .to_owned(),
        })
    }
}

impl From<GiveUp> for String {
    fn from(rule: GiveUp) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for GiveUp {
    type Error = RunError;

    fn try_from(text: String) -> Result<Self, RunError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn rules_are_read_as_they_are_written() {
        let rules = [
            ("watermark", GiveUp::Watermark),
            ("age=30days", GiveUp::Age(DAY * 30)),
            ("age=1day12h", GiveUp::Age(DAY * 3 / 2)),
            ("attempts=3", GiveUp::Attempts(3)),
        ];
        for (text, rule) in rules {
            assert_eq!(text.parse::<GiveUp>().unwrap(), rule, "{text}");
            assert_eq!(rule.to_string().parse::<GiveUp>().unwrap(), rule, "{text}");
        }
        assert_eq!("age=30d".parse::<GiveUp>().unwrap(), GiveUp::Age(DAY * 30));
        for text in
            ["", "never", "age", "age=", "age=x", "attempts=0", "attempts=-1", "watermark=1"]
        {
            assert!(text.parse::<GiveUp>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_rule_asks_for_one_thing() {
        let young = Waited { time: DAY, attempts: 1, is_through: false };
        for (rule, old) in [
            (GiveUp::Watermark, Waited { is_through: true, ..young }),
            (GiveUp::Age(DAY * 2), Waited { time: DAY * 2, ..young }),
            (GiveUp::Attempts(2), Waited { attempts: 2, ..young }),
        ] {
            assert!(!rule.is_over(young), "{rule}");
            assert!(rule.is_over(old), "{rule}");
        }
    }
}
