//! The store in PostgreSQL.
//!
//! An append is one statement in one transaction of its own, made by the store: it waits for the lock under which
//! positions are assigned, and holds it until it is committed. Appends that arrive while others are in flight are
//! committed together; each still succeeds or fails on its own. Readers wait for nobody.

mod address;
mod append;
mod connections;
mod error;
mod fold;
mod group;
mod listen;
mod numbers;
mod options;
mod projections;
mod read;
mod reader;
mod schema;
mod snapshots;
mod tls;
mod transaction;
mod writer;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::head::Head;
use super::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, NewEvent, Page, Position, StoreError,
    StoreInfo, StreamId, Traced, Version, Visitor,
};
use crate::domain::StoredEvent;
use crate::telemetry::names;
use append::{Appends, Pools};
use connections::{Connecting, Link, OURS, Readers, YOURS};
pub use error::PostgresError;
use fold::Folds;
use group::Append;
use listen::{Listener, Listening};
pub use options::PostgresOptions;
use read::Reads;
pub use reader::PostgresReader;
use schema::Schema;
use snapshots::Snapshots;
use tokio::runtime::Handle;
pub use transaction::PostgresTransaction;
use writer::{UNDER_WAY, Writer};

/// A store in PostgreSQL, with its spans and metrics.
///
/// Read models are ordinary tables, written in the transaction that a projection's method is given: read them with
/// [`reader`](PostgresStore::reader), or a pool of your own. A single client of the driver, as
/// [`tokio_postgres::connect`] makes it, does not connect again: once its connection is lost, each of its calls fails.
pub type PostgresStore = Traced<Postgres>;

impl Traced<Postgres> {
    /// Connects to the store in a database, with the default options. Its schema is created if it does not exist.
    ///
    /// The address is a URL, `postgres://user:password@host:5432/database`, with the options of the driver. With
    /// `sslmode=require` the connection uses TLS, the server's certificate and its name are verified, and the feature
    /// `postgres-tls` is needed. Without it the connection is not encrypted; `sslmode=prefer`, which would leave that
    /// to the server, is an error.
    ///
    /// Of several hosts, `postgres://user@one,two/database`, the first that answers and takes writes is used
    /// (`target_session_attrs=read-write`), so that a failover is followed.
    ///
    /// The store works in the Tokio runtime in which it was connected: when that has ended, appends fail with
    /// [`StoreError::Closed`], and each runtime, such as that of each `#[tokio::test]`, connects a store of its own.
    ///
    /// ```no_run
    /// # use eventsource_runtime::store::PostgresStore;
    /// # async fn connect() -> Result<(), eventsource_runtime::store::StoreError> {
    /// let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The address or an option cannot be read or asks for what this program cannot do ([`StoreError::Refused`]), the
    /// server cannot be reached or refuses, the schema is newer than this program, or it is older and its tables are in
    /// constant use by others for a minute.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Self::connect_with(address, PostgresOptions::default()).await
    }

    /// Connects to the store in a database, with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub async fn connect_with(address: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        Ok(Self::over(Postgres::connect(address, &options).await?))
    }

    /// Reads the database with SQL of your own, for queries over read models.
    #[must_use]
    pub fn reader(&self) -> PostgresReader {
        PostgresReader { shared: Arc::clone(&self.inner().shared) }
    }

    /// Closes the store for all its handles. Earlier calls may still be completed; later ones end with
    /// [`StoreError::Closed`].
    pub fn close(&self) {
        let shared = &self.inner().shared;
        let Pools { writers, readers, snapshots, workers, leases } = &*shared.pools;
        for pool in [writers, &readers.pool, snapshots, workers, leases] {
            pool.close();
        }
        if let Some(listening) = shared.listening.get() {
            listening.end();
        }
    }
}

/// The store in PostgreSQL. [`PostgresStore`] is the same with its spans and metrics.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
    /// Where a projection is built beside its read model, while it is.
    aside: Option<Arc<projections::Aside>>,
}

/// How many connections keep leases: some may be held up while a lease whose row somebody has locked is given up or
/// taken by force.
const LEASES: usize = 2;
/// How many keep snapshots: some may be held up by large deletions or maintenance of the table.
const SNAPSHOTS: usize = 2;
/// But not for longer than this.
const HELD_UP: &str = "SET lock_timeout = '1s'";

struct Shared {
    pools: Arc<Pools>,
    writer: Writer,
    reads: Reads,
    folds: Folds,
    snapshots: Snapshots,
    projections: projections::Statements,
    listening: OnceLock<Listening>,
    head: Arc<Head>,
    info: StoreInfo,
    schema: Schema,
    connecting: Connecting,
    polling_interval: Duration,
}

impl Shared {
    fn listener(&self) -> Listener {
        Listener {
            connecting: self.connecting.clone(),
            schema: self.schema.clone(),
            head: Arc::clone(&self.head),
            server: self.info.server.clone(),
        }
    }
}

impl Postgres {
    async fn connect(address: &str, options: &PostgresOptions) -> Result<Self, StoreError> {
        let refused = |error: PostgresError| StoreError::refused("open connections", error);
        let config = address::parse(address, options).map_err(refused)?;
        let schema = Schema::new(&options.schema).map_err(refused)?;
        let tls = tls::tls(&config, options).map_err(refused)?;
        let link = Link::new(tls, Handle::current());
        let connecting = Connecting { config: config.clone(), link: link.clone(), timeout: options.connect_timeout };
        let pool = |size, session| connecting.pool(size, session).map_err(refused);
        let held_up = format!("{OURS}; {HELD_UP}");
        let pools = Arc::new(Pools {
            writers: pool(UNDER_WAY, OURS)?,
            readers: Readers { pool: pool(options.connections, OURS)?, link: link.clone() },
            snapshots: pool(SNAPSHOTS, &held_up)?,
            workers: pool(options.connections, YOURS)?,
            leases: pool(LEASES, &held_up)?,
        });
        let mut info = StoreInfo::database("postgresql", "events");
        info.server = address::server(&config);
        info.namespace = address::namespace(&config, &options.schema);
        info.target = names::LOG_POSTGRES;
        let away = |fault: connections::Fault| {
            let server = info.server.as_ref();
            let at = || server.map_or_else(|| "at its socket".to_owned(), |(host, port)| format!("at {host}:{port}"));
            let advice = "see that it runs, and that address and account are right";
            fault.attempt("connect to the store").about(at, advice)
        };
        connections::refuse_transaction_mode(&pools.writers, options).await.map_err(away)?;
        let mut client = connections::lend(&pools.writers).await.map_err(away)?;
        schema.migrate(&mut client).await?;
        drop(client);
        let head = Arc::new(Head::default());
        Ok(Self {
            shared: Arc::new(Shared {
                writer: Writer::start(Appends::new(&schema), Arc::clone(&pools), Arc::clone(&head), link.runtime),
                reads: Reads::new(&schema),
                folds: Folds::new(&schema),
                snapshots: Snapshots::new(&schema),
                projections: projections::Statements::new(&schema),
                listening: OnceLock::new(),
                polling_interval: options.polling_interval,
                pools,
                head,
                info,
                schema,
                connecting,
            }),
            aside: None,
        })
    }
}

impl EventStore for Postgres {
    fn info(&self) -> StoreInfo {
        self.shared.info.clone()
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        AppendError::check(stream, &events)?;
        self.shared.writer.append(Append { stream: stream.clone(), expected, events }).await
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        self.shared.folds.fold(&self.shared.pools.readers, fold, visitor).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.shared.reads.stream(&self.shared.pools.readers, stream, after, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        if limit == 0 {
            // A page without a last event could not say how far it looked, nor where the head is.
            return Ok(Page { events: Vec::new(), scanned: after });
        }
        let known = self.shared.head.known();
        let page = self.shared.reads.all(&self.shared.pools.readers, after, filter, limit).await?;
        if page.scanned <= after {
            self.shared.head.refute(known, after);
        }
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let known = self.shared.head.known();
        let head = self.shared.reads.head(&self.shared.pools.readers).await?;
        self.shared.head.refute(known, head);
        Ok(head)
    }

    async fn changed(&self, position: Position) {
        let shared = &self.shared;
        // Started when somebody first waits: most programs that append never do.
        let readers = &shared.pools.readers.pool;
        if !readers.is_closed() {
            let listening = shared.listening.get_or_init(|| shared.listener().start());
            // If the store was closed meanwhile, there was no listener to end.
            if readers.is_closed() {
                listening.end();
            }
        }
        while tokio::time::timeout(shared.polling_interval, shared.head.beyond(position)).await.is_err() {
            match self.head().await {
                Ok(head) => shared.head.publish(head),
                // The waiting caller reads next, and gets the error there.
                Err(_) => return,
            }
        }
    }
}

/// Shows where it is, without credentials.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Postgres")
            .field("server", &shared.info.server)
            .field("schema", &shared.schema)
            .finish_non_exhaustive()
    }
}
