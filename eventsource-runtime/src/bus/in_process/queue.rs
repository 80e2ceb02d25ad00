//! The queue of a group: what is waiting, in flight, and set aside.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::{InProcessOptions, SlowSubscriber};
use crate::bus::error::{BusError, PublishError};
use crate::bus::message::Message;
use crate::dispatch::Handled;
use crate::poll::{told, unless};
use crate::sync::Mutex;

/// The messages of a group.
pub(super) struct Queue {
    pub(super) group: Arc<str>,
    options: InProcessOptions,
    room: Arc<Semaphore>,
    inside: Mutex<Inside>,
    /// Something was pushed or settled, a member left, or the bus was shut down.
    pub(super) changed: Notify,
    /// The last member that makes room has gone, and is not waited for.
    abandoned: Notify,
}

/// Room for a message in a queue.
pub(super) struct Room {
    /// `None` for what a handler publishes.
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Inside {
    waiting: VecDeque<Item>,
    /// The dead letters by their numbers, in order.
    dead: VecDeque<(u64, Message)>,
    last_letter: u64,
    /// How many are waiting or in flight.
    outstanding: usize,
    /// Whom to tell when those are handled that are waited for, by their numbers.
    unhandled: HashMap<u64, oneshot::Sender<()>>,
    /// The members that take what is published.
    members: usize,
    /// Those, and stopped ones that still handle what is there.
    present: usize,
    /// The member that handles the messages.
    active: Option<u64>,
    last_member: u64,
    last_number: u64,
    closed: bool,
}

/// A message in a queue, until it is settled.
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) message: Message,
    pub(super) redelivered: bool,
    _room: Room,
}

impl Queue {
    pub(super) fn new(group: Arc<str>, options: InProcessOptions) -> Self {
        Self {
            group,
            options,
            room: Arc::new(Semaphore::new(options.capacity)),
            inside: Mutex::default(),
            changed: Notify::new(),
            abandoned: Notify::new(),
        }
    }

    /// Whether anybody takes what is published, or is waited for until somebody does again: not in a group of which
    /// only the dead letters were asked for.
    pub(super) fn takes(&self) -> bool {
        let inside = self.inside.lock();
        inside.members > 0 || self.options.confirms_handled && inside.last_member > 0
    }

    /// Whether anybody handles what is there, and makes room, as a stopped member still does; or is waited for.
    fn is_attended(&self) -> bool {
        self.options.confirms_handled || self.inside.lock().present > 0
    }

    /// Takes no more messages except from handlers.
    pub(super) fn refuse(&self) {
        self.room.close();
    }

    /// Ends the members, and leaves what waits for them; returns how many messages.
    pub(super) fn close(&self) -> usize {
        let mut inside = self.inside.lock();
        inside.closed = true;
        let left = inside.outstanding;
        // Nobody can join any more, and what a handler has begun may take forever.
        inside.unhandled.clear();
        drop(inside);
        self.changed.notify_waiters();
        left
    }

    /// Room for a message; `None` if nobody takes it any more.
    pub(super) async fn room(&self) -> Result<Option<Room>, PublishError> {
        match (Arc::clone(&self.room).try_acquire_owned(), self.options.slow) {
            (Ok(permit), _) => Ok(self.is_attended().then_some(Room { _permit: Some(permit) })),
            // A refusal holds nobody up, not even a handler.
            (Err(TryAcquireError::NoPermits), SlowSubscriber::Refuse) => Err(self.full()),
            (Err(_), _) if Handled::is_in_process() => Ok(Some(Room { _permit: None })),
            (Err(TryAcquireError::Closed), _) => Err(PublishError::Closed),
            (Err(TryAcquireError::NoPermits), SlowSubscriber::Wait) => {
                let mut abandoned = std::pin::pin!(self.abandoned.notified());
                abandoned.as_mut().enable();
                if !self.is_attended() {
                    return Ok(None);
                }
                match unless(abandoned, Arc::clone(&self.room).acquire_owned()).await {
                    Some(Ok(permit)) => Ok(Some(Room { _permit: Some(permit) })),
                    Some(Err(_)) => Err(PublishError::Closed),
                    // Nobody would make room.
                    None => Ok(None),
                }
            }
        }
    }

    pub(super) fn push(&self, message: Message, room: Room, handled: Option<oneshot::Sender<()>>) {
        let mut inside = self.inside.lock();
        inside.last_number += 1;
        inside.outstanding += 1;
        let number = inside.last_number;
        inside.waiting.push_back(Item { number, message, redelivered: false, _room: room });
        inside.unhandled.extend(handled.map(|handled| (number, handled)));
        drop(inside);
        self.changed.notify_waiters();
    }

    pub(super) fn join(&self) -> u64 {
        let mut inside = self.inside.lock();
        inside.members += 1;
        inside.present += 1;
        inside.last_member += 1;
        let member = inside.last_member;
        drop(inside);
        // Members that have stopped may leave the rest to it.
        self.changed.notify_waiters();
        member
    }

    /// The next item for a member, or none any more.
    pub(super) fn pop(&self, member: u64, stopped: bool) -> Poll<Option<Item>> {
        let mut inside = self.inside.lock();
        // Another member gets what is there.
        if inside.closed || stopped && inside.members > 0 {
            return Poll::Ready(None);
        }
        // If that one has stopped too and goes before all is done, this one gets the rest.
        if *inside.active.get_or_insert(member) != member {
            return Poll::Pending;
        }
        match inside.waiting.pop_front() {
            None if !stopped => Poll::Pending,
            item => Poll::Ready(item),
        }
    }

    /// An item is done, and was dropped before: whoever waits for the queue to drain finds room in it.
    pub(super) fn settled(&self, number: u64) {
        let mut inside = self.inside.lock();
        inside.outstanding -= 1;
        if let Some(handled) = inside.unhandled.remove(&number) {
            // Who no longer waits need not know.
            let _ = handled.send(());
        }
        drop(inside);
        self.changed.notify_waiters();
    }

    fn full(&self) -> PublishError {
        PublishError::full(&*self.group)
    }

    /// Puts an item back in its place.
    pub(super) fn put_back(&self, item: Item) {
        let mut inside = self.inside.lock();
        let at = inside.waiting.partition_point(|waiting| waiting.number < item.number);
        inside.waiting.insert(at, Item { redelivered: true, ..item });
        drop(inside);
        self.changed.notify_waiters();
    }

    /// Keeps a letter, if there is room for it. If somebody waits until its message is handled, so does it, for room:
    /// the other groups would get the message again each time that it was refused. Once the bus is shut down nobody
    /// makes room any more.
    pub(super) fn park(&self, message: Message) -> Result<(), BusError> {
        let mut inside = self.inside.lock();
        if inside.dead.len() >= self.options.dead_letters {
            let full = self.full();
            return Err(if self.options.confirms_handled && !inside.closed {
                BusError::backend("keep a dead letter", full)
            } else {
                BusError::unkeepable(full)
            });
        }
        inside.last_letter += 1;
        let number = inside.last_letter;
        inside.dead.push_back((number, message));
        Ok(())
    }

    /// Puts a letter back in its place, unless it is there again already.
    pub(super) fn put_back_dead(&self, number: u64, message: Message) {
        let dead = &mut self.inside.lock().dead;
        if let Err(at) = dead.binary_search_by_key(&number, |letter| letter.0) {
            dead.insert(at, (number, message));
        }
    }

    /// How many messages are unfinished; `None` if no member is there to lag behind.
    pub(super) fn lag(&self) -> Option<u64> {
        let inside = self.inside.lock();
        (inside.present > 0).then_some(inside.outstanding as u64)
    }

    /// Whether nobody has any work left here.
    pub(super) fn is_drained(&self) -> bool {
        let inside = self.inside.lock();
        inside.outstanding == 0 || inside.present == 0
    }

    pub(super) async fn drained(&self) {
        told(&self.changed, || self.is_drained().then_some(())).await;
    }

    /// A member stops taking what is published.
    pub(super) fn leave(&self) {
        self.inside.lock().members -= 1;
        self.changed.notify_waiters();
    }

    /// A member is gone; another one handles what is there.
    pub(super) fn gone(&self, member: u64) {
        let mut inside = self.inside.lock();
        inside.present -= 1;
        if inside.present == 0 && !self.options.confirms_handled {
            self.abandoned.notify_waiters();
        }
        if inside.active == Some(member) {
            inside.active = None;
        }
        drop(inside);
        self.changed.notify_waiters();
    }

    /// The number of the last letter that was kept.
    pub(super) fn last_letter(&self) -> u64 {
        self.inside.lock().last_letter
    }

    /// The first letter after one and up to another.
    pub(super) fn pop_dead(&self, after: u64, until: u64) -> Option<(u64, Message)> {
        let dead = &mut self.inside.lock().dead;
        let at = dead.partition_point(|letter| letter.0 <= after);
        dead.get(at).filter(|letter| letter.0 <= until)?;
        dead.remove(at)
    }
}
