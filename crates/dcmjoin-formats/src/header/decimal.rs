//! Decimal numbers as text: exact, without a detour through binary floating point.
//!
//! JSON numbers and the strings of DS and IS have the same parts: sign, digits, point, exponent.
//! A [`Decimal`] keeps the first digits exactly, which is enough to round to the 16 characters of
//! DS and to tell any 64-bit integer.

/// As many digits as are kept: more than the 20 of a 64-bit integer and the 16 of a DS.
const DIGITS: usize = 24;

/// The most characters of a DS (PS3.5 table 6.2-1).
pub(super) const DS_CHARS_MAX: usize = 16;

/// As many digits as a rounded number has at least: its error is at most 5e-9 of it. A sign and an
/// exponent of any finite binary64 leave room for them.
const DS_DIGITS_MIN: usize = 9;

/// A number `±0.d₁d₂… × 10^exponent`, with `d₁ ≠ 0` unless it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: [u8; DIGITS],
    count: usize,
    /// Whether a digit other than zero follows those kept.
    more: bool,
    exponent: i64,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`; one of the two runs of digits may be missing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = split_sign(text.as_bytes());
        let mantissa = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match mantissa {
            Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
        let fraction = mantissa.get(point + 1..).unwrap_or_default();
        if point + fraction.len() == 0 {
            return None;
        }
        let mut number = Self { negative, digits: [0; DIGITS], count: 0, more: false, exponent };
        number.exponent = number.exponent.saturating_add(i64::try_from(point).ok()?);
        for &digit in mantissa[..point].iter().chain(fraction) {
            number.push(digit)?;
        }
        while number.count > 0 && number.digits[number.count - 1] == 0 && !number.more {
            number.count -= 1;
        }
        Some(number)
    }

    fn push(&mut self, digit: u8) -> Option<()> {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = digit - b'0';
        if self.count == 0 && digit == 0 {
            // A leading zero moves the point of what follows.
            self.exponent = self.exponent.saturating_sub(1);
        } else if self.count < DIGITS {
            self.digits[self.count] = digit;
            self.count += 1;
        } else {
            self.more |= digit != 0;
        }
        Some(())
    }

    /// Returns the value where it is an integer of at most 24 digits.
    pub(super) fn to_integer(self) -> Option<i128> {
        if self.count == 0 {
            return Some(0);
        }
        let places = usize::try_from(self.exponent).ok().filter(|&places| places <= DIGITS)?;
        if self.more || self.count > places {
            return None;
        }
        let value = self.digits[..places].iter().fold(0, |sum, &d| sum * 10 + i128::from(d));
        Some(if self.negative { -value } else { value })
    }

    /// Returns the closest number that has at most 16 characters, or `None` where its exponent
    /// leaves too few of them.
    pub(super) fn to_ds(self) -> Option<String> {
        (self.count.min(DS_DIGITS_MIN)..=self.count.min(DS_CHARS_MAX)).rev().find_map(|kept| {
            let rounded = self.rounded(kept);
            let fits = |text: &String| text.len() <= DS_CHARS_MAX;
            Some(rounded.fixed()).filter(fits).or_else(|| Some(rounded.scientific()).filter(fits))
        })
    }

    /// Rounds to a number of digits, half away from zero, and drops trailing zeros.
    fn rounded(mut self, kept: usize) -> Self {
        if kept < self.count {
            let up = self.digits[kept] >= 5;
            self.digits[kept..].fill(0);
            self.count = kept;
            self.more = false;
            if up {
                self.carry();
            }
        }
        while self.count > 0 && self.digits[self.count - 1] == 0 {
            self.count -= 1;
        }
        self
    }

    /// Adds one to the last digit.
    fn carry(&mut self) {
        for at in (0..self.count).rev() {
            if self.digits[at] < 9 {
                self.digits[at] += 1;
                return;
            }
            self.digits[at] = 0;
        }
        self.digits[0] = 1;
        self.count = 1;
        self.exponent = self.exponent.saturating_add(1);
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    fn text(&self) -> String {
        self.digits[..self.count].iter().map(|&digit| char::from(b'0' + digit)).collect()
    }

    /// Writes `123.45`; something too long for a DS where the exponent is far from zero.
    fn fixed(&self) -> String {
        const NEAR: i64 = -16;
        const FAR: i64 = 16;
        let (sign, digits) = (self.sign(), self.text());
        match self.exponent {
            _ if self.count == 0 => format!("{sign}0"),
            NEAR..=0 => {
                let zeros = "0".repeat(usize::try_from(-self.exponent).unwrap_or(0));
                format!("{sign}0.{zeros}{digits}")
            }
            places @ 1..=FAR => {
                let places = usize::try_from(places).unwrap_or(0);
                if places >= digits.len() {
                    format!("{sign}{digits}{}", "0".repeat(places - digits.len()))
                } else {
                    format!("{sign}{}.{}", &digits[..places], &digits[places..])
                }
            }
            _ => "0".repeat(DS_CHARS_MAX + 1),
        }
    }

    /// Writes `1.2345e-7`.
    fn scientific(&self) -> String {
        let (sign, digits, exponent) = (self.sign(), self.text(), self.exponent.saturating_sub(1));
        match digits.split_at_checked(1) {
            None => format!("{sign}0"),
            Some((first, "")) => format!("{sign}{first}e{exponent}"),
            Some((first, rest)) => format!("{sign}{first}.{rest}e{exponent}"),
        }
    }
}

/// Returns whether a number is negative, and what follows its sign.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// Reads an exponent; one beyond 18 digits saturates.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    // Half the range, so that adding the point's place cannot overflow to the other sign.
    let exponent = exponent.min(i64::MAX / 2);
    Some(if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_integers_in_every_spelling() {
        let check = |text: &str, expect: Option<i128>| {
            assert_eq!(Decimal::parse(text).and_then(Decimal::to_integer), expect, "{text}");
        };
        check("0", Some(0));
        check("-0.0", Some(0));
        check("170.0", Some(170));
        check("+5", Some(5));
        check("1e3", Some(1000));
        check("12.50e1", Some(125));
        check("0.001e3", Some(1));
        check("18446744073709551615", Some(18_446_744_073_709_551_615));
        check("-9223372036854775808", Some(-9_223_372_036_854_775_808));
        check("1.5", None);
        check("1e-1", None);
        check("1e400", None);
        check("1e99999999999999999999999", None);
        check("1234567890123456789012345678", None);
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for text in ["", "-", ".", "1e", "e5", "1.2.3", "1,5", " 1", "0x10", "1e5.0", "NaN", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn rounds_to_sixteen_characters() {
        let check = |text: &str, expect: &str| {
            let rounded = Decimal::parse(text).unwrap().to_ds().unwrap();
            assert_eq!(rounded, expect, "{text}");
            assert!(rounded.len() <= DS_CHARS_MAX);
            let (exact, got): (f64, f64) = (text.parse().unwrap(), rounded.parse().unwrap());
            assert!((exact - got).abs() <= exact.abs() * 1e-9, "{text}: {got}");
        };
        check("0.30000000000000004", "0.3");
        check("1.2345678901234567e-12", "1.2345678901e-12");
        check("-1.2345678901234567e-12", "-1.23456789e-12");
        check("123456789.123456789", "123456789.123457");
        check("-0.00012345678901234", "-1.2345678901e-4");
        check("99999999999999999", "1e17");
        check("9.99999999999999999", "10");
        check("12345678901234567890", "1.23456789012e19");
        check("0.10000000000000000000", "0.1");
        check("1.00000000000000000e-300", "1e-300");
        check("1000000000000000000000", "1e21");
    }

    #[test]
    fn gives_up_on_exponents_that_do_not_fit() {
        assert_eq!(Decimal::parse("1.5e-99999999999999999").unwrap().to_ds(), None);
        assert_eq!(Decimal::parse("-1.2345678901e-9999").unwrap().to_ds(), None);
        assert_eq!(Decimal::parse("0.0000000000000000000").unwrap().to_ds().unwrap(), "0");
    }
}
