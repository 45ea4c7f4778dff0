//! What each answer, event, sighting and result leads to, one story each.

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::{AccessTier, StorageClass, Tier};
use dcmjoin_restore::moment::{DAY, HOUR, Moment};
use dcmjoin_restore::status::RestoreStatus;
use dcmjoin_restore::task::{
    Effect, Event, EventKind, Failure, Input, Note, Policy, Purpose, ScanResult, Setting, Sighting,
    State, Step, Task, Until,
};

const NOON: Moment = Moment::from_epoch_secs(1_800_014_400);

/// An archive, its rules, and the time.
struct Story {
    task: Task,
    policy: Policy,
    now: Moment,
    scan_secs: u64,
    last: Step,
}

impl Story {
    fn new(policy: Policy) -> Self {
        Self::of(StorageClass::Glacier, policy)
    }

    fn of(class: StorageClass, policy: Policy) -> Self {
        let task = Task::new(class);
        let last = Step { task, effects: Vec::new(), note: None };
        Self { task, policy, now: NOON, scan_secs: HOUR, last }
    }

    fn feed(&mut self, input: Input) -> &mut Self {
        let setting = Setting { policy: &self.policy, now: self.now, scan_secs: self.scan_secs };
        self.last = self.task.step(&setting, &input);
        self.task = self.last.task;
        self
    }

    fn wait(&mut self, secs: u64) -> &mut Self {
        self.now = self.now.plus(secs);
        self.feed(Input::Tick)
    }

    fn answer(&mut self, answer: Answer) -> &mut Self {
        self.feed(Input::Answer { ticket: self.task.ticket, answer })
    }

    fn completed(&mut self, expiry: Moment) -> &mut Self {
        let kind = EventKind::Completed { expiry: Some(expiry) };
        self.feed(Input::Event(Event { kind, time: self.now }))
    }

    fn seen(&mut self, status: Option<RestoreStatus>) -> &mut Self {
        let class = StorageClass::Glacier;
        self.feed(Input::Seen(Sighting { class, status, at: self.now }))
    }

    fn scanned(&mut self, result: ScanResult) -> &mut Self {
        self.feed(Input::Scan { ticket: self.task.ticket, result })
    }

    /// Restores the archive, so that it can be read for two days.
    fn restored(&mut self) -> &mut Self {
        self.feed(Input::Start).answer(Answer::Accepted).wait(6 * HOUR);
        let expiry = self.now.plus(2 * DAY);
        self.completed(expiry)
    }

    #[track_caller]
    fn is(&mut self, word: &str) -> &mut Self {
        assert_eq!(self.task.state.as_str(), word, "{:?}", self.last);
        self
    }

    #[track_caller]
    fn failed(&mut self, failure: Failure) {
        assert_eq!(self.task.state, State::Failed { failure }, "{:?}", self.last);
    }

    #[track_caller]
    fn noted(&mut self, note: Note) -> &mut Self {
        assert_eq!(self.last.note, Some(note), "{:?}", self.last);
        self
    }

    #[track_caller]
    fn looks(&mut self) -> &mut Self {
        assert!(self.last.effects.contains(&Effect::Look), "{:?}", self.last);
        self
    }

    /// Returns the call that the last input led to.
    #[track_caller]
    fn called(&self) -> (Purpose, Tier, Option<u32>) {
        let call = self.last.effects.iter().find_map(|effect| match *effect {
            Effect::Request { purpose, tier, days, .. } => Some((purpose, tier, days)),
            _ => None,
        });
        call.unwrap_or_else(|| panic!("no call: {:?}", self.last))
    }
}

fn restored_until(expiry: Moment) -> RestoreStatus {
    RestoreStatus::Restored { expiry: Some(expiry) }
}

#[test]
fn the_plain_way() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start).is("requested");
    assert_eq!(story.called(), (Purpose::Restore, Tier::Bulk, Some(2)));
    story.answer(Answer::Accepted).is("restoring").wait(6 * HOUR);
    let expiry = story.now.plus(2 * DAY);
    story.completed(expiry).is("available").feed(Input::ScannerFree).is("scanning");
    story.scanned(ScanResult::Done).is("done");
    assert_eq!(story.task.counts.restores, 1);
}

#[test]
fn a_conflict_says_that_a_restore_runs() {
    Story::new(Policy::default())
        .feed(Input::Start)
        .answer(Answer::AlreadyInProgress)
        .is("restoring");
}

#[test]
fn a_copy_that_is_there_is_looked_at_before_it_is_read() {
    for answer in [Answer::AlreadyRestored, Answer::NotArchived] {
        let mut story = Story::new(Policy::default());
        story.feed(Input::Start).answer(answer).is("requested").looks();
        let expiry = story.now.plus(DAY);
        story.seen(Some(restored_until(expiry))).is("available");
    }
}

#[test]
fn a_service_that_contradicts_itself_is_given_up() {
    for answer in [Answer::AlreadyRestored, Answer::NotArchived] {
        let mut story = Story::new(Policy::default());
        story.feed(Input::Start);
        while !story.task.state.is_final() {
            story.answer(answer).looks().seen(None);
            // One ticket a call.
            assert!(story.task.ticket <= 24, "{:?}", story.task);
        }
        story.failed(Failure::Contradiction);
    }
}

#[test]
fn what_was_seen_before_an_extension_says_nothing_of_it() {
    let mut story = Story::new(Policy::default());
    story.restored().wait(2 * DAY - 2 * HOUR).answer(Answer::AlreadyRestored);
    let before = story.now.minus(1);
    let class = StorageClass::Glacier;
    story.feed(Input::Seen(Sighting { class, status: None, at: before }));
    story.noted(Note::Stale).is("available");
}

#[test]
fn what_is_not_archived_is_read_without_a_restore() {
    let mut story = Story::of(StorageClass::Standard, Policy::default());
    story.feed(Input::Start).looks();
    let class = StorageClass::GlacierIr;
    story.feed(Input::Seen(Sighting { class, status: None, at: story.now })).is("available");
    story.feed(Input::ScannerFree).is("scanning").scanned(ScanResult::Done).is("done");
    assert_eq!(story.task.counts.restores, 0);
}

#[test]
fn what_turns_out_to_be_archived_after_all_is_restored_and_counted() {
    let mut story = Story::of(StorageClass::Standard, Policy::default());
    story.feed(Input::Start).looks().seen(None).is("requested");
    assert_eq!(story.called(), (Purpose::Restore, Tier::Bulk, Some(2)));
    assert_eq!(story.task.counts.restores, 1);
}

#[test]
fn intelligent_tiering_takes_no_days_and_keeps_no_copy() {
    let class = StorageClass::IntelligentTiering(AccessTier::Archive);
    let mut story = Story::of(class, Policy::default());
    story.feed(Input::Start);
    assert_eq!(story.called(), (Purpose::Restore, Tier::Bulk, None));
    story.answer(Answer::Accepted).wait(HOUR);
    let kind = EventKind::Completed { expiry: None };
    story.feed(Input::Event(Event { kind, time: story.now })).is("available");
    story.wait(400 * DAY).is("available").feed(Input::ScannerFree).is("scanning");
}

#[test]
fn a_class_that_the_manifest_had_wrong_is_found_out() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start).answer(Answer::Refused).is("requested").looks();
    let class = StorageClass::IntelligentTiering(AccessTier::DeepArchive);
    story.feed(Input::Seen(Sighting { class, status: None, at: story.now }));
    assert_eq!(story.called(), (Purpose::Restore, Tier::Bulk, None));
    story.answer(Answer::Refused).failed(Failure::RequestRefused);
}

#[test]
fn without_expedited_capacity_the_next_tier_is_asked_for_at_once() {
    let policy = Policy { tier: Tier::Expedited, ..Policy::default() };
    let mut story = Story::new(policy.clone());
    story.feed(Input::Start).answer(Answer::NoExpeditedCapacity).is("requested");
    assert_eq!(story.called().1, Tier::Standard);

    let mut story = Story::new(Policy { fall_back: None, ..policy });
    story.feed(Input::Start).answer(Answer::NoExpeditedCapacity).is("requested").wait(10);
    assert_eq!(story.called().1, Tier::Expedited);
}

#[test]
fn throttling_is_waited_out_with_growing_waits() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start);
    let mut waits = Vec::new();
    for _ in 0..6 {
        story.answer(Answer::Throttled).is("requested");
        let again = story.task.call.unwrap().again.unwrap();
        waits.push(story.now.secs_until(again));
        story.wait(story.now.secs_until(again));
        assert_eq!(story.called().0, Purpose::Restore);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64]);
}

#[test]
fn calls_that_fail_for_ever_are_given_up() {
    for (answer, failure, tries) in [
        (Answer::Throttled, Failure::NoAnswer, 24),
        (Answer::ServerError, Failure::NoAnswer, 24),
        (Answer::CredentialsExpired, Failure::NoAnswer, 24),
        (Answer::AccessDenied, Failure::AccessDenied, 3),
        (Answer::NotFound, Failure::NotFound, 1),
    ] {
        let mut story = Story::new(Policy::default());
        story.feed(Input::Start);
        let mut answers = 0;
        while !story.task.state.is_final() {
            story.answer(answer).wait(900);
            answers += 1;
        }
        assert_eq!(answers, tries, "{answer:?}");
        story.failed(failure);
    }
}

#[test]
fn a_call_without_an_answer_is_made_again() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start);
    let first = story.task.ticket;
    story.wait(300).wait(2);
    assert_eq!(story.called().0, Purpose::Restore);
    assert_ne!(story.task.ticket, first);
    // The answer comes after all: it may have begun a restore, but only a look is believed.
    story.feed(Input::Answer { ticket: first, answer: Answer::Accepted });
    story.noted(Note::Late).looks().is("requested");
    story.seen(Some(RestoreStatus::InProgress)).is("restoring");
}

#[test]
fn an_event_may_come_before_the_answer() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start);
    let ticket = story.task.ticket;
    let expiry = story.now.plus(3 * DAY);
    story.completed(expiry).is("available");
    story.feed(Input::Answer { ticket, answer: Answer::Accepted }).is("available").looks();
}

#[test]
fn a_hundred_events_are_one() {
    let mut story = Story::new(Policy::default());
    story.restored();
    let State::Available { until: Until::At(expiry), .. } = story.task.state else { panic!() };
    let task = story.task;
    for _ in 0..100 {
        story.completed(expiry).noted(Note::Duplicate);
        assert!(story.last.effects.is_empty());
    }
    assert_eq!(story.task, task);
}

#[test]
fn a_lost_event_is_found_by_the_reconciler_or_a_look() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start).answer(Answer::Accepted).wait(12 * HOUR).looks();
    let expiry = story.now.plus(DAY);
    story.seen(Some(restored_until(expiry))).is("available");
}

#[test]
fn the_end_of_an_older_copy_ends_nothing() {
    let mut story = Story::new(Policy::default());
    story.restored();
    let old = Event { kind: EventKind::Expired, time: story.now.minus(DAY) };
    story.feed(Input::Event(old)).noted(Note::Stale).is("available");
    assert!(story.last.effects.is_empty());
    let odd = Event { kind: EventKind::Expired, time: story.now.plus(1) };
    story.feed(Input::Event(odd)).noted(Note::Stale).is("available").looks();
}

#[test]
fn the_newest_expiry_wins() {
    let mut story = Story::new(Policy::default());
    story.restored();
    let until = |story: &Story| match story.task.state {
        State::Available { until: Until::At(until), .. } => until,
        state => panic!("{state:?}"),
    };
    let first = until(&story);
    story.completed(first.plus(DAY));
    assert_eq!(until(&story), first.plus(DAY));
    story.completed(first).noted(Note::Stale).looks();
    assert_eq!(until(&story), first.plus(DAY));
    // What the object itself says is the truth, also where it is less.
    story.seen(Some(restored_until(first.minus(HOUR))));
    assert_eq!(until(&story), first.minus(HOUR));
    let class = StorageClass::Glacier;
    let old = Sighting { class, status: None, at: story.now.minus(HOUR) };
    story.feed(Input::Seen(old)).noted(Note::Stale).is("available");
}

#[test]
fn no_scan_begins_that_cannot_end_in_time() {
    let mut story = Story::new(Policy::default());
    story.restored();
    story.scan_secs = 47 * HOUR;
    story.feed(Input::ScannerFree).noted(Note::NotYet).is("available");
    // 47 hours and a margin of two are more than two days.
    assert_eq!(story.called(), (Purpose::Extend, Tier::Bulk, Some(3)));
    story.answer(Answer::AlreadyRestored).looks().feed(Input::ScannerFree).noted(Note::NotYet);
    // Not again, before the new expiry is known.
    assert_eq!((story.task.call, story.task.counts.extends), (None, 1));
    let expiry = story.now.plus(4 * DAY);
    story.seen(Some(restored_until(expiry))).feed(Input::ScannerFree).is("scanning");
}

#[test]
fn an_extension_never_asks_for_less_than_the_copy_has() {
    let mut story = Story::new(Policy { days: 1, ..Policy::default() });
    story.restored();
    story.scan_secs = 20 * DAY;
    story.feed(Input::Tick);
    assert_eq!(story.called(), (Purpose::Extend, Tier::Bulk, Some(21)));
    let mut story = Story::new(Policy { days: 1, ..Policy::default() });
    story.restored();
    story.wait(2 * DAY - 3 * HOUR + 1);
    assert_eq!(story.called(), (Purpose::Extend, Tier::Bulk, Some(1)));
    assert!(story.now.plus(DAY) >= story.now.plus(3 * HOUR));
}

#[test]
fn an_extension_that_comes_too_late_is_a_restore() {
    let mut story = Story::new(Policy::default());
    story.restored().wait(2 * DAY - 2 * HOUR);
    assert_eq!(story.called().0, Purpose::Extend);
    story.answer(Answer::Accepted).is("restoring");
    assert_eq!(story.task.counts.restores, 2);
}

#[test]
fn a_scan_that_takes_longer_than_any_copy_is_given_up() {
    let mut story = Story::new(Policy::default());
    story.scan_secs = 31 * DAY;
    story.feed(Input::Start).failed(Failure::ScanTooLong);
}

#[test]
fn a_copy_that_goes_mid_read_is_restored_again_and_not_for_ever() {
    let mut story = Story::new(Policy::default());
    for restores in 1..=3 {
        story.restored().feed(Input::ScannerFree).is("scanning");
        assert_eq!(story.task.counts.restores, restores);
        story.scanned(ScanResult::CopyGone);
    }
    story.failed(Failure::CopyKeepsExpiring);
    story.feed(Input::Retry).is("planned").feed(Input::Start).is("requested");
}

#[test]
fn a_copy_that_goes_while_it_waits_is_expired() {
    let mut story = Story::new(Policy { extends_max: 0, ..Policy::default() });
    story.restored().wait(2 * DAY).is("expired").feed(Input::ScannerFree).noted(Note::Unexpected);
    story.feed(Input::Start).is("requested");
}

#[test]
fn a_running_scan_has_its_copy_kept() {
    let mut story = Story::new(Policy::default());
    story.restored().feed(Input::ScannerFree).wait(2 * DAY - HOUR).is("scanning");
    assert_eq!(story.called().0, Purpose::Extend);
    story.answer(Answer::AlreadyRestored).looks();
    story.feed(Input::Scan { ticket: 2, result: ScanResult::Done }).is("done");
}

#[test]
fn the_result_of_a_scan_that_was_given_up_does_not_count() {
    let mut story = Story::new(Policy::default());
    story.restored().feed(Input::ScannerFree);
    let first = story.task.ticket;
    story.scanned(ScanResult::Lost).is("available");
    story.feed(Input::ScannerFree);
    story.is("scanning").feed(Input::Scan { ticket: first, result: ScanResult::Done });
    story.noted(Note::Late).is("scanning");
}

#[test]
fn poison_is_given_up_and_a_stop_is_not_held_against_it() {
    let mut story = Story::new(Policy::default());
    story.restored();
    for _ in 0..10 {
        story.feed(Input::ScannerFree).scanned(ScanResult::Stopped).is("available");
    }
    for _ in 0..5 {
        story.wait(60).feed(Input::ScannerFree).is("scanning").scanned(ScanResult::Broke);
    }
    story.failed(Failure::ScanKeepsFailing);
}

#[test]
fn workers_that_go_away_count_apart_and_not_for_ever() {
    let policy = Policy::default();
    let mut story = Story::new(policy.clone());
    story.restored();
    for _ in 1..policy.lost_max {
        story.feed(Input::ScannerFree).scanned(ScanResult::Lost).is("available");
    }
    assert_eq!((story.task.counts.scans, story.task.counts.lost), (0, policy.lost_max - 1));
    story.feed(Input::ScannerFree).scanned(ScanResult::Lost);
    story.failed(Failure::WorkersKeepDying);
}

#[test]
fn an_archive_that_was_replaced_begins_anew() {
    let mut story = Story::new(Policy::default());
    story.restored().feed(Input::ScannerFree).scanned(ScanResult::Overwritten).is("planned");
    assert!(story.last.effects.contains(&Effect::Forget));
    for _ in 0..4 {
        story.restored().feed(Input::ScannerFree).scanned(ScanResult::Overwritten);
        if story.task.state.is_final() {
            break;
        }
    }
    assert!(story.task.state.is_final());
}

#[test]
fn a_key_that_never_restores_is_given_up() {
    let mut story = Story::new(Policy::default());
    story.feed(Input::Start).answer(Answer::Accepted);
    for _ in 0..7 * 24 {
        story.wait(HOUR);
        if story.last.effects.contains(&Effect::Look) {
            story.seen(Some(RestoreStatus::InProgress));
        }
    }
    story.failed(Failure::NeverRestored);
}

#[test]
fn a_running_restore_is_upgraded_with_the_same_days() {
    let mut story = Story::new(Policy { days: 5, ..Policy::default() });
    story.feed(Input::Start).answer(Answer::Accepted).wait(HOUR);
    story.feed(Input::Upgrade { tier: Tier::Bulk }).noted(Note::Unexpected);
    story.feed(Input::Upgrade { tier: Tier::Standard });
    assert_eq!(story.called(), (Purpose::Upgrade, Tier::Standard, Some(5)));
    story.answer(Answer::Accepted).is("restoring");
    story.feed(Input::Upgrade { tier: Tier::Standard }).noted(Note::Unexpected);
}

#[test]
fn a_person_may_cancel() {
    let mut story = Story::new(Policy::default());
    story.restored().feed(Input::ScannerFree).feed(Input::Cancel);
    let ticket = story.task.ticket;
    assert!(story.last.effects.contains(&Effect::StopScan { ticket }));
    story.failed(Failure::Cancelled);
}

#[test]
fn expiry_is_judged_by_the_servers_time() {
    let mut story = Story::new(Policy { extends_max: 0, ..Policy::default() });
    story.restored();
    // The caller's clock may say what it likes: only `now` counts, and it is the server's.
    story.wait(2 * DAY - 1).is("available").wait(1).is("expired");
}
