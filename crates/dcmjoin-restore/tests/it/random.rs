//! Long random lives: what adds up over a life stays bounded, and a journal gives back what it took.

use dcmjoin_restore::class::StorageClass;
use dcmjoin_restore::moment::Moment;
use dcmjoin_restore::task::{Effect, Input, Policy, Purpose, State, Step, Task};
use proptest::prelude::*;

use crate::inputs::{self, setting, tight_policy};

/// Inputs of one life, each chosen among all that matter at its time.
fn lives() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 1..400)
}

fn live(policy: &Policy, choices: &[prop::sample::Index], mut visit: impl FnMut(&Input, &Step)) {
    let mut now = Moment::from_epoch_secs(1_800_000_000);
    let mut task = Task::new(StorageClass::Glacier);
    for choice in choices {
        let (wait, input) = *choice.get(&inputs::all(&task, now));
        now = now.plus(wait);
        let step = task.step(&setting(policy, now), &input);
        visit(&input, &step);
        task = step.task;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// 4: the calls of a life, and so what they cost, are bounded by the policy.
    #[test]
    fn calls_of_a_life_are_bounded(choices in lives()) {
        let policy = tight_policy();
        let (mut restores, mut extends, mut upgrades) = (0, 0, 0);
        let (mut retries, mut asked) = (1, 0);
        live(&policy, &choices, |input, step| {
            retries += u32::from(*input == Input::Retry);
            asked += u32::from(matches!(input, Input::Upgrade { .. }));
            for effect in &step.effects {
                match effect {
                    Effect::Request { purpose: Purpose::Restore, .. } => restores += 1,
                    Effect::Request { purpose: Purpose::Extend, .. } => extends += 1,
                    Effect::Request { purpose: Purpose::Upgrade, .. } => upgrades += 1,
                    _ => {}
                }
            }
        });
        let (tries, restores_max) = (u32::from(policy.tries_max), u32::from(policy.restores_max));
        prop_assert!(restores <= retries * restores_max * tries, "{restores} restores");
        let extends_max = (restores_max + 1) * u32::from(policy.extends_max) * tries;
        prop_assert!(extends <= retries * extends_max, "{extends} extends");
        prop_assert!(upgrades <= asked, "{upgrades} upgrades, {asked} asked for");
    }

    #[test]
    fn a_journal_gives_back_what_it_took(choices in lives()) {
        let policy = tight_policy();
        live(&policy, &choices, |input, step| {
            let task = serde_json::to_string(&step.task).unwrap();
            assert_eq!(serde_json::from_str::<Task>(&task).unwrap(), step.task);
            let written = serde_json::to_string(input).unwrap();
            assert_eq!(serde_json::from_str::<Input>(&written).unwrap(), *input);
            let effects = serde_json::to_string(&step.effects).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Effect>>(&effects).unwrap(), step.effects);
        });
    }

    /// After a restart the call and the look that were on their way are made again, and no more.
    #[test]
    fn a_restart_repeats_what_was_on_its_way(choices in lives()) {
        let policy = tight_policy();
        live(&policy, &choices, |_, step| {
            let now = Moment::from_epoch_secs(1_800_000_000);
            let effects = step.task.resume(&setting(&policy, now));
            let calls = effects.iter().filter(|effect| matches!(effect, Effect::Request { .. }));
            let in_flight = step.task.call.is_some_and(|call| call.again.is_none());
            assert_eq!(calls.count(), usize::from(in_flight));
            let looks = effects.iter().filter(|effect| **effect == Effect::Look).count();
            assert_eq!(looks, usize::from(step.task.look.is_some_and(|look| look.asked)));
            if step.task.state == State::Done {
                assert!(effects.is_empty(), "{effects:?}");
            }
        });
    }
}
