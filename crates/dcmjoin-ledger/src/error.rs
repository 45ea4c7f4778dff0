//! What a store of shared state answers instead of doing what it is asked.

use thiserror::Error;

/// Why a store did not do it.
#[derive(Debug, Error)]
pub enum Error {
    /// The store cannot be reached, or fails. Asking again may help.
    #[error("{store}: {detail}")]
    Store {
        /// Which: `sqlite`, `postgres`, `kafka`, `clickhouse`.
        store: &'static str,
        /// The server's code or the library's words; neither key nor UID is in it.
        detail: String,
    },
    /// Somebody else has the task or the partition by now: whoever gets this must not go on with it.
    #[error("the lease was lost to another worker")]
    Fenced,
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store { .. } => Some(
                "check that the store can be reached and has room; workers go on by themselves",
            ),
            Self::Fenced | Self::Invalid(_) => None,
        }
    }
}
