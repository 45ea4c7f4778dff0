//! Exit codes; documented in `docs/OPERATIONS.md`.

use std::process::ExitCode;

use dcmjoin_pipeline::RunError;
use dcmjoin_pipeline::staged::WorkError;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done. Halves may be unpaired or rejected: the report says so.
    Complete = 0,
    /// The run failed, or could not read every archive.
    Failure = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// All was done, something was lost, and `--strict` asked to be told so.
    Losses = 3,
    /// Another run holds the output's lock.
    Locked = 4,
    /// The user asked to stop.
    Stopped = 130,
}

impl Exit {
    /// Returns the code for an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let of_worker = match error.downcast_ref::<WorkError>() {
            Some(WorkError::Run(error)) => Some(error),
            _ => None,
        };
        match error.downcast_ref::<RunError>().or(of_worker) {
            Some(RunError::Invalid { .. } | RunError::NoArchives { .. }) => Self::Usage,
            Some(RunError::Locked { .. } | RunError::LockLost) => Self::Locked,
            Some(RunError::Stopped) => Self::Stopped,
            None if error.is::<crate::text::Hinted>() => Self::Usage,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
