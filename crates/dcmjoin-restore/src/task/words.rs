//! The words of states, failures and notes that reports, metrics and pages use.

use super::{Failure, Note, State};

impl State {
    /// The words of all states, in the order of the way.
    pub const WORDS: [&str; 8] =
        ["planned", "requested", "restoring", "available", "scanning", "done", "expired", "failed"];

    /// Returns the word that reports and metrics use.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        Self::WORDS[match self {
            Self::Planned => 0,
            Self::Requested { .. } => 1,
            Self::Restoring { .. } => 2,
            Self::Available { .. } => 3,
            Self::Scanning { .. } => 4,
            Self::Done => 5,
            Self::Expired { .. } => 6,
            Self::Failed { .. } => 7,
        }]
    }

    /// Returns whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Failed { .. })
    }
}

impl Failure {
    /// All failures.
    pub const ALL: [Self; 12] = [
        Self::NotFound,
        Self::AccessDenied,
        Self::RequestRefused,
        Self::NoAnswer,
        Self::Contradiction,
        Self::NeverRestored,
        Self::CopyKeepsExpiring,
        Self::ScanTooLong,
        Self::ScanKeepsFailing,
        Self::WorkersKeepDying,
        Self::KeepsChanging,
        Self::Cancelled,
    ];

    /// Returns the code that reports, metrics and pages use.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AccessDenied => "access_denied",
            Self::RequestRefused => "request_refused",
            Self::NoAnswer => "no_answer",
            Self::Contradiction => "contradiction",
            Self::NeverRestored => "never_restored",
            Self::CopyKeepsExpiring => "copy_keeps_expiring",
            Self::ScanTooLong => "scan_too_long",
            Self::ScanKeepsFailing => "scan_keeps_failing",
            Self::WorkersKeepDying => "workers_keep_dying",
            Self::KeepsChanging => "keeps_changing",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Note {
    /// All notes.
    pub const ALL: [Self; 5] =
        [Self::Duplicate, Self::Stale, Self::Late, Self::NotYet, Self::Unexpected];

    /// Returns the word that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Late => "late",
            Self::NotYet => "not_yet",
            Self::Unexpected => "unexpected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each state and each failure has a row of its own.
    #[test]
    fn the_page_has_all_words() {
        let page = include_str!("../../../../docs/restore.md");
        let codes = Failure::ALL.map(Failure::code);
        for word in State::WORDS.into_iter().chain(codes) {
            assert!(page.contains(&format!("\n| `{word}` |")), "{word}");
        }
    }
}
