//! The dead letters of a group: those that are there now and not yet retried.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::blocking;
use super::client::Client;
use super::partitions::Share;
use crate::bus::Place;
use crate::bus::error::BusError;

/// How long one query may take.
const ASKING: Duration = Duration::from_secs(10);
/// How long a member waits to learn that its letters would find their topic.
const CHECKING: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(200);

/// Refuses a group whose dead letters have no topic. Unreachable brokers are no reason to refuse it.
pub(super) async fn check(client: &Arc<Client>, topic: &str) -> Result<(), BusError> {
    let (client, asked) = (Arc::clone(client), topic.to_owned());
    let found = blocking("find the topic of dead letters", move || Ok(partitions(&client, &asked, CHECKING))).await?;
    if let Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)) = found {
        let told = format!("there is no topic `{topic}` for dead letters; make it, or use `KafkaOptions::create`");
        return Err(BusError::Configuration(told.into()));
    }
    Ok(())
}

/// The partitions of a topic. A new one is not known to each broker at once, and asking may make them create it.
fn partitions(client: &Client, topic: &str, asking: Duration) -> KafkaResult<Vec<i32>> {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE as NO_LEADER, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN,
    };
    let until = Instant::now() + CHECKING;
    loop {
        let metadata = client.fetch_metadata(Some(topic), asking)?;
        let known = metadata.topics().iter().find(|known| known.name() == topic);
        let error = match known.map(|known| (known.error(), known)) {
            Some((None, known)) => return Ok(known.partitions().iter().map(MetadataPartition::id).collect()),
            Some((Some(error), _)) => error,
            None => UNKNOWN,
        };
        if !matches!(error, UNKNOWN | NO_LEADER) || Instant::now() >= until {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        thread::sleep(AGAIN);
    }
}

/// By partition, the offset before which its letters end.
pub(super) struct Letters(BTreeMap<i32, i64>);

impl Letters {
    /// Queries the brokers, and assigns the partitions that hold any.
    pub(super) async fn find(client: &Arc<Client>, share: &Arc<Share>) -> Result<Self, BusError> {
        let (client, share) = (Arc::clone(client), Arc::clone(share));
        let what = "find dead letters";
        let find = move || find(&client, &share).map_err(|error| BusError::backend(what, error));
        blocking(what, find).await.map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a letter was there at the beginning. With the last one its partition is done.
    pub(super) fn takes(&mut self, place: Place) -> bool {
        let Some(end) = self.0.get(&place.partition).copied() else { return false };
        if place.offset + 1 >= end {
            self.0.remove(&place.partition);
        }
        place.offset < end
    }

    /// A partition holds nothing more: its last offsets were the broker's own.
    pub(super) fn ended(&mut self, partition: i32) {
        self.0.remove(&partition);
    }
}

fn find(client: &Client, share: &Share) -> KafkaResult<BTreeMap<i32, i64>> {
    let topic = &*share.topic;
    let mut asked = TopicPartitionList::new();
    for partition in partitions(client, topic, ASKING)? {
        asked.add_partition(topic, partition);
    }
    let committed = client.committed_offsets(asked, ASKING)?;
    let (mut assigned, mut ends) = (TopicPartitionList::new(), BTreeMap::new());
    for partition in committed.elements() {
        // If an error were taken for "nothing settled", all its letters would be retried.
        partition.error()?;
        let (low, high) = client.fetch_watermarks(topic, partition.partition(), ASKING)?;
        let from = match partition.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        if from < high {
            assigned.add_partition_offset(topic, partition.partition(), Offset::Offset(from))?;
            ends.insert(partition.partition(), high);
        }
    }
    share.assigned(ends.keys().copied());
    client.assign(&assigned)?;
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_end_where_they_did_at_the_beginning() {
        let mut letters = Letters(BTreeMap::from([(0, 3), (1, 1), (2, 9)]));
        assert!(letters.takes(Place { partition: 0, offset: 1 }));
        assert!(letters.takes(Place { partition: 0, offset: 2 }));
        assert!(!letters.takes(Place { partition: 0, offset: 3 }), "a letter that went back");
        // The last offset was not delivered.
        assert!(!letters.takes(Place { partition: 1, offset: 1 }));
        letters.ended(2);
        assert!(letters.is_empty());
    }
}
