//! Text UIDs of both sides: half random numbers under 2.25, half long vendor-like ones; the images
//! in another order than the headers. 98 of 100 halves have a partner, 1 of 1,000 is a repeat.

use dcmjoin_model::{Half, Uid};

/// Halves in 100 that have a partner.
const MATCHES_IN_100: u64 = 98;
/// One in so many halves of a side is a repeat of an earlier one.
const REPEATS_ONE_IN: u64 = 1_000;

/// Which halves there are: as many headers as images.
pub(crate) struct Population {
    pairs: u64,
    stride: u64,
}

/// One half.
pub(crate) struct Seen {
    /// The number of its instance.
    pub(crate) instance: u64,
    pub(crate) uid: Uid,
    /// Of its bytes.
    pub(crate) digest: u128,
}

/// What a join of both sides counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) paired: u64,
    pub(crate) headers_unpaired: u64,
    pub(crate) images_unpaired: u64,
    pub(crate) headers_duplicate: u64,
    pub(crate) images_duplicate: u64,
    pub(crate) conflicts: u64,
}

impl Population {
    pub(crate) fn new(pairs: u64) -> Self {
        // Steps of about the golden ratio that share no factor with the count visit all numbers.
        let mut stride = (pairs as f64 * 0.618) as u64 | 1;
        while gcd(stride, pairs) != 1 {
            stride += 2;
        }
        Self { pairs, stride }
    }

    /// Returns the halves of one side.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    fn matches(&self) -> u64 {
        self.pairs / 100 * MATCHES_IN_100 + self.pairs % 100 * MATCHES_IN_100 / 100
    }

    fn distinct(&self) -> u64 {
        self.pairs - self.pairs / REPEATS_ONE_IN
    }

    pub(crate) fn expected(&self) -> Counts {
        let repeats = self.pairs - self.distinct();
        let unpaired = self.distinct() - self.matches();
        Counts {
            paired: self.matches(),
            headers_unpaired: unpaired,
            images_unpaired: unpaired,
            headers_duplicate: repeats,
            images_duplicate: repeats,
            // Every other repeat of an image has other bytes.
            conflicts: repeats / 2,
        }
    }

    /// Returns the half at a position of a side.
    pub(crate) fn at(&self, half: Half, position: u64) -> Seen {
        let number = match half {
            Half::Metadata => position,
            Half::Image => {
                let step = u128::from(position) * u128::from(self.stride);
                (step % u128::from(self.pairs)) as u64
            }
        };
        let repeated = number.checked_sub(self.distinct());
        let number = repeated.unwrap_or(number);
        // What has no header is an instance beyond the headers' list.
        let is_alone = half == Half::Image && number >= self.matches();
        let instance = if is_alone { self.pairs + number } else { number };
        let is_other = half == Half::Image && repeated.is_some_and(|number| number % 2 == 1);
        let digest = u128::from(mixed(instance ^ u64::from(is_other) << 63)) << 64;
        Seen { instance, uid: uid(instance), digest }
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
fn uid(number: u64) -> Uid {
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
