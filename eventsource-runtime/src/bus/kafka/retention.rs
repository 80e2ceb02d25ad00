//! What brokers deleted before a group handled it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::assignment::Assignment;
use super::client::Client;
use super::partitions::Share;
use crate::telemetry::log;

/// How long one query may take.
const ASKING: Duration = Duration::from_secs(4);

/// A partition of which nobody has looked yet what was deleted before it came to this member.
pub(super) struct Unseen {
    pub(super) assignment: Arc<Assignment>,
    /// When brokers are asked.
    pub(super) due: Instant,
    /// Where the group was, if brokers have told that once: it moves on.
    pub(super) committed: Option<i64>,
}

impl Unseen {
    pub(super) fn new(assignment: Arc<Assignment>) -> Self {
        Self { assignment, due: Instant::now(), committed: None }
    }
}

/// Reports what is missing between where the group was in partitions and where they begin now. The client passes over
/// it in silence. To be asked as soon as the partitions are assigned, before the group moves on. What stays in `unseen`
/// is to be asked again, since brokers have not told enough of it.
pub(super) fn look(client: &Client, share: &Share, unseen: &mut Vec<Unseen>) -> KafkaResult<()> {
    find_committed(client, share, unseen)?;
    // At the beginning of time.
    let begins = client.offsets_for_times(list(share, unseen.iter())?, ASKING)?;
    unseen.retain(|unseen| {
        let partition = unseen.assignment.partition;
        let Some(committed) = unseen.committed else { return true };
        let Some(begin) = offset(&begins, share, partition) else { return true };
        if let Offset::Offset(begin) = begin {
            // What was deleted since this member began had been handled.
            let begin = unseen.assignment.first().map_or(begin, |first| begin.min(first));
            tell(share, partition, u64::try_from(begin - committed).unwrap_or_default());
        }
        false
    });
    Ok(())
}

/// Finds out where the group was. Where that is nowhere, nothing is missing.
fn find_committed(client: &Client, share: &Share, unseen: &mut Vec<Unseen>) -> KafkaResult<()> {
    let asked = list(share, unseen.iter().filter(|unseen| unseen.committed.is_none()))?;
    if asked.count() == 0 {
        return Ok(());
    }
    let told = client.committed_offsets(asked, ASKING)?;
    unseen.retain_mut(|unseen| {
        if unseen.committed.is_some() {
            return true;
        }
        match offset(&told, share, unseen.assignment.partition) {
            Some(Offset::Offset(committed)) => unseen.committed = Some(committed),
            Some(_) => return false,
            None => {}
        }
        true
    });
    Ok(())
}

fn list<'u>(share: &Share, unseen: impl Iterator<Item = &'u Unseen>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for unseen in unseen {
        list.add_partition_offset(&share.topic, unseen.assignment.partition, Offset::Beginning)?;
    }
    Ok(list)
}

/// What brokers told of a partition, if that is no error.
fn offset(told: &TopicPartitionList, share: &Share, partition: i32) -> Option<Offset> {
    let of = told.find_partition(&share.topic, partition)?;
    of.error().ok().map(|()| of.offset())
}

/// Reports messages that are missing, if there are any.
pub(super) fn tell(share: &Share, partition: i32, messages: u64) {
    if messages > 0 {
        log::kafka::deleted(&share.group, &share.topic, partition, messages);
    }
}
