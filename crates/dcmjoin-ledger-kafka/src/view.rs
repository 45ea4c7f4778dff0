//! What there is of a campaign, from all partitions: for depths and lists, on any machine.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::{Fact, FactDepth};

use crate::follower::Follower;
use crate::log::{OUTAGE_MAX, Shared, failed};
use crate::parts::after_all;
use crate::state::{State, Topic};

/// How long a topic is listened to at once.
const WAIT: Duration = Duration::from_millis(200);

/// All partitions, read by nobody's leave.
pub(crate) struct View {
    halves: Follower,
    pairs: Follower,
    state: State,
    /// Of a campaign: keys before which all pairs are done.
    finished: HashMap<String, Vec<u8>>,
}

impl View {
    pub(crate) fn open(shared: &Shared) -> Result<Self, Error> {
        Ok(Self {
            halves: Follower::new(shared, &shared.halves())?,
            pairs: Follower::new(shared, &shared.pairs())?,
            state: State::open(shared.folder(), shared.parts())?,
            finished: HashMap::new(),
        })
    }

    /// Reads what was appended before the call; the first time, all that there is.
    pub(crate) fn catch_up(&mut self) -> Result<(), Error> {
        let Self { halves, pairs, state, finished } = self;
        let first = match follow(halves, Topic::Halves, state) {
            // What came before it failed is not told.
            Err(error) => {
                finished.clear();
                return Err(error);
            }
            Ok(first) => first.map(u128::to_be_bytes),
        };
        if let Some(first) = first {
            finished.retain(|_, key| key.as_slice() < first.as_slice());
        }
        follow(pairs, Topic::Pairs, state)?;
        Ok(())
    }

    pub(crate) fn depth(&self, campaign: &str) -> Result<FactDepth, Error> {
        self.state.depth(campaign)
    }

    /// Returns whether a campaign has pairs that are not done. What was done stays so: it is looked at from
    /// where it was not.
    pub(crate) fn has_pairs(&mut self, campaign: &str) -> Result<bool, Error> {
        let from = self.finished.get(campaign).cloned().unwrap_or_default();
        let (mut at, mut has) = (from.clone(), false);
        self.state.groups(&from, &after_all(), |group, done| {
            has = group.is_of(campaign) && group.is_whole() && !done.has(group.pair_key())?;
            if has {
                return Ok(ControlFlow::Break(()));
            }
            at = group.last_key().to_vec();
            Ok(ControlFlow::Continue(()))
        })?;
        self.finished.insert(campaign.to_owned(), at);
        Ok(has)
    }

    /// Returns facts without partner that came before a time, in their order.
    pub(crate) fn unpaired(
        &self,
        campaign: &str,
        before: i64,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        // Those of one fingerprint are few: they are put in their order all at once.
        let from = after.map(|fact| fact.fingerprint.to_be_bytes().to_vec()).unwrap_or_default();
        let (mut facts, mut sorted) = (Vec::new(), 0);
        self.state.groups(&from, &after_all(), |group, _| {
            if facts.last().is_some_and(|last: &Fact| last.fingerprint != group.fingerprint()) {
                facts[sorted..].sort_by(|one, other| place(one).cmp(&place(other)));
                sorted = facts.len();
                if sorted >= max {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if group.is_of(campaign) && !group.is_whole() {
                let mut some = group.facts(before)?;
                some.retain(|fact| after.is_none_or(|after| place(fact) > place(after)));
                facts.append(&mut some);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        facts[sorted..].sort_by(|one, other| place(one).cmp(&place(other)));
        facts.truncate(max);
        Ok(facts)
    }
}

fn place(fact: &Fact) -> (u128, &str, u8, &str, u64) {
    (fact.fingerprint, fact.uid.as_str(), fact.half as u8, &fact.archive, fact.offset)
}

/// Returns the least fingerprint of facts that are new.
fn follow(follower: &mut Follower, topic: Topic, state: &mut State) -> Result<Option<u128>, Error> {
    let all = state.parts().all();
    let count = all.len();
    follower.assign(all.map(i32::from), state.positions(topic))?;
    let (mut until, mut first) = (Instant::now() + OUTAGE_MAX, None);
    while follower.ended().len() < count {
        let came = state.follow(topic, follower, WAIT)?;
        if came.records > 0 {
            until = Instant::now() + OUTAGE_MAX;
        }
        first = came.new.into_iter().chain(first).min();
        if Instant::now() > until {
            return Err(failed("the brokers do not answer"));
        }
    }
    Ok(first)
}
