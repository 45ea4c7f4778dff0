//! All states that are reached within some steps, against the invariants of the state machine.
//!
//! The machine knows time only by differences, so that a state is the same whenever it is reached:
//! before each input all its times are moved so that *now* is [`NOW`].

use std::collections::HashSet;

use dcmjoin_restore::class::{AccessTier, StorageClass, Tier};
use dcmjoin_restore::moment::{DAY, HOUR, Moment};
use dcmjoin_restore::task::{
    Effect, Input, Note, Policy, Purpose, Setting, State, Step, Task, Until,
};

use crate::inputs::{self, setting, tight_policy};
use crate::world::{Copy, Driver, World};

const NOW: Moment = Moment::from_epoch_secs(1_800_000_000);
/// How many inputs in a row, each of all that matter, from every start.
const DEPTH: usize = 6;
/// The way to the end is tried from all states that are reached within so many.
const FAIR_DEPTH: usize = 4;
/// The number last given: tickets are told apart by their distance to it.
const TICKET: u32 = 1_000;

/// Archives at their beginning, and at each step of two lives of which one sees its copy go: depth
/// counts from there.
fn starts(policy: &Policy) -> Vec<Task> {
    let mut starts: Vec<Task> = [
        StorageClass::Glacier,
        StorageClass::DeepArchive,
        StorageClass::Standard,
        StorageClass::IntelligentTiering(AccessTier::Unknown),
    ]
    .map(|class| Task { ticket: TICKET, ..Task::new(class) })
    .into();
    for copy in [Copy::None, Copy::There { until: NOW.plus(4 * HOUR) }] {
        let world = World { class: StorageClass::Glacier, copy };
        let driver = Driver::new(starts[0], world, NOW, policy, true);
        for goes in [false, true] {
            let mut driver = driver.clone();
            driver.copy_goes = goes;
            let life = driver.run().life;
            starts.extend(life.iter().map(|(task, now)| earlier(task, NOW.secs_until(*now))));
        }
    }
    starts
}

/// Returns the task as it would be, had all happened so many seconds earlier.
fn earlier(task: &Task, secs: u64) -> Task {
    let moved = |moment: Moment| moment.minus(secs);
    let moved_until = |until| match until {
        Until::At(moment) => Until::At(moved(moment)),
        Until::Forever => Until::Forever,
    };
    // A call or scan older than some tickets is as old as any.
    let distance = |ticket: u32| TICKET - (task.ticket - ticket).min(3);
    let mut task = Task { rest: task.rest.map(moved), ..*task };
    task.state = match task.state {
        State::Requested { since, called } => State::Requested { since: moved(since), called },
        State::Restoring { asked, since, as_of } => {
            State::Restoring { asked, since: moved(since), as_of: moved(as_of) }
        }
        State::Available { until, as_of } => {
            State::Available { until: moved_until(until), as_of: moved(as_of) }
        }
        State::Scanning { until, as_of, scan } => {
            State::Scanning { until: moved_until(until), as_of: moved(as_of), scan: distance(scan) }
        }
        State::Expired { since } => State::Expired { since: moved(since) },
        state => state,
    };
    if let Some(call) = &mut task.call {
        call.ticket = distance(call.ticket);
        (call.sent, call.again) = (moved(call.sent), call.again.map(moved));
    }
    if let Some(look) = &mut task.look {
        look.due = moved(look.due);
    }
    task.ticket = TICKET;
    task
}

/// Calls `visit` with every step from every state that is reached within so many inputs; returns the
/// states.
fn explore(
    policy: &Policy,
    depth: usize,
    mut visit: impl FnMut(&Task, u64, &Input, &Step),
) -> HashSet<Task> {
    let mut edge = starts(policy);
    let mut known: HashSet<Task> = edge.iter().copied().collect();
    for _ in 0..depth {
        let mut next = Vec::new();
        for task in edge {
            for (wait, input) in inputs::all(&task, NOW) {
                let step = task.step(&setting(policy, NOW.plus(wait)), &input);
                visit(&task, wait, &input, &step);
                let reached = earlier(&step.task, wait);
                if known.insert(reached) {
                    next.push(reached);
                }
            }
        }
        edge = next;
    }
    known
}

#[test]
fn invariants_hold_in_all_reachable_states() {
    let policy = tight_policy();
    let mut words = HashSet::new();
    let mut notes = HashSet::new();
    let reached = explore(&policy, DEPTH, |task, wait, input, step| {
        let setting = setting(&policy, NOW.plus(wait));
        words.insert(step.task.state.as_str());
        notes.extend(step.note);
        check_scans(&setting, step);
        check_ends(task, input, step);
        check_counts(&policy, step);
        check_calls(&setting, task, step);
        check_waits(&setting, step);
        check_twice(&setting, input, step);
    });
    assert_eq!(words.len(), State::WORDS.len(), "not all states were reached: {words:?}");
    assert_eq!(notes.len(), Note::ALL.len(), "not all notes were given: {notes:?}");
    println!("{} states", reached.len());
    assert!(reached.len() > 100_000, "{} states", reached.len());
}

/// 1: a scan begins only where the copy lasts.
fn check_scans(setting: &Setting<'_>, step: &Step) {
    for effect in &step.effects {
        if let Effect::Scan { ticket, until } = *effect {
            assert!(until.lasts(setting.now, setting.scan_needs_secs()), "{step:?}");
            let State::Scanning { scan: current, until: known, .. } = step.task.state else {
                panic!("a scan in another state: {step:?}")
            };
            assert_eq!((ticket, until), (current, known));
        }
    }
    if let State::Available { until, .. } = step.task.state {
        assert!(!until.is_past(setting.now), "a copy that has gone: {step:?}");
    }
}

/// 2: `done` is final, `failed` is left by a retry alone, and says so once.
fn check_ends(task: &Task, input: &Input, step: &Step) {
    if task.state == State::Done {
        assert_eq!(step.task, *task);
        assert!(step.effects.is_empty(), "{step:?}");
        assert!(step.note.is_some() || *input == Input::Tick, "{input:?}");
    }
    if matches!(task.state, State::Failed { .. }) && *input != Input::Retry {
        assert_eq!(step.task, *task, "{input:?}");
        assert!(step.effects.is_empty(), "{step:?}");
    }
    let gave_up = step.effects.iter().filter(|effect| matches!(effect, Effect::GiveUp { .. }));
    let failed = matches!(step.task.state, State::Failed { .. })
        && !matches!(task.state, State::Failed { .. });
    assert_eq!(gave_up.count(), usize::from(failed), "{step:?}");
}

/// 4: counts are bounded. An extension that finds its copy gone begins one restore more.
fn check_counts(policy: &Policy, step: &Step) {
    let counts = step.task.counts;
    assert!(counts.restores <= policy.restores_max + policy.extends_max, "{step:?}");
    assert!(counts.tries <= policy.tries_max, "{step:?}");
    assert!(counts.extends <= policy.extends_max, "{step:?}");
    assert!(counts.scans <= policy.scans_max, "{step:?}");
    assert!(counts.lost <= policy.lost_max, "{step:?}");
}

/// 5 and 6: one call at a time, which never shortens a copy, and asks for what the class has.
fn check_calls(setting: &Setting<'_>, task: &Task, step: &Step) {
    let mut calls = 0;
    for effect in &step.effects {
        let Effect::Request { ticket, purpose, tier, days } = *effect else { continue };
        calls += 1;
        let class = step.task.class;
        assert_eq!(
            step.task.call.map(|call| (call.ticket, call.sent)),
            Some((ticket, setting.now))
        );
        assert_ne!(Some(ticket), task.call.map(|call| call.ticket));
        assert_eq!(tier, tier.within(class));
        if let (Purpose::Upgrade, State::Restoring { asked: Some(asked), .. }) =
            (purpose, step.task.state)
        {
            assert!(tier > asked.tier && days == asked.days, "{step:?}");
            continue;
        }
        assert_eq!(days.is_some(), class.copy_expires(), "{step:?}");
        let days = days.unwrap_or(1);
        assert!((1..=setting.policy.days_max).contains(&days), "{step:?}");
        if let State::Available { until: Until::At(until), .. }
        | State::Scanning { until: Until::At(until), .. } = step.task.state
        {
            assert!(setting.now.plus(u64::from(days) * DAY) >= until, "shortens: {step:?}");
        }
    }
    assert!(calls <= 1, "{step:?}");
}

/// Whoever sleeps until the time told does not wake for nothing, and does not sleep for ever.
fn check_waits(setting: &Setting<'_>, step: &Step) {
    let wake = step.task.wake(setting);
    assert!(wake.is_none_or(|moment| moment > setting.now), "{step:?}");
    let waits = matches!(step.task.state, State::Requested { .. } | State::Restoring { .. })
        || step.task.call.is_some()
        || step.task.look.is_some();
    assert!(wake.is_some() || !waits, "{step:?}");
    if let Some(moment) = wake {
        let later = Setting { now: moment, ..*setting };
        let woken = step.task.step(&later, &Input::Tick);
        let useful = woken.task != step.task || !woken.effects.is_empty();
        assert!(useful, "woken for nothing: {step:?}");
    }
}

/// 3: an event that comes twice does nothing the second time, and a sighting changes nothing more.
fn check_twice(setting: &Setting<'_>, input: &Input, step: &Step) {
    let event = matches!(input, Input::Event(_));
    if !event && !matches!(input, Input::Seen(_)) {
        return;
    }
    let again = step.task.step(setting, input);
    let acts = again.effects.iter().any(|effect| !matches!(effect, Effect::WaitUntil { .. }));
    if event || matches!(step.task.state, State::Available { .. } | State::Scanning { .. }) {
        assert_eq!(again.task.state, step.task.state, "{input:?}");
    }
    if event {
        assert_eq!(again.task, step.task, "{input:?}");
        assert!(!acts, "{input:?}: {again:?}");
        assert!(again.note.is_some(), "{input:?}: {again:?}");
    }
}

#[test]
fn every_state_comes_to_an_end_in_an_honest_world() {
    let policy = tight_policy();
    let reached = explore(&policy, FAIR_DEPTH, |_, _, _, _| {});
    let (mut done, mut failed) = (0u64, 0u64);
    for task in &reached {
        for world in worlds() {
            for events in [true, false] {
                let driver = Driver::new(*task, world, NOW, &policy, events).run();
                match driver.task.state {
                    State::Done => done += 1,
                    _ => failed += 1,
                }
            }
        }
    }
    println!("{} states: {done} done, {failed} failed", reached.len());
    assert!(done > failed, "{done} done, {failed} failed");
}

fn worlds() -> Vec<World> {
    let glacier = |copy| World { class: StorageClass::Glacier, copy };
    let (tier, days) = (Tier::Bulk, Some(1));
    vec![
        glacier(Copy::None),
        glacier(Copy::Restoring { ready: NOW.plus(HOUR), tier, days }),
        glacier(Copy::There { until: NOW.plus(HOUR) }),
        glacier(Copy::There { until: NOW.plus(50 * HOUR) }),
        World { class: StorageClass::Standard, copy: Copy::None },
    ]
}

/// Without anything odd before, an honest world leads to `done`, whatever the class, and whether
/// events come or not.
#[test]
fn an_archive_that_is_left_alone_is_done() {
    let policy = Policy::default();
    for class in [
        StorageClass::Glacier,
        StorageClass::DeepArchive,
        StorageClass::Standard,
        StorageClass::GlacierIr,
        StorageClass::IntelligentTiering(AccessTier::Archive),
    ] {
        for tier in Tier::ALL {
            for events in [true, false] {
                let policy = Policy { tier, ..policy.clone() };
                let world = World { class, copy: Copy::None };
                let driver = Driver::new(Task::new(class), world, NOW, &policy, events).run();
                assert_eq!(driver.task.state, State::Done, "{class:?} {tier} {events}");
                let restores = u16::from(class.reads_at_once() == Some(false));
                assert_eq!(driver.task.counts.restores, restores, "{class:?} {tier} {events}");
            }
        }
    }
}
