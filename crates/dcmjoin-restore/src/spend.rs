//! What a campaign has spent, against a budget that it cannot exceed.
//!
//! What a request may cost at the most is reserved *before* it is made; what it did cost is charged
//! after. So a campaign stops before its budget is gone, not after. All amounts are estimates by
//! the price file: the bill is AWS's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::money::Usd;

/// What money is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Retrieval, by the byte.
    Retrieval,
    /// Restore requests.
    RestoreRequests,
    /// Restored copies in S3 Standard.
    Copies,
    /// GET, PUT, LIST and HEAD requests.
    Requests,
    /// KMS calls.
    Kms,
    /// Machines.
    Compute,
}

/// An amount set aside for something that is about to be done.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an amount that is neither charged nor released stays set aside"]
pub struct Reservation {
    purpose: Purpose,
    amount: Usd,
}

/// The budget does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the budget of {budget} is used up: {spent} spent, {reserved} set aside, {asked} asked for"
)]
pub struct OverBudget {
    /// The limit.
    pub budget: Usd,
    /// What is spent.
    pub spent: Usd,
    /// What is set aside.
    pub reserved: Usd,
    /// What was asked for.
    pub asked: Usd,
}

/// What is spent and set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendMeter {
    budget: Option<Usd>,
    spent: BTreeMap<Purpose, Usd>,
    /// Not written down: after a restart, what was on its way is reserved again.
    #[serde(skip)]
    reserved: Usd,
}

impl SpendMeter {
    /// Returns a meter; without a budget nothing is refused.
    #[must_use]
    pub fn new(budget: Option<Usd>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Returns the budget.
    #[must_use]
    pub fn budget(&self) -> Option<Usd> {
        self.budget
    }

    /// Changes the budget; one below what is spent refuses all that comes.
    pub fn set_budget(&mut self, budget: Option<Usd>) {
        self.budget = budget;
    }

    /// Sets an amount aside.
    ///
    /// # Errors
    /// [`OverBudget`] where it would exceed the budget. What costs nothing is never refused.
    pub fn reserve(&mut self, purpose: Purpose, amount: Usd) -> Result<Reservation, OverBudget> {
        let spent = self.spent();
        if let Some(budget) = self.budget
            && amount > Usd::ZERO
            && spent + self.reserved + amount > budget
        {
            return Err(OverBudget { budget, spent, reserved: self.reserved, asked: amount });
        }
        self.reserved += amount;
        Ok(Reservation { purpose, amount })
    }

    /// Charges what was set aside, with what it did cost.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is used up")]
    pub fn charge(&mut self, reservation: Reservation, cost: Usd) {
        let Reservation { purpose, amount } = reservation;
        self.reserved = self.reserved.less(amount);
        *self.spent.entry(purpose).or_default() += cost;
    }

    /// Gives back what was set aside.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is used up")]
    pub fn release(&mut self, reservation: Reservation) {
        self.reserved = self.reserved.less(reservation.amount);
    }

    /// Takes back what was charged for something that turned out not to cost it.
    pub fn take_back(&mut self, purpose: Purpose, amount: Usd) {
        if let Some(spent) = self.spent.get_mut(&purpose) {
            *spent = spent.less(amount);
        }
    }

    /// Returns what is spent.
    #[must_use]
    pub fn spent(&self) -> Usd {
        self.spent.values().copied().sum()
    }

    /// Returns what is spent on each purpose.
    #[must_use]
    pub fn by_purpose(&self) -> &BTreeMap<Purpose, Usd> {
        &self.spent
    }

    /// Returns what is set aside.
    #[must_use]
    pub fn reserved(&self) -> Usd {
        self.reserved
    }

    /// Returns what may still be spent; `None` without a budget.
    #[must_use]
    pub fn left(&self) -> Option<Usd> {
        self.budget.map(|budget| budget.less(self.spent() + self.reserved))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars).unwrap()
    }

    #[test]
    fn a_budget_is_not_exceeded_by_what_is_on_its_way() {
        let mut meter = SpendMeter::new(Some(usd(10.0)));
        let first = meter.reserve(Purpose::Retrieval, usd(6.0)).unwrap();
        let error = meter.reserve(Purpose::Retrieval, usd(5.0)).unwrap_err();
        assert_eq!((error.spent, error.reserved), (Usd::ZERO, usd(6.0)));
        meter.charge(first, usd(4.0));
        let second = meter.reserve(Purpose::Copies, usd(5.0)).unwrap();
        assert_eq!(meter.left(), Some(usd(1.0)));
        meter.release(second);
        assert_eq!(meter.left(), Some(usd(6.0)));
        assert_eq!(meter.by_purpose()[&Purpose::Retrieval], usd(4.0));
    }

    #[test]
    fn what_is_taken_back_may_be_spent_again() {
        let mut meter = SpendMeter::new(Some(usd(10.0)));
        let reservation = meter.reserve(Purpose::Copies, usd(9.0)).unwrap();
        meter.charge(reservation, usd(9.0));
        meter.take_back(Purpose::Copies, usd(4.0));
        meter.take_back(Purpose::Kms, usd(1.0));
        assert_eq!((meter.spent(), meter.left()), (usd(5.0), Some(usd(5.0))));
        meter.take_back(Purpose::Copies, usd(6.0));
        assert_eq!(meter.spent(), Usd::ZERO, "no more than was spent");
    }

    #[test]
    fn what_costs_nothing_is_never_refused() {
        let mut meter = SpendMeter::new(Some(Usd::ZERO));
        assert!(meter.reserve(Purpose::Retrieval, Usd::ZERO).is_ok());
        assert!(meter.reserve(Purpose::Retrieval, usd(0.01)).is_err());
    }

    #[test]
    fn a_journal_keeps_what_was_spent() {
        let mut meter = SpendMeter::new(Some(usd(10.0)));
        let reservation = meter.reserve(Purpose::Kms, usd(1.5)).unwrap();
        meter.charge(reservation, usd(1.5));
        let text = serde_json::to_string(&meter).unwrap();
        assert_eq!(serde_json::from_str::<SpendMeter>(&text).unwrap(), meter);
    }

    proptest! {
        #[test]
        fn never_over_the_budget(amounts in prop::collection::vec((0u64..100, any::<bool>()), 1..200)) {
            let budget = Usd::from_nanos(1_000);
            let mut meter = SpendMeter::new(Some(budget));
            for (nanos, charge) in amounts {
                let Ok(reservation) = meter.reserve(Purpose::Requests, Usd::from_nanos(nanos)) else {
                    prop_assert!(meter.spent() + meter.reserved() + Usd::from_nanos(nanos) > budget);
                    continue;
                };
                match charge {
                    true => meter.charge(reservation, Usd::from_nanos(nanos)),
                    false => meter.release(reservation),
                }
                prop_assert!(meter.spent() + meter.reserved() <= budget);
            }
        }
    }
}
