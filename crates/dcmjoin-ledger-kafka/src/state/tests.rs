use dcmjoin_ledger::facts::Fact;
use dcmjoin_model::{Half, SopInstanceUid};

use super::*;
use crate::message::{Item, done_to_items, facts_to_items, mark, pair_key};

const UIDS: u128 = 300;

fn fact(number: u128, half: Half) -> Fact {
    Fact {
        fingerprint: number.wrapping_mul(u128::MAX / 97),
        uid: SopInstanceUid::parse(&format!("2.25.{}", number + 1)).unwrap(),
        half,
        archive: "s3://a/b.tar".to_owned(),
        version: None,
        offset: 512,
        length: 7,
        digest: number,
        crc32c: 9,
    }
}

fn key(number: u128, campaign: &str) -> Vec<u8> {
    let fact = fact(number, Half::Image);
    pair_key(campaign, fact.fingerprint, fact.uid.as_str())
}

impl State {
    fn take(&mut self, topic: Topic, items: &[Item]) -> usize {
        let (mut new, mut gone) = (Vec::new(), Gone::default());
        for item in items {
            let (partition, recent) = (i32::from(item.partition), &mut self.recent);
            let (new, gone, key) = (&mut new, &mut gone, item.key.as_slice());
            let mut taking =
                Taking { topic, parts: Parts::default(), partition, time: 5, recent, new, gone };
            match topic {
                Topic::Halves => tell_facts(key, item.value.as_deref(), &mut taking),
                Topic::Pairs => tell_pairs(key, item.value.as_deref(), &mut taking),
            }
        }
        self.remove(topic, &gone).unwrap();
        new.len()
    }

    /// Returns what there is: of each instance its pair's key, its facts, and whether it is done.
    fn all(&self) -> Vec<(Vec<u8>, usize, bool)> {
        let mut all = Vec::new();
        let each = |group: Group, done: &mut Done<'_>| {
            let key = group.pair_key().to_vec();
            all.push((key.clone(), group.len(), done.has(&key)?));
            Ok(ControlFlow::Continue(()))
        };
        self.groups(&[], &after_all(), each).unwrap();
        all
    }
}

/// The same work on states of which one puts all down to its file after each step, one after some, and one
/// never.
#[test]
fn what_is_in_the_file_and_what_is_not_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut states = [0, 1, 2].map(|_| State::open(folder.path(), Parts::default()).unwrap());
    let mut step = |at: usize, work: &dyn Fn(&mut State)| {
        for (every, state) in [1, 3, usize::MAX].into_iter().zip(&mut states) {
            work(state);
            if (at + 1).is_multiple_of(every) {
                state.put_down().unwrap();
                assert_eq!(state.recent.bytes(), 0);
            }
        }
        let all = states[0].all();
        assert_eq!(all, states[1].all(), "step {at}");
        assert_eq!(all, states[2].all(), "step {at}");
        all
    };
    let halves = |half| (0..UIDS).map(|number| fact(number, half)).collect::<Vec<_>>();
    let [headers, images] = [Half::Metadata, Half::Image]
        .map(|half| facts_to_items(Parts::default(), "one", &halves(half)));
    let other = facts_to_items(Parts::default(), "other", &halves(Half::Image));
    let finished: Vec<_> = (0..UIDS).step_by(2).map(|number| key(number, "one")).collect();
    let finished = done_to_items(Parts::default(), finished.iter().map(Vec::as_slice));

    step(0, &|state| assert_eq!(state.take(Topic::Halves, &headers), UIDS as usize));
    step(1, &|state| assert_eq!(state.take(Topic::Halves, &other), UIDS as usize));
    step(2, &|state| _ = state.take(Topic::Halves, &images[3..]));
    step(3, &|state| assert_eq!(state.take(Topic::Pairs, &finished), 0));
    let all = step(4, &|state| _ = state.take(Topic::Halves, &images));
    assert_eq!(all.len(), 2 * UIDS as usize);
    assert_eq!(all.iter().filter(|(_, facts, _)| *facts == 2).count(), UIDS as usize);
    assert_eq!(all.iter().filter(|(.., is_done)| *is_done).count(), UIDS as usize / 2);
    assert!(all.is_sorted(), "in the order of keys");

    let marks: Vec<_> = Parts::default().all().map(|partition| mark("one", partition)).collect();
    step(5, &|state| _ = state.take(Topic::Pairs, &marks));
    let all = step(6, &|state| _ = state.take(Topic::Halves, &marks));
    assert_eq!(all.len(), UIDS as usize, "the other campaign's are left");
    // The same facts again: what forgot them is over.
    let all = step(7, &|state| _ = state.take(Topic::Halves, &headers));
    assert_eq!(all.len(), 2 * UIDS as usize);
    assert!(all.iter().all(|(_, facts, is_done)| *facts == 1 && !is_done));
}

#[test]
fn facts_of_a_pair_that_is_done_here_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::open(folder.path(), Parts::default()).unwrap();
    for half in [Half::Metadata, Half::Image] {
        let facts: Vec<_> = (0..2).map(|number| fact(number, half)).collect();
        state.take(Topic::Halves, &facts_to_items(Parts::default(), "one", &facts));
    }
    state.done(&[key(0, "one")]).unwrap();
    assert_eq!(state.all(), [(key(1, "one"), 2, false)]);
    // Another header of it comes late.
    state.take(Topic::Halves, &facts_to_items(Parts::default(), "one", &[fact(0, Half::Metadata)]));
    assert_eq!(state.all()[0], (key(0, "one"), 1, true));
}
