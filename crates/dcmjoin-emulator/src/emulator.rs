//! The emulator as its user holds it: a running server, and handles to what is in it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::fault::{EventFault, RequestFault};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::queue::{Queue, QueueCounts, Redrive};
use crate::storage::Storage;
use crate::time::Time;
use crate::world::Shared;
use crate::{forward, s3, server};

/// The server's threads; its work is short, but for bodies that are made.
const THREADS: usize = 2;

/// Why the emulator cannot do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot start.
    #[error("start the emulator")]
    Start(#[source] io::Error),
    /// There is no such bucket, object or queue, or there is one already.
    #[error("{what}: {why}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// S3's code, or that of SQS.
        why: String,
    },
}

impl Error {
    pub(crate) fn refused(what: &'static str) -> impl FnOnce(s3s::S3Error) -> Self {
        move |error| Self::Refused { what, why: error.code().as_str().to_owned() }
    }
}

/// A running emulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Emulator {
    /// Starts an emulator on the loopback.
    ///
    /// It has threads of its own, so it serves whatever its user's thread does.
    ///
    /// # Errors
    /// Where the port is taken, or the spool's folder cannot be made.
    pub fn start(options: Options) -> Result<Self, Error> {
        let (port, access) = (options.port, options.access.clone());
        let shared = Arc::new(Shared::new(options).map_err(Error::Start)?);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("emulator").enable_all();
        let runtime = builder.build().map_err(Error::Start)?;
        let (listener, address) = runtime.block_on(server::bind(port)).map_err(Error::Start)?;
        let service = s3::service(shared.clone(), &access);
        runtime.spawn(server::serve(listener, shared.clone(), service));
        runtime.spawn(server::keep_time(shared.clone()));
        runtime.spawn(forward::run(shared.clone()));
        Ok(Self { shared, address, runtime: Some(runtime) })
    }

    /// Returns the URL that clients are told: S3, its control plane and SQS are all there.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock { shared: self.shared.clone() }
    }

    /// Returns what is stored.
    #[must_use]
    pub fn storage(&self) -> Storage {
        Storage::new(self.shared.clone())
    }

    /// Returns the faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults { shared: self.shared.clone() }
    }

    /// Returns the queues.
    #[must_use]
    pub fn queues(&self) -> Queues {
        Queues { shared: self.shared.clone() }
    }

    /// Returns what was asked so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut world = self.shared.enter();
        let now = world.now;
        world.book.read(now)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is forbidden where the user is in a runtime of its own.
            runtime.shutdown_background();
        }
    }
}

/// The emulator's clock.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

impl Clock {
    /// Returns what the clock shows.
    #[must_use]
    pub fn now(&self) -> Time {
        self.shared.enter().now
    }

    /// Moves the clock, and does all that happens until then, each thing at its own time.
    pub fn advance(&self, duration: Duration) {
        self.shared.enter().advance(duration);
    }

    /// Moves the clock to a time; nothing happens where that has gone by.
    pub fn advance_to(&self, time: Time) {
        let mut world = self.shared.enter();
        let duration = time.since(world.now);
        world.advance(duration);
    }

    /// Moves the clock to the next thing that happens, and returns its time; `None` where nothing
    /// is to happen.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        let mut world = self.shared.enter();
        let due = world.next_due()?;
        let duration = due.since(world.now);
        world.advance(duration);
        Some(due)
    }

    /// Returns when the next thing happens.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.shared.enter().next_due()
    }

    /// Has the clock run: so many virtual seconds a real one, zero to stop it.
    pub fn run(&self, factor: f64) {
        let mut world = self.shared.enter();
        world.ticker.set_factor(factor.max(0.0));
        // The keeper of the clock sets its alarm anew.
        world.planned = None;
    }

    /// Returns how fast the clock runs.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.shared.enter().ticker.factor()
    }
}

/// The faults that are set.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    /// Sets a fault of requests.
    pub fn requests(&self, fault: RequestFault) {
        self.shared.enter().request_faults.add(fault);
    }

    /// Sets a fault of events.
    pub fn events(&self, fault: EventFault) {
        self.shared.enter().event_faults.add(fault);
    }

    /// Takes all faults off.
    pub fn clear(&self) {
        let mut world = self.shared.enter();
        world.request_faults.clear();
        world.event_faults.clear();
    }
}

/// The queues, without a request.
#[derive(Debug, Clone)]
pub struct Queues {
    shared: Arc<Shared>,
}

impl Queues {
    /// Makes a queue, if there is none of that name.
    pub fn create(&self, name: &str) {
        let mut world = self.shared.enter();
        let now = world.time_of(world.options.queue_time);
        world.queues.entry(name.into()).or_insert_with(|| Queue::new(name, now));
    }

    /// Makes a queue whose messages go to another one after so many receipts.
    pub fn create_with_dead_letters(&self, name: &str, dead_letters: &str, receives_max: u32) {
        self.create(dead_letters);
        self.create(name);
        let redrive = Redrive { queue: dead_letters.into(), receives_max };
        if let Some(queue) = self.shared.enter().queues.get_mut(name) {
            queue.redrive = Some(redrive);
        }
    }

    /// Puts a message in a queue.
    pub fn send(&self, name: &str, body: &str) {
        self.shared.enter().send(name, body.into());
    }

    /// Returns how many messages a queue has; `None` where there is no such queue.
    #[must_use]
    pub fn counts(&self, name: &str) -> Option<QueueCounts> {
        let mut world = self.shared.enter();
        let now = world.time_of(world.options.queue_time);
        let queue = world.queues.get_mut(name)?;
        queue.settle(now);
        Some(queue.counts())
    }

    /// Takes all messages that can be received now out of a queue, and returns their bodies.
    #[must_use]
    pub fn drain(&self, name: &str) -> Vec<String> {
        let mut world = self.shared.enter();
        let now = world.time_of(world.options.queue_time);
        let Some(queue) = world.queues.get_mut(name) else { return Vec::new() };
        let (received, _) = queue.receive(now, usize::MAX, None);
        let take = |received: crate::queue::Received| {
            // The handle is the one that was given out a moment ago.
            let _ = queue.delete(&received.handle);
            received.message.body.text().into_owned()
        };
        received.into_iter().map(take).collect()
    }
}
