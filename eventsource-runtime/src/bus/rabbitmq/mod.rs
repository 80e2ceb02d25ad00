//! `RabbitMQ`: a topic exchange, and for each group durable queues that keep the order of a stream.

mod backlog;
mod confirms;
mod consume;
mod exchange;
mod fate;
mod link;
mod options;
mod properties;
mod publish;
mod topology;

use std::fmt;
use std::sync::Arc;

use self::backlog::Backlog;
use self::consume::Member;
pub use options::RabbitMqOptions;

use self::link::Link;
use self::publish::Publisher;
use self::topology::Topology;
use super::brokers::Members;
use super::error::{BusError, PublishError};
use super::message::Message;
use super::traced::Traced;
use super::{BusInfo, Destination, EventBus, Health, Intake, Lag, Published};
use crate::telemetry::names;

/// The bus on RabbitMQ, with the spans and metrics of all buses.
///
/// Messages go to one durable topic exchange with the routing key `{aggregate type}.{event type}`. A publication is
/// complete when a broker has confirmed it; while the connection is lost it is retried. Each group has durable quorum
/// queues, in which a stream stays in one queue and each queue has a single active consumer, so that the order of a
/// stream survives failures and several members. Plain competing consumers would not guarantee that.
///
/// A message that no queue takes is an error: [`PublishError::Unroutable`]. The client library also logs it at the
/// level `WARN`, under the target `lapin::returned_messages` and from a thread of its own, with its headers and its
/// payload. If nobody may read those, filter it out in your subscriber: `lapin::returned_messages=off`. A message with
/// a header `CC` or `BCC`, by which the broker would send it elsewhere too, is [`PublishError::Invalid`].
///
/// There is nothing to close: the connections end when the bus, its clones and its subscriptions have been dropped, in
/// the background and without blocking. Shut the subscriptions down first. What was confirmed is with the broker by
/// then. A publication whose future is dropped may still be made.
///
/// The connections are driven by the Tokio runtime in which the bus was opened, whoever publishes or subscribes: the bus
/// needs it to run.
///
/// A message that fails goes to the group's dead-letter queue, which also gets, at least once, what the broker itself
/// gives up on: a message that was delivered too often without an acknowledgement, by a handler that kills the process.
/// Its stream goes on without it: a letter that is retried comes after what followed it. It stays there however often
/// it is delivered. An existing dead-letter queue without an `x-delivery-limit` is used as it is, since that cannot be
/// changed: from RabbitMQ 4 on it drops what was delivered twenty times without an acknowledgement. Delete it when it
/// is empty; the next member creates it anew.
///
/// A subscription whose queues are gone declares them again. The exchange is declared again when somebody deletes it:
/// for fifteen seconds nothing is published, in which the members of all groups bind their queues to it again. A group
/// that has no member then is not bound until one joins, and misses what other groups get. A subscription of which the broker forgets that it consumes a queue,
/// without telling it, as may happen when somebody deletes a queue and declares it anew, notices that within a minute,
/// unless messages of the queue are in flight, and consumes anew. One whose declarations the broker refuses for five
/// minutes, since a queue was declared otherwise meanwhile or the account may not, ends with that error.
///
/// A dead letter has all that its message came with, including what other producers write and no [`Message`] has: any
/// of the protocol's properties, and tables, lists and times among the headers. Omitted is what the broker would act on
/// once more: `expiration`, `user_id`, `CC` and `BCC`.
///
/// ```no_run
/// use eventsource_runtime::bus::{RabbitMqBus, RabbitMqOptions};
///
/// # async fn open() -> Result<(), eventsource_runtime::bus::BusError> {
/// let bus = RabbitMqBus::connect("amqp://user:password@localhost:5672", RabbitMqOptions::new("orders")).await?;
/// # Ok(()) }
/// ```
pub type RabbitMqBus = Traced<RabbitMq>;

impl RabbitMqBus {
    /// Connects to a broker and declares the exchange. The URL is `amqp://user:password@host:port/vhost`, or `amqps://`
    /// with the feature `rabbitmq-tls`.
    ///
    /// # Errors
    /// The URL cannot be parsed, it asks for TLS without the feature, the exchange's name is too long, an authority is
    /// not a certificate or is given for a URL without TLS, the broker's certificate is not trusted, or the broker
    /// cannot be reached or refuses.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn connect(url: &str, options: RabbitMqOptions) -> Result<Self, BusError> {
        let uri = options::uri(url)?;
        let (host, port) = (uri.authority.host.clone(), uri.authority.port);
        let info = BusInfo::broker("rabbitmq", options.exchange.as_str()).at(host, port);
        let info = BusInfo { target: names::LOG_RABBITMQ, ..info };
        let topology = Topology::new(&options);
        topology.check("")?;
        let authority: Option<Arc<str>> = options.authorities(&uri)?.map(Arc::from);
        let links = Link::new(uri.clone(), authority.clone());
        let publisher = Publisher::new(Link::new(uri, authority), topology.clone(), options.publish_timeout);
        let away = |error| connecting(error, info.server.as_ref());
        topology.declare_exchange(&publisher.channel().await.map_err(away)?).await.map_err(declaring)?;
        let shared = Shared { info, topology, publisher, links, members: Members::default() };
        Ok(Self::over(RabbitMq { shared: Arc::new(shared) }))
    }
}

fn connecting(error: lapin::Error, server: Option<&(Arc<str>, u16)>) -> BusError {
    // As rustls says it, in whatever that is wrapped.
    let (attempt, advice) = if error.to_string().contains("invalid peer certificate") {
        let advice =
            "give its authority to `RabbitMqOptions::add_root_certificates`, and write the host that it is for";
        ("trust the certificate of RabbitMQ", advice)
    } else {
        ("connect to RabbitMQ", "see that it runs, and that address and account are right")
    };
    let at = server.map(|(host, port)| format!("at {host}:{port}; ")).unwrap_or_default();
    BusError::backend(attempt, error).about(|| format!("{at}{advice}"))
}

fn declaring(error: lapin::Error) -> BusError {
    BusError::backend("declare what RabbitMQ needs; other options may have been used for it before", error)
}

/// The adapter behind [`RabbitMqBus`].
#[derive(Clone)]
pub struct RabbitMq {
    shared: Arc<Shared>,
}

struct Shared {
    info: BusInfo,
    topology: Topology,
    publisher: Publisher,
    /// For consumers: a broker that blocks publishers for want of memory does not block those.
    links: Arc<Link>,
    members: Members<Backlog>,
}

impl Health for Shared {
    fn is_connected(&self) -> bool {
        self.publisher.is_connected() && self.links.now().is_connected()
    }

    fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
        for backlog in self.members.living() {
            backlog.lags(&self.info.destination, tell);
        }
    }
}

impl EventBus for RabbitMq {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        self.shared.info.clone()
    }

    fn health(&self) -> Option<Arc<dyn Health>> {
        Some(Arc::clone(&self.shared) as Arc<dyn Health>)
    }

    fn destination(&self, message: &Message) -> Destination {
        let key = topology::routing_key(message);
        let mut destination = Destination::new(format!("{}:{key}", self.shared.topology.exchange));
        destination.routing_key = Some(key.into());
        destination
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        self.shared.publisher.publish_all(&messages).await
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        Member::join(Arc::clone(&self.shared), intake).await
    }
}

/// Omits the URL, which holds a password.
impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq").field("info", &self.shared.info).finish_non_exhaustive()
    }
}
