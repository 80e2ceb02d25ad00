//! What a member asks brokers, each on a thread of its own, since the client waits for their answers.

use std::sync::Arc;

use rdkafka::error::KafkaResult;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::settle::Origin;
use super::{apart, refusal, retention};

/// The queries that are open.
#[derive(Default)]
pub(super) struct Queries {
    lag: Option<oneshot::Receiver<()>>,
    permission: Option<oneshot::Receiver<()>>,
    deleted: Vec<oneshot::Receiver<()>>,
}

impl Queries {
    /// Asks for the lag.
    pub(super) fn ask(&mut self, origin: &Arc<Origin>) {
        begin(&mut self.lag, origin, |origin| origin.share.ask(&origin.client));
    }

    /// Asks whether the topic may be read.
    pub(super) fn look(&mut self, origin: &Arc<Origin>) {
        begin(&mut self.permission, origin, |origin| refusal::look(&origin.client, &origin.share));
    }

    /// Asks what was deleted of partitions that are new to this member. Returns when it is to be asked again.
    pub(super) fn look_back(&mut self, origin: &Arc<Origin>) -> Option<Instant> {
        let (mut unseen, again) = origin.share.unseen();
        if !unseen.is_empty() {
            let origin = Arc::clone(origin);
            self.deleted.retain_mut(is_open);
            self.deleted.push(apart::run(move || {
                let _ = retention::look(&origin.client, &origin.share, &mut unseen);
                origin.share.look_later(unseen);
            }));
        }
        again
    }

    /// Waits until none is open.
    pub(super) async fn ended(self) {
        for open in self.lag.into_iter().chain(self.permission).chain(self.deleted) {
            let _ = open.await;
        }
    }
}

/// Asks, unless an earlier query is still open. Brokers that cannot be asked now are asked later.
fn begin(query: &mut Option<oneshot::Receiver<()>>, origin: &Arc<Origin>, ask: fn(&Origin) -> KafkaResult<()>) {
    if !query.as_mut().is_some_and(is_open) {
        let origin = Arc::clone(origin);
        *query = Some(apart::run(move || drop(ask(&origin))));
    }
}

fn is_open(query: &mut oneshot::Receiver<()>) -> bool {
    query.try_recv() == Err(TryRecvError::Empty)
}
