//! The client of a member of a group.

use std::sync::Arc;

use rdkafka::consumer::StreamConsumer;

use super::Shared;
use super::apart::Apart;
use super::context::Context;
use super::options::refused;
use super::partitions::Share;
use crate::bus::Intake;
use crate::bus::error::BusError;

pub(super) type Client = Apart<StreamConsumer<Context>>;

pub(super) fn client(shared: &Shared, intake: &Intake, share: &Arc<Share>) -> Result<Client, BusError> {
    let mut config = shared.client.clone();
    // Brokers identify a group by its name, whatever its topic: with the topic in the name, and no dot in its own, it
    // cannot collide with namesakes on other buses. The place in the dead letters has a name of its own.
    let suffix = if intake.dead_letters { ".dead" } else { "" };
    config.set("group.id", format!("{}.{}{suffix}", shared.options.topic, intake.group));
    // What is committed is what was stored, which is what is done.
    config.set("enable.auto.commit", "true");
    config.set("auto.commit.interval.ms", "500");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.partition.eof", intake.dead_letters.to_string());
    config.set("partition.assignment.strategy", "cooperative-sticky");
    let session = shared.options.session_timeout.as_millis();
    config.set("session.timeout.ms", session.to_string());
    config.set("heartbeat.interval.ms", (session / 6).max(1).to_string());
    let context = Context { state: Arc::clone(&shared.state), share: Some(Arc::clone(share)) };
    let client = config.create_with_context(context).map_err(|error| refused("make a Kafka consumer", error))?;
    Ok(Apart::new(client))
}
