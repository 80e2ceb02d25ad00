//! What a delivery needs to be settled.

use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::Consumer as _;

use super::Shared;
use super::assignment::Assignment;
use super::client::Client;
use super::partitions::Share;
use crate::bus::Settle;
use crate::bus::brokers::not_kept;
use crate::bus::error::BusError;
use crate::bus::message::Message;

/// What deliveries need of their member.
pub(super) struct Origin {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) share: Arc<Share>,
}

/// What deliveries of a partition share: behind one pointer, since reference counting is the largest cost of a delivery
/// that another thread handles.
pub(super) struct Held {
    pub(super) origin: Arc<Origin>,
    pub(super) assignment: Arc<Assignment>,
}

/// A delivery whose offset is not stored yet.
pub struct Unsettled {
    pub(super) held: Arc<Held>,
    pub(super) offset: i64,
}

impl Unsettled {
    fn partition(&self) -> i32 {
        self.held.assignment.partition
    }

    /// Stores how far a partition is done. If that is refused, it has gone to another member.
    fn store(&self, offset: i64) -> Result<(), BusError> {
        let Origin { client, share, .. } = &*self.held.origin;
        client.store_offset(&share.topic, self.partition(), offset).map_err(|_| BusError::Lost)
    }
}

impl Settle for Unsettled {
    fn is_lost(&self) -> bool {
        self.held.assignment.is_ending()
    }

    async fn ack(self) -> Result<(), BusError> {
        self.held.assignment.done([self.offset], |offset| self.store(offset))
    }

    /// Stores one offset per partition for all of them.
    async fn ack_all(mut done: Vec<Self>) -> Vec<BusError> {
        done.sort_by_key(Self::partition);
        let mut failed = Vec::new();
        for of_one in done.chunk_by(|one, other| Arc::ptr_eq(&one.held.assignment, &other.held.assignment)) {
            let offsets = of_one.iter().map(|each| each.offset);
            if of_one[0].held.assignment.done(offsets, |offset| of_one[0].store(offset)).is_err() {
                failed.extend(of_one.iter().map(|_| BusError::Lost));
            }
        }
        failed
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        let Origin { shared, share, .. } = &*self.held.origin;
        let topic = shared.dead_topic(&share.group)?;
        shared.letters().await?.park(&topic, message).await.map_err(not_kept)
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.held.assignment.dropped();
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("offset", &self.offset).finish_non_exhaustive()
    }
}
