//! `dcmjoin orchestrate`: runs the active campaigns of a journal until it is told to stop.
//!
//! Instances share the campaigns by their leases: each looks now and then for one that is active
//! and that nobody holds. What ends an orchestrator (a store that is away, a journal that is) ends
//! neither the service nor other campaigns; the campaign is tried again later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dcmjoin_campaign::holder::this_process;
use dcmjoin_campaign::ledger::{Mode, Select, Shelf};
use dcmjoin_campaign::orchestrator::Outcome;
use dcmjoin_campaign::{Error, Orchestrator};
use dcmjoin_restore::task::State;
use tokio::task::JoinSet;

use super::campaign::world;
use super::ledger::shelf;
use crate::cli::{OrchestrateArgs, OrchestratorArgs, Talk};
use crate::exit::Exit;
use crate::text;

/// How often it is looked for campaigns that have become active.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a campaign rests after its orchestrator ended with an error.
const REST: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or Ctrl-C; drains then, and ends well.
pub(crate) fn run(args: &OrchestrateArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let shelf = shelf(&args.ledger)?;
    // A ledger that is not there is told at once.
    shelf.campaigns()?;
    let stop = Arc::new(AtomicBool::new(false));
    super::runtime()?.block_on(async {
        let asked = Arc::clone(&stop);
        let asked = tokio::spawn(async move {
            super::signal().await;
            text::talk("stopping after the instances on their way");
            asked.store(true, Ordering::Relaxed);
        });
        let service = Service {
            shelf,
            at_once: usize::from(args.campaigns),
            until_idle: args.until_idle,
            how: args.how.clone(),
            stop,
            running: JoinSet::new(),
            names: HashMap::new(),
            rests: HashMap::new(),
            closed: HashSet::new(),
            quiet: talk.quiet,
        };
        service.serve().await;
        asked.abort();
    });
    Ok(Exit::Complete)
}

type Ended = (String, Result<Outcome, Error>);

struct Service {
    shelf: Box<dyn Shelf>,
    at_once: usize,
    until_idle: bool,
    how: OrchestratorArgs,
    stop: Arc<AtomicBool>,
    running: JoinSet<Ended>,
    /// The campaigns that run here, by the numbers of their tasks.
    names: HashMap<tokio::task::Id, String>,
    /// Until when campaigns are left alone.
    rests: HashMap<String, Instant>,
    /// Cancelled campaigns with nothing left to do.
    closed: HashSet<String>,
    quiet: bool,
}

impl Service {
    async fn serve(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let active = match self.take_up().await {
                Ok(active) => active,
                Err(error) => {
                    tracing::warn!(%error, "the ledger cannot be read");
                    true
                }
            };
            if self.until_idle && !active && self.running.is_empty() {
                return;
            }
            self.wait().await;
        }
        while let Some(ended) = self.running.join_next_with_id().await {
            self.ended(ended);
        }
    }

    /// Waits for the next look, or the end of a campaign, or the wish to stop.
    async fn wait(&mut self) {
        let until = Instant::now() + LOOK_EVERY;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            let short = tokio::time::sleep(Duration::from_millis(200));
            tokio::select! {
                () = short => {}
                Some(ended) = self.running.join_next_with_id() => {
                    self.ended(ended);
                    return;
                }
            }
        }
    }

    /// Takes campaigns up that nobody holds; returns whether any is active.
    async fn take_up(&mut self) -> Result<bool, Error> {
        let mut any = false;
        for (name, mode) in self.shelf.campaigns()? {
            let wanted = match mode {
                Mode::Active => true,
                // Its archives are still to be told.
                Mode::Cancelled => self.is_open(&name)?,
                Mode::Draft | Mode::Paused | Mode::Done => false,
            };
            any |= wanted;
            let rests = self.rests.get(&name).is_some_and(|until| *until > Instant::now());
            let here = self.names.values().any(|running| *running == name);
            if !wanted || here || rests || self.running.len() >= self.at_once {
                continue;
            }
            let ledger = self.shelf.open(&name)?;
            let taken = world(ledger, &name, Arc::clone(&self.stop), &self.how)
                .await
                .map_err(|error| Error::Invalid(format!("{error:#}")))
                .and_then(|world| Orchestrator::take(world, &this_process()));
            match taken {
                Ok(orchestrator) => self.spawn(name, orchestrator),
                Err(Error::Held { .. }) => {}
                Err(error) => {
                    text::talk(&format!("{name}: {error}"));
                    self.rest(name);
                }
            }
        }
        Ok(any)
    }

    /// Returns whether a campaign that is cancelled has archives that are neither done nor given up.
    fn is_open(&mut self, name: &str) -> Result<bool, Error> {
        if self.closed.contains(name) {
            return Ok(false);
        }
        let ledger = self.shelf.open(name)?;
        for state in State::WORDS.into_iter().filter(|word| !matches!(*word, "done" | "failed")) {
            if !ledger.page(Select::State(state), 0, 1)?.is_empty() {
                return Ok(true);
            }
        }
        self.closed.insert(name.to_owned());
        Ok(false)
    }

    fn spawn(&mut self, name: String, orchestrator: Orchestrator) {
        self.say(&name, "taken up");
        let named = name.clone();
        let task = self.running.spawn(async move { (named, orchestrator.run().await) });
        self.names.insert(task.id(), name);
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, Ended), tokio::task::JoinError>) {
        match ended {
            Ok((id, (name, outcome))) => {
                self.names.remove(&id);
                match outcome {
                    Ok(Outcome::Done(_)) => self.say(&name, "done"),
                    Ok(Outcome::Paused(reason)) => self.say(&name, &format!("paused: {reason}")),
                    Ok(Outcome::Cancelled) => self.say(&name, "cancelled"),
                    Ok(Outcome::Stopped) => self.say(&name, "stopped"),
                    Err(error) => {
                        text::talk(&format!("{name}: {error}"));
                        self.rest(name);
                    }
                }
            }
            // A bug; the campaign's lease ends by itself.
            Err(panicked) => {
                if let Some(name) = self.names.remove(&panicked.id()) {
                    text::talk(&format!("{name}: its orchestrator panicked"));
                    self.rest(name);
                }
            }
        }
    }

    fn rest(&mut self, name: String) {
        self.rests.insert(name, Instant::now() + REST);
    }

    fn say(&self, name: &str, words: &str) {
        if !self.quiet {
            text::talk(&format!("{name}: {words}"));
        }
    }
}
