//! What ends a run. Everything else is a row in the dead letters, and the run goes on.

use dcmjoin_model::LawBroken;
use thiserror::Error;

/// Why a run ended before its end.
#[derive(Debug, Error)]
pub enum RunError {
    /// A source, a manifest or the output cannot be used.
    #[error(transparent)]
    Store(#[from] dcmjoin_objects::Error),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(dcmjoin_manifest::Error),
    /// The spill folder cannot be used.
    #[error(transparent)]
    Index(#[from] dcmjoin_index::Error),
    /// A file of the catalogue cannot be written or read.
    #[error(transparent)]
    Catalog(#[from] dcmjoin_catalog::Error),
    /// A local file cannot be used.
    #[error("cannot {action} {place}: {kind}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        place: String,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// A list of UIDs or archives, or the layout, makes no sense.
    #[error("{place}: {detail}")]
    Invalid {
        /// The file, with its line where there is one, or the option.
        place: String,
        /// Expected, got.
        detail: String,
    },
    /// No archive was found on one side.
    #[error(
        "no archive found in {place}: expected objects that end in .tar, .tar.gz, .tgz, .tar.zst or .tzst"
    )]
    NoArchives {
        /// The sources of the side.
        place: String,
    },
    /// An image archive on a local disk was written over between two readings of it.
    #[error(
        "an image archive changed: expected the images whose UIDs were read before, got another one"
    )]
    ImagesChanged,
    /// The catalogue has no half of what is asked for.
    #[error("the catalogue knows no half of what is asked for")]
    Unknown,
    /// Another run writes to the same output.
    #[error("the output is locked by run {run} (process {process} on {host})")]
    Locked {
        /// The other run.
        run: String,
        /// Where it runs.
        host: String,
        /// Its process there.
        process: u32,
    },
    /// This run's lock was taken by another run.
    #[error("the output's lock was taken by another run; this one stops")]
    LockLost,
    /// The user asked to stop.
    #[error("stopped; run the same command again to go on")]
    Stopped,
    /// Something was counted wrongly: a bug.
    #[error(transparent)]
    Books(#[from] LawBroken),
    /// A bug.
    #[error("internal error: {0}")]
    Internal(String),
}

/// A row that makes no sense is an invalid argument; all else is a manifest that cannot be read.
impl From<dcmjoin_manifest::Error> for RunError {
    fn from(error: dcmjoin_manifest::Error) -> Self {
        match error {
            dcmjoin_manifest::Error::Row { place, detail } => Self::Invalid { place, detail },
            error => Self::Manifest(error),
        }
    }
}

impl RunError {
    pub(crate) fn io(
        action: &'static str,
        place: impl Into<String>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let place = place.into();
        move |error| Self::Io { action, place, kind: error.kind() }
    }

    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.kind.hint(),
            Self::Index(_) | Self::Catalog(_) => {
                Some("choose a folder with more room by --spill, then run again")
            }
            Self::Manifest(error) => error.hint(),
            Self::Locked { .. } => Some(
                "wait for it to end; a lock whose run is dead is taken over by itself after a while",
            ),
            Self::NoArchives { .. } => {
                Some("name a folder or prefix that holds archives, or one archive")
            }
            Self::ImagesChanged => Some("run again once nobody writes to the archives any more"),
            Self::Unknown => Some(
                "name the sources by --metadata and --images to look into archives that no run has read",
            ),
            Self::Books(_) | Self::Internal(_) => Some(
                "this is a bug; please report it, with report.json but without its examples: they name instances",
            ),
            Self::Io { .. } | Self::Invalid { .. } | Self::LockLost | Self::Stopped => None,
        }
    }
}
