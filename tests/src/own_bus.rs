//! A bus as a stranger would write it, from outside and over the public port alone: a broker on another machine, played
//! by the bus within the process. Like a network it makes its callers wait, and takes nothing but headers and bytes.

use std::sync::Arc;

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, InProcess, InProcessBus, Intake, Message, Place,
    PublishError, Published, Traced,
};
use eventsource_runtime::clock::{self, Timestamp};

/// The stranger's broker.
#[derive(Clone, Debug)]
pub struct Remote {
    inner: InProcess,
    system: &'static str,
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
    Traced::over(Remote { inner, system })
}

impl Remote {
    /// Every message is at the same place; nobody asks for it.
    fn place(&self) -> Option<Place> {
        (self.system == "kafka").then_some(Place { partition: 3, offset: 42 })
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

impl EventBus for Remote {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        BusInfo::broker(self.system, "orders").at("broker.example.org", 9092)
    }

    fn destination(&self, message: &Message) -> Destination {
        self.at(message, "")
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        tokio::task::yield_now().await;
        let results = self.inner.publish(messages.iter().map(sent).collect()).await;
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

/// A member of a group on the stranger's bus.
#[derive(Debug)]
pub struct Member {
    inner: <InProcess as EventBus>::Consumer,
    bus: Remote,
    group: Arc<str>,
}

impl Consumer for Member {
    type Settle = <<InProcess as EventBus>::Consumer as Consumer>::Settle;

    async fn next(&mut self) -> Result<Option<Delivery<Self::Settle>>, BusError> {
        let Some(delivery) = self.inner.next().await? else { return Ok(None) };
        let mut source = self.bus.at(&delivery.message, &format!(":{}", self.group));
        source.place = self.bus.place();
        Ok(Some(Delivery { sent_at: Some(now()), source, ..delivery }))
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

fn now() -> Timestamp {
    clock::system().now()
}
