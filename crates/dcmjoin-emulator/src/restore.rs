//! What a restore request does to an object: the rules of `RestoreObject`, without any I/O.
//!
//! Source: the API reference of `RestoreObject`, and the S3 user guide, "Restoring an archived
//! object" and "Understanding archive retrieval options".

use std::time::Duration;

use crate::class::{Archive, StorageClass, Tier};
use crate::time::{DAY, Time};

/// The state of an archived object's temporary copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Being retrieved.
    Running {
        tier: Tier,
        days: Option<u32>,
        /// When it was first asked for.
        requested: Time,
        /// `None` for one that never does.
        completes: Option<Time>,
    },
    /// Readable until it expires.
    Available { expiry: Time },
}

impl Copy {
    /// Returns the value of `x-amz-restore`.
    pub(crate) fn header(self) -> String {
        match self {
            Self::Running { .. } => r#"ongoing-request="true""#.into(),
            Self::Available { expiry } => {
                format!(r#"ongoing-request="false", expiry-date="{}""#, expiry.http_date())
            }
        }
    }
}

/// From when the days of a copy count. AWS's pages disagree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DaysFrom {
    /// From the end of the retrieval: "Working with archived objects".
    #[default]
    Completion,
    /// From the request: "Restoring an archived object".
    Request,
}

/// A request, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) tier: Tier,
    pub(crate) days: Option<u32>,
}

/// What a request that is granted does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// 202: a retrieval begins.
    Start,
    /// 202: the running retrieval becomes a faster one.
    Upgrade,
    /// 200: the copy is there already, and from now on it stays until then.
    Keep { expiry: Time },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 403 `InvalidObjectState`: the class is not one that is archived.
    NotArchived,
    /// 403 `ObjectAlreadyInActiveTierError`: Intelligent-Tiering has it where it can be read.
    ActiveTier,
    /// 400 `MalformedXML`: no days for a copy.
    NoDays,
    /// 400 `InvalidArgument`: no whole day.
    WrongDays,
    /// 400 `InvalidArgument`: days where no copy is made.
    NeedlessDays,
    /// 400 `InvalidArgument`: the archive has no such tier.
    NoSuchTier,
    /// 409 `RestoreAlreadyInProgress`.
    InProgress,
}

/// Decides on a request.
pub(crate) fn decide(
    class: StorageClass,
    copy: Option<Copy>,
    ask: Ask,
    now: Time,
) -> Result<Grant, Refusal> {
    let Some(archive) = class.archive() else {
        return Err(match class {
            StorageClass::IntelligentTiering(_) => Refusal::ActiveTier,
            _ => Refusal::NotArchived,
        });
    };
    check(archive, ask)?;
    match copy {
        None => Ok(Grant::Start),
        Some(Copy::Running { tier, days, .. }) if ask.tier > tier && ask.days == days => {
            Ok(Grant::Upgrade)
        }
        Some(Copy::Running { .. }) => Err(Refusal::InProgress),
        Some(Copy::Available { .. }) => Ok(Grant::Keep { expiry: expiry(now, ask.days) }),
    }
}

fn check(archive: Archive, ask: Ask) -> Result<(), Refusal> {
    match ask.days {
        None if !archive.moves() => return Err(Refusal::NoDays),
        Some(_) if archive.moves() => return Err(Refusal::NeedlessDays),
        Some(0) => return Err(Refusal::WrongDays),
        _ => {}
    }
    if archive.serves(ask.tier) { Ok(()) } else { Err(Refusal::NoSuchTier) }
}

/// Returns when a copy goes: so many days from a time, and on to midnight.
pub(crate) fn expiry(from: Time, days: Option<u32>) -> Time {
    let days: Duration = DAY * days.unwrap_or_default();
    (from + days).midnight_up()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::AccessTier;

    const NOW: &str = "2012-10-15T10:30:00Z";

    fn now() -> Time {
        Time::parse(NOW).unwrap()
    }

    fn ask(tier: Tier, days: u32) -> Ask {
        Ask { tier, days: (days > 0).then_some(days) }
    }

    fn running(tier: Tier, days: u32) -> Copy {
        let (requested, completes) = (now(), Some(now()));
        Copy::Running { tier, days: Some(days), requested, completes }
    }

    #[test]
    fn a_first_request_starts() {
        for tier in Tier::ALL {
            let decided = decide(StorageClass::Glacier, None, ask(tier, 3), now());
            assert_eq!(decided, Ok(Grant::Start));
        }
    }

    #[test]
    fn while_it_runs_only_a_faster_one_of_as_many_days_is_granted() {
        for running_tier in Tier::ALL {
            for tier in Tier::ALL {
                let copy = Some(running(running_tier, 3));
                let same = decide(StorageClass::Glacier, copy, ask(tier, 3), now());
                let expect =
                    if tier > running_tier { Ok(Grant::Upgrade) } else { Err(Refusal::InProgress) };
                assert_eq!(same, expect);
                let other = decide(StorageClass::Glacier, copy, ask(tier, 4), now());
                assert_eq!(other, Err(Refusal::InProgress));
            }
        }
    }

    #[test]
    fn a_copy_that_is_there_is_kept_from_now_on() {
        let long = Time::parse("2013-01-01T00:00:00Z").unwrap();
        let copy = Some(Copy::Available { expiry: long });
        let decided = decide(StorageClass::Glacier, copy, ask(Tier::Bulk, 3), now());
        // The user guide's example; and earlier than the copy had before.
        let expiry = Time::parse("2012-10-19T00:00:00Z").unwrap();
        assert_eq!(decided, Ok(Grant::Keep { expiry }));
    }

    #[test]
    fn what_is_not_archived_is_refused() {
        let check = |class, refusal| {
            assert_eq!(decide(class, None, ask(Tier::Standard, 1), now()), Err(refusal));
        };
        check(StorageClass::Standard, Refusal::NotArchived);
        check(StorageClass::GlacierIr, Refusal::NotArchived);
        check(StorageClass::IntelligentTiering(AccessTier::Frequent), Refusal::ActiveTier);
    }

    #[test]
    fn days_and_tiers_must_fit_the_archive() {
        let deep = StorageClass::IntelligentTiering(AccessTier::DeepArchive);
        let check = |class, ask, refusal| {
            assert_eq!(decide(class, None, ask, now()), Err(refusal));
        };
        check(StorageClass::Glacier, ask(Tier::Bulk, 0), Refusal::NoDays);
        check(StorageClass::Glacier, Ask { tier: Tier::Bulk, days: Some(0) }, Refusal::WrongDays);
        check(deep, ask(Tier::Bulk, 1), Refusal::NeedlessDays);
        check(deep, ask(Tier::Expedited, 0), Refusal::NoSuchTier);
        check(StorageClass::DeepArchive, ask(Tier::Expedited, 1), Refusal::NoSuchTier);
        assert_eq!(decide(deep, None, ask(Tier::Bulk, 0), now()), Ok(Grant::Start));
    }

    #[test]
    fn headers_have_the_documented_form() {
        let running = running(Tier::Bulk, 1);
        assert_eq!(running.header(), r#"ongoing-request="true""#);
        let expiry = Time::parse("2012-12-21T00:00:00Z").unwrap();
        let available = Copy::Available { expiry };
        let expect = r#"ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT""#;
        assert_eq!(available.header(), expect);
    }
}
