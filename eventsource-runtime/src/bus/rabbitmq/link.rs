//! A connection that comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::telemetry::log;

/// How long a broker may take to answer a connection.
const CONNECTING: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One connection at a time, made anew when it is lost.
///
/// The client's own recovery is left off: it recovers what it has seen declared, we declare what a group needs.
pub(super) struct Link {
    uri: AMQPUri,
    current: Mutex<Option<Connection>>,
    state: Arc<State>,
}

/// Whether the last connection is lost.
#[derive(Default)]
struct State {
    lost: AtomicBool,
}

impl Link {
    pub(super) fn new(uri: AMQPUri) -> Self {
        Self { uri, current: Mutex::default(), state: Arc::default() }
    }

    /// Whether the connection stands, or nobody has needed one yet.
    pub(super) fn is_connected(&self) -> bool {
        !self.state.lost.load(Ordering::Relaxed)
    }

    /// A new channel, over a new connection if the last one is lost. One attempt.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current
            && connection.status().connected()
            && let Ok(channel) = connection.create_channel().await
        {
            return Ok(channel);
        }
        *current = None;
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        *current = Some(connection);
        Ok(channel)
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name("eventsource".into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connection = timeout(CONNECTING, connecting)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
        self.state.lost.store(false, Ordering::Relaxed);
        log::rabbitmq::connected();
        tokio::spawn(watch(connection.events_listener(), Arc::downgrade(&self.state)));
        Ok(connection)
    }
}

/// Tells when a connection is lost, also while nobody uses it.
async fn watch(events: impl futures_util::Stream<Item = Event>, state: Weak<State>) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::Error(_) => {
                if let Some(state) = state.upgrade() {
                    state.lost.store(true, Ordering::Relaxed);
                    log::rabbitmq::disconnected();
                }
                return;
            }
            Event::ConnectionBlocked(_) => log::rabbitmq::blocked(),
            _ => {}
        }
    }
}

/// Growing pauses between attempts.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    pub(super) async fn next(&mut self) {
        sleep(FIRST_PAUSE.saturating_mul(1 << self.0.min(8)).min(LONGEST_PAUSE)).await;
        self.0 += 1;
    }
}
