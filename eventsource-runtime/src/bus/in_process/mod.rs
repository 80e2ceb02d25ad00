//! The in-process bus: a bounded queue for each group.

mod member;
mod queue;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use self::member::Member;
use self::queue::Queue;
use super::behind::Behind;
use super::error::{BusError, PublishError};
use super::message::Message;
use super::running::DEADLINE;
use super::stopped::MessagesLeft;
use super::traced::Traced;
use super::{BusInfo, Destination, EventBus, Health, Intake, Lag, Published};
use crate::dispatch::Handled;
use crate::sync::Mutex;
use crate::telemetry::names;

/// The in-process bus, with the spans and metrics of all buses.
///
/// Each group has its own queue. A published message reaches the groups that have a member at that time; of several
/// members of a group one handles the messages, and the next takes over when it is gone. A handler of such a bus never
/// waits to publish, since its own queue may be the full one. Messages end with the process. A group outlives its last
/// member, with its dead letters and unfinished messages: give groups fixed names.
///
/// A group without a member gets nothing, even if it had one before: what is published between the end of its last
/// subscription and the start of the next is confirmed, and passes it by. So subscribe before you publish, or before
/// you spawn a [`Relay`](super::Relay). With [`InProcessOptions::refuse_unroutable`] a message that no group at all
/// would get is refused instead. With [`InProcessOptions::confirm_handled`] and a relay, no message is lost that is not
/// handled when the process dies.
pub type InProcessBus = Traced<InProcess>;

impl InProcessBus {
    /// A bus with queues of 1,024 messages that makes publishers wait for slow subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(InProcessOptions::default())
    }

    /// A bus with options of its own.
    #[must_use]
    pub fn with_options(options: InProcessOptions) -> Self {
        Self::over(InProcess { shared: Arc::new(Shared { options, state: Mutex::default() }) })
    }

    /// [`shutdown_within`](Self::shutdown_within) 30 seconds; the same holds of dropping it.
    ///
    /// # Errors
    /// Messages were left.
    pub fn shutdown(&self) -> impl Future<Output = Result<(), MessagesLeft>> + Send + use<> {
        self.shutdown_within(DEADLINE)
    }

    /// Takes no more messages and waits until the subscribers have handled those that are there, at most `deadline`;
    /// then the subscriptions end. What was left is lost when the bus and its subscriptions are dropped.
    ///
    /// If the future is dropped before that, the bus takes no more messages and no more subscriptions, and those that
    /// are there go on until this is called again, which may be done at any time.
    ///
    /// # Errors
    /// Messages were left that were neither handled nor stored as dead letters.
    pub fn shutdown_within(&self, deadline: Duration) -> impl Future<Output = Result<(), MessagesLeft>> + Send + use<> {
        let shared = Arc::clone(&self.inner().shared);
        async move { shared.shutdown(deadline).await }
    }
}

impl Default for InProcessBus {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to a message if a group's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowSubscriber {
    /// It waits until each queue has room. A handler of such a bus does not wait; what it publishes is accepted beyond
    /// the capacity.
    #[default]
    Wait,
    /// It is refused with [`PublishError::Full`], and no group gets the message.
    Refuse,
}

/// How an in-process bus is set up.
#[derive(Clone, Copy, Debug)]
#[must_use = "hand it to `InProcessBus::with_options`"]
pub struct InProcessOptions {
    capacity: usize,
    slow: SlowSubscriber,
    dead_letters: usize,
    refuses_unroutable: bool,
    confirms_handled: bool,
}

impl Default for InProcessOptions {
    fn default() -> Self {
        let slow = SlowSubscriber::default();
        Self { capacity: 1024, slow, dead_letters: 1024, refuses_unroutable: false, confirms_handled: false }
    }
}

impl InProcessOptions {
    /// How many unfinished messages a group may have; 1,024 by default.
    pub fn capacity(self, messages: usize) -> Self {
        Self { capacity: messages.clamp(1, Semaphore::MAX_PERMITS), ..self }
    }

    /// What happens to a publisher with a slow subscriber; it waits by default.
    pub fn slow_subscriber(self, slow: SlowSubscriber) -> Self {
        Self { slow, ..self }
    }

    /// How many dead letters a group keeps; 1,024 by default. A message that fails for good when there is no room for
    /// it is lost: that is logged, counted as `unkeepable`, and reported by
    /// [`Tally::unkeepable`](super::Tally::unkeepable).
    pub fn dead_letters(self, messages: usize) -> Self {
        Self { dead_letters: messages.max(1), ..self }
    }

    /// Refuses a message that no group would get, with [`PublishError::Unroutable`], as RabbitMQ does. By default it is
    /// confirmed, and gone. A relay tries such a message again until somebody has subscribed. A group whose members have
    /// all left is not waited for while another one has members.
    pub fn refuse_unroutable(self) -> Self {
        Self { refuses_unroutable: true, ..self }
    }

    /// Confirms a message when every group has handled it, or has it as a dead letter; by default once it is in their
    /// queues, where it ends with the process. With a [`Relay`](super::Relay) from the store, effects that are no read
    /// model, such as an e-mail, then need no broker: what a process has not handled when it dies, the next one handles,
    /// with all that was published in the same batch. A dead letter still ends with the process.
    ///
    /// A publisher waits for the slowest group, for one whose members have all left until it has a member again, and for
    /// one whose dead letters have no room until some were retried. If it gives up, as a relay does two seconds after it
    /// was shut down, the message is handled all the same, perhaps while the next process handles it too. A message that
    /// no group at all would get is [refused](Self::refuse_unroutable). [`PublishError::Closed`] says that the bus was
    /// shut down before the message was handled. What a handler of an in-process bus publishes, this one or another, is
    /// confirmed at once, since it may be behind its own message.
    ///
    /// A relay publishes as many events at once as are handled in a quarter of a second, or eight, and then waits: that
    /// limits what [`lanes`](super::SubscriptionBuilder::lanes) can do at once.
    ///
    /// ```
    /// use eventsource_runtime::bus::{HandlerError, InProcessBus, InProcessOptions, Received, Relay};
    /// # use eventsource_runtime::bus::Message;
    /// # use eventsource_runtime::store::{EventStore, ExpectedVersion, MemoryStore, StreamId};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # let store = MemoryStore::new();
    /// let bus = InProcessBus::with_options(InProcessOptions::default().confirm_handled());
    /// let mails = bus.subscribe("mails").handle(|event: Received| async move {
    ///     // Sends an e-mail, with the event's id, by which its recipient can tell one that comes twice.
    ///     println!("{:?} of {:?}", event.event_type(), event.stream());
    ///     Ok::<_, HandlerError>(())
    /// }).await?;
    /// let relay = Relay::new("mails", store, bus.clone()).spawn();
    /// // Commands are dispatched on the store. Once `relay.wait_for(position)` is done, the e-mails are on their way.
    /// relay.shutdown().await?;
    /// mails.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    #[doc(alias = "effect")]
    #[doc(alias = "reactor")]
    pub fn confirm_handled(self) -> Self {
        Self { confirms_handled: true, refuses_unroutable: true, ..self }
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
    groups: BTreeMap<Arc<str>, Arc<Queue>>,
    /// How often somebody has joined a group.
    joins: u64,
    /// Only handlers may still publish.
    closed: bool,
    /// Nobody may: the groups are empty, or the deadline has passed.
    ended: bool,
}

impl Shared {
    /// The groups that a message published now goes to; none if nobody may publish any more.
    fn attached(&self) -> Option<Attached> {
        let state = self.state.lock();
        // What handlers publish while the bus drains counts as already there.
        (!state.closed || Handled::is_in_process() && !state.ended).then(|| Attached::of(&state))
    }

    fn join(&self, intake: &Intake) -> Result<Member, BusError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(BusError::Closed);
        }
        state.joins += 1;
        let group = &intake.group;
        let new = || Arc::new(Queue::new(Arc::clone(group), self.options));
        let queue = Arc::clone(state.groups.entry(Arc::clone(group)).or_insert_with(new));
        // Under the lock: whoever sees the join sees the member.
        Ok(Member::new(queue, intake.dead_letters))
    }

    async fn shutdown(&self, deadline: Duration) -> Result<(), MessagesLeft> {
        let queues: Vec<_> = {
            let mut state = self.state.lock();
            state.closed = true;
            state.groups.values().cloned().collect()
        };
        for queue in &queues {
            queue.refuse();
        }
        let _ = tokio::time::timeout(deadline, self.drained(&queues)).await;
        let mut state = self.state.lock();
        state.ended = true;
        match queues.iter().map(|queue| queue.close()).sum() {
            0 => Ok(()),
            left => Err(MessagesLeft { left }),
        }
    }

    /// Waits until no group has work left: what one handles may publish to another that was done before.
    async fn drained(&self, queues: &[Arc<Queue>]) {
        loop {
            for queue in queues {
                queue.drained().await;
            }
            // Nothing is pushed under the lock, so that what it shows of the queues holds for all at once.
            let mut state = self.state.lock();
            state.ended = queues.iter().all(|queue| queue.is_drained());
            if state.ended {
                return;
            }
        }
    }

    /// Publishes one message to all groups, or to none: the groups present once it has waited for them, since members
    /// may leave and join meanwhile. Returns which of them are still to handle it, if that is waited for.
    async fn publish(&self, attached: &mut Attached, message: Message) -> Result<Vec<Unhandled>, PublishError> {
        loop {
            let mut rooms = Vec::with_capacity(attached.queues.len());
            for queue in &attached.queues {
                rooms.push(queue.room().await?);
            }
            let state = self.state.lock();
            if state.ended {
                return Err(PublishError::Closed);
            }
            if state.joins != attached.joins {
                // All rooms anew, since they are taken in the order of the queues.
                *attached = Attached::of(&state);
                continue;
            }
            if self.options.refuses_unroutable && rooms.iter().all(Option::is_none) {
                return Err(PublishError::unroutable(&*BusInfo::in_process().destination));
            }
            let (mut unhandled, waits) = (Vec::new(), self.options.confirms_handled && !Handled::is_in_process());
            for (queue, room) in attached.queues.iter().zip(rooms) {
                let Some(room) = room else { continue };
                let handled = waits.then(oneshot::channel).map(|(handled, is_handled)| {
                    unhandled.push(is_handled);
                    handled
                });
                queue.push(message.clone(), room, handled);
            }
            return Ok(unhandled);
        }
    }
}

/// What tells a publisher that a group has handled its message.
type Unhandled = oneshot::Receiver<()>;

/// Who receives what is published, as long as nobody joins.
struct Attached {
    /// The queues of groups with a member, always in the same order: otherwise publishers that wait for room in several
    /// could wait for each other.
    queues: Vec<Arc<Queue>>,
    joins: u64,
}

impl Attached {
    fn of(state: &State) -> Self {
        let queues = state.groups.values().filter(|queue| queue.takes()).cloned().collect();
        Self { queues, joins: state.joins }
    }
}

impl Health for Shared {
    fn is_connected(&self) -> bool {
        true
    }

    fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
        let queues: Vec<_> = self.state.lock().groups.values().cloned().collect();
        let destination = BusInfo::in_process().destination;
        for queue in queues {
            if let Some(messages) = queue.lag() {
                tell(Lag { group: &queue.group, destination: &destination, partition: 0, messages });
            }
        }
    }
}

impl EventBus for InProcess {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        BusInfo { target: names::LOG_IN_PROCESS, ..BusInfo::in_process() }
    }

    fn health(&self) -> Option<Arc<dyn Health>> {
        Some(Arc::clone(&self.shared) as Arc<dyn Health>)
    }

    fn destination(&self, _: &Message) -> Destination {
        Destination::new(BusInfo::in_process().destination)
    }

    fn handlers(&self) -> Option<u64> {
        let state = self.shared.state.lock();
        Some(state.groups.values().filter(|queue| queue.takes()).count() as u64)
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        let Some(mut attached) = self.shared.attached() else {
            return messages.iter().map(|_| Err(PublishError::Closed)).collect();
        };
        let mut behind = Behind::default();
        let mut published = Vec::with_capacity(messages.len());
        let mut unhandled = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            let result = behind.publish(&message, self.shared.publish(&mut attached, message.clone())).await;
            published.push(result.map(|groups| {
                unhandled.extend(groups.into_iter().map(|group| (index, group)));
                Published::default()
            }));
        }
        for (index, group) in unhandled {
            // Only a bus that was shut down lets go of what is not handled.
            if let (Err(_), Some(result)) = (group.await, published.get_mut(index)) {
                *result = Err(PublishError::Closed);
            }
        }
        published
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        self.shared.join(&intake)
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.shared.state.lock().groups.keys().cloned().collect();
        f.debug_struct("InProcess").field("groups", &groups).finish_non_exhaustive()
    }
}
