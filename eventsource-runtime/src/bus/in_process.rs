//! The bus within the process: a bounded queue for each group.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::error::{BusError, PublishError};
use super::lane::is_handling;
use super::message::Message;
use super::traced::Traced;
use super::{BusInfo, Consumer, Delivery, Destination, EventBus, Intake, Published, Settle};

/// The bus within the process, with the spans and metrics that all buses have.
///
/// Each group has a queue of its own. A message that is published reaches the groups that have a member at that time;
/// of several members of a group one handles the messages, and the next takes over when it is gone. What is published by
/// a handler never waits, since it may be its own queue that is full. Messages end with the process.
pub type InProcessBus = Traced<InProcess>;

impl InProcessBus {
    /// A bus with queues of 1,024 messages that makes publishers wait for slow subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::with(InProcessOptions::default())
    }

    /// A bus with options of its own.
    #[must_use]
    pub fn with(options: InProcessOptions) -> Self {
        Self::over(InProcess { shared: Arc::new(Shared { options, state: Mutex::default() }) })
    }

    /// Takes no more messages and waits until the subscribers are done with those that are there, at most `deadline`;
    /// then the subscriptions end. Answers how many messages were left: 0 if all were handled or are dead letters.
    pub fn shutdown(&self, deadline: Duration) -> impl Future<Output = usize> + Send + use<> {
        let shared = Arc::clone(&self.inner().shared);
        async move { shared.shutdown(deadline).await }
    }
}

impl Default for InProcessBus {
    fn default() -> Self {
        Self::new()
    }
}

/// What a publisher meets whose subscriber is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowSubscriber {
    /// It waits until there is room in each queue.
    #[default]
    Wait,
    /// It is refused with [`PublishError::Full`], and no group gets the message.
    Refuse,
}

/// How a bus within the process is set up.
#[derive(Clone, Copy, Debug)]
#[must_use = "hand it to `InProcessBus::with`"]
pub struct InProcessOptions {
    capacity: usize,
    slow: SlowSubscriber,
    dead_letters: usize,
}

impl Default for InProcessOptions {
    fn default() -> Self {
        Self { capacity: 1024, slow: SlowSubscriber::Wait, dead_letters: 1024 }
    }
}

impl InProcessOptions {
    /// How many messages a group may have that are not done with; 1,024 unless set.
    pub fn capacity(self, messages: usize) -> Self {
        Self { capacity: messages.clamp(1, Semaphore::MAX_PERMITS), ..self }
    }

    /// What a publisher meets whose subscriber is slow; it waits unless set.
    pub fn slow_subscriber(self, slow: SlowSubscriber) -> Self {
        Self { slow, ..self }
    }

    /// How many dead letters a group keeps; 1,024 unless set. Beyond them the oldest is let go.
    pub fn dead_letters(self, messages: usize) -> Self {
        Self { dead_letters: messages.max(1), ..self }
    }
}

/// The adapter behind [`InProcessBus`].
#[derive(Clone)]
pub struct InProcess {
    shared: Arc<Shared>,
}

struct Shared {
    options: InProcessOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    groups: HashMap<Arc<str>, Arc<Queue>>,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queues of the groups that have a member, always in the same order.
    fn attached(&self) -> Option<Vec<Arc<Queue>>> {
        let state = self.state();
        let attached = state.groups.values().filter(|queue| queue.inside().members > 0).cloned();
        let mut attached: Vec<_> = attached.collect();
        attached.sort_by(|one, other| one.group.cmp(&other.group));
        // What handlers publish while the bus drains is part of what is there.
        (!state.closed || is_handling()).then_some(attached)
    }

    fn queue(&self, group: &Arc<str>) -> Result<Arc<Queue>, BusError> {
        let mut state = self.state();
        if state.closed {
            return Err(BusError::Closed);
        }
        let queue = state.groups.entry(Arc::clone(group)).or_insert_with(|| {
            Arc::new(Queue {
                group: Arc::clone(group),
                room: Arc::new(Semaphore::new(self.options.capacity)),
                most_dead: self.options.dead_letters,
                inside: Mutex::default(),
                changed: Notify::new(),
            })
        });
        Ok(Arc::clone(queue))
    }

    async fn shutdown(&self, deadline: Duration) -> usize {
        let queues: Vec<_> = {
            let mut state = self.state();
            state.closed = true;
            state.groups.values().cloned().collect()
        };
        for queue in &queues {
            queue.room.close();
        }
        let drained = async {
            for queue in &queues {
                queue.drained().await;
            }
        };
        let _ = tokio::time::timeout(deadline, drained).await;
        let mut left = 0;
        for queue in &queues {
            let mut inside = queue.inside();
            left += inside.outstanding;
            inside.closed = true;
            drop(inside);
            queue.changed.notify_waiters();
        }
        left
    }

    /// Publishes one message to all groups, or to none.
    async fn publish(&self, queues: &[Arc<Queue>], message: Message) -> Result<Published, PublishError> {
        let mut rooms = Vec::with_capacity(queues.len());
        for queue in queues {
            rooms.push(queue.room(self.options.slow).await?);
        }
        for (queue, room) in queues.iter().zip(rooms) {
            queue.push(message.clone(), room);
        }
        Ok(Published::to_handlers(queues.len() as u64))
    }
}

impl EventBus for InProcess {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        BusInfo::in_process()
    }

    fn destination(&self, _: &Message) -> Destination {
        Destination::new("in_process")
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        let Some(queues) = self.shared.attached() else {
            return messages.iter().map(|_| Err(PublishError::Closed)).collect();
        };
        let mut behind = HashSet::new();
        let mut published = Vec::with_capacity(messages.len());
        for message in messages {
            let stream = message.stream().cloned();
            if let Some(stream) = stream.as_ref().filter(|stream| behind.contains(*stream)) {
                published.push(Err(PublishError::Behind { stream: stream.to_string() }));
                continue;
            }
            let result = self.shared.publish(&queues, message).await;
            if result.is_err() {
                behind.extend(stream);
            }
            published.push(result);
        }
        published
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        let queue = self.shared.queue(&intake.group)?;
        let of = if intake.dead_letters {
            Of::DeadLetters { left: queue.inside().dead.len() }
        } else {
            Of::Messages { member: queue.join() }
        };
        Ok(Member { queue, of, stopped: false })
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.shared.state().groups.keys().cloned().collect();
        f.debug_struct("InProcess").field("groups", &groups).finish_non_exhaustive()
    }
}

/// The messages of a group.
struct Queue {
    group: Arc<str>,
    room: Arc<Semaphore>,
    most_dead: usize,
    inside: Mutex<Inside>,
    /// Something was pushed or settled, a member left, or the bus was shut down.
    changed: Notify,
}

#[derive(Default)]
struct Inside {
    waiting: VecDeque<Item>,
    dead: VecDeque<Message>,
    /// How many are waiting or under way.
    outstanding: usize,
    /// Those that take what is published.
    members: usize,
    /// Those, and the ones that have stopped and still handle what is there.
    present: usize,
    /// The member that handles the messages.
    active: Option<u64>,
    last_member: u64,
    last_number: u64,
    closed: bool,
}

/// A message in a queue, until it is settled.
struct Item {
    number: u64,
    message: Message,
    redelivered: bool,
    /// None for what a handler published.
    _room: Option<OwnedSemaphorePermit>,
}

enum Popped {
    Item(Item),
    Wait,
    End,
}

impl Queue {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn room(&self, slow: SlowSubscriber) -> Result<Option<OwnedSemaphorePermit>, PublishError> {
        match (Arc::clone(&self.room).try_acquire_owned(), slow) {
            (Ok(room), _) => Ok(Some(room)),
            (Err(_), _) if is_handling() => Ok(None),
            (Err(TryAcquireError::Closed), _) => Err(PublishError::Closed),
            (Err(TryAcquireError::NoPermits), SlowSubscriber::Refuse) => {
                Err(PublishError::Full { group: self.group.to_string() })
            }
            (Err(TryAcquireError::NoPermits), SlowSubscriber::Wait) => {
                Arc::clone(&self.room).acquire_owned().await.map(Some).map_err(|_| PublishError::Closed)
            }
        }
    }

    fn push(&self, message: Message, room: Option<OwnedSemaphorePermit>) {
        let mut inside = self.inside();
        inside.last_number += 1;
        inside.outstanding += 1;
        let number = inside.last_number;
        inside.waiting.push_back(Item { number, message, redelivered: false, _room: room });
        drop(inside);
        self.changed.notify_waiters();
    }

    fn join(&self) -> u64 {
        let mut inside = self.inside();
        inside.members += 1;
        inside.present += 1;
        inside.last_member += 1;
        inside.last_member
    }

    /// What a member gets.
    fn pop(&self, member: u64, stopped: bool) -> Popped {
        let mut inside = self.inside();
        // Another member gets what is there.
        let elsewhere = stopped && inside.members > 0;
        if elsewhere || *inside.active.get_or_insert(member) != member {
            return if stopped || inside.closed { Popped::End } else { Popped::Wait };
        }
        match inside.waiting.pop_front() {
            Some(item) => Popped::Item(item),
            None if inside.closed || stopped => Popped::End,
            None => Popped::Wait,
        }
    }

    fn settled(&self) {
        self.inside().outstanding -= 1;
        self.changed.notify_waiters();
    }

    /// Puts an item back to where it was.
    fn put_back(&self, item: Item) {
        let mut inside = self.inside();
        let at = inside.waiting.partition_point(|waiting| waiting.number < item.number);
        inside.waiting.insert(at, Item { redelivered: true, ..item });
        drop(inside);
        self.changed.notify_waiters();
    }

    fn keep_dead(&self, message: Message) {
        let mut inside = self.inside();
        if inside.dead.len() >= self.most_dead {
            inside.dead.pop_front();
        }
        inside.dead.push_back(message);
    }

    /// Whether nobody has anything to do with what is there.
    fn is_drained(&self) -> bool {
        let inside = self.inside();
        inside.outstanding == 0 || inside.present == 0
    }

    async fn drained(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_drained() {
                return;
            }
            changed.await;
        }
    }
}

/// A member of a group within the process.
pub struct Member {
    queue: Arc<Queue>,
    of: Of,
    stopped: bool,
}

enum Of {
    Messages { member: u64 },
    DeadLetters { left: usize },
}

impl Member {
    fn delivery(message: Message, redelivered: bool, unsettled: Unsettled) -> Delivery<Unsettled> {
        Delivery {
            lane: message.order_key(),
            redelivered,
            sent_at: None,
            source: Destination::new("in_process"),
            settle: unsettled,
            message,
        }
    }

    fn next_dead(&mut self) -> Option<Delivery<Unsettled>> {
        let Of::DeadLetters { left } = &mut self.of else { return None };
        *left = left.checked_sub(1).filter(|_| !self.stopped)?;
        let message = self.queue.inside().dead.pop_front()?;
        let unsettled = Unsettled { queue: Arc::clone(&self.queue), held: Some(Held::Dead(message.clone())) };
        Some(Self::delivery(message, true, unsettled))
    }
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        let Of::Messages { member } = self.of else { return Ok(self.next_dead()) };
        loop {
            let mut changed = std::pin::pin!(self.queue.changed.notified());
            changed.as_mut().enable();
            match self.queue.pop(member, self.stopped) {
                Popped::End => return Ok(None),
                Popped::Item(item) => {
                    let (message, redelivered) = (item.message.clone(), item.redelivered);
                    let unsettled = Unsettled { queue: Arc::clone(&self.queue), held: Some(Held::Item(item)) };
                    return Ok(Some(Self::delivery(message, redelivered, unsettled)));
                }
                Popped::Wait => changed.await,
            }
        }
    }

    fn stop(&mut self) {
        if let (Of::Messages { .. }, false) = (&self.of, self.stopped) {
            self.queue.inside().members -= 1;
        }
        self.stopped = true;
        self.queue.changed.notify_waiters();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop();
        if let Of::Messages { member } = self.of {
            let mut inside = self.queue.inside();
            inside.present -= 1;
            if inside.active == Some(member) {
                inside.active = None;
            }
            drop(inside);
            self.queue.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("group", &self.queue.group).finish_non_exhaustive()
    }
}

/// A delivery within the process; dropped, it is back in its queue.
pub struct Unsettled {
    queue: Arc<Queue>,
    held: Option<Held>,
}

enum Held {
    Item(Item),
    Dead(Message),
}

impl Settle for Unsettled {
    async fn ack(mut self) -> Result<(), BusError> {
        if let Some(Held::Item(item)) = self.held.take() {
            // Room first, so that who waits for the queue to drain finds it empty.
            drop(item);
            self.queue.settled();
        }
        Ok(())
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        self.queue.keep_dead(message.clone());
        Ok(())
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::Item(item)) => self.queue.put_back(item),
            Some(Held::Dead(message)) => self.queue.keep_dead(message),
            None => {}
        }
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("group", &self.queue.group).finish_non_exhaustive()
    }
}
