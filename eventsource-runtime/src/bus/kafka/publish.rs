//! Publishing with confirmations of all replicas, and without a gap in any stream.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Instant, timeout_at};

use super::KafkaOptions;
use super::context::State;
use super::options::refused;
use super::pipeline::{self, Fault, Pipeline, Target};
use crate::bus::Published;
use crate::bus::behind::Behind;
use crate::bus::error::{BusError, PublishError};
use crate::bus::message::Message;
use crate::bus::pauses::Pauses;
use crate::sync::Mutex;
use crate::timer::until;

pub(super) struct Publisher {
    config: ClientConfig,
    state: Arc<State>,
    current: Mutex<Arc<Pipeline>>,
    /// Held while making another pipeline, so that all who lost the same one share the next.
    making: tokio::sync::Mutex<()>,
    timeout: Duration,
    largest: usize,
}

type Outcome = Option<Result<Published, PublishError>>;

/// The messages of one call, and their outcomes.
struct Batch<'m> {
    to: Target<'m>,
    messages: &'m [Message],
    outcomes: Vec<Outcome>,
    behind: Behind,
}

/// How a round of publishing ended.
enum Round {
    Done,
    Cut,
    Late,
    Refused(KafkaError),
}

impl Publisher {
    pub(super) fn new(client: ClientConfig, options: &KafkaOptions, state: Arc<State>) -> Result<Self, BusError> {
        let config = pipeline::config(client, options);
        let current = Pipeline::new(&config, &state).map_err(|error| refused("make a Kafka producer", error))?;
        let timeout = options.publish_timeout;
        let largest = usize::try_from(options.largest).unwrap_or(usize::MAX);
        Ok(Self {
            config,
            state,
            current: Mutex::new(Arc::new(current)),
            making: tokio::sync::Mutex::default(),
            timeout,
            largest,
        })
    }

    /// A pipeline to replace a spent one.
    async fn instead_of(&self, spent: &Arc<Pipeline>) -> Result<Arc<Pipeline>, PublishError> {
        spent.cut();
        let _making = self.making.lock().await;
        let current = Arc::clone(&self.current.lock());
        if !Arc::ptr_eq(&current, spent) {
            return Ok(current);
        }
        let fresh = Arc::new(self.pipeline(&self.config).await?);
        *self.current.lock() = Arc::clone(&fresh);
        Ok(fresh)
    }

    /// Creating a client starts threads and reads certificates, which must block no task.
    async fn pipeline(&self, config: &ClientConfig) -> Result<Pipeline, PublishError> {
        let (config, state) = (config.clone(), Arc::clone(&self.state));
        let made = tokio::task::spawn_blocking(move || Pipeline::new(&config, &state)).await;
        let failed = |error| PublishError::backend("make a Kafka producer", error);
        made.map_err(|error| PublishError::backend("make a Kafka producer", error))?.map_err(failed)
    }

    /// Stores a dead letter, which has headers that its message did not have.
    pub(super) async fn park(&self, topic: &str, letter: &Message) -> Result<(), PublishError> {
        let to = Target { topic, largest: usize::MAX, until: until(self.timeout) };
        let parked = self.publish_to(to, std::slice::from_ref(letter)).await;
        parked.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Publishes messages concurrently, in their order.
    pub(super) fn publish_all(
        &self,
        topic: &str,
        messages: &[Message],
    ) -> impl Future<Output = Vec<Result<Published, PublishError>>> {
        self.publish_to(Target { topic, largest: self.largest, until: until(self.timeout) }, messages)
    }

    async fn publish_to(&self, to: Target<'_>, messages: &[Message]) -> Vec<Result<Published, PublishError>> {
        let pipeline = Arc::clone(&self.current.lock());
        let mut first = None;
        if let [message] = messages {
            match pipeline.publish(to, message).await {
                Ok(place) => return vec![Ok(Published::at(place))],
                Err(fault) => first = Some(fault),
            }
        }
        // Boxed, so that the futures of single publications are small.
        Box::pin(self.publish_in_rounds(to, messages, pipeline, first)).await
    }

    /// What was cut off by the failure of others is published again, possibly twice: the confirmations are lost with
    /// the pipeline. A single message has failed before.
    async fn publish_in_rounds(
        &self,
        to: Target<'_>,
        messages: &[Message],
        mut pipeline: Arc<Pipeline>,
        mut first: Option<Fault>,
    ) -> Vec<Result<Published, PublishError>> {
        let outcomes = messages.iter().map(|_| None).collect();
        let mut batch = Batch { to, messages, outcomes, behind: Behind::default() };
        let mut pauses = Pauses::default();
        let end = loop {
            let round = match first.take() {
                Some(Fault::TooLarge(size)) => {
                    batch.fail(0, too_large(to, size));
                    Round::Done
                }
                Some(fault) => Round::Done.and(fault),
                None => self.round(&pipeline, &mut batch).await,
            };
            match round {
                Round::Done => break None,
                // Another caller's timeout expired, or the brokers forgot the producer.
                Round::Cut if Instant::now() < to.until => {}
                Round::Cut | Round::Late => {
                    pipeline.cut();
                    let broken = pipeline.broken();
                    break Some(broken.map_or_else(|| self.late(to.topic), failed));
                }
                Round::Refused(error) if is_of_one_message(&error) => {
                    let _ = self.instead_of(&pipeline).await;
                    break self.publish_alone(&mut batch).await;
                }
                Round::Refused(error) => {
                    let _ = self.instead_of(&pipeline).await;
                    break Some(failed(error));
                }
            }
            match self.instead_of(&pipeline).await {
                Ok(fresh) => pipeline = fresh,
                Err(error) => break Some(error),
            }
            // Nothing is begun, nor cut off for others, that has no time left.
            if timeout_at(to.until, pauses.next()).await.is_err() {
                break Some(self.late(to.topic));
            }
        };
        batch.finish(end)
    }

    /// Hands over all that is left, and waits for the brokers' confirmations.
    async fn round(&self, pipeline: &Pipeline, batch: &mut Batch<'_>) -> Round {
        let mut sent = Vec::with_capacity(batch.messages.len());
        let mut end = Round::Done;
        for (place, message) in batch.messages.iter().enumerate() {
            if !batch.is_left(place) {
                continue;
            }
            match pipeline.send(batch.to, message).await {
                Ok(confirmation) => sent.push((place, confirmation)),
                Err(Fault::TooLarge(size)) => batch.fail(place, too_large(batch.to, size)),
                Err(fault) => {
                    end = end.and(fault);
                    break;
                }
            }
        }
        for (place, confirmation) in sent {
            match pipeline.confirmed(confirmation, batch.to.until).await {
                Ok(place_of) => batch.outcomes[place] = Some(Ok(Published::at(place_of))),
                Err(fault) => end = end.and(fault),
            }
        }
        end
    }

    /// Publishes what is left one message at a time, each in a request of its own: brokers refuse a whole request for
    /// one message at fault.
    async fn publish_alone(&self, batch: &mut Batch<'_>) -> Option<PublishError> {
        let mut config = self.config.clone();
        config.set("batch.num.messages", "1");
        let mut pipeline = match self.pipeline(&config).await {
            Ok(pipeline) => pipeline,
            Err(error) => return Some(error),
        };
        for (place, message) in batch.messages.iter().enumerate() {
            if !batch.is_left(place) {
                continue;
            }
            match pipeline.publish(batch.to, message).await {
                Ok(place_of) => batch.outcomes[place] = Some(Ok(Published::at(place_of))),
                Err(Fault::TooLarge(size)) => batch.fail(place, too_large(batch.to, size)),
                Err(Fault::Late) => return Some(self.late(batch.to.topic)),
                Err(Fault::Cut) => return Some(pipeline.broken().map_or_else(|| self.late(batch.to.topic), failed)),
                Err(Fault::Refused(error)) if is_of_one_message(&error) => {
                    batch.fail(place, at_fault(batch.to.topic, &error));
                    match self.pipeline(&config).await {
                        Ok(fresh) => pipeline = fresh,
                        Err(error) => return Some(error),
                    }
                }
                Err(Fault::Refused(error)) => return Some(failed(error)),
            }
        }
        None
    }

    fn late(&self, topic: &str) -> PublishError {
        PublishError::TimedOut { destination: topic.to_owned(), waited: self.timeout }
    }
}

impl Round {
    /// Adds a fault to the round; a refusal by the brokers counts most.
    fn and(self, fault: Fault) -> Self {
        match (self, fault) {
            (Self::Refused(error), _) | (_, Fault::Refused(error)) => Self::Refused(error),
            (Self::Late, _) | (_, Fault::Late) => Self::Late,
            _ => Self::Cut,
        }
    }
}

impl Batch<'_> {
    /// Whether a message is still to be published. One that comes after a failed one of its stream is not.
    fn is_left(&mut self, place: usize) -> bool {
        if self.outcomes[place].is_none()
            && let Err(error) = self.behind.check(&self.messages[place])
        {
            self.outcomes[place] = Some(Err(error));
        }
        self.outcomes[place].is_none()
    }

    fn fail(&mut self, place: usize, error: PublishError) {
        self.behind.note(&self.messages[place]);
        self.outcomes[place] = Some(Err(error));
    }

    /// All outcomes. The first message that is left gets the error with which the rounds ended, and the others of its
    /// stream are behind it.
    fn finish(mut self, end: Option<PublishError>) -> Vec<Result<Published, PublishError>> {
        let mut end = end;
        for (place, message) in self.messages.iter().enumerate() {
            if self.outcomes[place].is_some() {
                continue;
            }
            let outcome = match (self.behind.check(message), end.take()) {
                (Err(behind), told) => {
                    end = told;
                    Err(behind)
                }
                (Ok(()), Some(error)) => {
                    end = Some(again(&error, self.to.topic));
                    Err(error)
                }
                (Ok(()), None) => Err(PublishError::Refused { destination: self.to.topic.to_owned() }),
            };
            self.behind.note(message);
            self.outcomes[place] = Some(outcome);
        }
        self.outcomes.into_iter().flatten().collect()
    }
}

/// The same error for another stream. The cause goes with the first.
fn again(error: &PublishError, topic: &str) -> PublishError {
    match error {
        PublishError::TimedOut { destination, waited } => {
            PublishError::TimedOut { destination: destination.clone(), waited: *waited }
        }
        _ => PublishError::Refused { destination: topic.to_owned() },
    }
}

/// Whether the error is about one message, rather than a topic or the publisher.
fn is_of_one_message(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidMessage, InvalidMessageSize, InvalidRecord, InvalidTimestamp, MessageSizeTooLarge};
    let code = error.rdkafka_error_code();
    matches!(code, Some(InvalidMessage | InvalidMessageSize | InvalidRecord | InvalidTimestamp | MessageSizeTooLarge))
}

fn too_large(to: Target<'_>, size: usize) -> PublishError {
    PublishError::TooLarge { destination: to.topic.to_owned(), size, limit: to.largest }
}

fn at_fault(topic: &str, error: &KafkaError) -> PublishError {
    let (part, problem) = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            ("the size", "it is more than the topic takes; see its `max.message.bytes`")
        }
        _ => ("the message", "the brokers call it invalid"),
    };
    PublishError::Invalid { destination: topic.to_owned(), part, problem }
}

fn failed(error: KafkaError) -> PublishError {
    PublishError::backend("publish to a topic of Kafka", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StreamId;

    #[test]
    fn of_what_is_left_each_stream_fails_once_and_the_rest_of_it_is_behind() {
        let of = |id: u32| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
        let messages = [of(1), of(2), of(1), of(2)];
        let mut outcomes: Vec<Outcome> = messages.iter().map(|_| None).collect();
        outcomes[0] = Some(Ok(Published::default()));
        let to = Target { topic: "orders", largest: 9, until: Instant::now() };
        let batch = Batch { to, messages: &messages, outcomes, behind: Behind::default() };
        let waited = Duration::from_secs(1);
        let finished = batch.finish(Some(PublishError::TimedOut { destination: "orders".into(), waited }));
        let told: Vec<_> =
            finished.iter().map(|outcome| outcome.as_ref().map_or_else(PublishError::error_type, |_| "ok")).collect();
        assert_eq!(told, ["ok", "timeout", "timeout", "behind"]);
    }
}
