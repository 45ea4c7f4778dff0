//! Text UIDs of both sides: half random numbers under 2.25, half long vendor-like ones; the images
//! in another order than the headers, and 98 of 100 with a header.

use std::cell::Cell;
use std::time::{Duration, Instant};

use dcmjoin_model::Uid;

/// UIDs made at once: few enough to stay in the cache, as those of a member just read are.
pub(crate) const LOT: u64 = 1 << 14;
/// Instances in 100 that have both halves.
const MATCHES_IN_100: u64 = 98;

pub(crate) struct Uids {
    pairs: u64,
    stride: u64,
    spent: Cell<Duration>,
}

/// Which half of the instances' list a number is of.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Headers,
    Images,
}

impl Uids {
    pub(crate) fn new(pairs: u64) -> Self {
        // Steps of about the golden ratio that share no factor with the count visit all numbers.
        let mut stride = (pairs as f64 * 0.618) as u64 | 1;
        while gcd(stride, pairs) != 1 {
            stride += 2;
        }
        Self { pairs, stride, spent: Cell::default() }
    }

    pub(crate) fn matches(&self) -> u64 {
        self.pairs / 100 * MATCHES_IN_100 + self.pairs % 100 * MATCHES_IN_100 / 100
    }

    /// Returns the number of the instance whose image comes at a position.
    pub(crate) fn image_at(&self, position: u64) -> u64 {
        let step = u128::from(position) * u128::from(self.stride);
        let number = (step % u128::from(self.pairs)) as u64;
        // What has no header is an instance beyond the headers' list.
        if number < self.matches() { number } else { self.pairs + number }
    }

    /// Calls `each` with one lot of UIDs after the other: instance numbers and UIDs, in one part
    /// for each thread.
    pub(crate) fn each_lot<E>(
        &self,
        side: Side,
        threads: usize,
        mut each: impl FnMut(&[Vec<(u64, Uid)>]) -> Result<(), E>,
    ) -> Result<(), E> {
        for first in (0..self.pairs).step_by(LOT as usize) {
            let begin = Instant::now();
            let count = LOT.min(self.pairs - first);
            let part = count.div_ceil(threads as u64);
            let make = |thread: u64| {
                let numbers = first + thread * part..first + ((thread + 1) * part).min(count);
                let number = |position| match side {
                    Side::Headers => position,
                    Side::Images => self.image_at(position),
                };
                numbers.map(number).map(|number| (number, uid(number))).collect::<Vec<_>>()
            };
            let parts: Vec<_> = (0..threads as u64).map(make).collect();
            self.spent.set(self.spent.get() + begin.elapsed());
            each(&parts)?;
        }
        Ok(())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.spent.get().as_secs_f64()
    }

    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Returns well-mixed bits of a number (the finalizer of `SplitMix64`).
pub(crate) fn mixed(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Returns the UID of an instance: unique by its number or by 128 mixed bits of it.
pub(crate) fn uid(number: u64) -> Uid {
    let (high, low) = (mixed(number), mixed(!number));
    let text = if number.is_multiple_of(2) {
        format!("2.25.{}", (u128::from(high) << 64) | u128::from(low))
    } else {
        let station = 1_000 + high % 9_000;
        let day = 20_200_101 + low % 28;
        format!("1.3.12.2.1107.5.2.{}.{station}.{day}{:06}.{number}", 30 + high % 16, low >> 44)
    };
    Uid::parse(&text).expect("digits and dots make a UID")
}
