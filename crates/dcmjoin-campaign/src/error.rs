//! What ends an orchestrator. What befalls one archive is in its task instead.

use thiserror::Error;

/// Why an orchestrator, or a command about a campaign, cannot go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The journal cannot be read or written.
    #[error("the journal: {0}")]
    Journal(String),
    /// Another orchestrator holds the campaign.
    #[error(
        "the campaign is held by another orchestrator ({holder}), last heard of {seconds} s ago"
    )]
    Held {
        /// Host and process.
        holder: String,
        /// Since its last heartbeat.
        seconds: u64,
    },
    /// Another orchestrator has taken the campaign over: this one must not act any more.
    #[error("another orchestrator has taken the campaign over; this one stops")]
    Fenced,
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// S3 or SQS refuses, or cannot be reached.
    #[error("cannot {action}: {detail}")]
    Service {
        /// What was being done.
        action: &'static str,
        /// S3's code, or the kind of failure.
        detail: String,
    },
    /// The price file does not say.
    #[error(transparent)]
    Price(#[from] dcmjoin_restore::prices::PriceError),
    /// The runner ended.
    #[error(transparent)]
    Run(#[from] dcmjoin_pipeline::RunError),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Journal(error.to_string())
    }
}

impl Error {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { .. } => Some(
                "wait for it to end; a campaign whose orchestrator is dead is taken over after a minute",
            ),
            Self::Service { .. } => Some(
                "check the network, AWS_REGION, AWS_ENDPOINT_URL, the credentials and the queue's URL",
            ),
            Self::Price(error) => Some(error.hint()),
            Self::Run(error) => error.hint(),
            Self::Journal(_) | Self::Fenced | Self::Invalid(_) => None,
        }
    }
}
