//! Chance that comes out the same for the same seed.
//!
//! Most draws are keyed by what they are for, not by their order: requests of several clients
//! arrive in any order, and a restore shall take as long as the last time all the same.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The golden ratio's fraction, the step of `SplitMix64`.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the next but `index` number of the `SplitMix64` that starts at a seed.
pub(crate) const fn number(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns the number that belongs to some words, whatever was asked before.
pub(crate) fn keyed(seed: u64, words: &[&str]) -> u64 {
    words.iter().fold(seed, |hash, word| xxh3_64_with_seed(word.as_bytes(), hash))
}

/// Returns a number from zero to one, one excluded.
#[expect(clippy::cast_precision_loss, reason = "the upper 53 bits: as many as a double holds")]
pub(crate) fn fraction(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a duration between two, in whole milliseconds.
pub(crate) fn between(number: u64, least: Duration, most: Duration) -> Duration {
    let span = most.saturating_sub(least).as_millis() as u64;
    least + Duration::from_millis(number.checked_rem(span + 1).unwrap_or_default())
}

/// A row of numbers, for draws that belong to nothing with a name.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    seed: u64,
    drawn: u64,
}

impl Row {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        let number = number(self.seed, self.drawn);
        self.drawn += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // The reference numbers of the seed 1234567.
        assert_eq!(number(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(number(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn stays_within_its_bounds() {
        let (least, most) = (Duration::from_mins(1), Duration::from_mins(5));
        let mut row = Row::new(7);
        for _ in 0..1000 {
            let drawn = row.draw();
            assert!((least..=most).contains(&between(drawn, least, most)));
            assert!((0.0..1.0).contains(&fraction(drawn)));
        }
        assert_eq!(between(5, least, least), least);
    }

    #[test]
    fn keyed_draws_do_not_depend_on_their_order() {
        let (a, b) = (keyed(1, &["bucket", "a"]), keyed(1, &["bucket", "b"]));
        assert_ne!(a, b);
        assert_eq!(keyed(1, &["bucket", "a"]), a);
        assert_ne!(keyed(2, &["bucket", "a"]), a);
    }
}
