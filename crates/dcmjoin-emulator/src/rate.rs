//! A token bucket.

use crate::time::Time;

/// Gives so many tokens a second, and at most a second's at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    /// In thousandths, so that a millisecond gives whole ones.
    tokens: u64,
    filled: Option<Time>,
}

impl Bucket {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, tokens: per_second as u64 * 1000, filled: None }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let millis = now.since(self.filled.unwrap_or(now)).as_millis() as u64;
        let rate = u64::from(self.per_second);
        self.tokens = (self.tokens + millis.saturating_mul(rate)).min(rate * 1000);
        self.filled = Some(now);
        let there = self.tokens >= 1000;
        self.tokens -= if there { 1000 } else { 0 };
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_seconds_worth_and_refills() {
        let at = Time::from_millis;
        let mut bucket = Bucket::new(10);
        let taken = |bucket: &mut Bucket, now| (0..20).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, at(0)), 10);
        assert_eq!(taken(&mut bucket, at(500)), 5);
        assert_eq!(taken(&mut bucket, at(60_000)), 10);
    }
}
