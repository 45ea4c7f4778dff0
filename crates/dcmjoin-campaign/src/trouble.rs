//! What keeps the runner from its work and is no archive's fault: an output that refuses writes, a
//! full disk, another run.

use dcmjoin_objects::ErrorKind;
use dcmjoin_pipeline::RunError;

/// Why nothing can be read for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What a person is told: without keys and UIDs.
    pub reason: String,
    /// Whether it may pass by itself. What does not, pauses the campaign at once.
    pub passes: bool,
}

impl Trouble {
    /// Returns the trouble that ended a run; `None` where an archive may have caused it.
    #[must_use]
    pub fn of(error: &RunError) -> Option<Self> {
        let trouble = |reason, passes| Some(Self { reason, passes });
        match error {
            // The place is left out: objects of the output are named by UIDs.
            RunError::Store(error) => trouble(
                format!("a store refuses: cannot {}: {}", error.operation, error.detail),
                passes(error.kind),
            ),
            RunError::Locked { .. } | RunError::LockLost => trouble(error.to_string(), true),
            RunError::Io { .. } | RunError::Index(_) | RunError::Catalog(_) => {
                trouble(format!("this machine: {error}"), false)
            }
            RunError::Manifest(_)
            | RunError::Invalid { .. }
            | RunError::NoArchives { .. }
            | RunError::Unknown
            | RunError::ImagesChanged
            | RunError::Stopped
            | RunError::Books(_)
            | RunError::Internal(_) => None,
        }
    }
}

/// Credentials that have expired may be replaced by those who see to that.
fn passes(kind: ErrorKind) -> bool {
    kind.is_transient() || kind == ErrorKind::Unauthenticated
}

#[cfg(test)]
mod tests {
    use dcmjoin_objects::{Error, Operation};

    use super::*;

    fn of(operation: Operation, kind: ErrorKind) -> Trouble {
        let place = "an object in s3://output/2.25.1".to_owned();
        let error = Error { operation, place, kind, detail: "access denied".to_owned() };
        Trouble::of(&RunError::Store(error)).unwrap()
    }

    #[test]
    fn a_refusal_is_told_without_its_place() {
        let trouble = of(Operation::Write, ErrorKind::Denied);
        assert_eq!(trouble.reason, "a store refuses: cannot write: access denied");
        assert!(!trouble.passes && !of(Operation::Write, ErrorKind::NoSpace).passes);
        assert!(of(Operation::List, ErrorKind::Throttled).passes);
    }

    #[test]
    fn what_an_archive_may_have_caused_is_none() {
        assert_eq!(Trouble::of(&RunError::Internal("a task panicked".to_owned())), None);
    }
}
