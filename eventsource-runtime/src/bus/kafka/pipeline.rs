//! One producer of the client library: a sequence of messages that is cut at the first failure.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use tokio::time::{Instant, sleep, timeout_at};

use super::KafkaOptions;
use super::apart::Apart;
use super::context::{Context, State};
use crate::bus::Place;
use crate::bus::message::Message;
use crate::store::StreamId;
use crate::sync::RwLock;

/// How soon to check again whether the client's own queue has room.
const FULL: Duration = Duration::from_millis(5);
/// The maximum length of messages that go out together, if they may be as long: the client's default.
const BATCH: u32 = 1_000_000;
/// As many headers as an event has.
const HEADERS: usize = 12;

pub(super) struct Pipeline {
    client: Apart<FutureProducer<Context>>,
    state: Arc<State>,
    /// Whether it takes no more messages.
    is_cut: RwLock<bool>,
}

/// Where messages go, how long they may be, and until when they are retried.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) topic: &'a str,
    pub(super) largest: usize,
    pub(super) until: Instant,
}

/// Why a message is not published, or not known to be.
pub(super) enum Fault {
    /// The pipeline was cut before; another one may take the message.
    Cut,
    /// The deadline has passed.
    Late,
    /// The message is too large, with so many bytes. Nothing was sent.
    TooLarge(usize),
    /// The brokers refused it, or another one of its batch.
    Refused(KafkaError),
}

/// How the producers of a bus are set up.
pub(super) fn config(mut config: ClientConfig, options: &KafkaOptions) -> ClientConfig {
    config.set("enable.idempotence", "true");
    config.set("acks", "all");
    // No later message may overtake one that the brokers refuse for good: the client stops.
    config.set("enable.gapless.guarantee", "true");
    // Nor one that is late: the publisher has the timeout, and cuts the pipeline.
    config.set("message.timeout.ms", "0");
    // The partition that a producer on the JVM would choose.
    config.set("partitioner", "murmur2_random");
    // By its other name it would be a second setting, and which of them counts would be a matter of luck.
    if ["linger.ms", "queue.buffering.max.ms"].iter().all(|name| config.get(name).is_none()) {
        config.set("linger.ms", "1");
    }
    // Brokers hold a whole batch against the longest message of the topic.
    if config.get("batch.size").is_none() {
        config.set("batch.size", options.largest.clamp(1, BATCH).to_string());
    }
    config
}

impl Pipeline {
    pub(super) fn new(config: &ClientConfig, state: &Arc<State>) -> KafkaResult<Self> {
        let client = config.create_with_context(Context { state: Arc::clone(state), share: None })?;
        Ok(Self { client: Apart::new(client), state: Arc::clone(state), is_cut: RwLock::default() })
    }

    /// Hands a message to the client, which publishes messages in the order in which it gets them.
    pub(super) async fn send(&self, to: Target<'_>, message: &Message) -> Result<DeliveryFuture, Fault> {
        match self.hand_over(to, message)? {
            Some(confirmation) => Ok(confirmation),
            // Boxed, so that the futures of the other publications are small.
            None => Box::pin(self.send_later(to, message)).await,
        }
    }

    async fn send_later(&self, to: Target<'_>, message: &Message) -> Result<DeliveryFuture, Fault> {
        while Instant::now() < to.until {
            sleep(FULL).await;
            if let Some(confirmation) = self.hand_over(to, message)? {
                return Ok(confirmation);
            }
        }
        Err(Fault::Late)
    }

    /// `None` while the client has no room.
    fn hand_over(&self, to: Target<'_>, message: &Message) -> Result<Option<DeliveryFuture>, Fault> {
        let mut headers = Some(OwnedHeaders::new_with_capacity(HEADERS));
        let mut size = message.payload().len() + message.stream().map_or(0, |stream| stream.as_str().len());
        message.write_headers(&mut |name, value| {
            size += name.len() + value.len();
            headers = headers.take().map(|headers| headers.insert(Header { key: name, value: Some(value) }));
        });
        if size > to.largest {
            return Err(Fault::TooLarge(size));
        }
        let mut record = FutureRecord::<str, [u8]>::to(to.topic).payload(message.payload());
        record.headers = headers;
        record.key = message.stream().map(StreamId::as_str);
        let is_cut = self.is_cut.read();
        if *is_cut {
            return Err(Fault::Cut);
        }
        // Under the lock, so that nothing is taken after what was cut off.
        match self.client.send_result(record) {
            Ok(confirmation) => Ok(Some(confirmation)),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Ok(None),
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => Err(Fault::TooLarge(size)),
                _ => Err(fault(error)),
            },
        }
    }

    /// Publishes one message.
    pub(super) async fn publish(&self, to: Target<'_>, message: &Message) -> Result<Place, Fault> {
        let confirmation = self.send(to, message).await?;
        self.confirmed(confirmation, to.until).await
    }

    /// Waits for the brokers' confirmation.
    pub(super) async fn confirmed(&self, confirmation: DeliveryFuture, until: Instant) -> Result<Place, Fault> {
        match timeout_at(until, confirmation).await {
            Ok(Ok(Ok(delivered))) => {
                self.state.answered();
                Ok(Place { partition: delivered.partition, offset: delivered.offset })
            }
            Ok(Ok(Err((error, _)))) => Err(fault(error)),
            Ok(Err(_)) => Err(Fault::Cut),
            Err(_) => Err(Fault::Late),
        }
    }

    /// Takes no more, and drops what is not confirmed: whoever waits for that is told at once, and may hand it to
    /// another pipeline. Some of it may have reached the brokers.
    pub(super) fn cut(&self) {
        let mut is_cut = self.is_cut.write();
        if !std::mem::replace(&mut *is_cut, true) {
            self.client.purge(PurgeConfig::default().queue().inflight().non_blocking());
            drop(is_cut);
            self.state.cut();
        }
    }

    /// What made the client give up for good, other than a refused message.
    pub(super) fn broken(&self) -> Option<KafkaError> {
        let (code, _) = self.client.client().fatal_error()?;
        (code != RDKafkaErrorCode::GaplessGuarantee).then_some(KafkaError::MessageProduction(code))
    }
}

fn fault(error: KafkaError) -> Fault {
    use RDKafkaErrorCode as Code;
    let is_cut = match error.rdkafka_error_code() {
        Some(Code::PurgeQueue | Code::PurgeInflight | Code::Fatal | Code::GaplessGuarantee) => true,
        // The brokers no longer know the producer, or know another sequence of it: a new one begins with a new
        // sequence.
        code => {
            matches!(code, Some(Code::OutOfOrderSequenceNumber | Code::InvalidProducerEpoch | Code::UnknownProducerId))
        }
    };
    if is_cut { Fault::Cut } else { Fault::Refused(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &KafkaOptions) -> ClientConfig {
        config(options.client("localhost:9092").unwrap(), options)
    }

    /// By the client's defaults a retry may come twice, or overtake what failed, and what is late is dropped.
    #[test]
    fn nothing_comes_twice_nor_out_of_order_and_all_replicas_have_it() {
        let config = of(&KafkaOptions::new("orders"));
        let set = ["enable.idempotence", "enable.gapless.guarantee", "acks", "message.timeout.ms"];
        assert_eq!(set.map(|name| config.get(name)), [Some("true"), Some("true"), Some("all"), Some("0")]);
    }

    /// Brokers refused the messages that the client had put together, and none of them was at fault.
    #[test]
    fn messages_go_out_together_up_to_the_length_of_the_longest() {
        for (largest, together) in [(0, "1"), (100_000, "100000"), (5_000_000, "1000000")] {
            let options = KafkaOptions::new("orders").max_message_bytes(largest);
            assert_eq!(of(&options).get("batch.size"), Some(together));
            assert_eq!(of(&options.set("batch.size", "2000")).get("batch.size"), Some("2000"));
        }
    }

    #[test]
    fn another_linger_counts_by_each_of_its_names() {
        let names = ["linger.ms", "queue.buffering.max.ms"];
        let given = |options: &KafkaOptions| names.map(|name| of(options).get(name).map(str::to_owned));
        let plain = KafkaOptions::new("orders");
        assert_eq!(given(&plain), [Some("1".to_owned()), None]);
        for name in names {
            let given = given(&plain.clone().set(name, "50"));
            assert_eq!(given.into_iter().flatten().collect::<Vec<_>>(), ["50"], "{name}");
        }
    }
}
