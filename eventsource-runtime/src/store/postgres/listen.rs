//! Waiting for the feed to move: notifications, and polling when none come.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client};

use super::PostgresError;
use super::connections::{Connecting, MAY_IDLE, WATCHED};
use super::schema::Schema;
use crate::store::Position;
use crate::store::head::Head;
use crate::telemetry::log;

/// The first pause before reconnecting, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The parts of a listener.
pub(super) struct Listener {
    pub(super) connecting: Connecting,
    pub(super) schema: Schema,
    pub(super) head: Arc<Head>,
    pub(super) server: Option<(Arc<str>, u16)>,
}

/// A running listener, which ends when this is dropped.
pub(super) struct Listening(AbortHandle);

impl Listening {
    pub(super) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.end();
    }
}

impl Listener {
    /// Listens in a task.
    pub(super) fn start(self) -> Listening {
        let runtime = self.connecting.link.runtime.clone();
        Listening(runtime.spawn(self.listen()).abort_handle())
    }

    /// Listens until it is aborted. While there is no connection, callers that wait for the head poll it themselves.
    async fn listen(self) {
        let mut pause = PAUSES.0;
        let is_lost = AtomicBool::new(false);
        let begun = || {
            if is_lost.swap(false, Ordering::Relaxed) {
                log::postgres::reconnected();
            }
        };
        loop {
            let reason = match self.until_lost(&begun).await {
                // Without a word: whose write was refused tells that, each time, and this connection was well.
                Ok(()) => continue,
                Err(reason) => reason,
            };
            // Logged once for all attempts of a series.
            if !is_lost.swap(true, Ordering::Relaxed) {
                pause = PAUSES.0;
                log::postgres::reconnecting(self.server.as_ref(), &reason);
            }
            tokio::time::sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }

    /// Listens on one connection until it is lost, or its server takes no writes and another may have taken its place;
    /// calls `begun` once it listens, and returns why it was lost.
    async fn until_lost(&self, begun: &(dyn Fn() + Sync)) -> Result<(), PostgresError> {
        let Connecting { config, link, timeout: patience } = &self.connecting;
        // From here on, so that none is missed.
        let mut retired = pin!(link.retired());
        // The driver's own timeout ends where the server has accepted, and need not have answered.
        let connected = timeout(*patience, config.connect(link.tls.connector())).await;
        let (client, mut connection) = connected.map_err(|_| PostgresError::new("no answer in time"))??;
        let mut starting: Option<Pin<Box<dyn Future<Output = _> + Send + '_>>> = Some(Box::pin(self.begin(&client)));
        poll_fn(|task| {
            if retired.as_mut().poll(task).is_ready() {
                return Poll::Ready(Ok(()));
            }
            loop {
                // The connection, with the requests on it, makes progress only when polled.
                let message = connection.poll_message(task);
                if let Some(start) = &mut starting
                    && let Poll::Ready(started) = start.as_mut().poll(task)
                {
                    // The message that arrived with its last answer may be of an append missing from that.
                    starting = None;
                    match started {
                        Ok(()) => begun(),
                        Err(error) => return Poll::Ready(Err(error.into())),
                    }
                }
                match message {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                        if let Ok(position) = notification.payload().parse() {
                            self.head.publish(Position::new(position));
                        }
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                    Poll::Ready(None) => return Poll::Ready(Err(PostgresError::new("the connection was closed"))),
                }
            }
        })
        .await
    }

    /// From here on every append notifies: those that had not seen a listener are committed once the lock is acquired,
    /// and the head that is read then includes them.
    async fn begin(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let events = self.schema.sql("'{schema}.events'::regclass::oid");
        let channel: String = client.query_one(&format!("SELECT 'eventsource_' || {events}"), &[]).await?.get(0);
        client.batch_execute(&format!("{WATCHED}; {MAY_IDLE}; LISTEN {channel}")).await?;
        let share = format!("SELECT pg_advisory_lock_shared((x'65730002'::bigint << 32) | {events}::bigint)");
        client.batch_execute(&share).await?;
        let head =
            client.query_one(&self.schema.sql("SELECT coalesce(max(position), 0) FROM {schema}.events"), &[]).await?;
        self.head.publish(Position::new(u64::try_from(head.get::<_, i64>(0)).unwrap_or_default()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::connections::Link;
    use super::super::{PostgresOptions, address, tls};
    use super::*;

    #[test]
    fn a_server_that_accepts_and_does_not_answer_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://es@{}/postgres", silent.local_addr().unwrap());
        let options = PostgresOptions::default().connect_timeout(Duration::from_millis(20));
        let config = address::parse(&url, &options).unwrap();
        let tls = tls::tls(&config, &options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let link = Link::new(tls, runtime.handle().clone());
        let connecting = Connecting { config, link, timeout: options.connect_timeout };
        let schema = Schema::new("public").unwrap();
        let listener = Listener { connecting, schema, head: Arc::default(), server: None };
        let lost = runtime.block_on(async { timeout(Duration::from_secs(30), listener.until_lost(&|| ())).await });
        assert!(lost.expect("it gives up in time").is_err());
    }
}
