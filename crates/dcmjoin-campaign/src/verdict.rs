//! What became of each archive of a batch: by the catalogue, and by what the store says of those that
//! are not in it.

use dcmjoin_objects::{ErrorKind, Stores};
use dcmjoin_pipeline::RunError;
use dcmjoin_pipeline::catalog::Catalog;
use dcmjoin_restore::task::ScanResult;
use futures::StreamExt as _;

use crate::ledger::{Archive, Place};
use crate::trouble::Trouble;

/// Archives that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 16;

/// What is found of one archive after a run that did not come to its end, or left some out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was read, and stands in the catalogue.
    Read {
        /// Its bytes.
        bytes: u64,
        /// What it holds of instances.
        halves: u64,
    },
    /// The store does not give it.
    Refused(ScanResult),
    /// The store would give it, but it was not read.
    Unread,
    /// The store does not know the credentials any more.
    Barred,
}

/// Returns what counts for each archive. One that was not read and can be has done nothing wrong
/// where something else is the cause: trouble, or an archive that is refused.
pub(crate) fn weigh(
    verdicts: &[Verdict],
    ended: Option<&RunError>,
) -> (Vec<ScanResult>, Option<Trouble>) {
    let refused = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Refused(_)));
    // The next run goes without those that are refused, and shows whether the trouble is more.
    let mut trouble = ended.and_then(Trouble::of).filter(|_| !refused);
    if verdicts.contains(&Verdict::Barred) {
        let reason = "the store does not take the credentials any more".to_owned();
        trouble.get_or_insert(Trouble { reason, passes: true });
    }
    let innocent = trouble.is_some() || (refused && ended.is_some());
    let unread = if innocent { ScanResult::Stopped } else { ScanResult::Broke };
    let result = |verdict: &Verdict| match verdict {
        Verdict::Read { .. } => ScanResult::Done,
        Verdict::Refused(result) => *result,
        Verdict::Unread => unread,
        Verdict::Barred => ScanResult::Stopped,
    };
    (verdicts.iter().map(result).collect(), trouble)
}

/// Returns what is found of each archive.
pub(crate) async fn all(stores: &Stores, catalog: &Catalog, archives: &[Archive]) -> Vec<Verdict> {
    let looks = archives.iter().cloned().map(|archive| async move {
        // Owned: a stream of borrowed ones cannot be sent between threads.
        judge(stores, catalog, &archive).await
    });
    futures::stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await
}

async fn judge(stores: &Stores, catalog: &Catalog, archive: &Archive) -> Verdict {
    let Place { bucket, key, version } = &archive.place;
    let object = match stores.s3_object(bucket, key, version.as_deref()).await {
        Ok(Some(object)) => object,
        Ok(None) => return Verdict::Refused(ScanResult::Broke),
        Err(error) => return refusal(error.kind),
    };
    match catalog.find(archive.half, &object).await {
        Ok(Some(known)) => {
            let account = known.account;
            let others = account.rejected + account.ignored.total();
            let halves = account.members.saturating_sub(others);
            Verdict::Read { bytes: object.size(), halves }
        }
        Err(_) => Verdict::Unread,
        // Whether the store gives it now tells why it did not.
        Ok(None) => match object.read(0..object.size().min(1)).await {
            Ok(_) => Verdict::Unread,
            Err(error) => refusal(error.kind),
        },
    }
}

pub(crate) fn refusal(kind: ErrorKind) -> Verdict {
    match kind {
        ErrorKind::Archived => Verdict::Refused(ScanResult::CopyGone),
        ErrorKind::Changed => Verdict::Refused(ScanResult::Overwritten),
        ErrorKind::Denied => Verdict::Refused(ScanResult::Denied),
        ErrorKind::NotFound => Verdict::Refused(ScanResult::Broke),
        ErrorKind::Unauthenticated => Verdict::Barred,
        // The store is in trouble, not the archive.
        _ => Verdict::Unread,
    }
}

#[cfg(test)]
mod tests {
    use dcmjoin_objects::{Error, Operation};

    use super::*;

    const READ: Verdict = Verdict::Read { bytes: 1, halves: 1 };

    fn denied() -> RunError {
        RunError::Store(Error {
            operation: Operation::Write,
            place: String::new(),
            kind: ErrorKind::Denied,
            detail: String::new(),
        })
    }

    #[test]
    fn trouble_is_no_archives_fault() {
        let (results, trouble) = weigh(&[READ, Verdict::Unread], Some(&denied()));
        assert_eq!(results, [ScanResult::Done, ScanResult::Stopped]);
        assert!(trouble.is_some());
    }

    #[test]
    fn credentials_that_ended_are_no_archives_fault() {
        let (results, trouble) = weigh(&[READ, Verdict::Barred], None);
        assert_eq!(results, [ScanResult::Done, ScanResult::Stopped]);
        assert!(trouble.unwrap().passes);
    }

    #[test]
    fn an_archive_that_is_refused_bears_it_alone() {
        let gone = Verdict::Refused(ScanResult::CopyGone);
        let (results, trouble) = weigh(&[gone, Verdict::Unread], Some(&denied()));
        assert_eq!(results, [ScanResult::CopyGone, ScanResult::Stopped]);
        assert_eq!(trouble, None);
    }

    #[test]
    fn any_archive_may_be_the_cause_of_a_crash() {
        let crash = RunError::Internal(String::new());
        let (results, trouble) = weigh(&[READ, Verdict::Unread], Some(&crash));
        assert_eq!(results, [ScanResult::Done, ScanResult::Broke]);
        assert_eq!(trouble, None);
    }
}
