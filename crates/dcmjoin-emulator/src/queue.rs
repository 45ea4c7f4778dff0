//! A queue as SQS has it: at least once, in no order that one may count on.
//!
//! Source: the SQS developer guide, "Amazon SQS visibility timeout" and "dead-letter queues".

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, Shape};
use crate::time::Time;

/// SQS's own limits and defaults.
pub(crate) const VISIBILITY_DEFAULT: Duration = Duration::from_secs(30);
pub(crate) const VISIBILITY_MOST: Duration = Duration::from_hours(12);
pub(crate) const RETENTION_DEFAULT: Duration = Duration::from_hours(4 * 24);
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// After how many receipts a message goes elsewhere, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) queue: String,
    pub(crate) receives_max: u32,
}

/// What a message says. An event is put in words only when it is received: there can be millions.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text(Box<str>),
    Event(Arc<Event>, Shape),
}

impl Content {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Event(event, shape) => Cow::Owned(event.message(*shape)),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) body: Content,
    pub(crate) sent: Time,
    pub(crate) first_received: Option<Time>,
    pub(crate) receives: u32,
    /// When it can be received: again, where it is in flight; at all, where it is delayed.
    visible: Time,
}

/// A message given to a receiver, and the handle that the receiver answers with.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) handle: String,
}

/// Names one receipt of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Handle {
    id: u64,
    receives: u32,
}

impl Handle {
    fn text(self) -> String {
        format!("{:016x}{:08x}", self.id, self.receives)
    }

    fn read(text: &str) -> Option<Self> {
        let (id, receives) = text.split_at_checked(16)?;
        let id = u64::from_str_radix(id, 16).ok()?;
        Some(Self { id, receives: u32::from_str_radix(receives, 16).ok()? })
    }
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Messages that can be received.
    pub visible: usize,
    /// Messages that were received, and neither deleted nor visible again.
    pub in_flight: usize,
    /// Messages that were sent, and cannot be received yet.
    pub delayed: usize,
}

/// Why a handle is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHandle {
    Malformed,
    NotInFlight,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) visibility: Duration,
    pub(crate) delay: Duration,
    pub(crate) retention: Duration,
    /// How long a receiver waits for a message, in real time, where it does not say so itself.
    pub(crate) wait: Duration,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) created: Time,
    messages: HashMap<u64, Message>,
    ready: VecDeque<u64>,
    waiting: BTreeSet<(Time, u64)>,
}

impl Queue {
    pub(crate) fn new(name: &str, created: Time) -> Self {
        Self {
            name: name.into(),
            visibility: VISIBILITY_DEFAULT,
            delay: Duration::ZERO,
            retention: RETENTION_DEFAULT,
            wait: Duration::ZERO,
            redrive: None,
            created,
            messages: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
        }
    }

    pub(crate) fn send(&mut self, id: u64, body: Content, now: Time, delay: Option<Duration>) {
        let visible = now + delay.unwrap_or(self.delay);
        let message = Message { id, body, sent: now, first_received: None, receives: 0, visible };
        self.insert(message, now);
    }

    fn insert(&mut self, message: Message, now: Time) {
        if message.visible > now {
            self.waiting.insert((message.visible, message.id));
        } else {
            self.ready.push_back(message.id);
        }
        self.messages.insert(message.id, message);
    }

    /// Makes visible what is due; returns true where there was something.
    pub(crate) fn settle(&mut self, now: Time) -> bool {
        let before = self.ready.len();
        while let Some(&(due, id)) = self.waiting.first().filter(|(due, _)| *due <= now) {
            self.waiting.remove(&(due, id));
            self.ready.push_back(id);
        }
        self.ready.len() > before
    }

    /// Returns when a message becomes visible next.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Gives out messages; those received too often come back apart, for the dead-letter queue.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        count: usize,
        visibility: Option<Duration>,
    ) -> (Vec<Received>, Vec<Message>) {
        self.settle(now);
        let visible = now + visibility.unwrap_or(self.visibility);
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        while received.len() < count {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(message) = self.messages.get_mut(&id) else { continue };
            if message.sent + self.retention <= now {
                self.messages.remove(&id);
                continue;
            }
            if self.redrive.as_ref().is_some_and(|dlq| message.receives >= dlq.receives_max) {
                dead.extend(self.messages.remove(&id));
                continue;
            }
            message.receives += 1;
            message.first_received.get_or_insert(now);
            message.visible = visible;
            let handle = Handle { id, receives: message.receives }.text();
            received.push(Received { message: message.clone(), handle });
            if visible > now {
                self.waiting.insert((visible, id));
            } else {
                self.ready.push_back(id);
            }
        }
        (received, dead)
    }

    /// Takes in a message that another queue gave up.
    pub(crate) fn adopt(&mut self, message: Message, now: Time) {
        self.insert(Message { visible: now, ..message }, now);
    }

    /// Deletes a message. An old receipt's handle is taken, and deletes nothing, as with SQS.
    pub(crate) fn delete(&mut self, handle: &str) -> Result<(), BadHandle> {
        let handle = Handle::read(handle).ok_or(BadHandle::Malformed)?;
        let known = self.messages.get(&handle.id);
        if let Some(message) = known.filter(|message| message.receives == handle.receives) {
            // Where it is visible again its id stays in line, and is passed over.
            self.waiting.remove(&(message.visible, message.id));
            self.messages.remove(&handle.id);
        }
        Ok(())
    }

    /// Makes a message visible after another time than before; at once for none.
    pub(crate) fn change_visibility(
        &mut self,
        handle: &str,
        now: Time,
        visibility: Duration,
    ) -> Result<(), BadHandle> {
        let handle = Handle::read(handle).ok_or(BadHandle::Malformed)?;
        self.settle(now);
        let message = self.messages.get_mut(&handle.id).ok_or(BadHandle::NotInFlight)?;
        let place = (message.visible, message.id);
        if message.receives != handle.receives || !self.waiting.remove(&place) {
            return Err(BadHandle::NotInFlight);
        }
        message.visible = now + visibility;
        self.waiting.insert((message.visible, message.id));
        self.settle(now);
        Ok(())
    }

    pub(crate) fn purge(&mut self) {
        self.messages.clear();
        self.ready.clear();
        self.waiting.clear();
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        let waiting = self.waiting.iter().filter_map(|(_, id)| self.messages.get(id));
        let in_flight = waiting.filter(|message| message.receives > 0).count();
        let visible = self.messages.len() - self.waiting.len();
        QueueCounts { visible, in_flight, delayed: self.waiting.len() - in_flight }
    }
}

#[cfg(test)]
mod tests;
