//! All inputs that matter to an archive now: every kind, current and stale, early and late.

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::{AccessTier, StorageClass, Tier};
use dcmjoin_restore::moment::{DAY, HOUR, Moment};
use dcmjoin_restore::status::RestoreStatus;
use dcmjoin_restore::task::{
    Event, EventKind, Input, Policy, ScanResult, Setting, Sighting, State, Task,
};

/// How long the archive's scan is forecast to take, in seconds.
pub(crate) const SCAN_SECS: u64 = 2 * HOUR;

/// A policy whose counts run out within a few steps.
pub(crate) fn tight_policy() -> Policy {
    Policy {
        tier: Tier::Expedited,
        days: 1,
        days_max: 4,
        margin_secs: HOUR,
        restores_max: 2,
        tries_max: 2,
        denied_max: 2,
        extends_max: 1,
        scans_max: 2,
        lost_max: 2,
        restoring_secs_max: 3 * DAY,
        ..Policy::default()
    }
}

pub(crate) fn setting(policy: &Policy, now: Moment) -> Setting<'_> {
    Setting { policy, now, scan_secs: SCAN_SECS }
}

/// Seconds that pass before an input is taken.
pub(crate) type Wait = u64;

/// Returns all inputs that matter, each with the time that passes before.
pub(crate) fn all(task: &Task, now: Moment) -> Vec<(Wait, Input)> {
    let mut inputs = vec![Input::Start, Input::ScannerFree, Input::Cancel, Input::Retry];
    inputs.extend(Tier::ALL.map(|tier| Input::Upgrade { tier }));
    inputs.extend(answers(task));
    inputs.extend(events(now).map(Input::Event));
    inputs.extend(sightings(now).into_iter().map(Input::Seen));
    inputs.extend(scans(task));
    let ticks = [40, 10 * 60, 5 * HOUR, 30 * HOUR, 8 * DAY].map(|wait| (wait, Input::Tick));
    inputs.into_iter().map(|input| (0, input)).chain(ticks).collect()
}

fn answers(task: &Task) -> impl Iterator<Item = Input> + use<> {
    let current = task.call.map_or(task.ticket, |call| call.ticket);
    [current, current.wrapping_sub(1)].into_iter().flat_map(|ticket| {
        Answer::ALL.into_iter().map(move |answer| Input::Answer { ticket, answer })
    })
}

fn scans(task: &Task) -> impl Iterator<Item = Input> + use<> {
    let current = match task.state {
        State::Scanning { scan, .. } => scan,
        _ => task.ticket,
    };
    [current, current.wrapping_sub(1)].into_iter().flat_map(|ticket| {
        ScanResult::ALL.into_iter().map(move |result| Input::Scan { ticket, result })
    })
}

/// Returns times of expiry: past, too soon for a scan, soon, and late.
fn expiries(now: Moment) -> [Moment; 4] {
    [now.minus(HOUR), now.plus(HOUR + HOUR / 2), now.plus(26 * HOUR), now.plus(80 * HOUR)]
}

pub(crate) fn events(now: Moment) -> impl Iterator<Item = Event> {
    let completed = expiries(now).map(|expiry| EventKind::Completed { expiry: Some(expiry) });
    let others = [EventKind::Initiated, EventKind::Expired, EventKind::Completed { expiry: None }];
    let times = [now.minus(5), now.minus(2 * DAY)];
    completed
        .into_iter()
        .chain(others)
        .flat_map(move |kind| times.into_iter().map(move |time| Event { kind, time }))
}

fn sightings(now: Moment) -> Vec<Sighting> {
    let mut statuses = vec![None, Some(RestoreStatus::InProgress)];
    statuses.push(Some(RestoreStatus::Restored { expiry: None }));
    let restored = |expiry| Some(RestoreStatus::Restored { expiry: Some(expiry) });
    statuses.extend(expiries(now).map(restored));
    let mut sightings = Vec::new();
    for at in [now, now.minus(2 * DAY)] {
        let class = StorageClass::Glacier;
        sightings.extend(statuses.iter().map(|&status| Sighting { class, status, at }));
    }
    for class in [
        StorageClass::Standard,
        StorageClass::DeepArchive,
        StorageClass::IntelligentTiering(AccessTier::Unknown),
        StorageClass::IntelligentTiering(AccessTier::DeepArchive),
    ] {
        for status in [None, Some(RestoreStatus::InProgress)] {
            sightings.push(Sighting { class, status, at: now });
        }
    }
    sightings
}
