//! A connection that comes back.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, Event};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::telemetry::log;

/// How long a broker may take to answer a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long one step may take over a connection that seems to stand: one that breaks may leave it without an end.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// One connection at a time, made anew when it is lost.
///
/// The client's own recovery is left off: it recovers what it has seen declared, we declare what a group needs.
pub(super) struct Link {
    uri: AMQPUri,
    /// In PEM, what brokers behind TLS may be signed by beside what the system trusts.
    authority: Option<Arc<str>>,
    current: Mutex<Option<Connection>>,
    state: Arc<State>,
}

/// Whether the last connection is lost, and how many were.
#[derive(Default)]
struct State {
    lost: AtomicBool,
    losses: watch::Sender<u64>,
}

impl State {
    fn lose(&self) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            log::rabbitmq::disconnected();
        }
        self.losses.send_modify(|losses| *losses += 1);
    }
}

impl Link {
    pub(super) fn new(uri: AMQPUri, authority: Option<Arc<str>>) -> Self {
        Self { uri, authority, current: Mutex::default(), state: Arc::default() }
    }

    /// Whether the connection stands, or nobody has needed one yet.
    pub(super) fn is_connected(&self) -> bool {
        !self.state.lost.load(Ordering::Relaxed)
    }

    /// Tells each loss of a connection from now on.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.state.losses.subscribe()
    }

    /// Gives up a connection on which a step did not end.
    pub(super) async fn abandon(&self) {
        *self.current.lock().await = None;
    }

    /// A new channel, over a new connection if the last one is lost. One attempt.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current
            && connection.status().connected()
            && let Ok(channel) = step(connection.create_channel()).await
        {
            return Ok(channel);
        }
        *current = None;
        let connection = self.connect().await?;
        let channel = step(connection.create_channel()).await?;
        *current = Some(connection);
        Ok(channel)
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name("eventsource".into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authority.as_deref().map(str::to_owned) };
        let connection = DefaultConnectionBuilder::new()?.with_uri(self.uri.clone()).with_properties(properties);
        let connection = connection.with_tls_config(tls);
        let connection = timeout(CONNECTING, connection.connect()).await.unwrap_or_else(|_| Err(late()))?;
        self.state.lost.store(false, Ordering::Relaxed);
        log::rabbitmq::connected();
        tokio::spawn(watch_events(connection.events_listener(), Arc::downgrade(&self.state)));
        Ok(connection)
    }
}

/// The result of a step over a connection, or an error if it does not end.
pub(super) async fn step<T>(body: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    timeout(STEP, body).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> lapin::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Tells when a connection is lost, also while nobody uses it.
async fn watch_events(events: impl futures_util::Stream<Item = Event>, state: Weak<State>) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::Error(_) => break,
            Event::ConnectionBlocked(_) => log::rabbitmq::blocked(),
            _ => {}
        }
    }
    if let Some(state) = state.upgrade() {
        state.lose();
    }
}
