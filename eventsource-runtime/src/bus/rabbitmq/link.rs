//! A connection that is restored when lost.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, Event};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::bus::brokers::Pauses;
use crate::driven::driven_by;
use crate::telemetry::log;

/// How long a broker may take to answer a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// The maximum size of a frame by default, until a broker has been reached.
const FRAME: usize = 128 * 1024;
/// How long one step may take over a connection that seems to be up: one that breaks may leave it without an end.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// One connection at a time, remade when it is lost.
///
/// The client's own recovery is off: it recovers what it has seen declared, we declare what a group needs.
pub(super) struct Link {
    uri: AMQPUri,
    /// In PEM, who may sign for brokers with TLS besides those that the system trusts.
    authority: Option<Arc<str>>,
    /// The one in which the bus was opened. A caller's may be driven for no longer than the caller waits, while others
    /// use the connection.
    runtime: Handle,
    /// Locked by tasks alone: a caller may not be polled for a while.
    current: Mutex<Option<Current>>,
    /// How the current connection is, and how many were lost.
    standing: watch::Sender<Condition>,
    losses: watch::Sender<u64>,
}

/// How a connection is.
#[derive(Clone, Copy, Default)]
pub(super) struct Condition {
    /// Counts the connections: an old one may end late, and says nothing about the current one.
    number: u64,
    made: Option<Instant>,
    /// The maximum size of a frame.
    frame: Option<usize>,
    lost: bool,
    /// The broker takes no messages over it for a while, but it is up.
    blocked: bool,
    /// When it last took them again.
    unblocked: Option<Instant>,
}

impl Condition {
    /// Whether it is up, or nobody has needed one yet.
    pub(super) fn is_connected(self) -> bool {
        !self.lost
    }

    /// The maximum size of a frame, as negotiated with the broker.
    pub(super) fn frame(self) -> usize {
        self.frame.unwrap_or(FRAME)
    }

    fn is_blocked(self) -> bool {
        self.blocked && !self.lost
    }

    /// Whether the broker has blocked the connection of a step that began then: it takes no messages for a while, and
    /// then it does.
    pub(super) fn is_blocked_since(self, begun: Instant) -> bool {
        self.is_blocked() && self.made <= Some(begun)
    }

    /// Since when a step that began then has not been held up by a broker that took no messages.
    pub(super) fn goes_on_since(self, begun: Instant) -> Instant {
        self.unblocked.map_or(begun, |unblocked| unblocked.max(begun))
    }
}

struct Current {
    connection: Connection,
    number: u64,
}

impl Link {
    pub(super) fn new(uri: AMQPUri, authority: Option<Arc<str>>) -> Arc<Self> {
        let (runtime, current) = (Handle::current(), Mutex::default());
        let (standing, losses) = Default::default();
        Arc::new(Self { uri, authority, runtime, current, standing, losses })
    }

    /// Makes a connection the current one, and returns its number.
    fn begin(&self, frame: Option<usize>) -> u64 {
        let mut begun = 0;
        self.standing.send_modify(|now| {
            begun = now.number + 1;
            *now = Condition { number: begun, made: Some(Instant::now()), frame, ..Condition::default() };
        });
        begun
    }

    /// A connection has ended, or was given up; that counts once, and only for the current one.
    fn lose(&self, number: u64) {
        let lose = |now: &mut Condition| now.number == number && !std::mem::replace(&mut now.lost, true);
        let is_new = self.standing.send_if_modified(lose);
        if is_new {
            log::rabbitmq::disconnected();
            self.losses.send_modify(|losses| *losses += 1);
        }
    }

    fn block(&self, number: u64, blocked: bool) {
        let block = |now: &mut Condition| {
            let is_new = now.number == number && std::mem::replace(&mut now.blocked, blocked) != blocked;
            if is_new && !blocked {
                now.unblocked = Some(Instant::now());
            }
            is_new
        };
        self.standing.send_if_modified(block);
    }

    /// What a task of the runtime makes of the link. Whatever the task spawns is driven there, too, and nobody who waits
    /// for it holds what it locks.
    pub(super) async fn apart<F>(self: &Arc<Self>, work: impl Fn(Arc<Self>) -> F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        driven_by(&self.runtime, || work(Arc::clone(self))).await
    }

    /// How the current connection is.
    pub(super) fn now(&self) -> Condition {
        *self.standing.borrow()
    }

    /// Reports each loss of a connection from now on.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// Waits while the broker takes no messages over the current connection.
    pub(super) async fn unblocked(&self) {
        let mut standing = self.standing.subscribe();
        // This fails only if the sender is dropped, and that is here.
        let _ = standing.wait_for(|now| !now.is_blocked()).await;
    }

    /// Gives up the connection of a step that began then and did not end; not one that was made since, and not one that
    /// the broker has blocked.
    pub(super) async fn abandon(self: &Arc<Self>, begun: Instant) {
        let abandon = |this: Arc<Self>| async move {
            let mut current = this.current.lock().await;
            let now = this.now();
            if now.made <= Some(begun) && !now.is_blocked_since(begun) {
                this.give_up(&mut current);
            }
        };
        self.apart(abandon).await;
    }

    fn give_up(&self, current: &mut Option<Current>) {
        if let Some(current) = current.take() {
            self.lose(current.number);
        }
    }

    /// A new channel, over a new connection if the last one is lost. One attempt.
    pub(super) async fn channel(self: &Arc<Self>) -> lapin::Result<Channel> {
        let open = |this: Arc<Self>| async move {
            let mut current = this.current.lock().await;
            if let Some(Current { connection, .. }) = &*current
                && connection.status().connected()
                && let Ok(channel) = step(connection.create_channel()).await
            {
                return Ok(channel);
            }
            this.give_up(&mut current);
            let made = current.insert(this.connect().await?);
            step(made.connection.create_channel()).await
        };
        self.apart(open).await
    }

    /// Another channel over the connection, if that is up: for what is not worth a new connection.
    pub(super) async fn another_channel(self: &Arc<Self>) -> lapin::Result<Channel> {
        let open = |this: Arc<Self>| async move {
            let current = this.current.lock().await;
            let missing = || lapin::Error::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
            step(current.as_ref().ok_or_else(missing)?.connection.create_channel()).await
        };
        self.apart(open).await
    }

    async fn connect(self: &Arc<Self>) -> lapin::Result<Current> {
        let properties = ConnectionProperties::default().with_connection_name("eventsource".into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authority.as_deref().map(str::to_owned) };
        let connection = DefaultConnectionBuilder::new()?.with_uri(self.uri.clone()).with_properties(properties);
        let connection = connection.with_tls_config(tls);
        let connection = timeout(CONNECTING, connection.connect()).await.unwrap_or_else(|_| Err(late()))?;
        let number = self.begin(usize::try_from(connection.configuration().frame_max()).ok());
        log::rabbitmq::connected();
        let status = connection.status().clone();
        let stands = move || status.connected();
        let this = Arc::downgrade(self);
        let watching = watch_events(connection.events_listener(), number, Weak::clone(&this), stands);
        tokio::spawn(async move {
            watching.await;
            restore(this).await;
        });
        Ok(Current { connection, number })
    }
}

/// Reconnects, though nobody may need it: the gauge must show whether the broker is reachable.
fn restore(link: Weak<Link>) -> BoxFuture<'static, ()> {
    // Boxed, since the connection that it makes is watched and restored in its turn.
    Box::pin(async move {
        let mut pauses = Pauses::default();
        loop {
            pauses.next().await;
            match link.upgrade() {
                Some(link) if !link.now().is_connected() => drop(link.channel().await),
                _ => return,
            }
        }
    })
}

/// The result of a step over a connection, or an error if it does not end in time.
pub(super) async fn step<T>(body: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    timeout(STEP, body).await.unwrap_or_else(|_| Err(late()))
}

pub(super) fn late() -> lapin::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Reports when a connection is lost, also while nobody uses it. The client reports an error too when the broker closes
/// a channel: then the connection is still up.
async fn watch_events(
    events: impl futures_util::Stream<Item = Event>,
    number: u64,
    link: Weak<Link>,
    stands: impl Fn() -> bool,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let Some(link) = link.upgrade() else { return };
        match event {
            Event::Error(_) if !stands() => break,
            Event::ConnectionBlocked(_) => {
                link.block(number, true);
                log::rabbitmq::blocked();
            }
            Event::ConnectionUnblocked => link.block(number, false),
            _ => {}
        }
    }
    if let Some(link) = link.upgrade() {
        link.lose(number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::stream::{iter, pending};

    use super::*;

    fn link() -> Arc<Link> {
        Link::new(AMQPUri::default(), None)
    }

    #[tokio::test]
    async fn an_old_connection_that_ends_late_says_nothing_about_the_current_one() {
        let link = link();
        let first = link.begin(None);
        link.lose(first);
        link.lose(first);
        let second = link.begin(None);
        link.lose(first);
        assert_eq!((link.now().lost, *link.losses.borrow()), (false, 1));
        link.block(first, true);
        let is_blocked = |begun| link.now().is_blocked_since(begun);
        let begun = Instant::now();
        assert!(!is_blocked(begun));
        link.block(second, true);
        assert!(is_blocked(begun));
        link.lose(second);
        assert_eq!((link.now().lost, *link.losses.borrow()), (true, 2));
    }

    /// A publication was given up, with its connection, as soon as the broker took it.
    #[tokio::test]
    async fn the_time_for_which_a_broker_takes_nothing_counts_for_no_step() {
        let link = link();
        let number = link.begin(None);
        let begun = Instant::now();
        assert_eq!(link.now().goes_on_since(begun), begun);
        link.block(number, true);
        link.block(number, false);
        let unblocked = link.now().goes_on_since(begun);
        assert!(unblocked > begun);
        link.block(number, false);
        assert_eq!(link.now().goes_on_since(begun), unblocked, "it was told so twice");
        let later = Instant::now();
        assert_eq!(link.now().goes_on_since(later), later);
        link.begin(None);
        assert_eq!(link.now().goes_on_since(begun), begun, "another connection was never blocked");
    }

    /// All deliveries counted as lost, and the gauge stood at nothing until the next connection.
    #[tokio::test]
    async fn a_channel_that_the_broker_closes_is_no_loss_of_its_connection() {
        let link = link();
        let number = link.begin(None);
        let watched = |stands: bool| {
            let events = iter([Event::Error(late()), Event::ConnectionBlocked("no memory".into())]).chain(pending());
            watch_events(events, number, Arc::downgrade(&link), move || stands).now_or_never().is_some()
        };
        assert!(!watched(true), "it watches on");
        assert_eq!((link.now().lost, link.now().blocked), (false, true));
        assert!(watched(false));
        assert_eq!((link.now().lost, *link.losses.borrow()), (true, 1));
    }

    #[tokio::test]
    async fn who_publishes_waits_while_the_broker_takes_nothing_over_a_connection_that_stands() {
        let link = link();
        let waits = || link.unblocked().now_or_never().is_none();
        assert!(!waits(), "nobody has needed a connection yet");
        let first = link.begin(None);
        link.block(first, true);
        assert!(waits());
        link.block(first, false);
        assert!(!waits());
        link.block(first, true);
        link.lose(first);
        assert!(!waits(), "it is for whoever makes another one");
        link.begin(None);
        assert!(!waits());
    }
}
