//! Two topics as a log: how they are made, and what clients are told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use dcmjoin_ledger::binding::StoreId;
use dcmjoin_ledger::facts::{
    Assignment, Capabilities, Dedup, Durable, FACTS_MAX, Fact, FactDepth, FactLog, FactReader,
    Fencing, Pairing, Until, few_enough,
};
use dcmjoin_ledger::tasks::LEASE;
use dcmjoin_ledger::{CampaignName, Error};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;

use crate::address::Address;
use crate::admit::admitted;
use crate::append::Appender;
use crate::binding;
use crate::forget::forget;
use crate::lag::Lag;
use crate::message::{Item, facts_to_items};
use crate::parts::Parts;
use crate::reader::Reader;
use crate::view::View;

/// How long brokers that are away are waited for.
pub(crate) const OUTAGE_MAX: Duration = Duration::from_secs(45);
/// How often and how long it is looked whether brokers know a topic that was made just now.
const KNOWN_EVERY: Duration = Duration::from_millis(10);
const KNOWN_MAX: Duration = Duration::from_secs(5);
/// What forgets is kept so long: who reads a partition on after another had it must learn of it.
const FORGETS_FOR_MS: &str = "604800000";
/// As many copies as the cluster's own setting says.
const DEFAULT_REPLICATION: i32 = -1;
/// How long the workers are behind before it is looked at whose pairs are left.
const VIEW_AFTER: Duration = Duration::from_secs(10);

type Admin = AdminClient<DefaultClientContext>;

/// Facts in two topics.
#[derive(Clone)]
pub struct Kafka {
    pub(crate) shared: Arc<Shared>,
    appender: Arc<Appender>,
    view: Arc<Mutex<Option<View>>>,
    lag: Arc<Mutex<Option<Lag>>>,
    /// Whether it has made the topic that tells its task store.
    pub(crate) has_begun: bool,
    lease: Duration,
}

/// What all clients of a log are told.
#[derive(Clone)]
pub(crate) struct Shared {
    address: Address,
    password: Option<String>,
    folder: PathBuf,
    parts: Parts,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kafka")
    }
}

impl Shared {
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        self.address.tell(self.password.as_deref(), &mut config);
        config.set("client.id", "dcmjoin");
        // A broker that comes back is found soon.
        config.set("reconnect.backoff.max.ms", "2000");
        // What librdkafka says of its connections is said by the errors of calls.
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Critical);
        config
    }

    pub(crate) fn halves(&self) -> String {
        format!("{}.halves", self.address.prefix())
    }

    pub(crate) fn pairs(&self) -> String {
        format!("{}.pairs", self.address.prefix())
    }

    /// Returns the topic that tells which task store the facts are of.
    pub(crate) fn store(&self) -> String {
        format!("{}.store", self.address.prefix())
    }

    /// Returns the name of the workers' group.
    pub(crate) fn group(&self) -> &str {
        self.address.prefix()
    }

    /// Returns the partitions of both topics.
    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }

    /// Returns the folder for what readers know.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Kafka {
    /// Opens the topics of an address; makes them where there are none. What readers know lies in files of a
    /// folder while they are open.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the prefix makes no names of topics, the topics are of another form, or a
    /// setting is none of the client's; [`Error::Store`] where no broker answers.
    pub async fn connect(
        address: Address,
        password: Option<String>,
        folder: &Path,
    ) -> Result<Self, Error> {
        address.prefix().parse::<CampaignName>()?;
        let parts = address.parts();
        let mut shared = Shared { address, password, folder: folder.to_owned(), parts };
        let admin = admin(&shared)?;
        if shared.address.is_secured() {
            let shared = shared.clone();
            blocking(move || admitted(&shared)).await?;
        }
        let made = make_topics(&shared, admin).await?;
        let has_begun = made.new.contains(&shared.store());
        shared.parts = made.parts;
        let shared = Arc::new(shared);
        let appender = Arc::new(Appender::new(Arc::clone(&shared))?);
        let (view, lag) = (Arc::default(), Arc::default());
        Ok(Self { shared, appender, view, lag, has_begun, lease: LEASE })
    }

    /// Opens the topics of a prefix on brokers (`host:port`, parted by commas) of a private network, as
    /// [`Self::connect`] does.
    ///
    /// # Errors
    /// Likewise.
    pub async fn open(brokers: &str, prefix: &str, folder: &Path) -> Result<Self, Error> {
        Self::connect(Address::plain(brokers, prefix), None, folder).await
    }

    /// Sets for how long readers keep partitions without asking.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    pub(crate) async fn append_to(&self, topic: &str, item: Item) -> Result<(), Error> {
        self.appender.append(topic, std::iter::once(item)).await
    }

    /// Returns for how long the workers have been behind what was appended.
    async fn lag(&self) -> Result<Option<Duration>, Error> {
        let (shared, lag) = (Arc::clone(&self.shared), Arc::clone(&self.lag));
        blocking(move || {
            let mut lag = lag.lock().unwrap_or_else(PoisonError::into_inner);
            match lag.as_mut() {
                Some(lag) => lag.look(),
                None => lag.insert(Lag::open(&shared)?).look(),
            }
        })
        .await
    }

    /// Asks the view, when it has read all that there is.
    async fn ask<T, F>(&self, asked: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut View) -> Result<T, Error> + Send + 'static,
    {
        let (shared, view) = (Arc::clone(&self.shared), Arc::clone(&self.view));
        blocking(move || {
            let mut view = view.lock().map_err(|_| failed("the view is broken"))?;
            let view = match view.as_mut() {
                Some(view) => view,
                None => view.insert(View::open(&shared)?),
            };
            view.catch_up()?;
            asked(view)
        })
        .await
    }
}

#[async_trait]
impl FactLog for Kafka {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "kafka",
            durable: Durable::Replicas,
            dedup: Dedup::OnRead,
            fencing: Fencing::Refused,
            pairing: Pairing::Continuous,
            assignment: Assignment::Group,
            is_shared: true,
        }
    }

    async fn bind(&self, store: &StoreId) -> Result<(), Error> {
        binding::bind(self, store).await
    }

    async fn append(&self, campaign: &CampaignName, facts: &[Fact]) -> Result<(), Error> {
        few_enough(facts)?;
        let items = facts_to_items(self.shared.parts(), campaign.as_str(), facts).into_iter();
        self.appender.append(&self.shared.halves(), items).await
    }

    async fn join(&self, worker: &str) -> Result<Box<dyn FactReader>, Error> {
        let (shared, worker, lease) = (Arc::clone(&self.shared), worker.to_owned(), self.lease);
        let reader = blocking(move || Reader::open(shared, &worker, lease)).await?;
        Ok(Box::new(reader))
    }

    async fn unpaired(
        &self,
        campaign: &CampaignName,
        until: Until,
        after: Option<&Fact>,
        max: usize,
    ) -> Result<Vec<Fact>, Error> {
        let before = match until {
            Until::Now => i64::MAX,
            Until::Waited(time) => before(time),
        };
        let (campaign, after) = (campaign.clone(), after.cloned());
        self.ask(move |view| {
            view.unpaired(campaign.as_str(), before, after.as_ref(), max.min(FACTS_MAX))
        })
        .await
    }

    async fn depth(&self, campaign: &CampaignName) -> Result<FactDepth, Error> {
        let campaign = campaign.clone();
        self.ask(move |view| view.depth(campaign.as_str())).await
    }

    /// The view reads all that there is: it is made only where the group stays behind, as it does while other
    /// campaigns have pairs.
    async fn has_pairs(&self, campaign: &CampaignName) -> Result<bool, Error> {
        match self.lag().await? {
            None => return Ok(false),
            Some(lasts) if lasts < VIEW_AFTER => return Ok(true),
            Some(_) => {}
        }
        let campaign = campaign.clone();
        self.ask(move |view| view.has_pairs(campaign.as_str())).await
    }

    async fn forget(&self, campaign: &CampaignName) -> Result<(), Error> {
        for topic in [self.shared.halves(), self.shared.pairs()] {
            forget(&self.shared, &self.appender, &topic, campaign.as_str()).await?;
        }
        Ok(())
    }
}

/// Returns a client that makes topics; says which setting no client can be made with.
fn admin(shared: &Shared) -> Result<Admin, Error> {
    shared.config().create().map_err(|error| match error {
        KafkaError::ClientConfig(_, detail, key, _) => {
            Error::Invalid(format!("the client's setting {key}: {detail}"))
        }
        KafkaError::ClientCreation(detail) => Error::Invalid(detail),
        error => broke(&error),
    })
}

/// What there is once the topics are.
struct Made {
    /// The names of those that were not there.
    new: Vec<String>,
    parts: Parts,
}

/// Makes the topics that are not there. Those of facts and of pairs have the same number of partitions, whoever made
/// them.
async fn make_topics(shared: &Shared, admin: Admin) -> Result<Made, Error> {
    let count = shared.parts().count();
    let names = [(shared.halves(), count), (shared.pairs(), count), (shared.store(), 1)];
    let topics = names.iter().map(|(name, partitions)| {
        let partitions = i32::from(*partitions);
        NewTopic::new(name, partitions, TopicReplication::Fixed(DEFAULT_REPLICATION))
            .set("cleanup.policy", "compact")
            .set("delete.retention.ms", FORGETS_FOR_MS)
    });
    let options = AdminOptions::new().operation_timeout(Some(OUTAGE_MAX));
    let topics: Vec<NewTopic<'_>> = topics.collect();
    let made = admin.create_topics(&topics, &options).await.map_err(|error| broke(&error))?;
    let mut new = Vec::new();
    for topic in made {
        match topic {
            Ok(name) => new.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(format!("a topic cannot be made: {code}"))),
        }
    }
    blocking(move || {
        let mut found = Vec::new();
        for (name, partitions) in names {
            found.push(match new.contains(&name) {
                true => {
                    wait_until_known(&admin, &name, partitions);
                    usize::from(partitions)
                }
                false => partitions_of(&admin, &name)?,
            });
        }
        end_beside(admin);
        let [halves, pairs, store] = found[..] else { return Err(failed("a topic is missing")) };
        if (pairs, store) != (halves, 1) {
            return Err(Error::Invalid(format!(
                "expected two topics with as many partitions and one with 1, got {halves}, {pairs} and {store}"
            )));
        }
        Ok(Made { new, parts: Parts::of_count(halves)? })
    })
    .await
}

/// Waits until a topic that was made just now has leaders: who asks for them before waits up to a second to ask again.
fn wait_until_known(admin: &Admin, name: &str, partitions: u16) {
    let until = Instant::now() + KNOWN_MAX;
    while Instant::now() < until {
        let known = admin.inner().fetch_metadata(Some(name), KNOWN_MAX).is_ok_and(|metadata| {
            let led = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            led.filter(|partition| partition.leader() >= 0).count() == usize::from(partitions)
        });
        if known {
            return;
        }
        std::thread::sleep(KNOWN_EVERY);
    }
}

/// Returns how many partitions a topic has; one that was made just now can be known to no broker yet.
fn partitions_of(admin: &Admin, name: &str) -> Result<usize, Error> {
    let until = Instant::now() + OUTAGE_MAX;
    loop {
        let metadata = admin.inner().fetch_metadata(Some(name), OUTAGE_MAX);
        let metadata = metadata.map_err(|error| broke(&error))?;
        let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        if found > 0 {
            return Ok(found);
        }
        if Instant::now() > until {
            return Err(failed("the brokers do not know a topic that is there"));
        }
        std::thread::sleep(KNOWN_EVERY);
    }
}

/// Returns the time so long ago, as records have it.
fn before(waited: Duration) -> i64 {
    let at = SystemTime::now().checked_sub(waited).unwrap_or(UNIX_EPOCH);
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Ends a client while others go on: to end its threads takes it a tenth of a second or more.
pub(crate) fn end_beside<T: Send + 'static>(client: T) {
    std::thread::spawn(move || drop(client));
}

/// Runs what waits beside the runtime's other work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| failed("a task panicked"))?
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(crate) fn failed(detail: impl ToString) -> Error {
    Error::Store { store: "kafka", detail: detail.to_string() }
}

/// Returns an error in the library's words: codes and hosts, no keys.
pub(crate) fn broke(error: &KafkaError) -> Error {
    failed(error)
}
