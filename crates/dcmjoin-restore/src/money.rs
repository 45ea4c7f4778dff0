//! Dollars, in whole billionths: a GET costs 400 of them, and sums stay exact.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS: u64 = 1_000_000_000;

/// Returns a count as a number to calculate or show with: fifteen digits are kept.
#[expect(clippy::cast_precision_loss, reason = "said above")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// Returns a count with thousands apart: `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of US dollars, up to 18 billion; more is kept at that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Returns so many billionths of a dollar.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns an amount given in dollars, rounded to a billionth; `None` where it is negative, not
    /// a number or too large.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let nanos = (dollars * float(NANOS)).round();
        let fits = (0.0..float(u64::MAX)).contains(&nanos);
        #[expect(clippy::cast_sign_loss, reason = "checked")]
        fits.then_some(Self(nanos as u64))
    }

    /// Returns the amount in billionths of a dollar.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Returns the amount in dollars.
    #[must_use]
    pub fn dollars(self) -> f64 {
        float(self.0) / float(NANOS)
    }

    /// Returns the price of `count` things where this is the price of `per` of them, rounded down to
    /// a billionth.
    #[must_use]
    pub fn for_each(self, count: u128, per: u128) -> Self {
        let nanos = u128::from(self.0).saturating_mul(count) / per.max(1);
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the amount as people compare it: without cents from a hundred dollars on.
    #[must_use]
    pub fn rounded(self) -> String {
        match self.0 {
            nanos if nanos < 100 * NANOS => self.to_string(),
            nanos => format!("${}", grouped(nanos.saturating_add(NANOS / 2) / NANOS)),
        }
    }

    /// Returns what is left after another amount is taken away, nothing where that is more.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.saturating_add(NANOS / 200) / (NANOS / 100);
        write!(f, "${}.{:02}", grouped(cents / 100), cents % 100)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("expected an amount of dollars, 0 or more");
        Self::from_dollars(dollars).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_prices_are_exact() {
        let get = Usd::from_dollars(0.0004).unwrap();
        assert_eq!(get.for_each(1, 1_000).nanos(), 400);
        assert_eq!(get.for_each(2_000_000_000, 1_000).to_string(), "$800.00");
        assert_eq!(Usd::from_dollars(-1.0), None);
        assert_eq!(Usd::from_dollars(f64::NAN), None);
        assert_eq!(Usd::from_dollars(1e12), None);
    }

    #[test]
    fn amounts_are_readable() {
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        assert_eq!(usd(12.345).to_string(), "$12.35");
        assert_eq!(usd(1_234_567.899).to_string(), "$1,234,567.90");
        assert_eq!([usd(99.5), usd(10_485.76)].map(Usd::rounded), ["$99.50", "$10,486"]);
    }

    #[test]
    fn too_much_is_kept_at_the_largest() {
        let most = Usd::from_nanos(u64::MAX);
        assert_eq!(most + most, most);
        assert_eq!(most.for_each(u128::MAX, 1), most);
    }
}
