//! The two sides, read as a run reads them, on several threads.

use std::sync::{Mutex, PoisonError};
use std::thread;

use dcmjoin_index::{Error, Fact, FactRuns, Fingerprint, Outcome, PairingIndex};
use dcmjoin_model::Uid;

use super::measure::Phases;
use super::uids::{Side, Uids, mixed};
use super::{Options, Result};

/// Facts that a thread pushes under one lock.
const PUSHED_AT_ONCE: usize = 1_024;

/// Makes the facts of the metadata side; a header's place is its instance's number.
pub(crate) fn headers(uids: &Uids, options: &Options, phases: &mut Phases) -> Result<FactRuns> {
    read(Side::Headers, "headers", uids, options, phases, |number, uid| {
        Ok(fact(number, Fingerprint::of(uid), number, Outcome::Open))
    })
}

/// Pairs the images; makes their facts.
pub(crate) fn images(
    uids: &Uids,
    index: &PairingIndex,
    options: &Options,
    phases: &mut Phases,
) -> Result<FactRuns> {
    read(Side::Images, "images", uids, options, phases, |number, uid| {
        let fingerprint = Fingerprint::of(uid);
        for slot in index.probe(fingerprint)? {
            // Stands for the comparison of UIDs, which needs the header itself.
            if index.place(slot)?.0 == number && index.claim(slot) {
                return Ok(fact(number, fingerprint, number, Outcome::Published));
            }
        }
        Ok(fact(number, fingerprint, number, Outcome::Open))
    })
}

fn fact(number: u64, fingerprint: Fingerprint, place: u64, outcome: Outcome) -> Fact {
    Fact {
        fingerprint,
        digest: u128::from(mixed(number)) << 64,
        archive: (number >> 13) as u32,
        offset: (number & 0x1fff) << 16,
        length: 5_000 + number % 512,
        place,
        outcome,
    }
}

fn read(
    side: Side,
    phase: &'static str,
    uids: &Uids,
    options: &Options,
    phases: &mut Phases,
    make: impl Fn(u64, &Uid) -> std::result::Result<Fact, Error> + Sync,
) -> Result<FactRuns> {
    let facts = Mutex::new(FactRuns::new(&options.spill, options.facts_bytes));
    let one_thread = |uids: &[(u64, Uid)]| -> std::result::Result<(), Error> {
        let mut made = Vec::with_capacity(PUSHED_AT_ONCE);
        for uids in uids.chunks(PUSHED_AT_ONCE) {
            for (number, uid) in uids {
                made.push(make(*number, uid)?);
            }
            let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
            made.drain(..).try_for_each(|fact| facts.push(fact))?;
        }
        Ok(())
    };
    uids.each_lot(side, options.threads, |parts| {
        phases.measure(phase, || {
            thread::scope(|scope| {
                let threads: Vec<_> =
                    parts.iter().map(|part| scope.spawn(|| one_thread(part))).collect();
                threads.into_iter().try_for_each(|thread| {
                    thread.join().expect("a thread of the benchmark panicked")
                })
            })
        })
    })?;
    Ok(facts.into_inner().unwrap_or_else(PoisonError::into_inner))
}
