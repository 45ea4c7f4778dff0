//! What was foretold of a rehearsal beside what the emulator counted, line by line.

use dcmjoin_emulator::{Kind, Ledger, Tier as EmulatedTier};
use dcmjoin_restore::class::{StorageClass, Tier};
use dcmjoin_restore::moment::HOUR;
use dcmjoin_restore::money::Usd;
use dcmjoin_restore::plan::What;
use serde::Serialize;

use super::forecast::Forecast;

/// How far each line may be from the forecast, in percent.
const PERCENT: f64 = 5.0;
/// Or by so many requests: a few of them are more than that of a very small rehearsal.
const REQUESTS: u64 = 5;
/// Hours of a month, as storage is billed.
const MONTH_HOURS: u128 = 730;

/// One line: foretold and counted.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    what: &'static str,
    unit: &'static str,
    planned: u64,
    actual: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_usd: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_usd: Option<Usd>,
    off_percent: f64,
    holds: bool,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// Whether every line holds.
    pub(crate) holds: bool,
    pub(crate) lines: Vec<Line>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a rehearsal are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

fn percent(planned: f64, actual: f64) -> f64 {
    (actual - planned) / planned.max(1e-12) * 100.0
}

impl Line {
    fn new(what: &'static str, unit: &'static str, (planned, actual): (u64, u64)) -> Self {
        let off_percent = percent(float(planned), float(actual));
        let few = unit == "requests" && planned.abs_diff(actual) <= REQUESTS;
        let holds = off_percent.abs() <= PERCENT || few;
        Self {
            what,
            unit,
            planned,
            actual,
            planned_usd: None,
            actual_usd: None,
            off_percent,
            holds,
        }
    }

    /// Adds what it costs, which must hold too.
    fn costs(self, planned: Usd, actual: Usd) -> Self {
        let close = percent(planned.dollars(), actual.dollars()).abs() <= PERCENT;
        // What is too few to count is too cheap to.
        let holds = self.holds && (close || self.unit == "requests");
        Self { planned_usd: Some(planned), actual_usd: Some(actual), holds, ..self }
    }

    fn in_words(&self) -> String {
        let usd =
            |usd: Option<Usd>| usd.map_or_else(String::new, |usd| format!("{:.6}", usd.dollars()));
        let mark = if self.holds { "" } else { "  off" };
        let figure = |figure: u64| match self.unit {
            "seconds" => format!("{:.1}", float(figure) / float(HOUR)),
            "dollars" => String::new(),
            _ => figure.to_string(),
        };
        format!(
            "{:<24}{:>16}{:>16}{:>13}{:>13}{:>9.1}%{mark}\n",
            self.what,
            figure(self.planned),
            figure(self.actual),
            usd(self.planned_usd),
            usd(self.actual_usd),
            self.off_percent,
        )
    }
}

impl Forecast {
    /// Lays what the emulator counted beside the forecast. `secs` is how long the campaign took;
    /// the ledger is read when its last copy has gone.
    pub(super) fn compare(&self, ledger: &Ledger, secs: u64) -> Comparison {
        let mut lines = vec![self.retrieval(ledger), self.restores(ledger), self.copies(ledger)];
        lines.extend(self.requests(ledger));
        let usd = |of: fn(&Line) -> Option<Usd>| lines.iter().filter_map(of).sum::<Usd>();
        let (planned, actual) = (usd(|line| line.planned_usd), usd(|line| line.actual_usd));
        let close = percent(planned.dollars(), actual.dollars());
        lines.push(Line {
            what: "all of it",
            unit: "dollars",
            planned: 0,
            actual: 0,
            planned_usd: Some(planned),
            actual_usd: Some(actual),
            off_percent: close,
            holds: close.abs() <= PERCENT,
        });
        lines.push(Line::new("hours", "seconds", (self.secs(), secs)));
        Comparison { holds: lines.iter().all(|line| line.holds), lines }
    }

    fn retrieval(&self, ledger: &Ledger) -> Line {
        let bytes = ledger.retrieved(self.emulated()).bytes;
        let price = self.region.retrieval(StorageClass::Glacier, self.tier);
        let usd = price.map_or(Usd::ZERO, |price| price.gb.usd.for_each(bytes.into(), 1 << 30));
        Line::new("retrieved", "bytes", (self.retrieved_bytes(), bytes))
            .costs(self.usd(What::Retrieval), usd)
    }

    /// Calls of `RestoreObject`. Those that keep a copy for longer ask for Standard at the most.
    fn restores(&self, ledger: &Ledger) -> Line {
        let started = ledger.retrieved(self.emulated()).requests;
        let (planned, actual) = (self.restore_requests(), ledger.count(Kind::Restore));
        let price = |tier, count: u64| {
            let price = self.region.retrieval(StorageClass::Glacier, tier);
            price.map_or(Usd::ZERO, |price| price.requests_1k.usd.for_each(count.into(), 1_000))
        };
        let kept = self.tier.min(Tier::Standard);
        let usd = |first: u64, all: u64| price(self.tier, first) + price(kept, all - first);
        let planned_usd = usd(self.archives().min(planned), planned);
        Line::new("restore", "requests", (planned, actual))
            .costs(planned_usd, usd(started.min(actual), actual))
    }

    fn copies(&self, ledger: &Ledger) -> Line {
        let actual = u64::try_from(ledger.copy_byte_millis / (u128::from(HOUR) * 1_000));
        let (planned, actual) = (self.copy_byte_hours(), actual.unwrap_or(u64::MAX));
        let usd = |byte_hours: u64| {
            let nanos = u128::from(byte_hours) * 1_000_000_000;
            self.region.storage(nanos / ((1 << 30) * MONTH_HOURS))
        };
        Line::new("copies", "byte-hours", (planned, actual)).costs(usd(planned), usd(actual))
    }

    fn requests(&self, ledger: &Ledger) -> [Line; 3] {
        let count = |kinds: &[Kind]| kinds.iter().map(|kind| ledger.count(*kind)).sum::<u64>();
        let prices = &self.region.requests;
        let line = |what, (planned, actual): (u64, u64), usd: &dyn Fn(u64) -> Usd| {
            Line::new(what, "requests", (planned, actual)).costs(usd(planned), usd(actual))
        };
        let gets = (self.gets(), count(&[Kind::Get, Kind::Head]));
        let puts = (self.puts(), count(&PUTS));
        let queue = (self.queue_requests(), count(&[Kind::Queue]));
        [
            line("GET, HEAD", gets, &|count| prices.get_1k.usd.for_each(count.into(), 1_000)),
            line("PUT, LIST", puts, &|count| prices.put_1k.usd.for_each(count.into(), 1_000)),
            line("queue", queue, &|count| prices.sqs_million.usd.for_each(count.into(), 1_000_000)),
        ]
    }

    fn emulated(&self) -> EmulatedTier {
        match self.tier {
            Tier::Bulk => EmulatedTier::Bulk,
            Tier::Standard => EmulatedTier::Standard,
            Tier::Expedited => EmulatedTier::Expedited,
        }
    }
}

/// What S3 bills as a PUT.
const PUTS: [Kind; 5] =
    [Kind::Put, Kind::UploadCreate, Kind::UploadPart, Kind::UploadComplete, Kind::List];

impl Comparison {
    pub(crate) fn in_words(&self) -> String {
        let mut words = format!(
            "{:<24}{:>16}{:>16}{:>13}{:>13}{:>10}\n",
            "", "planned", "actual", "planned $", "actual $", "off"
        );
        words.extend(self.lines.iter().map(Line::in_words));
        words.push_str(&match self.holds {
            true => "The forecast holds: every line is within 5 %.\n".to_owned(),
            false => format!("The forecast does not hold: {}.\n", self.off()),
        });
        words
    }

    /// Returns the lines that are off, in words.
    pub(crate) fn off(&self) -> String {
        let off = self.lines.iter().filter(|line| !line.holds).map(|line| line.what);
        format!("more than 5 % off: {}", off.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_within_five_percent_or_five_requests() {
        let holds = |unit, planned, actual| Line::new("x", unit, (planned, actual)).holds;
        assert!(holds("bytes", 1_000, 1_050) && !holds("bytes", 1_000, 1_051));
        assert!(holds("bytes", 0, 0) && !holds("bytes", 0, 1));
        assert!(holds("requests", 10, 15) && !holds("requests", 10, 16));
        assert!(holds("seconds", 1_000, 950) && !holds("seconds", 1_000, 949));
        let dear = Usd::from_dollars(2.0).unwrap();
        let cheap = Usd::from_dollars(1.0).unwrap();
        let line = Line::new("x", "bytes", (1, 1)).costs(cheap, dear);
        assert!(!line.holds, "as many bytes at another price");
    }

    #[test]
    fn what_is_off_is_named() {
        let lines = vec![
            Line::new("queue", "requests", (100, 200)),
            Line::new("hours", "seconds", (3_600, 3_600)),
        ];
        let comparison = Comparison { holds: false, lines };
        assert_eq!(comparison.off(), "more than 5 % off: queue");
        let words = comparison.in_words();
        assert!(words.contains("100.0%  off") && words.contains("1.0"), "{words}");
    }
}
