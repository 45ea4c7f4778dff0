//! What a store of shared state answers instead of doing what it is asked.

use thiserror::Error;

/// Why a store did not do it.
#[derive(Debug, Clone, Error)]
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
    /// The fact log is another task store's.
    #[error("the fact log is used with another task store")]
    Bound,
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
            Self::Bound => Some(
                "give each task store a fact log of its own, by another database or topic prefix; where \
                 the store is gone, start the log again from nothing, as docs/fact-log.md says",
            ),
            Self::Fenced | Self::Invalid(_) => None,
        }
    }
}
