//! Random numbers that are the same everywhere, for ever.
//!
//! A data set is named by its seed, so the stream must not change with a platform, a thread or a
//! dependency's version. This is `SplitMix64`: a counter, mixed. Every consumer derives its own
//! stream from the seed and a few words that say what for, so streams do not depend on the order in
//! which they are asked for.

/// The odd step of the counter: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

/// What a stream is for; the first word of its key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    Plan = 1,
    Roles,
    Shuffle,
    Place,
    Study,
    Series,
    Instance,
    Uid,
    Pixels,
}

impl Random {
    /// Returns the stream of a seed, a use and up to two numbers.
    pub(crate) fn of(seed: u64, purpose: Use, first: u64, second: u64) -> Self {
        let words = [seed, purpose as u64, first, second];
        let state = words.into_iter().fold(STEP, |state, word| mix(state ^ mix(word ^ STEP)));
        Self { state }
    }

    /// Returns 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Returns a number below `bound`, which is at least 1.
    ///
    /// The bias of the multiply-and-shift is below 2^-32 for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Returns a number of the range, both ends included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Returns true in `share` of all calls.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// Returns one of the choices, of which there is at least one.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Puts the items in random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Returns the word with every input bit spread over all output bits.
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut random = Random::of(7, Use::Plan, 0, 0);
        let got = [random.next(), random.next()];
        let mut again = Random::of(7, Use::Plan, 0, 0);
        assert_eq!(got, [again.next(), again.next()]);
        assert_eq!(mix(1), 0x5692_161d_100b_05e5);
        assert_ne!(Random::of(7, Use::Roles, 0, 0).next(), got[0]);
        assert_ne!(Random::of(7, Use::Plan, 0, 1).next(), got[0]);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::of(1, Use::Plan, 0, 0);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[random.within(5, 7) as usize - 5] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert!(!random.chance(0.0));
        assert!(random.chance(1.0));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::of(1, Use::Shuffle, 0, 0).shuffle(&mut items);
        assert_ne!(items[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
