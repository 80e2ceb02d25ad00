//! What telemetry is told of a bus.

use std::sync::{Arc, LazyLock};

use crate::telemetry::names;

/// How telemetry describes a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusInfo {
    /// `messaging.system`; `None` for a bus within the process, which has none.
    ///
    /// With `None`, subscriptions link to the traces of their messages instead of continuing them, unless they have a
    /// [`Propagation`](super::Propagation) of their own; the spans of publications and handlers are INTERNAL, without
    /// attributes of a broker; and what handlers publish on an [`InProcessBus`](super::InProcessBus) waits neither for
    /// room nor for other handlers, since it might wait for itself.
    pub system: Option<&'static str>,
    /// The destination of all messages: the topic, or the exchange.
    pub destination: Arc<str>,
    /// `server.address` and `server.port`, without credentials.
    pub server: Option<(Arc<str>, u16)>,
    /// The target of log records.
    pub(crate) target: &'static str,
}

impl BusInfo {
    /// The in-process bus.
    #[must_use]
    pub fn in_process() -> Self {
        // Made once, since each message needs it.
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| "in_process".into());
        Self { system: None, destination: Arc::clone(&NAME), server: None, target: names::LOG_BUS }
    }

    /// A broker, by its name in the semantic conventions.
    #[must_use]
    pub fn broker(system: &'static str, destination: impl Into<Arc<str>>) -> Self {
        Self { system: Some(system), destination: destination.into(), server: None, target: names::LOG_BUS }
    }

    /// Adds the broker's address.
    #[must_use]
    pub fn at(self, address: impl Into<Arc<str>>, port: u16) -> Self {
        Self { server: Some((address.into(), port)), ..self }
    }
}

/// The health of a bus. It is queried by the exporter's thread, and answers at once from what it knows.
pub trait Health: Send + Sync {
    /// Whether every connection to the broker is up; on Kafka, whether any broker can be reached.
    fn is_connected(&self) -> bool;

    /// Reports how many messages of each partition each group has not handled yet. If a group has several members, only
    /// the one that receives a partition's messages reports it; on RabbitMQ, once it has received its first message.
    fn lags(&self, _tell: &mut dyn FnMut(Lag<'_>)) {}
}

/// How far a group is behind in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag<'a> {
    /// The group.
    pub group: &'a str,
    /// The destination of all messages: the topic, or the exchange.
    pub destination: &'a str,
    /// The partition, or the number of the group's queue, from 0.
    pub partition: i32,
    /// How many messages.
    pub messages: u64,
}

impl<'a> Lag<'a> {
    /// How many messages a group is behind in a partition of a destination.
    #[must_use]
    pub const fn new(group: &'a str, (destination, partition): (&'a str, i32), messages: u64) -> Self {
        Self { group, destination, partition, messages }
    }
}
