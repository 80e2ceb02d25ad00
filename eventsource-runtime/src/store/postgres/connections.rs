//! Connections: making and lending them.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, SimpleQueryMessage, Socket};

use super::tls::Tls;
use super::{PostgresError, PostgresOptions};
use crate::driven::driven_by;
use crate::poll::beside;
use crate::store::StoreError;

/// Settings of all connections: a server that has heard nothing from a client machine for a while checks whether it is
/// there, as the client does with the server. For a machine that has gone, it would otherwise keep locks for hours. On
/// a Unix socket this has no effect.
pub(super) const WATCHED: &str =
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// Of a connection that says nothing for as long as nothing happens, which a server may permit for so long. Older ones
/// know no such limit.
pub(super) const MAY_IDLE: &str =
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'";

/// Settings of connections that run the store's statements. Appends are correct in no other isolation level; JIT
/// compiling a statement takes longer than the longest page, and so does starting a process; and a plan made while a
/// table was small is kept when it has grown, so that indexes are used from the start, and by the first plan.
pub(super) const OURS: &str = "SET default_transaction_isolation = 'read committed'; SET jit = off; \
    SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0";

/// Undoes that for a transaction which runs statements of the application, whose role or address may say otherwise.
pub(super) const NOT_OURS: &str = "SET LOCAL jit TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT; \
    SET LOCAL plan_cache_mode TO DEFAULT; SET LOCAL max_parallel_workers_per_gather TO DEFAULT";

/// Settings of connections that also run statements of the application.
pub(super) const YOURS: &str = "SET default_transaction_isolation = 'read committed'";

/// Why there is no connection, or what became of one.
#[derive(Clone)]
pub(super) enum Fault {
    Closed,
    Said(PostgresError),
}

impl Fault {
    pub(super) fn attempt(self, attempt: &'static str) -> StoreError {
        match self {
            Self::Closed => StoreError::Closed,
            Self::Said(error) if error.is_final() => StoreError::refused(attempt, error),
            Self::Said(error) => StoreError::backend(attempt, error),
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Said(error.into())
    }
}

impl From<PostgresError> for Fault {
    fn from(error: PostgresError) -> Self {
        Self::Said(error)
    }
}

/// The TLS of connections, the runtime that drives them, and which of them are not lent again.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) tls: Tls,
    /// The one in which the store was opened. A caller's may be driven for no longer than the caller waits, while
    /// others are lent the connection.
    pub(super) runtime: Handle,
    retired: Retired,
}

impl Link {
    pub(super) fn new(tls: Tls, runtime: Handle) -> Self {
        let retired = Retired { born: Instant::now(), before: Arc::default(), more: Arc::default() };
        Self { tls, runtime, retired }
    }

    /// Looks at an error of a statement that writes. If the server takes no writes, another may have taken its place
    /// under the same name, and only a new connection would find it: no connection made by now is lent again.
    pub(super) fn note(&self, error: &PostgresError) {
        if error.is_read_only() {
            self.retired.all();
        }
    }

    /// Ends when the connections that were made before are not lent again, for one that is in no pool.
    pub(super) fn retired(&self) -> Notified<'_> {
        self.retired.more.notified()
    }
}

/// When the connections were made that are not lent again, in nanoseconds: none before the first refusal.
#[derive(Clone)]
struct Retired {
    born: Instant,
    before: Arc<AtomicU64>,
    /// Told each time.
    more: Arc<Notify>,
}

impl Retired {
    /// A server may take no writes for a while, with callers that ask it all the time: it gets no more than a set of
    /// new connections in this time.
    const AT_MOST_EVERY: Duration = Duration::from_secs(1);

    fn all(&self) {
        let (now, every) = (self.at(Instant::now()), nanos(Self::AT_MOST_EVERY));
        let is_due = |before: u64| (before == 0 || now.saturating_sub(before) >= every).then_some(now);
        // Otherwise it was done within the last second.
        if self.before.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok() {
            self.more.notify_waiters();
        }
    }

    fn has(&self, created: Instant) -> bool {
        self.at(created) < self.before.load(Ordering::Relaxed)
    }

    fn at(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.born))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How connections are made.
#[derive(Clone)]
pub(super) struct Connecting {
    pub(super) config: Config,
    pub(super) link: Link,
    pub(super) timeout: Duration,
}

impl Connecting {
    /// A pool of at most `size` connections with these settings, made when needed.
    pub(super) fn pool(&self, size: usize, session: &str) -> Result<Pool, PostgresError> {
        let connect = Connector { link: self.link.clone(), session: format!("{WATCHED}; {session}").into() };
        // A closed connection is not lent; whether an open one works, its user finds out.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let retired = self.link.retired.clone();
        let is_lent = Hook::sync_fn(move |_, metrics| {
            let is_retired = retired.has(metrics.created);
            if is_retired { Err(HookError::message("its server takes no writes")) } else { Ok(()) }
        });
        Pool::builder(Manager::from_connect(self.config.clone(), connect, recycling))
            .max_size(size)
            // The one used last: if few are in use, its server process has warm caches.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .pre_recycle(is_lent)
            .wait_timeout(Some(self.timeout))
            .create_timeout(Some(self.timeout))
            .build()
            .map_err(|error| PostgresError::new(error.to_string()))
    }
}

pub(super) async fn lend(pool: &Pool) -> Result<Object, Fault> {
    pool.get().await.map_err(|error| match error {
        PoolError::Closed => Fault::Closed,
        PoolError::Backend(error) => Fault::Said(PostgresError::not_sent(&error)),
        PoolError::Timeout(TimeoutType::Wait) => Fault::Said(PostgresError::none_free(
            "no connection was free in time; raise `connections`, or see what keeps them",
        )),
        PoolError::Timeout(_) => Fault::Said(PostgresError::unavailable(
            "no connection could be made in time; see whether the server is there",
        )),
        other => Fault::Said(PostgresError::unavailable(other.to_string())),
    })
}

/// The connections that read.
pub(super) struct Readers {
    pub(super) pool: Pool,
    pub(super) link: Link,
}

impl Readers {
    /// A connection whose user may be dropped before it has answered.
    pub(super) async fn lend(&self) -> Result<Busy, Fault> {
        Ok(Busy::new(lend(&self.pool).await?, &self.link, SOON))
    }

    /// The connection returned last, if none is in use, and it is not the only one allowed.
    pub(super) async fn idle(&self) -> Option<Object> {
        let status = self.pool.status();
        if status.max_size == 1 || status.available == 0 || status.available < status.size {
            return None;
        }
        // Another caller may have taken it meanwhile.
        let at_once = Timeouts { wait: Some(Duration::ZERO), create: Some(Duration::ZERO), recycle: None };
        self.pool.timeout_get(&at_once).await.ok()
    }
}

/// A read dropped sooner than this leaves a connection that is soon usable again, and there may be many such reads.
/// Later, what it reads may be locked.
const SOON: Duration = Duration::from_millis(100);
/// How long such a connection may take to answer before it is closed after all.
pub(super) const ANSWERED: Duration = Duration::from_secs(1);

/// A connection on which a statement may take long. If it is dropped before it is free, a statement and a transaction
/// may still be open on it: then it is lent again only once they have been answered. If the statement has been running
/// for longer than its patience, the connection is closed and the statement cancelled, so that it locks nothing.
pub(super) struct Busy {
    client: Option<Object>,
    link: Link,
    since: Instant,
    /// A request younger than this will soon be answered.
    patience: Duration,
}

impl Busy {
    pub(super) fn new(client: Object, link: &Link, patience: Duration) -> Self {
        Self { client: Some(client), link: link.clone(), since: Instant::now(), patience }
    }

    /// Nothing is pending on it any more.
    pub(super) fn free(mut self) -> Object {
        self.client.take().unwrap_or_else(|| unreachable!("it is there until this is freed or dropped"))
    }
}

impl Deref for Busy {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.client.as_ref().unwrap_or_else(|| unreachable!("it is there until this is freed or dropped"))
    }
}

impl DerefMut for Busy {
    fn deref_mut(&mut self) -> &mut Object {
        self.client.as_mut().unwrap_or_else(|| unreachable!("it is there until this is freed or dropped"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if self.since.elapsed() >= self.patience {
            give_up(client, &self.link);
            return;
        }
        let link = self.link.clone();
        self.link.runtime.spawn(async move {
            // The server answers requests in order.
            let answered = timeout(ANSWERED, client.simple_query("")).await;
            if !matches!(answered, Ok(Ok(_))) {
                give_up(client, &link);
            }
        });
    }
}

/// Closes a connection, and asks the server to cancel what runs on it, so that it locks nothing.
fn give_up(client: Object, link: &Link) {
    let (cancel, tls) = (client.cancel_token(), link.tls.connector());
    drop(Object::take(client));
    // It ends with an answer, or with the server's process, which then has no client.
    link.runtime.spawn(async move {
        let _ = cancel.cancel_query(tls).await;
    });
}

/// Refuses a pooler that lends a connection for no longer than a transaction: prepared statements, notifications and
/// session settings are lost there. A pooler in session mode is not noticeable.
pub(super) async fn refuse_transaction_mode(pool: &Pool, options: &PostgresOptions) -> Result<(), Fault> {
    let one = lend(pool).await?;
    // Not returned to the pool: dropped in the middle, it would be lent with its transaction.
    let other = Object::take(lend(pool).await?);
    let before = backend(&one).await?;
    // If the pooler lends connections in turn, this is a different one already.
    let again = backend(&one).await?;
    // If it lends the one that was free last, this takes it.
    other.batch_execute("BEGIN").await?;
    let taken = backend(&other).await?;
    if before == again && before != taken {
        let after = timeout(options.connect_timeout, backend(&one)).await.map_err(|_| {
            PostgresError::unavailable("the server did not answer in time, or a pooler had no connection to lend")
        })?;
        if after? == before {
            return Ok(());
        }
    }
    Err(Fault::Said(PostgresError::new(
        "the address is that of a pooler in transaction mode, which loses prepared statements and notifications; \
         use session mode, or the server itself",
    )))
}

async fn backend(client: &Client) -> Result<String, PostgresError> {
    let rows = client.simple_query("SELECT pg_backend_pid()").await?;
    let pid = rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(pid.unwrap_or_default().to_owned())
}

struct Connector {
    link: Link,
    session: Arc<str>,
}

impl Connect for Connector {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Connected, tokio_postgres::Error>> + Send + '_>> {
        let connecting = {
            let (config, tls, session) = (config.clone(), self.link.tls.clone(), Arc::clone(&self.session));
            move || connected(config.clone(), tls.connector(), Arc::clone(&session))
        };
        Box::pin(driven_by(&self.link.runtime, connecting))
    }
}

async fn connected<T>(config: Config, tls: T, session: Arc<str>) -> Result<Connected, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static, TlsConnect: Send>,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    // Not in a task yet, which would outlive whoever asks where the answer never comes.
    beside(client.batch_execute(&session), &mut connection).await?;
    // It ends with the client, or with an error that the client's next call returns.
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok((client, task))
}

type Connected = (Client, JoinHandle<()>);
