//! Those who use the bus in a schedule: publishers, the owners of members, and handlers.

use std::ops::Range;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use eventsource_runtime::bus::{BusError, HandlerError, Message, Received, Subscription, SubscriptionStopped, Traced};
use eventsource_runtime::store::StreamId;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::model::GROUPS;
use super::watched::{Watched, Watcher, number};

const STREAMS: u64 = 3;
/// Handlers publish no more when there are so many messages.
const MOST: usize = 16;
/// Longer than any handler takes, with all its retries.
const LONG: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct World {
    pub(super) watcher: Arc<Watcher>,
    pub(super) bus: Traced<Watched>,
    /// Closed when the members are to end.
    pub(super) ending: Arc<Semaphore>,
    /// Shared by the messages that are there.
    pub(super) messages: Arc<()>,
}

/// A number that tells by `alive` that its message is there.
struct Payload {
    text: String,
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    /// A pause of some turns of others, or of some time, in which all others do what they can.
    pub(super) async fn pause(&self) {
        match self.watcher.below(4) {
            0 => sleep(millis(self.watcher.below(6))).await,
            1 => {
                for _ in 0..self.watcher.below(30) {
                    tokio::task::yield_now().await;
                }
            }
            _ => {}
        }
    }

    fn messages(&self, by_handler: bool) -> (Range<usize>, Vec<Message>) {
        let count = if self.watcher.once_in(3) { 1 + self.watcher.below(3) } else { 1 };
        let streams: Vec<_> = (0..count).map(|_| self.watcher.below(STREAMS)).collect();
        let call = self.watcher.tell(|model| model.call(&streams, by_handler));
        let message = |(number, stream): (usize, &u64)| {
            let payload = Payload { text: number.to_string(), _alive: Arc::clone(&self.messages) };
            Message::new(StreamId::new("Order", stream), "OrderPlaced", Bytes::from_owner(payload))
        };
        (call.clone(), call.zip(&streams).map(message).collect())
    }

    pub(super) async fn publisher(self) {
        for _ in 0..=self.watcher.below(3) {
            self.pause().await;
            let (call, messages) = self.messages(false);
            let patience = if self.watcher.once_in(8) { millis(self.watcher.below(3)) } else { LONG };
            let published = timeout(patience, self.bus.publish_each(messages)).await;
            self.watcher.tell(|model| {
                if let Ok(results) = published {
                    return model.published(call, &results);
                }
                let is_stuck = patience == LONG && !model.may_wait();
                model.require(!is_stuck, || format!("the publisher of {call:?} waits for ever"));
                model.gave_up(call);
            });
        }
    }

    /// Publishes from within a handler, which must not wait: it may wait for itself.
    async fn publish_again(&self) {
        let (call, messages) = self.messages(true);
        let mut publishing = pin!(self.bus.publish_each(messages));
        let Poll::Ready(results) = futures_util::poll!(publishing.as_mut()) else {
            return self.watcher.tell(|model| model.require(false, || format!("a handler waits to publish {call:?}")));
        };
        self.watcher.tell(|model| {
            model.seen.again += results.iter().flatten().count();
            model.published(call, &results);
        });
    }

    async fn handle(self, group: usize, received: Vec<Received>) -> Result<(), HandlerError> {
        let batch: Vec<_> = received.iter().map(|received| (number(received), received.attempt())).collect();
        self.watcher.tell(|model| model.begun(group, &batch));
        let mut running = Running { world: &self, group, batch: &batch, result: Err(false) };
        if self.watcher.once_in(3) {
            sleep(millis(1 + self.watcher.below(3))).await;
        }
        if self.watcher.once_in(4) && self.watcher.tell(|model| model.sent()) < MOST {
            self.publish_again().await;
        }
        match self.watcher.below(12) {
            0 => Err(HandlerError::new("not now")),
            1 => {
                running.result = Err(true);
                Err(HandlerError::new("never").permanent())
            }
            2 => {
                self.watcher.tell(|model| model.seen.panics += 1);
                // Without the hook, which would print it.
                resume_unwind(Box::new("as the dice say"))
            }
            _ => {
                running.result = Ok(());
                Ok(())
            }
        }
    }

    async fn subscribe(&self, group: usize) -> Result<(usize, Subscription), BusError> {
        let watcher = &self.watcher;
        let retries = u32::try_from(watcher.below(3)).expect("it is small");
        let prefetch = u16::try_from(1 + watcher.below(3)).expect("it is small");
        let lanes = if watcher.once_in(2) { 2 } else { 1 };
        let builder = self.bus.subscribe(GROUPS[group]).prefetch(prefetch).lanes(lanes);
        let builder = builder.max_retries(retries).pauses(millis(1), millis(100));
        let builder = if watcher.once_in(4) { builder.timeout(millis(2)) } else { builder };
        let world = self.clone();
        let subscription = if watcher.once_in(3) {
            let handle = move |received| Arc::clone(&world.watcher).held_up(world.clone().handle(group, received));
            builder.handle_batches(3, handle).await?
        } else {
            let handle =
                move |received| Arc::clone(&world.watcher).held_up(world.clone().handle(group, vec![received]));
            builder.handle(handle).await?
        };
        Ok((watcher.tell(|model| model.set_up_newest(retries)), subscription))
    }

    /// Members of a group, one after the other.
    pub(super) async fn owner(self, group: usize, confirms: bool) {
        for life in 0..=self.watcher.below(3) {
            if life > 0 || self.watcher.once_in(4) {
                self.pause().await;
            }
            // Only of a bus that is shut down.
            let Ok((member, subscription)) = self.subscribe(group).await else { return };
            match self.watcher.below(3) {
                0 => self.pause().await,
                _ => drop(self.ending.acquire().await),
            }
            self.end(member, subscription, confirms).await;
        }
    }

    async fn end(&self, member: usize, subscription: Subscription, confirms: bool) {
        let is_closed = self.watcher.tell(|model| model.is_closed());
        let ended = match self.watcher.below(5) {
            0 if is_closed => subscription.finished().await,
            0 | 1 => return drop(subscription),
            2 => {
                self.watcher.tell(|model| model.may_abort(member));
                subscription.shutdown_within(millis(self.watcher.below(4))).await
            }
            _ => {
                // Letters may wait without end for room.
                if confirms {
                    self.watcher.tell(|model| model.may_abort(member));
                }
                subscription.shutdown_within(LONG).await
            }
        };
        self.watcher.tell(|model| match ended {
            Ok(tally) => model.ended(member, &tally),
            Err(SubscriptionStopped::Aborted { left, .. }) => model.aborted(member, left),
            Err(error) => model.require(false, || format!("member {member} failed: {error}")),
        });
    }
}

/// Tells how a handler ended: as a failure, if it panics or is dropped.
struct Running<'a> {
    world: &'a World,
    group: usize,
    batch: &'a [(usize, u32)],
    result: Result<(), bool>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.world.watcher.tell(|model| model.handled(self.group, self.batch, self.result));
    }
}
