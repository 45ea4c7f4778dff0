//! Reads sides as a run reads them: each thread takes one lot of halves after the other.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use dcmjoin_index::{Error, FactRuns, Record};
use dcmjoin_model::Half;

use super::measure::{self, Spent};
use super::uids::{Population, Seen};
use super::{Options, Result};

/// Halves that a thread takes at once: few enough that their UIDs stay in the cache, as those of a
/// member just read do.
const LOT: u64 = 1_024;

/// What the reading of sides took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Intake {
    /// To make the text UIDs.
    pub(crate) making: Spent,
    /// To make facts of them and push those.
    pub(crate) pushing: Spent,
}

/// Pushes the facts of some sides' halves, as `fact` makes them.
pub(crate) fn read<R: Record>(
    sides: &[Half],
    population: &Population,
    options: &Options,
    fact: impl Fn(Half, &Seen) -> std::result::Result<R, Error> + Sync,
) -> Result<(FactRuns<R>, Intake)> {
    let facts = FactRuns::new(&options.spill, options.facts_bytes).sorted_by(options.threads);
    let mut intake = Intake::default();
    for &half in sides {
        let next = AtomicU64::new(0);
        let one_thread = || {
            let lots = || lot_after(&next, population.pairs());
            push_lots(half, lots, population, &facts, &fact)
        };
        let (each, both) = measure::process(|| {
            thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..options.threads).map(|_| scope.spawn(one_thread)).collect();
                let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
                joined.map(|each| each.expect("a thread of the benchmark panicked")).collect()
            })
        });
        let each: std::result::Result<Vec<Intake>, Error> = each;
        intake.add(&each?, both);
    }
    Ok((facts, intake))
}

impl Intake {
    /// Adds what one side took: wall time is parted as the threads' own is.
    fn add(&mut self, each: &[Self], both: Spent) {
        let (mut making, mut pushing) = (Spent::default(), Spent::default());
        each.iter().for_each(|intake| making.add(intake.making));
        each.iter().for_each(|intake| pushing.add(intake.pushing));
        let share = pushing.wall.as_secs_f64() / (pushing.wall + making.wall).as_secs_f64();
        self.pushing.add(Spent { wall: both.wall.mul_f64(share), cpu: pushing.cpu });
        self.making.add(Spent { wall: both.wall.mul_f64(1.0 - share), cpu: making.cpu });
    }
}

fn lot_after(next: &AtomicU64, count: u64) -> Option<Range<u64>> {
    let from = next.fetch_add(LOT, Relaxed);
    (from < count).then(|| from..(from + LOT).min(count))
}

fn push_lots<R: Record>(
    half: Half,
    mut lots: impl FnMut() -> Option<Range<u64>>,
    population: &Population,
    facts: &FactRuns<R>,
    fact: &impl Fn(Half, &Seen) -> std::result::Result<R, Error>,
) -> std::result::Result<Intake, Error> {
    let mut intake = Intake::default();
    let (mut seen, mut made) = (Vec::new(), Vec::new());
    while let Some(lot) = lots() {
        let ((), making) = measure::thread(|| {
            seen.clear();
            seen.extend(lot.map(|position| population.at(half, position)));
        });
        let (pushed, pushing) = measure::thread(|| {
            made.clear();
            for seen in &seen {
                made.push(fact(half, seen)?);
            }
            facts.push_all(&made)
        });
        pushed?;
        intake.making.add(making);
        intake.pushing.add(pushing);
    }
    Ok(intake)
}
