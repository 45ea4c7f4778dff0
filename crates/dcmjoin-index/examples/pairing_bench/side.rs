//! The two sides, read as a run reads them, on several threads.

use std::thread;

use dcmjoin_index::{Error, Fact, FactRuns, Fingerprint, Outcome, PairingIndex};
use dcmjoin_model::Uid;

use super::measure::Phases;
use super::uids::{Side, Uids, mixed};
use super::{Options, Result};

/// Instances that a thread takes at once.
const TAKEN_AT_ONCE: usize = 1_024;

/// Makes the facts of some UIDs.
type Make<'a> = dyn Fn(&[(u64, Uid)], &mut Vec<Fact>) -> std::result::Result<(), Error> + Sync + 'a;

/// Makes the facts of the metadata side; a header's place is its instance's number.
pub(crate) fn headers(uids: &Uids, options: &Options, phases: &mut Phases) -> Result<FactRuns> {
    read(Side::Headers, "headers", uids, options, phases, &|uids, made| {
        for (number, uid) in uids {
            made.push(fact(*number, Fingerprint::of(uid), Outcome::Open));
        }
        Ok(())
    })
}

/// Pairs the images; makes their facts.
pub(crate) fn images(
    uids: &Uids,
    index: &PairingIndex,
    options: &Options,
    phases: &mut Phases,
) -> Result<FactRuns> {
    read(Side::Images, "images", uids, options, phases, &|uids, made| {
        let fingerprints: Vec<_> = uids.iter().map(|(_, uid)| Fingerprint::of(uid)).collect();
        let mut found = Vec::with_capacity(uids.len());
        index.probe_all(&fingerprints, &mut found)?;
        for (((number, _), fingerprint), slots) in uids.iter().zip(fingerprints).zip(found) {
            let mut outcome = Outcome::Open;
            for slot in slots {
                // Stands for the comparison of UIDs, which needs the header itself.
                if index.place(slot)?.0 == *number && index.claim(slot) {
                    outcome = Outcome::Published;
                }
            }
            made.push(fact(*number, fingerprint, outcome));
        }
        Ok(())
    })
}

fn fact(number: u64, fingerprint: Fingerprint, outcome: Outcome) -> Fact {
    Fact {
        fingerprint,
        digest: u128::from(mixed(number)) << 64,
        archive: (number >> 13) as u32,
        offset: (number & 0x1fff) << 16,
        length: 5_000 + number % 512,
        place: number,
        outcome,
    }
}

fn read(
    side: Side,
    phase: &'static str,
    uids: &Uids,
    options: &Options,
    phases: &mut Phases,
    make: &Make<'_>,
) -> Result<FactRuns> {
    let facts = FactRuns::new(&options.spill, options.facts_bytes);
    let one_thread = |uids: &[(u64, Uid)]| -> std::result::Result<(), Error> {
        let mut lot = Vec::with_capacity(TAKEN_AT_ONCE);
        for uids in uids.chunks(TAKEN_AT_ONCE) {
            make(uids, &mut lot)?;
            lot.drain(..).try_for_each(|fact| facts.push(&fact))?;
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
    Ok(facts)
}
