//! The exchange that is published to, which somebody may delete.

use std::time::{Duration, Instant};

use lapin::Channel;
use tokio::time::sleep;

use super::backlog::ASKING;
use super::fate::Fate;
use super::link::step;
use super::topology::{self, Topology};
use crate::sync::Mutex;
use crate::telemetry::log;

/// How long nothing is published from when the exchange was found missing. By then every member of every group has
/// noticed, and has bound its queues to the next one: a group that is not bound would miss what is published.
const HELD: Duration = ASKING.saturating_mul(5);

pub(super) struct Exchange {
    topology: Topology,
    missing: Mutex<Option<Missing>>,
}

#[derive(Clone, Copy)]
struct Missing {
    since: Instant,
    /// How often it could not be declared.
    failed: u32,
}

impl Exchange {
    pub(super) fn new(topology: Topology) -> Self {
        Self { topology, missing: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.topology.exchange
    }

    pub(super) fn is_missing(&self) -> bool {
        self.missing.lock().is_some()
    }

    /// What the outcome of a publication to it says of it.
    pub(super) fn told(&self, fate: Fate) {
        let mut missing = self.missing.lock();
        match fate {
            Fate::Closed(topology::MISSING) if missing.is_none() => {
                *missing = Some(Missing { since: Instant::now(), failed: 0 });
                drop(missing);
                log::rabbitmq::waits(self.name(), None, topology::MISSING);
            }
            Fate::Confirmed | Fate::CameBack | Fate::Refused => *missing = None,
            _ => {}
        }
    }

    /// Waits for as long as nothing is published because it was missing.
    pub(super) async fn held(&self) {
        let missing = *self.missing.lock();
        if let Some(Missing { since, .. }) = missing {
            sleep(HELD.saturating_sub(since.elapsed())).await;
        }
    }

    /// Declares it again if it was missing. Groups without a member have no queue on it until one joins.
    pub(super) async fn restored(&self, channel: &Channel) -> lapin::Result<()> {
        if !self.is_missing() {
            return Ok(());
        }
        let declared = step(self.topology.declare_exchange(channel)).await;
        let mut missing = self.missing.lock();
        match &declared {
            Ok(()) => *missing = None,
            Err(error) => {
                let failed = missing.as_mut().map_or(1, |missing| {
                    missing.failed += 1;
                    missing.failed
                });
                drop(missing);
                if failed.is_power_of_two() {
                    log::rabbitmq::waits(self.name(), None, topology::code(error).unwrap_or("backend"));
                }
            }
        }
        declared
    }
}
