//! What there is of a campaign, from all partitions: for depths and lists, on any machine.

use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use dcmjoin_ledger::facts::PARTITIONS;

use crate::follower::Follower;
use crate::log::{OUTAGE_MAX, Shared, failed};
use crate::state::{State, Topic};

/// Records that are taken in at once.
pub(crate) const RECORDS_MAX: usize = 10_000;
const WAIT: Duration = Duration::from_millis(200);

/// All partitions, read by nobody's leave.
pub(crate) struct View {
    halves: Follower,
    pairs: Follower,
    pub(crate) state: State,
}

impl View {
    pub(crate) fn open(shared: &Shared) -> Result<Self, Error> {
        Ok(Self {
            halves: Follower::new(shared, &shared.halves())?,
            pairs: Follower::new(shared, &shared.pairs())?,
            state: State::open(shared.folder())?,
        })
    }

    /// Reads what was appended before the call; the first time, all that there is.
    pub(crate) fn catch_up(&mut self) -> Result<(), Error> {
        let Self { halves, pairs, state } = self;
        follow(halves, Topic::Halves, state)?;
        follow(pairs, Topic::Pairs, state)
    }
}

fn follow(follower: &mut Follower, topic: Topic, state: &mut State) -> Result<(), Error> {
    let all = 0..i32::from(PARTITIONS);
    follower.assign(all, &state.positions(topic)?)?;
    let mut until = Instant::now() + OUTAGE_MAX;
    while follower.ended().len() < usize::from(PARTITIONS) {
        let records = follower.read(RECORDS_MAX, WAIT)?;
        state.apply(topic, &records)?;
        if !records.is_empty() {
            until = Instant::now() + OUTAGE_MAX;
        }
        if Instant::now() > until {
            return Err(failed("the brokers do not answer"));
        }
    }
    Ok(())
}
