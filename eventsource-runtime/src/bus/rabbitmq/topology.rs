//! Exchanges and queues: their names and declarations.
//!
//! ```text
//! orders (topic) ─#─> orders.inventory        one queue for the group, or
//! orders (topic) ─#─> orders.inventory (fanout) ──> orders.inventory.8 (headers)
//!     orders.inventory.8 (headers) ─eventsource_shard─> orders.inventory.0 … orders.inventory.7
//! orders.dead (direct) ─orders.inventory─> orders.inventory.dead
//! ```
//!
//! The exchange for the group's current number of queues is bound to the fanout exchange. Without that, a group of one
//! queue would have to be unbound from each number that it may have had.

use std::sync::Arc;

use futures_util::future::try_join_all;
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind, Queue};

use super::RabbitMqOptions;
use super::link::Link;
use crate::bus::BusError;
use crate::bus::message::Message;

/// The longest name that the protocol allows, in bytes, and what is left of it without our suffixes.
const LONGEST_NAME: usize = 255;
const LONGEST_SUFFIX: usize = ".65535".len();
/// Ends the name of the exchange that takes what has no slot.
const REST: &str = ".rest";

/// The number of slots into which publishers hash streams; a group's queues share the slots.
pub(super) const SLOTS: u16 = 64;
/// The header with the slot, by a name that nobody else uses. The exchange would ignore one that begins with `x-`.
pub(super) const SLOT: &str = "eventsource_shard";

/// The argument of a queue that limits how often a message is delivered.
const DELIVERY_LIMIT: &str = "x-delivery-limit";

#[derive(Clone, Debug)]
pub(super) struct Topology {
    pub(super) exchange: String,
    queues: u16,
    delivery_limit: u32,
}

/// Stands for what a foreign message does not say.
const UNKNOWN: &str = "unknown";

/// `{aggregate type}.{event type}`; never an id.
pub(super) fn routing_key(message: &Message) -> String {
    let aggregate = message.stream().map_or(UNKNOWN, |stream| stream.aggregate_type());
    format!("{aggregate}.{}", message.event_type().unwrap_or(UNKNOWN))
}

/// The slot of a stream.
pub(super) fn slot(message: &Message) -> String {
    (message.order_key() % u64::from(SLOTS)).to_string()
}

impl Topology {
    pub(super) fn new(options: &RabbitMqOptions) -> Self {
        Self { exchange: options.exchange.clone(), queues: options.queues, delivery_limit: options.delivery_limit }
    }

    /// Refuses names that the protocol cannot hold, of the exchange, or of it and a group, and a group whose exchange
    /// would be another group's: the broker would bind the queues of both to it.
    pub(super) fn check(&self, group: &str) -> Result<(), BusError> {
        let (name, most) = (self.group(group), LONGEST_NAME - LONGEST_SUFFIX);
        let told = if name.len() > most {
            let bytes = name.len();
            format!("`{name}` has {bytes} bytes, of {most} at most; shorten the exchange's or the group's name")
        } else if let Some(other) = group.strip_suffix(REST).filter(|_| self.queues > 1) {
            format!("`{name}` is an exchange of the group `{other}`, which would get messages twice; rename the group")
        } else {
            return Ok(());
        };
        Err(BusError::Configuration(told.into()))
    }

    /// Where dead letters are published; here the routing key is the group's name.
    pub(super) fn dead_exchange(&self) -> String {
        format!("{}.dead", self.exchange)
    }

    /// The name of a group on the broker.
    pub(super) fn group(&self, group: &str) -> String {
        format!("{}.{group}", self.exchange)
    }

    pub(super) fn dead_queue(&self, group: &str) -> String {
        format!("{}.dead", self.group(group))
    }

    /// The exchange that divides a group's streams among that many queues.
    fn divider(&self, group: &str, queues: u16) -> String {
        format!("{}.{queues}", self.group(group))
    }

    pub(super) fn queues(&self, group: &str) -> Vec<String> {
        let group = self.group(group);
        if self.queues == 1 { vec![group] } else { (0..self.queues).map(|queue| format!("{group}.{queue}")).collect() }
    }

    pub(super) async fn declare_exchange(&self, channel: &Channel) -> lapin::Result<()> {
        declare_exchange(channel, &self.exchange, ExchangeKind::Topic, FieldTable::default()).await?;
        self.declare_dead_exchange(channel).await
    }

    async fn declare_dead_exchange(&self, channel: &Channel) -> lapin::Result<()> {
        declare_exchange(channel, &self.dead_exchange(), ExchangeKind::Direct, FieldTable::default()).await
    }

    /// Declares all that a group needs; what exists already is not changed. What it had with another number of queues
    /// is unbound, after the new bindings: in between a message may come twice, but none is without a queue. If there
    /// is nothing to unbind, the broker counts that as done.
    pub(super) async fn declare_group(&self, link: &Arc<Link>, channel: &Channel, group: &str) -> lapin::Result<()> {
        self.declare_exchange(channel).await?;
        self.declare_dead_letters(link, group).await?;
        for queue in self.queues(group) {
            declare_queue(channel, &queue, self.arguments(group)).await?;
        }
        if self.queues == 1 { self.bind_one(channel, group).await } else { self.bind_slots(channel, group).await }
    }

    /// Declares what holds a group's dead letters. A queue that was declared without a delivery limit stays as it is,
    /// since that cannot be changed. The broker closes the channel over which it says so.
    pub(super) async fn declare_dead_letters(&self, link: &Arc<Link>, group: &str) -> lapin::Result<()> {
        let (queue, exchange, key) = (self.dead_queue(group), self.dead_exchange(), self.group(group));
        let mut channel = link.another_channel().await?;
        self.declare_dead_exchange(&channel).await?;
        match declare_queue(&channel, &queue, keeping()).await {
            Err(error) if code(&error) == Some(DECLARED_OTHERWISE) => {
                channel = link.another_channel().await?;
                declare_queue(&channel, &queue, quorum()).await?;
            }
            declared => declared?,
        }
        bind_queue(&channel, (&queue, &exchange, &key), FieldTable::default()).await
    }

    async fn bind_one(&self, channel: &Channel, group: &str) -> lapin::Result<()> {
        let name = self.group(group);
        bind_queue(channel, (&name, &self.exchange, "#"), FieldTable::default()).await?;
        unbind_exchange(channel, (&name, &self.exchange, "#")).await
    }

    /// A headers exchange between the topic exchange and the queues. Messages without a slot, published by others, go
    /// to the first queue.
    async fn bind_slots(&self, channel: &Channel, group: &str) -> lapin::Result<()> {
        let (name, queues) = (self.group(group), self.queues(group));
        let divider = self.divider(group, self.queues);
        let rest = format!("{name}{REST}");
        declare_exchange(channel, &rest, ExchangeKind::Fanout, FieldTable::default()).await?;
        bind_queue(channel, (&queues[0], &rest, ""), FieldTable::default()).await?;
        let mut alternate = FieldTable::default();
        alternate.insert("alternate-exchange".into(), text(&rest));
        declare_exchange(channel, &divider, ExchangeKind::Headers, alternate).await?;
        // All at once: one after the other they would take as many round trips.
        let bind = |slot: u16| {
            let mut arguments = FieldTable::default();
            arguments.insert("x-match".into(), text("all"));
            arguments.insert(SLOT.into(), text(&slot.to_string()));
            let queue = &queues[usize::from(slot) % queues.len()];
            bind_queue(channel, (queue, &divider, ""), arguments)
        };
        try_join_all((0..SLOTS).map(bind)).await?;
        // Last: otherwise messages that come before a slot has a queue would be in another one than the rest of their
        // stream.
        declare_exchange(channel, &name, ExchangeKind::Fanout, FieldTable::default()).await?;
        bind_exchange(channel, (&divider, &name, "")).await?;
        for others in (2..=SLOTS).filter(|others| *others != self.queues) {
            unbind_exchange(channel, (&self.divider(group, others), &name, "")).await?;
        }
        bind_exchange(channel, (&name, &self.exchange, "#")).await?;
        let (queue, exchange) = (name.as_str().into(), self.exchange.as_str().into());
        channel.queue_unbind(queue, exchange, "#".into(), FieldTable::default()).await
    }

    fn arguments(&self, group: &str) -> FieldTable {
        let mut arguments = quorum();
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        arguments.insert(DELIVERY_LIMIT.into(), AMQPValue::LongLongInt(i64::from(self.delivery_limit)));
        arguments.insert("x-dead-letter-exchange".into(), text(&self.dead_exchange()));
        arguments.insert("x-dead-letter-routing-key".into(), text(&self.group(group)));
        // Together they ensure that a dead letter is in its queue before it leaves this one.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A queue that survives the loss of a broker.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// A queue that drops nothing, however often it is delivered without an acknowledgement: without a limit of its own
/// `RabbitMQ` 4 gives it one of 20. No limit would be -1 there, and 0 for `RabbitMQ` 3; the client does not tell which
/// it is.
fn keeping() -> FieldTable {
    let mut arguments = quorum();
    arguments.insert(DELIVERY_LIMIT.into(), AMQPValue::LongLongInt(i64::from(u32::MAX)));
    arguments
}

const DECLARED_OTHERWISE: &str = "PRECONDITION_FAILED";
/// There is no such exchange or queue.
pub(super) const MISSING: &str = "NOT_FOUND";

/// The code with which the broker closed a channel, of those that say something of an exchange or a queue.
pub(super) fn code(error: &lapin::Error) -> Option<&'static str> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    match error.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Some(DECLARED_OTHERWISE),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Some("ACCESS_REFUSED"),
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Some(MISSING),
        _ => None,
    }
}

/// Why a broker refuses what is declared, if time alone does not mend that.
pub(super) fn refusal(error: &lapin::Error) -> Option<&'static str> {
    code(error).filter(|code| *code != MISSING)
}

/// What the broker knows of an existing queue.
pub(super) async fn look(channel: &Channel, queue: &str) -> lapin::Result<Queue> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await
}

/// Whether there is such an exchange; asking for one that is missing closes the channel.
pub(super) async fn has_exchange(channel: &Channel, exchange: &str) -> lapin::Result<bool> {
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    match channel.exchange_declare(exchange.into(), ExchangeKind::Topic, passive, FieldTable::default()).await {
        Err(error) if is_missing(&error) => Ok(false),
        found => found.map(|()| true),
    }
}

/// Whether there is no such exchange or queue.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    code(error) == Some(MISSING)
}

async fn declare_exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.into(), kind, options, arguments).await
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await.map(|_| ())
}

async fn bind_queue(
    channel: &Channel,
    (queue, exchange, key): (&str, &str, &str),
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments).await
}

async fn bind_exchange(channel: &Channel, (to, from, key): (&str, &str, &str)) -> lapin::Result<()> {
    let options = ExchangeBindOptions::default();
    channel.exchange_bind(to.into(), from.into(), key.into(), options, FieldTable::default()).await
}

async fn unbind_exchange(channel: &Channel, (to, from, key): (&str, &str, &str)) -> lapin::Result<()> {
    // There may be many. They are done before anything that follows on the channel.
    let options = ExchangeUnbindOptions { nowait: true };
    channel.exchange_unbind(to.into(), from.into(), key.into(), options, FieldTable::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StreamId;

    /// With another slot a stream would be in two queues while publishers of two releases are there.
    #[test]
    fn a_stream_has_the_same_slot_for_ever() {
        let id = "0193f2a4-7c3e-7d1a-9b2c-0123456789ab";
        let of = |id: &str| slot(&Message::new(StreamId::new("Order", id), "OrderPlaced", "{}"));
        // FNV-1a by another program.
        assert_eq!(["1", "42", id].map(of), ["13", "52", "59"]);
    }

    /// Both groups had one exchange, and the other one got each message twice.
    #[test]
    fn a_group_whose_name_is_that_of_anothers_exchange_is_refused() {
        let of_one_queue = Topology::new(&RabbitMqOptions::new("orders").queues(1));
        of_one_queue.check("inventory.rest").unwrap();
        let topology = Topology::new(&RabbitMqOptions::new("orders").queues(2));
        topology.check("inventory").unwrap();
        topology.check("the rest").unwrap();
        let refused = topology.check("inventory.rest").unwrap_err().to_string();
        assert!(refused.contains("`orders.inventory.rest` is an exchange of the group `inventory`"), "{refused}");
    }
}
