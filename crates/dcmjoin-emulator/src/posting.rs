//! Events on their way to queues, past the faults.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, Shape, Target};
use crate::fault::EventEffect;
use crate::queue::Content;
use crate::random;
use crate::time::Time;
use crate::world::{Due, World};

/// Messages for other servers that have not been sent; more are dropped, as a lost event is.
const OUTBOX_MAX: usize = 100_000;

/// A message for a queue.
#[derive(Debug)]
pub(crate) struct Letter {
    target: Target,
    content: Content,
}

impl World {
    /// Sends an event to wherever its bucket's events go.
    pub(crate) fn post(&mut self, event: &Event) {
        let routes = self.routes_of(event);
        if routes.is_empty() {
            return;
        }
        for (time, event) in self.copies_of(event) {
            let event = Arc::new(event);
            for (shape, target) in &routes {
                let content = Content::Event(event.clone(), *shape);
                let letter = Letter { target: target.clone(), content };
                if time <= self.now {
                    self.put_in_queue(letter);
                } else {
                    self.agenda.add(time, Due::Message(letter));
                }
            }
        }
    }

    fn routes_of(&self, event: &Event) -> Vec<(Shape, Target)> {
        let Some(bucket) = self.buckets.get(&event.bucket) else { return Vec::new() };
        let taken = bucket.routes.iter().filter(|route| route.takes(event));
        let mut routes: Vec<_> = taken.map(|route| (route.shape, route.target.clone())).collect();
        if bucket.event_bridge && !self.rules.is_empty() {
            let value = event.event_bridge();
            let rules = self.rules.values().filter(|rule| rule.takes(&value));
            let queues = rules.flat_map(|rule| rule.targets.values());
            routes.extend(queues.map(|name| (Shape::EventBridge, Target::Queue(name.clone()))));
        }
        routes
    }

    /// Returns when an event is sent: once, unless a fault strikes.
    fn copies_of(&mut self, event: &Event) -> Vec<(Time, Event)> {
        let effect = self.event_faults.strike(event.kind, &event.key, self.now, |_| true);
        let Some(effect) = effect else { return vec![(self.now, event.clone())] };
        self.book.fault(effect.name());
        match effect {
            EventEffect::Lose => Vec::new(),
            EventEffect::Delay { least, most } => {
                let delay = random::between(self.row.draw(), least, most);
                vec![(self.now + delay, event.clone())]
            }
            EventEffect::Duplicate { times, within } => {
                let mut copies = vec![(self.now, event.clone())];
                for copy in 1..=times {
                    let delay = random::between(self.row.draw(), Duration::ZERO, within);
                    let anew = u64::from(copy % 2) * u64::from(copy);
                    let number = event.number.wrapping_add(anew);
                    copies.push((self.now + delay, event.clone().numbered(number)));
                }
                copies
            }
        }
    }

    /// Puts a message in its queue; one for a queue that is not there is dropped, as AWS does.
    pub(crate) fn put_in_queue(&mut self, letter: Letter) {
        match letter.target {
            Target::Queue(name) => self.send(&name, letter.content),
            Target::External(url) => {
                if self.outbox.len() < OUTBOX_MAX {
                    self.outbox.push((url, letter.content.text().into_owned()));
                }
            }
        }
    }

    /// Sends a message to a queue of this emulator.
    pub(crate) fn send(&mut self, name: &str, content: Content) {
        let id = self.next_id();
        let now = self.time_of(self.options.queue_time);
        if let Some(queue) = self.queues.get_mut(name) {
            queue.send(id, content, now, None);
            self.book.ledger.events += 1;
            self.arrived = true;
        }
    }
}
