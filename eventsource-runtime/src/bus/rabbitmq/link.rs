//! A connection that comes back.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, Event};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::sync;
use crate::telemetry::log;

/// How long a broker may take to answer a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// How many bytes a frame may have where nothing else is set up, until a broker has been reached.
const FRAME: usize = 128 * 1024;
/// How long one step may take over a connection that seems to stand: one that breaks may leave it without an end.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// One connection at a time, made anew when it is lost.
///
/// The client's own recovery is left off: it recovers what it has seen declared, we declare what a group needs.
pub(super) struct Link {
    uri: AMQPUri,
    /// In PEM, what brokers behind TLS may be signed by beside what the system trusts.
    authority: Option<Arc<str>>,
    current: Mutex<Option<Current>>,
    state: Arc<State>,
}

/// Which connection is the current one, how it stands, and how many were lost.
#[derive(Default)]
struct State {
    standing: Standing,
    losses: watch::Sender<u64>,
}

#[derive(Default)]
struct Standing(sync::Mutex<Condition>);

#[derive(Clone, Copy, Default)]
struct Condition {
    /// Counts the connections: an old one may take long to end, and says nothing about the current one.
    number: u64,
    made: Option<Instant>,
    /// How many bytes a frame may have.
    frame: Option<usize>,
    lost: bool,
    /// The broker takes no messages over it for a while, but it stands.
    blocked: bool,
}

impl Condition {
    fn is_blocked_since(self, begun: Instant) -> bool {
        self.blocked && !self.lost && self.made <= Some(begun)
    }
}

impl Standing {
    fn change<R>(&self, change: impl FnOnce(&mut Condition) -> R) -> R {
        change(&mut self.0.lock())
    }
}

impl State {
    /// The number of the connection that is the current one from now on.
    fn begin(&self, frame: Option<usize>) -> u64 {
        self.standing.change(|now| {
            *now = Condition { number: now.number + 1, made: Some(Instant::now()), frame, ..Condition::default() };
            now.number
        })
    }

    /// A connection has ended, or was given up; that counts once, and for the current one alone.
    fn lose(&self, number: u64) {
        let is_new = self.standing.change(|now| now.number == number && !std::mem::replace(&mut now.lost, true));
        if is_new {
            log::rabbitmq::disconnected();
            self.losses.send_modify(|losses| *losses += 1);
        }
    }

    fn block(&self, number: u64, blocked: bool) {
        self.standing.change(|now| now.blocked = if now.number == number { blocked } else { now.blocked });
    }
}

struct Current {
    connection: Connection,
    number: u64,
}

impl Link {
    pub(super) fn new(uri: AMQPUri, authority: Option<Arc<str>>) -> Self {
        Self { uri, authority, current: Mutex::default(), state: Arc::default() }
    }

    /// Whether the connection stands, or nobody has needed one yet.
    pub(super) fn is_connected(&self) -> bool {
        !self.state.standing.change(|now| now.lost)
    }

    /// Tells each loss of a connection from now on.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.state.losses.subscribe()
    }

    /// How many bytes a frame may have, as was agreed upon with the broker.
    pub(super) fn frame(&self) -> usize {
        self.state.standing.change(|now| now.frame).unwrap_or(FRAME)
    }

    /// Whether the broker has blocked the connection over which a step goes on that began then: it takes no messages
    /// for a while, and then it does.
    pub(super) fn is_blocked(&self, begun: Instant) -> bool {
        self.state.standing.change(|now| now.is_blocked_since(begun))
    }

    /// Gives up the connection on which a step did not end that began then; not one that was made since, and not one
    /// that the broker has blocked.
    pub(super) async fn abandon(&self, begun: Instant) {
        let mut current = self.current.lock().await;
        let stays = self.state.standing.change(|now| now.made > Some(begun) || now.is_blocked_since(begun));
        if !stays {
            self.give_up(&mut current);
        }
    }

    fn give_up(&self, current: &mut Option<Current>) {
        if let Some(current) = current.take() {
            self.state.lose(current.number);
        }
    }

    /// A new channel, over a new connection if the last one is lost. One attempt.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        let mut current = self.current.lock().await;
        if let Some(Current { connection, .. }) = &*current
            && connection.status().connected()
            && let Ok(channel) = step(connection.create_channel()).await
        {
            return Ok(channel);
        }
        self.give_up(&mut current);
        let made = current.insert(self.connect().await?);
        step(made.connection.create_channel()).await
    }

    /// One more channel over the connection, if that stands: for what is worth no other one.
    pub(super) async fn another_channel(&self) -> lapin::Result<Channel> {
        let current = self.current.lock().await;
        let missing = || lapin::Error::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
        step(current.as_ref().ok_or_else(missing)?.connection.create_channel()).await
    }

    async fn connect(&self) -> lapin::Result<Current> {
        let properties = ConnectionProperties::default().with_connection_name("eventsource".into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authority.as_deref().map(str::to_owned) };
        let connection = DefaultConnectionBuilder::new()?.with_uri(self.uri.clone()).with_properties(properties);
        let connection = connection.with_tls_config(tls);
        let connection = timeout(CONNECTING, connection.connect()).await.unwrap_or_else(|_| Err(late()))?;
        let number = self.state.begin(usize::try_from(connection.configuration().frame_max()).ok());
        log::rabbitmq::connected();
        tokio::spawn(watch_events(connection.events_listener(), number, Arc::downgrade(&self.state)));
        Ok(Current { connection, number })
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
async fn watch_events(events: impl futures_util::Stream<Item = Event>, number: u64, state: Weak<State>) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let Some(state) = state.upgrade() else { return };
        match event {
            Event::Error(_) => break,
            Event::ConnectionBlocked(_) => {
                state.block(number, true);
                log::rabbitmq::blocked();
            }
            Event::ConnectionUnblocked => state.block(number, false),
            _ => {}
        }
    }
    if let Some(state) = state.upgrade() {
        state.lose(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_connection_that_ends_late_says_nothing_about_the_current_one() {
        let state = State::default();
        let first = state.begin(None);
        state.lose(first);
        state.lose(first);
        let second = state.begin(None);
        state.lose(first);
        assert_eq!((state.standing.change(|now| now.lost), *state.losses.borrow()), (false, 1));
        state.block(first, true);
        let is_blocked = |begun| state.standing.change(|now| now.is_blocked_since(begun));
        let begun = Instant::now();
        assert!(!is_blocked(begun));
        state.block(second, true);
        assert!(is_blocked(begun));
        state.lose(second);
        assert_eq!((state.standing.change(|now| now.lost), *state.losses.borrow()), (true, 2));
    }
}
