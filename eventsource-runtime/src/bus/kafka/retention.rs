//! What brokers deleted before a group handled it.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Client;
use super::partitions::Share;
use crate::telemetry::log;

/// How long one query may take.
const ASKING: Duration = Duration::from_secs(4);

/// Reports what is missing between where the group was in partitions and where they begin now. The client passes over it
/// in silence. To be asked as soon as the partitions are assigned, before the group moves on.
pub(super) fn look(client: &Client, share: &Share, partitions: &[i32]) -> KafkaResult<()> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition_offset(&share.topic, *partition, Offset::Beginning)?;
    }
    let committed = client.committed_offsets(asked.clone(), ASKING)?;
    // At the beginning of time.
    let begins = client.offsets_for_times(asked, ASKING)?;
    for (partition, begin) in begins.elements().iter().filter_map(known) {
        let at = committed.find_partition(&share.topic, partition);
        if let Some((_, at)) = at.as_ref().and_then(known) {
            tell(share, partition, u64::try_from(begin - at).unwrap_or_default());
        }
    }
    Ok(())
}

/// Reports messages that are missing, if there are any.
pub(super) fn tell(share: &Share, partition: i32, messages: u64) {
    if messages > 0 {
        log::kafka::deleted(&share.group, &share.topic, partition, messages);
    }
}

fn known(of: &TopicPartitionListElem<'_>) -> Option<(i32, i64)> {
    of.error().ok()?;
    match of.offset() {
        Offset::Offset(offset) => Some((of.partition(), offset)),
        _ => None,
    }
}
