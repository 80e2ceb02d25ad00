//! The client of a member of a group.

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::consumer::StreamConsumer;

use super::apart::Apart;
use super::context::Context;
use super::options::refused;
use super::partitions::Share;
use super::{KafkaOptions, Shared};
use crate::bus::Intake;
use crate::bus::error::BusError;

pub(super) type Client = Apart<StreamConsumer<Context>>;

/// How long a member may poll nothing, in milliseconds, by the client's default.
const POLLING: u128 = 300_000;

pub(super) fn client(shared: &Shared, intake: &Intake, share: &Arc<Share>) -> Result<Client, BusError> {
    let config = config(shared.client.clone(), &shared.options, intake);
    let context = Context { state: Arc::clone(&shared.state), share: Some(Arc::clone(share)) };
    let client = config.create_with_context(context).map_err(|error| refused("make a Kafka consumer", error))?;
    Ok(Apart::new(client))
}

fn config(mut config: ClientConfig, options: &KafkaOptions, intake: &Intake) -> ClientConfig {
    // Brokers identify a group by its name, whatever its topic: with the topic in the name, and no dot in its own, it
    // cannot collide with namesakes on other buses. The place in the dead letters has a name of its own.
    let suffix = if intake.dead_letters { ".dead" } else { "" };
    config.set("group.id", format!("{}.{}{suffix}", options.topic, intake.group));
    // What is committed is what was stored, which is what is done.
    config.set("enable.auto.commit", "true");
    config.set("auto.commit.interval.ms", "500");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.partition.eof", intake.dead_letters.to_string());
    config.set("partition.assignment.strategy", "cooperative-sticky");
    let session = options.session_timeout.as_millis();
    config.set("session.timeout.ms", session.to_string());
    config.set("heartbeat.interval.ms", (session / 6).max(1).to_string());
    // The client takes no session that is longer.
    if config.get("max.poll.interval.ms").is_none() {
        config.set("max.poll.interval.ms", session.max(POLLING).to_string());
    }
    config
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::consumer::BaseConsumer;

    use super::*;

    fn of(options: &KafkaOptions) -> ClientConfig {
        let intake = Intake { group: "mail".into(), dead_letters: false, prefetch: 1 };
        config(options.client("localhost:9092").unwrap(), options, &intake)
    }

    fn made(options: &KafkaOptions) -> Result<(), BusError> {
        let made = of(options).create::<BaseConsumer>();
        made.map(drop).map_err(|error| refused("make a Kafka consumer", error))
    }

    /// Over five minutes each subscription failed, as if brokers were away.
    #[test]
    fn a_session_may_be_longer_than_the_client_lets_a_member_poll_nothing() {
        let lasting = |seconds| KafkaOptions::new("orders").session_timeout(Duration::from_secs(seconds));
        for (seconds, polling) in [(45, "300000"), (600, "600000")] {
            assert_eq!(of(&lasting(seconds)).get("max.poll.interval.ms"), Some(polling));
            made(&lasting(seconds)).unwrap();
        }
        let error = made(&lasting(600).set("max.poll.interval.ms", "300000")).unwrap_err();
        assert!(matches!(&error, BusError::Configuration(told) if told.contains("max.poll.interval.ms")), "{error:?}");
    }

    /// Otherwise each change of a group takes all partitions from all members, with what they have under way.
    #[test]
    fn a_group_that_changes_takes_from_its_members_only_what_goes_to_others() {
        assert_eq!(of(&KafkaOptions::new("orders")).get("partition.assignment.strategy"), Some("cooperative-sticky"));
    }

    /// It was confirmed, and each fetch of it was dropped as too long.
    #[test]
    fn members_receive_whatever_can_be_published() {
        let options = KafkaOptions::new("orders").max_message_bytes(150_000_000);
        assert_eq!(of(&options).get("message.max.bytes"), Some("150065536"));
        made(&options).unwrap();
        assert!(matches!(made(&options.set("fetch.max.bytes", "150000000")), Err(BusError::Configuration(_))));
    }
}
