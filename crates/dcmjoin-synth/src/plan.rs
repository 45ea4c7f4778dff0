//! The plan: which series there are, and which instances each has. Seed and options in, facts of
//! any instance out.
//!
//! **Invariant:** everything about instance `i` follows from the plan and `i`, so both halves can be
//! made far apart, in any order and on any thread. Memory: a few bytes a series, none an instance.

use crate::options::SynthOptions;
use crate::random::{Random, Use};
use crate::recipe::{Geometry, Preset, Recipe, Spec};
use crate::uids;

/// Studies have at most that many series.
const STUDY_SERIES_MAX: u64 = 4;

/// All series of a data set.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) preset: Preset,
    pub(crate) instances: u32,
    pub(crate) other_spellings: f64,
    series: Vec<Series>,
}

/// One series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    first: u32,
    pub(crate) count: u32,
    pub(crate) study: u32,
    /// Its number in the study, from 1.
    pub(crate) number: u16,
    pub(crate) recipe: Recipe,
}

/// One instance, by its place in the plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instance<'a> {
    pub(crate) plan: &'a Plan,
    /// Zero-based, in the data set.
    pub(crate) index: u32,
    pub(crate) series: &'a Series,
    pub(crate) series_index: u32,
    /// Zero-based, in the series.
    pub(crate) slice: u32,
}

/// A recipe with the instances it is still owed.
struct Owed {
    recipe: Recipe,
    share: f64,
    instances: f64,
    longest: u32,
}

impl Plan {
    /// Lays out the series. The options have been checked.
    pub(crate) fn new(options: &SynthOptions) -> Self {
        let mut plan = Self {
            seed: options.seed,
            preset: options.preset,
            instances: options.instances as u32,
            other_spellings: options.shares.other_spellings,
            series: Vec::new(),
        };
        let mut owed = owed(options);
        let mut random = Random::of(options.seed, Use::Plan, 0, 0);
        let (mut first, mut study, mut study_ends, mut number) = (0, 0, 1, 0);
        while first < plan.instances {
            if number == study_ends {
                study += 1;
                study_ends = random.within(1, STUDY_SERIES_MAX) as u16;
                number = 0;
            }
            number += 1;
            let (recipe, count) = next_series(&mut owed, &mut random, plan.instances - first);
            plan.series.push(Series { first, count, study, number, recipe });
            first += count;
        }
        plan
    }

    /// Returns an instance by its number.
    pub(crate) fn instance(&self, index: u32) -> Instance<'_> {
        let series_index = self.series.partition_point(|series| series.first <= index) - 1;
        let series = &self.series[series_index];
        let slice = index - series.first;
        Instance { plan: self, index, series, series_index: series_index as u32, slice }
    }

    /// Returns all instances, in the plan's order.
    pub(crate) fn instances(&self) -> impl Iterator<Item = Instance<'_>> {
        self.series.iter().enumerate().flat_map(move |(series_index, series)| {
            (0..series.count).map(move |slice| Instance {
                plan: self,
                index: series.first + slice,
                series,
                series_index: series_index as u32,
                slice,
            })
        })
    }
}

/// Returns what each recipe gets of the data set.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
#[expect(clippy::cast_sign_loss, reason = "shares are checked to be positive")]
fn owed(options: &SynthOptions) -> Vec<Owed> {
    let mut owed = Vec::new();
    for (header_only, part) in
        [(false, 1.0 - options.shares.header_only), (true, options.shares.header_only)]
    {
        let total: f64 = options.mix.weights(header_only).map(|(_, weight)| weight).sum();
        owed.extend(options.mix.weights(header_only).map(|(recipe, weight)| {
            let share = part * weight / total;
            let longest = (share * options.instances as f64).round().max(1.0) as u32;
            Owed { recipe, share, instances: 0.0, longest }
        }));
    }
    owed.retain(|owed| owed.share > 0.0);
    owed
}

/// Gives the next series to the recipe that is owed most, so that even a small data set has all
/// kinds in their shares.
fn next_series(owed: &mut [Owed], random: &mut Random, left: u32) -> (Recipe, u32) {
    let most = (0..owed.len())
        .max_by(|&a, &b| {
            let (a, b) = (&owed[a], &owed[b]);
            (a.instances + a.share).total_cmp(&(b.instances + b.share))
        })
        .unwrap_or(0);
    let recipe = owed[most].recipe;
    let [fewest, longest] = recipe.spec().series;
    let count = random.within(u64::from(fewest), u64::from(longest)) as u32;
    let count = count.min(owed[most].longest).min(left);
    for owed in owed.iter_mut() {
        owed.instances += owed.share * f64::from(count);
    }
    owed[most].instances -= f64::from(count);
    (recipe, count)
}

impl Instance<'_> {
    /// Returns the facts of its recipe.
    pub(crate) fn spec(&self) -> &'static Spec {
        self.series.recipe.spec()
    }

    /// Returns its pixels.
    pub(crate) fn geometry(&self) -> Geometry {
        self.spec().geometry(self.plan.preset)
    }

    /// Returns its SOP Instance UID.
    pub(crate) fn uid(&self) -> String {
        uids::instance(self.plan.seed, self.series_index, self.index)
    }

    /// Returns a stream of random numbers of its own.
    pub(crate) fn random(&self) -> Random {
        Random::of(self.plan.seed, Use::Instance, u64::from(self.index), 0)
    }

    /// Returns which of the kept pictures it shows: slices run through them in order.
    pub(crate) fn variant(&self) -> usize {
        let variants = self.spec().variants(self.plan.preset) as u64;
        let step = u64::from(self.slice) * variants / u64::from(self.series.count);
        // Short series start anywhere, or a data set of single radiographs would show one picture.
        let start = if self.series.count > 4 { 0 } else { u64::from(self.series_index) };
        ((start + step) % variants) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(instances: u64) -> Plan {
        Plan::new(&SynthOptions::new(instances, 3))
    }

    #[test]
    fn every_instance_is_in_one_series() {
        for count in [0, 1, 2, 57, 3_000] {
            let plan = plan(count);
            let mut next = 0;
            for instance in plan.instances() {
                assert_eq!(instance.index, next);
                let found = plan.instance(next);
                assert_eq!(found.series_index, instance.series_index);
                assert_eq!(found.slice, instance.slice);
                assert!(found.slice < found.series.count);
                next += 1;
            }
            assert_eq!(u64::from(next), count);
        }
    }

    #[test]
    fn shares_are_met() {
        let plan = plan(20_000);
        let count =
            |recipe| plan.instances().filter(|instance| instance.series.recipe == recipe).count();
        for &recipe in Recipe::ALL {
            assert!(count(recipe) > 0, "{recipe:?}");
        }
        let documents =
            plan.instances().filter(|instance| instance.series.recipe.is_header_only()).count();
        assert!((740..=860).contains(&documents), "{documents}");
    }

    #[test]
    fn a_study_has_few_series_numbered_from_one() {
        let plan = plan(5_000);
        for pair in plan.series.windows(2) {
            if pair[0].study == pair[1].study {
                assert_eq!(pair[0].number + 1, pair[1].number);
            } else {
                assert_eq!((pair[0].study + 1, pair[1].number), (pair[1].study, 1));
            }
            assert!(u64::from(pair[1].number) <= STUDY_SERIES_MAX);
        }
    }
}
