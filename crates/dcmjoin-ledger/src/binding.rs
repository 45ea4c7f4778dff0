//! A fact log is one task store's: workers of another one would get pairs of campaigns that they do not
//! know, and campaigns of the same name would mix.
//!
//! A store has an id of its own, made with it. A log keeps the id of the first store that it was used
//! with, and refuses all others. A log of the time before has none, and takes the next that comes.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Hexadecimal digits of an id: 128 bits at random.
const DIGITS: usize = 32;

/// What tells a task store from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreId(String);

impl StoreId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares the id that a log keeps with this one.
    ///
    /// # Errors
    /// [`Error::Bound`] where it is another.
    pub fn check(&self, kept: &str) -> Result<(), Error> {
        if kept == self.0 { Ok(()) } else { Err(Error::Bound) }
    }
}

impl FromStr for StoreId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != DIGITS || !text.bytes().all(fits) {
            return Err(Error::Invalid("the task store's id is none".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
