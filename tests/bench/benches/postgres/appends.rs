//! Appends alone: ours, and a lock that everybody takes for himself.

use std::sync::Arc;
use std::time::Duration;

use eventsource_bench::orders::{AnyCommand, Order, encode};
use eventsource_bench::sample::timed;
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{EventStore, ExpectedVersion, NewEvent, Origin, PostgresStore, StreamId};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::floor::connect;

const APPENDS: usize = 6400;

/// Connections that take a lock in a statement of its own, insert and commit, pipelined.
pub(crate) struct Locked(Vec<Arc<(Client, Statement, Statement)>>);

impl Locked {
    pub(crate) async fn open(address: &str, count: usize) -> Self {
        let table = format!("locked_{}", Uuid::now_v7().simple());
        let create = format!(
            "CREATE TABLE {table} (position bigserial PRIMARY KEY, stream_id text NOT NULL, version bigint NOT NULL, \
            event_id uuid NOT NULL UNIQUE, event_type text NOT NULL, payload bytea NOT NULL, UNIQUE (stream_id, version))"
        );
        connect(address).await.batch_execute(&create).await.expect("a table");
        let mut connections = Vec::new();
        for _ in 0..count {
            let client = connect(address).await;
            let lock = client.prepare("SELECT pg_advisory_xact_lock(4711)").await.expect("a statement");
            let insert = format!(
                "INSERT INTO {table} (stream_id, version, event_id, event_type, payload) VALUES ($1, 1, $2, $3, $4)"
            );
            let insert = client.prepare(&insert).await.expect("a statement");
            connections.push(Arc::new((client, lock, insert)));
        }
        Self(connections)
    }
}

pub(crate) fn by_hand(runtime: &Runtime, locked: &Locked, tasks: usize) -> (u64, Duration) {
    spread(runtime, tasks, |task| {
        let connection = Arc::clone(&locked.0[task]);
        async move {
            let (client, lock, insert) = &*connection;
            let (name, payload) = an_event();
            for _ in 0..APPENDS / tasks {
                let (stream, id) = (format!("Order-{}", Uuid::now_v7()), Uuid::now_v7());
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&stream, &id, &name, &payload];
                let done = futures_util::try_join!(
                    client.batch_execute("BEGIN"),
                    client.query(lock, &[]),
                    client.execute(insert, &params),
                    client.batch_execute("COMMIT"),
                );
                done.expect("an append");
            }
        }
    })
}

pub(crate) fn ours(runtime: &Runtime, store: &PostgresStore, tasks: usize) -> (u64, Duration) {
    spread(runtime, tasks, |_| {
        let store = store.clone();
        async move {
            let (event_type, payload) = an_event();
            let payload = bytes::Bytes::from(payload);
            for _ in 0..APPENDS / tasks {
                let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
                let payload = payload.clone();
                let event = NewEvent { id: Uuid::now_v7(), event_type, schema_version: 1, payload, origin };
                let stream = StreamId::new("Order", Uuid::now_v7());
                store.append(&stream, ExpectedVersion::NoStream, vec![event]).await.expect("an append");
            }
        }
    })
}

fn an_event() -> (&'static str, Vec<u8>) {
    encode(&AnyCommand::nth(0).decide(&Order::default()).expect("an order can be placed"))
}

fn spread<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    tasks: usize,
    run: impl Fn(usize) -> F,
) -> (u64, Duration) {
    let ((), elapsed) = timed(|| {
        runtime.block_on(async {
            let handles: Vec<_> = (0..tasks).map(|task| tokio::spawn(run(task))).collect();
            for handle in handles {
                handle.await.expect("no task panics");
            }
        });
    });
    ((APPENDS / tasks * tasks) as u64, elapsed)
}
