//! A bus as a stranger would write it, from outside and over the public port alone: a broker on another machine, played
//! by the bus within the process. Like a network it makes its callers wait, and takes nothing but headers and bytes.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, Health, InProcess, InProcessBus, Intake, Lag,
    Message, Place, PublishError, Published, Subscription, Tally, Traced,
};
use eventsource_runtime::clock::{self, Timestamp};
use uuid::Uuid;

use crate::faulty::take;

/// The stranger's broker.
#[derive(Clone, Debug)]
pub struct Remote {
    inner: InProcess,
    system: &'static str,
    failures: Arc<AtomicUsize>,
    refused: Arc<Mutex<Option<Uuid>>>,
    refused_once: Arc<Mutex<Option<Uuid>>>,
    panics: Arc<AtomicUsize>,
    silences: Arc<AtomicUsize>,
}

/// The stranger's bus, with the spans and metrics that all buses have; it has partitions.
#[must_use]
pub fn remote() -> Traced<Remote> {
    of_system("kafka")
}

/// A bus that has routing keys instead of partitions.
#[must_use]
pub fn routing() -> Traced<Remote> {
    of_system("rabbitmq")
}

fn of_system(system: &'static str) -> Traced<Remote> {
    let inner = InProcessBus::new().inner().clone();
    let (failures, refused, refused_once, panics, silences) = Default::default();
    Traced::over(Remote { inner, system, failures, refused, refused_once, panics, silences })
}

impl Remote {
    /// The next messages are not published.
    pub fn fail(&self, count: usize) {
        self.failures.store(count, Ordering::SeqCst);
    }

    /// The next publications panic.
    pub fn panic(&self, count: usize) {
        self.panics.store(count, Ordering::SeqCst);
    }

    /// The next publications tell nothing of their last message, and do not publish it.
    pub fn keep_silent(&self, count: usize) {
        self.silences.store(count, Ordering::SeqCst);
    }

    /// This message is one that the bus can never take.
    pub fn refuse_for_good(&self, message: Option<Uuid>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }

    /// This message is not published the next time, and those of other streams behind it are.
    pub fn refuse_once(&self, message: Option<Uuid>) {
        *self.refused_once.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }

    /// Where the message is that is not published this time, if there is one.
    fn refuses_once(&self, messages: &[Message]) -> Option<usize> {
        let mut refused = self.refused_once.lock().unwrap_or_else(PoisonError::into_inner);
        let at = messages.iter().position(|message| refused.is_some() && message.id() == *refused)?;
        *refused = None;
        Some(at)
    }

    /// Which message is not published, if one is to fail, and why; those behind it are not either.
    fn fault(&self, messages: &[Message]) -> Option<(usize, PublishError)> {
        if take(&self.failures) {
            return Some((0, PublishError::backend("reach a broker", "as it was told to")));
        }
        let (part, problem) = ("the message", "it was told so");
        let refused = (*self.refused.lock().unwrap_or_else(PoisonError::into_inner))?;
        let at = messages.iter().position(|message| message.id() == Some(refused))?;
        Some((at, PublishError::invalid("orders", part, problem)))
    }

    /// Every message is at the same place; nobody asks for it.
    fn place(&self) -> Option<Place> {
        (self.system == "kafka").then_some(Place::new(3, 42))
    }

    fn at(&self, message: &Message, suffix: &str) -> Destination {
        let mut destination = Destination::new("orders");
        if self.system == "rabbitmq" {
            let aggregate = message.stream().map_or("unknown", |stream| stream.aggregate_type());
            let key = format!("{aggregate}.{}", message.event_type().unwrap_or("unknown"));
            destination = Destination::new(format!("orders:{key}{suffix}"));
            destination.routing_key = Some(key.into());
        }
        destination
    }
}

/// What is left of a message on the wire.
fn sent(message: &Message) -> Message {
    let mut headers = Vec::new();
    message.write_headers(&mut |name, value| headers.push((name.to_owned(), value.to_vec())));
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    Message::read(headers, message.payload().clone())
}

/// `handlers` is not that of the bus within the process: a broker does not tell.
impl EventBus for Remote {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        BusInfo::broker(self.system, "orders").at("broker.example.org", 9092)
    }

    fn health(&self) -> Option<Arc<dyn Health>> {
        Some(Arc::new(Fine))
    }

    fn destination(&self, message: &Message) -> Destination {
        self.at(message, "")
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        tokio::task::yield_now().await;
        assert!(!take(&self.panics), "as it was told to");
        let silent = usize::from(take(&self.silences));
        let messages = &messages[..messages.len().saturating_sub(silent)];
        let fault = self.fault(messages);
        let taken = fault.as_ref().map_or(messages.len(), |(at, _)| *at);
        let mut taken: Vec<_> = messages[..taken].iter().map(sent).collect();
        let refused = self.refuses_once(&taken).map(|at| (at, taken.remove(at)));
        let mut results = self.inner.publish(taken).await;
        if let Some((at, _)) = refused {
            results.insert(at, Err(PublishError::backend("reach a broker", "as it was told to")));
        }
        if let Some((at, error)) = fault {
            let behind = || PublishError::behind("all of them");
            results.push(Err(error));
            results.extend(messages[at + 1..].iter().map(|_| Err(behind())));
        }
        tokio::task::yield_now().await;
        let placed = |_| self.place().map_or_else(Published::default, Published::at);
        results.into_iter().map(|result| result.map(placed)).collect()
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        tokio::task::yield_now().await;
        let group = Arc::clone(&intake.group);
        Ok(Member { inner: self.inner.subscribe(intake).await?, bus: self.clone(), group })
    }
}

/// Connected, and a little behind.
#[derive(Debug)]
struct Fine;

impl Health for Fine {
    fn is_connected(&self) -> bool {
        true
    }

    fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
        tell(Lag::new("inventory", ("orders", 3), 7));
    }
}

/// A member of a group on the stranger's bus.
#[derive(Debug)]
pub struct Member {
    inner: <InProcess as EventBus>::Consumer,
    bus: Remote,
    group: Arc<str>,
}

impl Member {
    fn address<S>(&self, delivery: &mut Delivery<S>) {
        delivery.source = self.bus.at(&delivery.message, &format!(":{}", self.group));
        delivery.source.place = self.bus.place();
        delivery.sent_at = Some(now());
    }
}

impl Consumer for Member {
    type Settle = <<InProcess as EventBus>::Consumer as Consumer>::Settle;

    async fn next(&mut self) -> Result<Option<Delivery<Self::Settle>>, BusError> {
        let Some(mut delivery) = self.inner.next().await? else { return Ok(None) };
        self.address(&mut delivery);
        Ok(Some(delivery))
    }

    async fn next_batch(&mut self, most: usize, taken: &mut Vec<Delivery<Self::Settle>>) -> Result<(), BusError> {
        let before = taken.len();
        self.inner.next_batch(most, taken).await?;
        for delivery in &mut taken[before..] {
            self.address(delivery);
        }
        Ok(())
    }

    async fn attend(&mut self) -> Infallible {
        self.inner.attend().await
    }

    fn stop(&mut self) {
        self.inner.stop();
    }

    async fn leave(self) {
        self.inner.leave().await;
    }
}

fn now() -> Timestamp {
    clock::system().now()
}

/// Waits until a group has done with so many messages.
pub async fn until_settled(running: &Subscription, messages: u64) {
    let settled = |Tally { acknowledged, dead_lettered, unkeepable, .. }| acknowledged + dead_lettered + unkeepable;
    while settled(running.tally()) < messages {
        tokio::task::yield_now().await;
    }
}
