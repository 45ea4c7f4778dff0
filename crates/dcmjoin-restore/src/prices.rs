//! The price file: dated, by region, editable; an unknown region is an error, never a default.
//!
//! TOML of the form `dcmjoin.prices/1`; the shipped file is its own example ([`SHIPPED`]). Every
//! price says where its figure comes from ([`Basis`]), so that a plan can name what it rests on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::class::{StorageClass, Tier};
use crate::moment::Moment;
use crate::money::Usd;

/// The prices that come with the program.
pub const SHIPPED: &str = include_str!("prices.toml");
/// The form of the file.
pub const FORMAT: &str = "dcmjoin.prices/1";
/// The longest price file, in bytes.
pub const PRICE_FILE_BYTES_MAX: usize = 1 << 20;

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Read in a source that the file names.
    Read,
    /// The user's own figure.
    #[default]
    Stated,
    /// Worked out from another figure.
    Derived,
    /// General knowledge, not read again for the file.
    Recalled,
}

/// A price, and where it comes from. In the file a number, or a table of `usd` and `basis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PriceForm")]
pub struct Price {
    /// The amount.
    pub usd: Usd,
    /// Where it comes from.
    pub basis: Basis,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a price: a number of dollars, or { usd = N, basis = \"read\" }")]
enum PriceForm {
    Bare(Usd),
    Marked(MarkedPrice),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkedPrice {
    usd: Usd,
    #[serde(default)]
    basis: Basis,
}

impl From<PriceForm> for Price {
    fn from(form: PriceForm) -> Self {
        match form {
            PriceForm::Bare(usd) => Self { usd, basis: Basis::Stated },
            PriceForm::Marked(MarkedPrice { usd, basis }) => Self { usd, basis },
        }
    }
}

/// What retrieval costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// 2^30 bytes.
    pub gb: Price,
    /// A thousand restore requests.
    pub requests_1k: Price,
}

/// What retrieval costs from one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrievals {
    bulk: Retrieval,
    standard: Retrieval,
    expedited: Option<Retrieval>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Classes {
    glacier: Retrievals,
    deep_archive: Retrievals,
    intelligent_tiering: Retrievals,
}

/// A step of a price that falls with the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageStep {
    /// Up to where the price holds, in GB of a month; to any amount where absent.
    pub up_to_gb: Option<u64>,
    /// A GB for a month.
    pub price: Price,
}

/// What requests cost, each by its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestPrices {
    /// A thousand PUT, COPY, POST or LIST.
    pub put_1k: Price,
    /// A thousand GET or HEAD.
    pub get_1k: Price,
    /// Ten thousand KMS calls.
    pub kms_10k: Price,
    /// A million SQS requests.
    pub sqs_million: Price,
    /// A Batch Operations job.
    pub batch_job: Price,
    /// A million objects of Batch Operations jobs.
    pub batch_million: Price,
    /// A GB through a NAT gateway.
    pub nat_gb: Price,
}

/// A machine to hire.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// An hour of it.
    pub hour: Price,
    /// Its network's line rate, in gigabits a second.
    pub gbps: f64,
    /// Its memory, in GB.
    pub memory_gb: u64,
    /// Its local disks, in GB.
    #[serde(default)]
    pub nvme_gb: u64,
}

/// The prices of a region.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    retrieval: Classes,
    /// S3 Standard, the first step first.
    pub standard_gb_month: Vec<StorageStep>,
    /// Requests.
    pub requests: RequestPrices,
    /// Machines by name.
    pub machines: BTreeMap<String, Machine>,
}

/// A price file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    format: String,
    /// The day on which the prices held, `2026-11-22`.
    pub as_of: String,
    currency: String,
    /// Where they come from, in words.
    pub source: String,
    regions: BTreeMap<String, Region>,
}

/// A price file that cannot be used, or does not say what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Not TOML, or not of this form.
    #[error("the price file cannot be read: {0}")]
    Form(String),
    /// A figure makes no sense.
    #[error("the price file: {place}: {detail}")]
    Figure {
        /// The key.
        place: String,
        /// Expected, got.
        detail: &'static str,
    },
    /// No prices for the region.
    #[error("no prices for region {region:?}: the price file has {}", known.join(", "))]
    Region {
        /// What was asked for.
        region: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No price for the machine.
    #[error("no price for machine {machine:?} in {region}: the price file has {}", known.join(", "))]
    Machine {
        /// What was asked for.
        machine: String,
        /// Where.
        region: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl PriceError {
    /// Returns what a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Figure { .. } => {
                "`dcmjoin plan --show-prices` prints a price file to begin with"
            }
            Self::Region { .. } | Self::Machine { .. } => {
                "add it: `dcmjoin plan --show-prices > prices.toml`, edit, then `--prices prices.toml`"
            }
        }
    }
}

impl Prices {
    /// Returns the prices that come with the program.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("the shipped price file is read by a test")
    }

    /// Reads a price file.
    ///
    /// # Errors
    /// [`PriceError`] where it is not of the form, or a figure makes no sense.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        if text.len() > PRICE_FILE_BYTES_MAX {
            return Err(PriceError::Form(format!("longer than {PRICE_FILE_BYTES_MAX} bytes")));
        }
        let prices: Self =
            basic_toml::from_str(text).map_err(|error| PriceError::Form(error.to_string()))?;
        prices.check()?;
        Ok(prices)
    }

    fn check(&self) -> Result<(), PriceError> {
        let wrong = |place: &str, detail| PriceError::Figure { place: place.to_owned(), detail };
        if self.format != FORMAT {
            return Err(wrong("format", "expected \"dcmjoin.prices/1\""));
        }
        if self.currency != "USD" {
            return Err(wrong("currency", "expected \"USD\""));
        }
        if Moment::parse_iso(&format!("{}T00:00:00Z", self.as_of)).is_err() {
            return Err(wrong("as_of", "expected a day, as 2026-11-22"));
        }
        if self.regions.is_empty() {
            return Err(wrong("regions", "expected one at least"));
        }
        self.regions.iter().try_for_each(|(name, region)| region.check(name))
    }

    /// Returns the prices of a region.
    ///
    /// # Errors
    /// [`PriceError::Region`] with the regions that there are.
    pub fn region(&self, name: &str) -> Result<&Region, PriceError> {
        self.regions.get(name).ok_or_else(|| PriceError::Region {
            region: name.to_owned(),
            known: self.regions.keys().cloned().collect(),
        })
    }

    /// Returns the names of the regions.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }
}

impl Region {
    fn check(&self, name: &str) -> Result<(), PriceError> {
        let wrong = |key: &str, detail| PriceError::Figure {
            place: format!("regions.{name}.{key}"),
            detail,
        };
        let steps: Vec<u64> =
            self.standard_gb_month.iter().filter_map(|step| step.up_to_gb).collect();
        let open = self.standard_gb_month.iter().filter(|step| step.up_to_gb.is_none()).count();
        let last_is_open =
            self.standard_gb_month.last().is_some_and(|step| step.up_to_gb.is_none());
        if open != 1 || !last_is_open || !steps.is_sorted_by(|a, b| a < b) {
            let detail = "expected rising steps, and a last one without up_to_gb";
            return Err(wrong("standard_gb_month", detail));
        }
        if self.machines.is_empty() {
            return Err(wrong("machines", "expected one at least"));
        }
        for (machine, figures) in &self.machines {
            if !figures.gbps.is_finite() || figures.gbps <= 0.0 {
                return Err(wrong(&format!("machines.{machine}.gbps"), "expected more than 0"));
            }
        }
        Ok(())
    }

    /// Returns what retrieval costs; `None` where the class has no such tier, or needs none.
    #[must_use]
    pub fn retrieval(&self, class: StorageClass, tier: Tier) -> Option<&Retrieval> {
        let classes = match class {
            StorageClass::Glacier => &self.retrieval.glacier,
            StorageClass::DeepArchive => &self.retrieval.deep_archive,
            StorageClass::IntelligentTiering(_) => &self.retrieval.intelligent_tiering,
            StorageClass::Standard | StorageClass::GlacierIr => return None,
        };
        match tier {
            _ if tier.within(class) != tier => None,
            Tier::Bulk => Some(&classes.bulk),
            Tier::Standard => Some(&classes.standard),
            Tier::Expedited => classes.expedited.as_ref(),
        }
    }

    /// Returns what storing so much for a month costs, in billionths of a GB-month: step by step.
    #[must_use]
    pub fn storage(&self, nano_gb_months: u128) -> Usd {
        const NANOS: u128 = 1_000_000_000;
        let (mut from, mut usd) = (0, Usd::ZERO);
        for step in &self.standard_gb_month {
            let to = step.up_to_gb.map_or(u128::MAX, |gb| u128::from(gb) * NANOS);
            let within = nano_gb_months.min(to).saturating_sub(from);
            usd += step.price.usd.for_each(within, NANOS);
            from = to;
        }
        usd
    }

    /// Returns a machine.
    ///
    /// # Errors
    /// [`PriceError::Machine`] with those that there are.
    pub fn machine(&self, region: &str, name: &str) -> Result<&Machine, PriceError> {
        self.machines.get(name).ok_or_else(|| PriceError::Machine {
            machine: name.to_owned(),
            region: region.to_owned(),
            known: self.machines.keys().cloned().collect(),
        })
    }
}

impl Machine {
    /// Returns how many bytes it reads a second at a share of its line rate, 1 at least.
    #[must_use]
    pub fn bytes_per_sec(&self, line_share: f64) -> u64 {
        let bytes = self.gbps * 1e9 / 8.0 * line_share;
        #[expect(clippy::cast_sign_loss, reason = "checked when the file was read")]
        let whole = bytes.max(1.0) as u64;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars).unwrap()
    }

    #[test]
    fn the_shipped_file_is_read() {
        let prices = Prices::shipped();
        assert_eq!(prices.regions().collect::<Vec<_>>(), ["ap-southeast-2", "us-east-1"]);
        let region = prices.region("us-east-1").unwrap();
        let price = region.retrieval(StorageClass::Glacier, Tier::Standard).unwrap();
        assert_eq!(price.gb, Price { usd: usd(0.01), basis: Basis::Read });
        assert_eq!(region.retrieval(StorageClass::DeepArchive, Tier::Expedited), None);
        assert_eq!(region.retrieval(StorageClass::Standard, Tier::Bulk), None);
        assert_eq!(region.machine("us-east-1", "i4i.16xlarge").unwrap().nvme_gb, 15_000);
    }

    #[test]
    fn an_unknown_region_is_an_error_that_lists_the_known() {
        let error = Prices::shipped().region("eu-west-9").unwrap_err().to_string();
        assert!(error.contains("eu-west-9") && error.contains("us-east-1"), "{error}");
        let prices = Prices::shipped();
        let region = prices.region("ap-southeast-2").unwrap();
        let error = region.machine("ap-southeast-2", "c7gn.16xlarge").unwrap_err().to_string();
        assert!(error.contains("c6gn.16xlarge"), "{error}");
    }

    #[test]
    fn steps_of_storage_are_each_at_their_price() {
        let prices = Prices::shipped();
        let region = prices.region("us-east-1").unwrap();
        let cost = |gb: u128| region.storage(gb * 1_000_000_000);
        assert_eq!(cost(0), Usd::ZERO);
        assert_eq!(cost(51_200), usd(51_200.0 * 0.023));
        assert_eq!(cost(51_201), usd(51_200.0 * 0.023 + 0.022));
        let all = 51_200.0 * 0.023 + 460_800.0 * 0.022 + 536_576.0 * 0.021;
        assert_eq!(cost(1_048_576), usd(all));
    }

    #[test]
    fn a_bare_number_is_stated_by_its_user() {
        let text = SHIPPED.replace("nat_gb = { usd = 0.045, basis = \"recalled\" }", "nat_gb = 1");
        let prices = Prices::parse(&text).unwrap();
        let nat = prices.region("us-east-1").unwrap().requests.nat_gb;
        assert_eq!(nat, Price { usd: usd(1.0), basis: Basis::Stated });
    }

    #[test]
    fn files_that_make_no_sense_are_refused() {
        for (from, to, words) in [
            ("dcmjoin.prices/1", "dcmjoin.prices/9", "dcmjoin.prices/1"),
            ("as_of = \"2026-11-22\"", "as_of = \"lately\"", "as_of"),
            ("\"USD\"", "\"AUD\"", "currency"),
            ("nat_gb = { usd = 0.045, ", "nat_gb = { usd = -1, ", "price"),
            ("nat_gb = { usd = 0.045, ", "nat_gb = { eur = 0.045, ", "price"),
            ("nat_gb =", "gnat_gb =", "gnat_gb"),
            ("up_to_gb = 512_000", "up_to_gb = 5", "rising"),
            ("gbps = 37.5", "gbps = 0", "gbps"),
            ("format = ", "format", "read"),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from}");
            let error = Prices::parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{to}: {error}");
        }
    }
}
