//! A member of a group, and the deliveries that it has to settle.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use super::queue::{Item, Queue};
use crate::bus::error::BusError;
use crate::bus::message::Message;
use crate::bus::{BusInfo, Consumer, Delivery, Destination, Settle};
use crate::poll::told;

/// A member of a group on the in-process bus.
pub struct Member {
    queue: Arc<Queue>,
    of: Of,
    stopped: bool,
}

enum Of {
    Messages {
        member: u64,
    },
    /// Each letter once, up to the last one at the start.
    DeadLetters {
        tried: u64,
        until: u64,
    },
}

impl Member {
    pub(super) fn new(queue: Arc<Queue>, dead_letters: bool) -> Self {
        let of = if dead_letters {
            Of::DeadLetters { tried: 0, until: queue.last_letter() }
        } else {
            Of::Messages { member: queue.join() }
        };
        Self { queue, of, stopped: false }
    }

    fn delivery(message: Message, redelivered: bool, unsettled: Unsettled) -> Delivery<Unsettled> {
        let source = Destination::new(BusInfo::in_process().destination);
        Delivery { redelivered, ..Delivery::new(message, source, unsettled) }
    }

    fn next_dead(&mut self) -> Option<Delivery<Unsettled>> {
        let Of::DeadLetters { tried, until } = &mut self.of else { return None };
        if self.stopped {
            return None;
        }
        let (number, message) = self.queue.pop_dead(*tried, *until)?;
        *tried = number;
        let unsettled = Unsettled { queue: Arc::clone(&self.queue), held: Some(Held::Dead(number, message.clone())) };
        Some(Self::delivery(message, true, unsettled))
    }
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        let Of::Messages { member } = self.of else { return Ok(self.next_dead()) };
        let item = told(&self.queue.changed, || match self.queue.pop(member, self.stopped) {
            Poll::Ready(item) => Some(item),
            Poll::Pending => None,
        });
        Ok(item.await.map(|item| {
            let (message, redelivered) = (item.message.clone(), item.redelivered);
            let unsettled = Unsettled { queue: Arc::clone(&self.queue), held: Some(Held::Item(item)) };
            Self::delivery(message, redelivered, unsettled)
        }))
    }

    fn stop(&mut self) {
        if let (Of::Messages { .. }, false) = (&self.of, self.stopped) {
            self.queue.leave();
        }
        self.stopped = true;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop();
        if let Of::Messages { member } = self.of {
            self.queue.gone(member);
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("group", &self.queue.group).finish_non_exhaustive()
    }
}

/// An in-process delivery; when dropped, it returns to its queue.
pub struct Unsettled {
    queue: Arc<Queue>,
    held: Option<Held>,
}

enum Held {
    Item(Item),
    Dead(u64, Message),
}

impl Settle for Unsettled {
    async fn ack(mut self) -> Result<(), BusError> {
        if let Some(Held::Item(item)) = self.held.take() {
            let number = item.number;
            drop(item);
            self.queue.settled(number);
        }
        Ok(())
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        match self.held {
            Some(Held::Dead(number, _)) => {
                self.queue.put_back_dead(number, message.clone());
                Ok(())
            }
            _ => self.queue.park(message.clone()),
        }
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::Item(item)) => self.queue.put_back(item),
            Some(Held::Dead(number, message)) => self.queue.put_back_dead(number, message),
            None => {}
        }
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("group", &self.queue.group).finish_non_exhaustive()
    }
}
