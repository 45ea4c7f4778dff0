//! Where a log is, and how its brokers are spoken to.

use std::str::FromStr;

use dcmjoin_ledger::Error;
use rdkafka::config::ClientConfig;

use crate::parts::Parts;

const SCHEME: &str = "kafka://";
/// Who has a name, and says no more, speaks so.
const PROTOCOL_OF_USERS: &str = "sasl_ssl";
const MECHANISM_OF_USERS: &str = "SCRAM-SHA-512";
/// The client's own settings that an address may have.
const SETTINGS: [&str; 5] = [
    "security.protocol",
    "sasl.mechanism",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
];

/// How many partitions topics get that are made.
const PARTITIONS_KEY: &str = "partitions";

/// Brokers, a prefix of topics, and what a secured listener asks for.
///
/// `kafka://[USER@]host:port,host:port/PREFIX[?SETTING=VALUE&…]`, with Kafka's own names of settings:
/// `security.protocol` (`ssl`, `sasl_ssl`, `sasl_plaintext` or `plaintext`), `sasl.mechanism`
/// (`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`), `ssl.ca.location`, and `ssl.certificate.location` with
/// `ssl.key.location` for brokers that ask for a certificate; and `partitions`, where topics that are not there
/// are to get another number than 16. Values stand as they are. A user without
/// more means `sasl_ssl` and `SCRAM-SHA-512`. A password is no part of it.
///
/// ```
/// # use dcmjoin_ledger_kafka::Address;
/// let address: Address = "kafka://etl@b1:9093,b2:9093/facts?ssl.ca.location=/etc/ca.pem".parse()?;
/// assert_eq!(address.prefix(), "facts");
/// assert!(address.wants_password());
/// # Ok::<(), dcmjoin_ledger::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    brokers: String,
    prefix: String,
    user: Option<String>,
    settings: Vec<(&'static str, String)>,
    parts: Parts,
}

impl Address {
    /// Returns the address of topics on brokers of a network that all are trusted in.
    #[must_use]
    pub fn plain(brokers: &str, prefix: &str) -> Self {
        let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
        Self { brokers, prefix, user: None, settings: Vec::new(), parts: Parts::default() }
    }

    /// Returns the prefix of the topics.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns how many partitions topics get that are made.
    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }

    /// Returns whether it names a user, who needs a password.
    #[must_use]
    pub fn wants_password(&self) -> bool {
        self.user.is_some()
    }

    /// Returns whether the brokers may refuse a client.
    pub(crate) fn is_secured(&self) -> bool {
        self.user.is_some() || !self.settings.is_empty()
    }

    /// Tells a client what it needs to reach the brokers.
    pub(crate) fn tell(&self, password: Option<&str>, config: &mut ClientConfig) {
        config.set("bootstrap.servers", &self.brokers);
        if let Some(user) = &self.user {
            config.set("security.protocol", PROTOCOL_OF_USERS);
            config.set("sasl.mechanism", MECHANISM_OF_USERS);
            config.set("sasl.username", user);
            config.set("sasl.password", password.unwrap_or_default());
        }
        for (key, value) in &self.settings {
            config.set(*key, value);
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Invalid(format!("expected {what} in {SCHEME}…"));
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("brokers"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (brokers, prefix) = rest.rsplit_once('/').ok_or_else(|| wrong("/PREFIX"))?;
        let (user, brokers) = match brokers.rsplit_once('@') {
            Some((user, brokers)) => (Some(user), brokers),
            None => (None, brokers),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong("no password (it comes from KAFKA_PASSWORD)"));
        }
        if brokers.is_empty() || prefix.is_empty() || user.is_some_and(str::is_empty) {
            return Err(wrong("brokers and /PREFIX"));
        }
        let (mut settings, mut parts) = (Vec::new(), Parts::default());
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            if key == PARTITIONS_KEY {
                parts = value.parse()?;
                continue;
            }
            let Some(known) = SETTINGS.into_iter().find(|known| *known == key) else {
                return Err(wrong(&format!("only {PARTITIONS_KEY}, {}", SETTINGS.join(", "))));
            };
            settings.push((known, value.to_owned()));
        }
        Ok(Self { user: user.map(str::to_owned), settings, parts, ..Self::plain(brokers, prefix) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str) -> Vec<(String, String)> {
        let mut config = ClientConfig::new();
        address.parse::<Address>().unwrap().tell(Some("secret"), &mut config);
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut told: Vec<_> = config.config_map().clone().into_iter().map(own).collect();
        told.sort();
        told
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn clients_are_told_what_the_address_says() {
        assert_eq!(told("kafka://a:1,b:2/p"), pairs(&[("bootstrap.servers", "a:1,b:2")]));
        assert_eq!(
            told("kafka://me@a:1/p"),
            pairs(&[
                ("bootstrap.servers", "a:1"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.password", "[sanitized for safety]"),
                ("sasl.username", "me"),
                ("security.protocol", "sasl_ssl"),
            ])
        );
        assert_eq!(
            told("kafka://a:1/p?security.protocol=ssl&ssl.ca.location=/x=y.pem"),
            pairs(&[
                ("bootstrap.servers", "a:1"),
                ("security.protocol", "ssl"),
                ("ssl.ca.location", "/x=y.pem"),
            ])
        );
        assert_eq!(told("kafka://a:1/p?partitions=64"), pairs(&[("bootstrap.servers", "a:1")]));
        let own = told("kafka://me@a:1/p?sasl.mechanism=PLAIN");
        assert!(own.contains(&("sasl.mechanism".to_owned(), "PLAIN".to_owned())), "{own:?}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, expected) in [
            ("kafka:a:1/p", "brokers"),
            ("kafka://a:1", "/PREFIX"),
            ("kafka:///p", "brokers"),
            ("kafka://a:1/", "brokers"),
            ("kafka://@a:1/p", "brokers"),
            ("kafka://me:secret@a:1/p", "KAFKA_PASSWORD"),
            ("kafka://a:1/p?ssl.engine.location=x", "ssl.ca.location"),
            ("kafka://a:1/p?partitions=12", "got 12"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
