//! Kafka: a topic whose partitions keep the order of a stream, and a topic of dead letters for each group.

mod addresses;
mod apart;
mod assignment;
mod client;
mod consume;
mod context;
mod naming;
mod options;
mod partitions;
mod payloads;
mod pipeline;
mod publish;
mod queries;
mod refusal;
mod replay;
mod retention;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::OnceCell;

use self::apart::Apart;
use self::consume::Member;
use self::context::{Context, State};
pub use self::options::KafkaOptions;
use self::publish::Publisher;
use super::error::{BusError, PublishError};
use super::message::Message;
use super::traced::Traced;
use super::{BusInfo, Destination, EventBus, Health, Intake, Lag, Published};
use crate::telemetry::names;

/// How long a broker may take to create a topic.
const CREATING: Duration = Duration::from_secs(20);
/// The port if an address names none.
const PORT: u16 = 9092;

/// The bus on Kafka, with the spans and metrics of all buses.
///
/// Messages go to one topic, with the stream as the key, so that the messages of a stream share a partition. A
/// publication is complete when all in-sync replicas have it. The producer is idempotent, never passes over a message
/// of a stream, and waits while brokers are away. A group is the consumer group `{topic}.{group}`, which begins with
/// the first message of the topic: its members share the partitions and pass them on cooperatively. Its own name
/// contains no dot, since it could then collide with a group of another topic. A partition goes to another member when
/// its in-flight messages are done, for which the group waits at most 10 seconds. An offset is committed when its
/// message and all before it are done, so that a process that dies loses none. What the topic's retention deletes before
/// a group has handled it is lost to that group, which goes on with what is left: an error is logged.
///
/// A message that fails goes to the topic `{topic}.{group}.dead`, with its headers and its stream as the key: the key
/// of a message that names no stream is lost. Its stream goes on without it: a letter that is retried comes after what
/// followed it. Without [`KafkaOptions::create`] that topic must exist, which is checked when a group subscribes. As
/// letters have more headers, it must take messages longer than the longest: with a `max.message.bytes` that is 65,536
/// above [`KafkaOptions::max_message_bytes`]. It must also keep them: with `retention.ms=-1`, `retention.bytes=-1` and
/// `cleanup.policy=delete`, or brokers delete letters that nobody has dealt with, by default after seven days. They
/// also forget the place of a group without a member for `offsets.retention.minutes`: then it begins with the first
/// message, and all its letters are retried. A letter that the topic can never take, such as that of a foreign message
/// longer than ours may be, is logged and counted ([`Tally::unkeepable`](super::Tally::unkeepable)), and stays in the
/// topic that it came from. One that cannot be stored now is retried without end, which is logged, and holds up its
/// lane. So does a handler that never returns. Once all that the subscription has in flight waits behind it, up to its
/// prefetch, all lanes stand still.
///
/// There is nothing to close: the connections end when the bus, its clones and its subscriptions have been dropped, in
/// the background and without blocking. Shut the subscriptions down first. What was confirmed is with the brokers by
/// then. A publication whose future is dropped may still be made.
///
/// Nothing protects from a message whose handler kills the process: it is redelivered until somebody fixes the handler.
/// The broker does not report that either: [`Received::is_redelivered`](super::Received::is_redelivered) knows of
/// attempts in this process, and of messages that were put back from the dead letters. Exactly-once reads
/// (`read_committed`) are not guaranteed: store the ids of handled messages instead.
///
/// ```no_run
/// use eventsource_runtime::bus::{KafkaBus, KafkaOptions};
///
/// # async fn open() -> Result<(), eventsource_runtime::bus::BusError> {
/// let bus = KafkaBus::connect("localhost:9092", KafkaOptions::new("orders").create(12, 1)).await?;
/// # Ok(()) }
/// ```
pub type KafkaBus = Traced<Kafka>;

impl KafkaBus {
    /// Opens a bus on brokers, a comma-separated list of `host:port`. Its clients connect and reconnect by themselves.
    ///
    /// # Errors
    /// The options are refused, they ask for TLS without the feature, there is no address, one names another protocol
    /// than they do, a certificate is not trusted, or the topic cannot be created. Without [`KafkaOptions::create`],
    /// unreachable brokers are not an error yet.
    pub async fn connect(brokers: &str, options: KafkaOptions) -> Result<Self, BusError> {
        let client = options.client(brokers)?;
        let state = Arc::new(State::default());
        let publisher = publisher(client.clone(), options.clone(), Arc::clone(&state)).await?;
        let info = info(brokers, &options.topic);
        let shared = Arc::new(Shared { info, client, options, publisher, letters: OnceCell::new(), state });
        let partitions = shared.options.create.map_or(1, |create| create.partitions);
        shared.create(&shared.options.topic, partitions, &shared.options.of_messages()).await?;
        Ok(Self::over(Kafka { shared }))
    }
}

/// Runs what must block no task: creating a client starts threads, reads certificates and asks brokers.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| BusError::backend(what, error))?
}

async fn publisher(client: ClientConfig, options: KafkaOptions, state: Arc<State>) -> Result<Publisher, BusError> {
    blocking("make a Kafka producer", move || Publisher::new(client, &options, state)).await
}

/// What telemetry reports: the first of the brokers stands for all.
fn info(brokers: &str, topic: &str) -> BusInfo {
    let info = BusInfo { target: names::LOG_KAFKA, ..BusInfo::broker("kafka", topic) };
    // An address may begin with a protocol.
    let first = brokers.split(',').next().unwrap_or_default().trim();
    let first = first.rsplit_once("://").map_or(first, |(_, address)| address);
    match first.rsplit_once(':') {
        Some((host, port)) => info.at(host, port.parse().unwrap_or(PORT)),
        None => info.at(first, PORT),
    }
}

/// The adapter behind [`KafkaBus`].
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

struct Shared {
    info: BusInfo,
    client: ClientConfig,
    options: KafkaOptions,
    publisher: Publisher,
    /// For dead letters, from the first one on: a topic that refuses them holds up only other letters.
    letters: OnceCell<Publisher>,
    state: Arc<State>,
}

impl Shared {
    async fn letters(&self) -> Result<&Publisher, BusError> {
        let make = || publisher(self.client.clone(), self.options.clone(), Arc::clone(&self.state));
        self.letters.get_or_try_init(make).await
    }

    fn dead_topic(&self, group: &str) -> Result<String, BusError> {
        naming::check_group(group)?;
        let topic = format!("{}.{group}.dead", self.options.topic);
        naming::check_name(&topic)?;
        Ok(topic)
    }

    /// Creates a topic if it is missing and that was asked for.
    async fn create(&self, topic: &str, partitions: u16, settings: &[(&str, String)]) -> Result<(), BusError> {
        let Some(create) = self.options.create else { return Ok(()) };
        let failed = |error| self.state.refused("make a topic", error);
        let context = Context { state: Arc::clone(&self.state), share: None };
        let client = self.client.clone();
        let admin = blocking("make a topic", move || Ok(client.create_with_context(context))).await?;
        let admin: Apart<AdminClient<_>> = Apart::new(admin.map_err(failed)?);
        let new = NewTopic::new(topic, i32::from(partitions), TopicReplication::Fixed(i32::from(create.replicas)));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let options = AdminOptions::new().request_timeout(Some(CREATING)).operation_timeout(Some(CREATING));
        for result in admin.create_topics([&new], &options).await.map_err(failed)? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(BusError::backend("make a topic", code)),
            }
        }
        Ok(())
    }
}

impl Health for Shared {
    fn is_connected(&self) -> bool {
        self.state.is_connected()
    }

    fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
        for share in self.state.members.living() {
            for (partition, messages) in share.lags() {
                tell(Lag { group: &share.group, destination: &share.topic, partition, messages });
            }
        }
    }
}

impl EventBus for Kafka {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        self.shared.info.clone()
    }

    fn health(&self) -> Option<Arc<dyn Health>> {
        Some(Arc::clone(&self.shared) as Arc<dyn Health>)
    }

    fn destination(&self, _: &Message) -> Destination {
        Destination::new(Arc::clone(&self.shared.info.destination))
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        self.shared.publisher.publish_all(&self.shared.options.topic, &messages).await
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        Member::join(Arc::clone(&self.shared), intake).await
    }
}

/// Omits the settings, which may hold a password.
impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("info", &self.shared.info).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_broker_stands_for_all() {
        for (brokers, host, port) in
            [("one:9093,two:9094", "one", 9093), ("one", "one", 9092), (" SASL_SSL://one:1 , two:2", "one", 1)]
        {
            assert_eq!(info(brokers, "orders").server, Some((host.into(), port)), "{brokers}");
        }
    }
}
