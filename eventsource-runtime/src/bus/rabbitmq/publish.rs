//! Publishes with confirms, through connections that come and go.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::ConfirmSelectOptions;
use lapin::{BasicProperties, Channel};
use tokio::sync::RwLock;
use tokio::time::timeout_at;

use super::confirms::{Confirming, Publication};
use super::exchange::Exchange;
use super::fate::Fate;
use super::link::{Link, step};
use super::properties;
use super::topology::{self, MISSING, Topology};
use crate::bus::Published;
use crate::bus::behind::Behind;
use crate::bus::brokers::Pauses;
use crate::bus::error::PublishError;
use crate::bus::message::Message;
use crate::timer::until;

pub(super) struct Publisher {
    link: Arc<Link>,
    /// Replaced by tasks alone: a caller may not be polled for a while.
    channel: Arc<RwLock<Option<Confirming>>>,
    exchange: Arc<Exchange>,
    timeout: Duration,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>, topology: Topology, timeout: Duration) -> Self {
        Self { link, channel: Arc::default(), exchange: Arc::new(Exchange::new(topology)), timeout }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.now().is_connected()
    }

    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.confirming().await.map(|confirming| confirming.channel)
    }

    /// The channel that all publications share.
    async fn confirming(&self) -> lapin::Result<Confirming> {
        let current = self.channel.try_read().ok().and_then(|current| open(current.as_ref()));
        if let Some(channel) = current {
            return Ok(channel);
        }
        let make = |link: Arc<Link>| {
            let (shared, exchange) = (Arc::clone(&self.channel), Arc::clone(&self.exchange));
            async move {
                let mut current = shared.write().await;
                if let Some(channel) = open(current.as_ref()) {
                    return Ok(channel);
                }
                *current = None;
                exchange.held().await;
                let channel = link.channel().await?;
                exchange.restored(&channel).await?;
                step(channel.confirm_select(ConfirmSelectOptions::default())).await?;
                Ok(current.insert(Confirming::over(channel, link)).clone())
            }
        };
        self.link.apart(make).await
    }

    /// Publishes the streams of a batch concurrently, the messages of each one after the other: the broker may refuse
    /// one and accept the next.
    pub(super) async fn publish_all(&self, messages: &[Message]) -> Vec<Result<Published, PublishError>> {
        let mut chains: FuturesUnordered<_> =
            chains(messages).into_iter().map(|chain| self.publish_chain(messages, chain)).collect();
        let mut results: Vec<_> = messages.iter().map(|_| None).collect();
        while let Some(chain) = chains.next().await {
            for (place, result) in chain {
                results[place] = Some(result.map(|()| Published::default()));
            }
        }
        // Every message is in one chain.
        results.into_iter().flatten().collect()
    }

    async fn publish_chain(&self, messages: &[Message], chain: Vec<usize>) -> Vec<(usize, Result<(), PublishError>)> {
        let mut results = Vec::with_capacity(chain.len());
        let mut behind = Behind::default();
        for place in chain {
            let message = &messages[place];
            let key = topology::routing_key(message);
            let published = self.publish(self.exchange.name(), &key, message, None);
            results.push((place, behind.publish(message, published).await));
        }
        results
    }

    /// Publishes a message, with the properties that it came with, until it is confirmed or the time is up.
    pub(super) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        message: &Message,
        came: Option<&BasicProperties>,
    ) -> Result<(), PublishError> {
        let destination = format!("{exchange}:{key}");
        let publication = Publication {
            exchange: exchange.into(),
            key: properties::key(key, &destination)?,
            properties: properties::written(message, came, &destination, self.link.now().frame())?,
            payload: message.payload().clone(),
        };
        let (size, until) = (message.payload().len(), until(self.timeout));
        let mut pauses = Pauses::default();
        let is_parked = exchange != self.exchange.name();
        loop {
            let Ok(fate) = timeout_at(until, self.attempt(&publication)).await else {
                // Nothing is sent to an exchange that is gone.
                let held = !is_parked && self.exchange.is_missing();
                return Err(self.given_up(if held { Fate::Closed(MISSING) } else { Fate::Unknown }, destination));
            };
            if !is_parked {
                self.exchange.told(fate);
            }
            match fate {
                Fate::Confirmed => return Ok(()),
                Fate::CameBack => return Err(PublishError::Unroutable { destination }),
                Fate::Exceeded(limit) if size > limit => {
                    return Err(PublishError::TooLarge { destination, size, limit });
                }
                // Whoever keeps a dead letter declares where.
                Fate::Closed(MISSING) if is_parked => return Err(self.given_up(fate, destination)),
                Fate::Refused | Fate::Exceeded(_) | Fate::Closed(_) | Fate::Unknown => {}
            }
            let pause: &mut (dyn Future<Output = ()> + Send + Unpin) = &mut Box::pin(pauses.next());
            if timeout_at(until, pause).await.is_err() {
                return Err(self.given_up(fate, destination));
            }
        }
    }

    /// The error of a publication that is not tried again, by what became of it last.
    fn given_up(&self, fate: Fate, destination: String) -> PublishError {
        match fate {
            Fate::Refused => PublishError::Refused { destination },
            Fate::Closed(code) => PublishError::Denied { destination, code },
            _ => PublishError::TimedOut { destination, waited: self.timeout },
        }
    }

    async fn attempt(&self, publication: &Publication) -> Fate {
        let channel = match self.confirming().await {
            Ok(channel) => channel,
            Err(error) => return Fate::of(&error),
        };
        // The client would keep what it was given meanwhile, and send it in the end, though it had been given up.
        self.link.unblocked().await;
        channel.publish(publication.clone()).await
    }
}

fn open(channel: Option<&Confirming>) -> Option<Confirming> {
    channel.filter(|channel| channel.is_open()).cloned()
}

/// The places of the messages of each stream, in order. A message without a stream is alone.
fn chains(messages: &[Message]) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut of_stream = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        match message.stream() {
            None => chains.push(vec![place]),
            Some(stream) => {
                let chain = *of_stream.entry(stream).or_insert_with(|| {
                    chains.push(Vec::new());
                    chains.len() - 1
                });
                chains[chain].push(place);
            }
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::store::StreamId;

    /// A publication that was no longer polled held the channel for which its own end waited.
    #[tokio::test(start_paused = true)]
    async fn publications_end_in_time_where_the_broker_says_nothing() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("amqp://guest:guest@{}", silent.local_addr().unwrap()).parse().unwrap();
        let timeout = Duration::from_secs(25);
        let topology = Topology::new(&crate::bus::RabbitMqOptions::new("orders"));
        let publisher = Publisher::new(Link::new(uri, None), topology, timeout);
        let messages = [1, 2].map(|id| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}"));
        let begun = Instant::now();
        let results = tokio::time::timeout(timeout * 4, publisher.publish_all(&messages)).await;
        for result in results.expect("it ends") {
            assert!(matches!(result, Err(PublishError::TimedOut { .. })), "{result:?}");
        }
        assert!(begun.elapsed() < timeout + Duration::from_secs(1));
    }

    #[test]
    fn each_stream_is_a_chain_in_order() {
        let of = |id: u32| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
        let foreign = Message::read([], "{}".into());
        let messages = [of(1), of(2), foreign.clone(), of(1), foreign, of(2), of(1)];
        assert_eq!(chains(&messages), [vec![0, 3, 6], vec![1, 5], vec![2], vec![4]]);
    }
}
