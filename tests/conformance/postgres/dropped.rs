//! Futures that are dropped, at every point where they wait.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Batch, Claim, Letters, Partition, Projection, ProjectionStore};
use eventsource_runtime::snapshot::{LastEvent, Restore, Schema, StoredSnapshot};
use eventsource_runtime::store::{Filter, Fold, Postgres, PostgresStore, PostgresTransaction, Visitor};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::testing::run;
use eventsource_runtime::{EventRef, StoredEvent};
use eventsource_tests::dropping::dropped_after;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{a_stream, events, options};
use crate::messages::until;

struct Count(usize);

impl Visitor for Count {
    fn visit(&mut self, _: EventRef<'_>) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Continue(())
    }
}

impl Restore for Count {
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        found.unwrap().map_or(Version::START, |found| found.last.version)
    }
}

/// Runs a test on one thread, where no answer can come while a call is polled, so that each call waits at least once.
fn on_one_thread<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    run(async {
        // Skipped here where there is no server, not in the thread.
        let _address = services::postgres();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime.block_on(test())).join().unwrap();
    });
}

/// Every call is polled once, twice, and so on until it is done, and dropped; then the same single connection has no
/// transaction and no lock left, and does the next call.
#[test]
fn no_point_at_which_a_future_is_dropped_leaves_anything_behind() {
    on_one_thread(|| async {
        for connections in [1, 2] {
            drop_everywhere(connections).await;
        }
    });
}

async fn drop_everywhere(connections: usize) {
    let (name, store, observer) = observed(connections).await;
    let stream = a_stream();
    let first = events(300);
    let id = first[0].id;
    store.append(&stream, ExpectedVersion::Any, first).await.unwrap();
    for call in 0..11 {
        let mut polls = 0;
        loop {
            polls += 1;
            let done = dropped_after(polls, one_of(call, &store, &stream, id)).await;
            nothing_is_left(&observer, &name, &store).await;
            if done.is_some() {
                break;
            }
        }
        // How often it waits depends on how much of an answer is there at once.
        assert!(polls > 1, "call {call} was never dropped");
    }
    let stored = store.read_stream(&stream, Version::new(300), 1000).await.unwrap();
    assert_eq!(stored.len() % 3, 0, "appends are whole");
}

/// A store with so many connections of a kind, the name that it shares with its schema, and somebody who looks at it.
async fn observed(connections: usize) -> (String, PostgresStore, Client) {
    let name = services::a_schema();
    let address = format!("{}?application_name={name}", services::postgres());
    let options = options(&name).connections(connections);
    let store = PostgresStore::connect_with(&address, options).await.unwrap();
    (name, store, services::raw(&services::postgres()).await)
}

/// `first` is the id of the stream's first event.
async fn one_of(call: usize, store: &PostgresStore, stream: &StreamId, first: Uuid) {
    let fold = async |first_event| {
        let fold = Fold { stream: stream.clone(), after: Version::START, first_event };
        store.fold(fold, Count(0)).await.unwrap()
    };
    match call {
        0 => drop(store.append(stream, ExpectedVersion::Any, events(3)).await.unwrap()),
        1 => drop(store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap()),
        2 => assert!(fold(None).await.visitor.0 >= 300),
        3 => assert!(fold(Some(Uuid::now_v7())).await.visitor.0 >= 300),
        4 => assert!(fold(Some(first)).await.earlier.is_some()),
        5 => drop(store.read_stream(stream, Version::START, 1000).await.unwrap()),
        6 => drop(store.read_all(Position::START, &Filter::all().event_types(["Placed"]), 1000).await.unwrap()),
        7 => drop(store.read_all(Position::START, &Filter::all(), 1000).await.unwrap()),
        8 => assert!(store.head().await.unwrap() >= Position::new(300)),
        9 => {
            let reader = store.reader();
            let read = reader.read(async |tx| {
                let numbers = tx.prepare_cached("SELECT generate_series(1, 300)").await?;
                Ok(tx.query(&numbers, &[]).await?.len() + tx.query("SELECT 1", &[]).await?.len())
            });
            assert_eq!(read.await.unwrap(), 301);
        }
        _ => drop(store.append(stream, ExpectedVersion::Any, Vec::new()).await.unwrap()),
    }
}

/// The store does its next call, and then none of its sessions has a transaction or a lock of one. The server ends the
/// session of a connection that was given up as soon as it looks at it.
async fn nothing_is_left(observer: &Client, application: &str, store: &PostgresStore) {
    store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
    store.head().await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 \
        AND (state <> 'idle' OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))";
    until(async || observer.query_one(left, &[&application]).await.unwrap().get::<_, i64>(0) == 0).await;
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Placed")]
struct Placed(u32);

/// Notes each event twice, so that half of it can be told from the whole.
struct Notes(String);

#[projection]
impl Notes {
    #[projection(setup)]
    async fn begin(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx
            .execute_batch(&format!("INSERT INTO {0}.notes VALUES (0); INSERT INTO {0}.notes VALUES (0)", self.0))
            .await?)
    }

    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("DELETE FROM {}.notes", self.0)).await?)
    }

    async fn placed(&self, event: &Recorded<Placed>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let (insert, position) = (format!("INSERT INTO {}.notes VALUES ($1)", self.0), event.position().get());
        tx.enqueue(&insert, &[&i64::try_from(position)?]).await?;
        tx.execute(&insert, &[&i64::try_from(position)?]).await?;
        Ok(())
    }
}

/// What there is of a projection and of snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Standing {
    parts: i64,
    position: i64,
    leased: i64,
    noted: i64,
    letters: i64,
    snapshots: i64,
}

/// What is there before each call; but no projection before it is opened.
const BEFORE: Standing = Standing { parts: 1, position: 2, leased: 1, noted: 2, letters: 1, snapshots: 3 };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Open,
    OpenInParts,
    Renew,
    TakeByForce,
    GiveUp,
    Apply,
    Reset,
    List,
    Retry,
    Resolve,
    Save,
    Find,
    FoldFrom,
    Delete,
    DeleteAll,
}

impl Call {
    const ALL: [Self; 15] = [
        Self::Open,
        Self::OpenInParts,
        Self::Renew,
        Self::TakeByForce,
        Self::GiveUp,
        Self::Apply,
        Self::Reset,
        Self::List,
        Self::Retry,
        Self::Resolve,
        Self::Save,
        Self::Find,
        Self::FoldFrom,
        Self::Delete,
        Self::DeleteAll,
    ];

    fn before(self) -> Standing {
        if self == Self::Open { Standing { snapshots: BEFORE.snapshots, ..Standing::default() } } else { BEFORE }
    }

    fn after(self) -> Standing {
        match self {
            Self::Open => Standing { parts: 1, noted: 2, ..self.before() },
            Self::OpenInParts => Standing { parts: 3, leased: 0, ..BEFORE },
            Self::GiveUp => Standing { leased: 0, ..BEFORE },
            // The first of its two events is parked behind the letter.
            Self::Apply => Standing { position: 4, noted: 4, letters: 2, ..BEFORE },
            Self::Reset => Standing { position: 0, noted: 0, letters: 0, ..BEFORE },
            Self::Retry => Standing { noted: 4, letters: 0, ..BEFORE },
            Self::Resolve => Standing { letters: 0, ..BEFORE },
            Self::Save => Standing { snapshots: 4, ..BEFORE },
            Self::Delete => Standing { snapshots: 2, ..BEFORE },
            Self::DeleteAll => Standing { snapshots: 1, ..BEFORE },
            Self::Renew | Self::TakeByForce | Self::List | Self::Find | Self::FoldFrom => BEFORE,
        }
    }
}

struct Scene {
    schema: String,
    store: PostgresStore,
    observer: Client,
    notes: Arc<dyn Projection<Postgres>>,
    claim: Claim,
    /// Three of one stream, the second of which is a dead letter, and one of another.
    events: Vec<StoredEvent>,
}

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "test", Duration::from_hours(1))
}

impl Scene {
    async fn new() -> Self {
        let (schema, store, observer) = observed(1).await;
        observer.batch_execute(&format!("CREATE TABLE {schema}.notes (position bigint)")).await.unwrap();
        store.append(&a_stream(), ExpectedVersion::NoStream, events(3)).await.unwrap();
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        let events = store.read_all(Position::START, &Filter::all(), 4).await.unwrap().events;
        let notes = Arc::new(Notes(schema.clone()));
        Self { schema, store, observer, notes, claim: claim(), events }
    }

    fn snapshot(&self, of: &str) -> StoredSnapshot {
        let event = &self.events[1];
        let last = LastEvent { version: event.version, position: event.position, id: event.id };
        StoredSnapshot::new(of.parse().unwrap(), last, Schema { version: 1, hash: 1 }, "{}".into())
    }

    /// Has things stand as before a call.
    async fn set(&self, standing: Standing) {
        let clear = "DELETE FROM {}.notes; DELETE FROM {}.snapshots; DELETE FROM {}.projection_dead_letters; \
            DELETE FROM {}.projection_partitions";
        self.observer.batch_execute(&clear.replace("{}", &self.schema)).await.unwrap();
        for stream in [self.events[0].stream.as_str(), "Order-1", "Parcel-1"] {
            self.store.save_snapshot(self.snapshot(stream)).await.unwrap();
        }
        if standing.parts > 0 {
            let fill = format!(
                "INSERT INTO {{}}.projection_partitions VALUES ('Notes', 0, 1, 2, '{}', 'test', now() + '1 hour'); \
                INSERT INTO {{}}.notes VALUES (1), (1); \
                INSERT INTO {{}}.projection_dead_letters VALUES ('Notes', 2, '{}', 2, 'Placed', 'E', 'why', 0, 1)",
                self.claim.token, self.events[1].stream,
            );
            self.observer.batch_execute(&fill.replace("{}", &self.schema)).await.unwrap();
        }
        assert_eq!(self.standing().await, standing);
    }

    async fn standing(&self) -> Standing {
        let look = "SELECT count(*), coalesce(max(position), 0), count(token), (SELECT count(*) FROM {}.notes), \
            (SELECT count(*) FROM {}.projection_dead_letters), (SELECT count(*) FROM {}.snapshots) \
            FROM {}.projection_partitions";
        let row = self.observer.query_one(&look.replace("{}", &self.schema), &[]).await.unwrap();
        let [parts, position, leased, noted, letters, snapshots] = std::array::from_fn(|column| row.get(column));
        Standing { parts, position, leased, noted, letters, snapshots }
    }

    async fn call(&self, call: Call) {
        let (store, notes) = (&self.store, || Arc::clone(&self.notes));
        let stream = &self.events[0].stream;
        match call {
            Call::Open => store.open_projection(notes(), 1, Position::START).await.unwrap(),
            Call::OpenInParts => store.open_projection(notes(), 3, Position::START).await.unwrap(),
            Call::Renew => self.lease(self.claim.clone()).await,
            Call::TakeByForce => self.lease(claim().by_force()).await,
            Call::GiveUp => self.lease(self.claim.clone().given_up()).await,
            Call::Apply => {
                let (from, to) = (self.events[1].position, self.events[3].position);
                let batch = Batch::new(Partition::whole("Notes"), self.claim.clone(), from, to);
                let batch = batch.events(self.events[2..].to_vec());
                drop(store.apply_batch(notes(), batch, Scope::current()).await.unwrap());
            }
            Call::Reset => store.reset_projection(notes(), self.claim.token).await.unwrap(),
            Call::List => drop(store.dead_letters("Notes", Letters::new(1)).await.unwrap()),
            Call::Retry => self.settle(Some(self.events[1].clone())).await,
            Call::Resolve => self.settle(None).await,
            Call::Save => store.save_snapshot(self.snapshot("Order-2")).await.unwrap(),
            Call::Find => assert!(store.latest_snapshot(stream).await.unwrap().is_some()),
            Call::FoldFrom => {
                let first_event = Some(Uuid::now_v7());
                let fold = Fold { stream: stream.clone(), after: Version::START, first_event };
                assert_eq!(store.fold_from_snapshot(fold, Count(0)).await.unwrap().visitor.0, 1);
            }
            Call::Delete => assert!(store.delete_snapshot(stream).await.unwrap()),
            Call::DeleteAll => assert_eq!(store.delete_snapshots("Order").await.unwrap(), 2),
        }
    }

    async fn lease(&self, claim: Claim) {
        assert_eq!(self.store.lease_projection(Partition::whole("Notes"), claim).await.unwrap().taken, None);
    }

    async fn settle(&self, event: Option<StoredEvent>) {
        let (notes, position) = (Arc::clone(&self.notes), self.events[1].position);
        assert!(self.store.settle_dead_letter(notes, position, event, Scope::current()).await.unwrap());
    }

    /// A call on each connection that a dropped one may have left, behind all that it has sent.
    async fn goes_on(&self) {
        let (store, nowhere, other) = (&self.store, Position::new(1000), Partition::whole("Others"));
        assert!(!store.settle_dead_letter(Arc::clone(&self.notes), nowhere, None, Scope::current()).await.unwrap());
        store.lease_projection(other, claim()).await.expect_err("it has no part");
        assert!(!store.snapshot_exists(&a_stream()).await.unwrap());
    }
}

/// What is dropped is done, or not; nothing in between.
#[test]
fn no_point_at_which_a_call_about_projections_or_snapshots_is_dropped_leaves_it_half_done() {
    on_one_thread(|| async {
        let scene = Scene::new().await;
        for call in Call::ALL {
            let mut polls = 0;
            loop {
                polls += 1;
                scene.set(call.before()).await;
                let is_done = dropped_after(polls, Box::pin(scene.call(call))).await.is_some();
                scene.goes_on().await;
                nothing_is_left(&scene.observer, &scene.schema, &scene.store).await;
                let standing = scene.standing().await;
                let is_whole = standing == call.after() || standing == call.before() && !is_done;
                assert!(is_whole, "{call:?} after {polls} polls: {standing:?}");
                if is_done {
                    break;
                }
            }
            assert!(polls > 1, "{call:?} was never dropped");
        }
    });
}
