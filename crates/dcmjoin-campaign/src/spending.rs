//! A campaign's money: what a call may cost is set aside before it is made.

use std::sync::atomic::Ordering;

use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::prices::{Prices, Region};
use dcmjoin_restore::spend::{OverBudget, Purpose, Reservation, SpendMeter};

use crate::aws::Aws;
use crate::error::Error;
use crate::scanner::Asked;
use crate::spec::Spec;

/// Hours of a month, as AWS counts them.
const MONTH_HOURS: u128 = 730;
/// A copy stays until midnight: half a day longer than asked for, in the mean.
const EXTRA_HOURS: u128 = 12;
const NANOS: u128 = 1_000_000_000;

/// Prices and what is spent.
pub(crate) struct Money {
    region: Region,
    pub(crate) meter: SpendMeter,
    /// Lists, heads and queue requests that are charged already.
    counted: [u64; 3],
}

/// What is set aside for one call.
#[must_use = "what is neither charged nor released stays set aside"]
pub(crate) struct Aside(Vec<(Reservation, Usd)>);

impl Money {
    pub(crate) fn new(spec: &Spec, meter: SpendMeter) -> Result<Self, Error> {
        let prices = match &spec.prices {
            Some(text) => Prices::parse(text)?,
            None => Prices::shipped(),
        };
        Ok(Self { region: prices.region(&spec.region)?.clone(), meter, counted: [0; 3] })
    }

    /// Returns what a restore costs: retrieval, the request, the copy.
    pub(crate) fn restore(
        &self,
        bytes: u64,
        class: StorageClass,
        tier: Tier,
        days: Option<u32>,
    ) -> [(Purpose, Usd); 3] {
        let price = self.region.retrieval(class, tier);
        let retrieval =
            price.map_or(Usd::ZERO, |price| price.gb.usd.for_each(bytes.into(), 1 << 30));
        let request = price.map_or(Usd::ZERO, |price| price.requests_1k.usd.for_each(1, 1_000));
        let hours = days.map_or(0, |days| u128::from(days) * 24 + EXTRA_HOURS);
        let nano_gb_months =
            (u128::from(bytes) * hours).saturating_mul(NANOS) / ((1 << 30) * MONTH_HOURS);
        let copy = self.region.storage(nano_gb_months);
        [
            (Purpose::Retrieval, retrieval),
            (Purpose::RestoreRequests, request),
            (Purpose::Copies, copy),
        ]
    }

    /// Returns whether so much may still be spent.
    pub(crate) fn affords(&self, costs: &[(Purpose, Usd)]) -> bool {
        let sum: Usd = costs.iter().map(|(_, usd)| *usd).sum();
        sum == Usd::ZERO || self.meter.left().is_none_or(|left| sum <= left)
    }

    pub(crate) fn set_aside(&mut self, costs: &[(Purpose, Usd)]) -> Result<Aside, OverBudget> {
        let mut aside = Vec::new();
        for (purpose, usd) in costs {
            match self.meter.reserve(*purpose, *usd) {
                Ok(reservation) => aside.push((reservation, *usd)),
                Err(over) => {
                    aside.into_iter().for_each(|(reservation, _)| self.meter.release(reservation));
                    return Err(over);
                }
            }
        }
        Ok(Aside(aside))
    }

    /// Charges or gives back what was set aside, by what came of the call.
    pub(crate) fn settle(&mut self, aside: Aside, answer: Answer) {
        for (at, (reservation, usd)) in aside.0.into_iter().enumerate() {
            // An answer that was lost may have had its effect: it is counted as if it had.
            let paid = match answer {
                Answer::Accepted | Answer::Lost => true,
                Answer::AlreadyRestored => at > 0,
                _ => false,
            };
            if paid { self.meter.charge(reservation, usd) } else { self.meter.release(reservation) }
        }
    }

    /// Returns what a Batch Operations job for so many keys costs.
    pub(crate) fn job(&self, keys: u64) -> Usd {
        let prices = &self.region.requests;
        prices.batch_job.usd + prices.batch_million.usd.for_each(keys.into(), 1_000_000)
    }

    /// Charges what a job may cost at once: what it turns out not to cost is taken back.
    pub(crate) fn pay(&mut self, costs: &[(Purpose, Usd)]) -> Result<(), OverBudget> {
        let aside = self.set_aside(costs)?;
        self.settle(aside, Answer::Accepted);
        Ok(())
    }

    pub(crate) fn take_back(&mut self, costs: impl IntoIterator<Item = (Purpose, Usd)>) {
        for (purpose, usd) in costs {
            self.meter.take_back(purpose, usd);
        }
    }

    /// Charges requests that are too cheap to ask for each: listings, looks, the queue.
    pub(crate) fn count_calls(&mut self, aws: &Aws) {
        let requests = aws.requests();
        let now = [&requests.lists, &requests.heads, &requests.queue]
            .map(|counter| counter.load(Ordering::Relaxed));
        let [lists, heads, queue] = [0, 1, 2].map(|at| u128::from(now[at] - self.counted[at]));
        self.counted = now;
        let prices = &self.region.requests;
        let usd = prices.put_1k.usd.for_each(lists, 1_000)
            + prices.get_1k.usd.for_each(heads, 1_000)
            + prices.sqs_million.usd.for_each(queue, 1_000_000);
        self.charge(usd);
    }

    /// Charges what a scan asked of stores.
    pub(crate) fn count_scan(&mut self, asked: Asked) {
        let prices = &self.region.requests;
        let usd = prices.put_1k.usd.for_each(asked.puts.into(), 1_000)
            + prices.get_1k.usd.for_each(asked.gets.into(), 1_000);
        self.charge(usd);
    }

    /// Charges what is spent already: a budget does not undo it, but refuses what comes next.
    fn charge(&mut self, usd: Usd) {
        if let Ok(nothing) = self.meter.reserve(Purpose::Requests, Usd::ZERO) {
            self.meter.charge(nothing, usd);
        }
    }
}
