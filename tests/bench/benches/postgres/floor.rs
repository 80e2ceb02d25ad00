//! The least work: the driver's own statements, two round trips a command, and no order among streams.

use std::sync::Arc;

use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, apply, decode, encode};
use futures_util::TryStreamExt;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

/// Connections, each with a table that all of them share.
#[derive(Clone)]
pub(crate) struct Floor(Arc<Vec<Arc<Connection>>>);

pub(crate) struct Connection {
    client: Client,
    select: Statement,
    insert: Statement,
}

pub(crate) async fn connect(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

impl Floor {
    pub(crate) async fn open(address: &str, count: usize) -> Self {
        let table = format!("floor_{}", Uuid::now_v7().simple());
        let create = format!(
            "CREATE TABLE {table} (id bigserial PRIMARY KEY, stream_id text NOT NULL, version bigint NOT NULL, \
            event_id uuid NOT NULL, event_type text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(), \
            payload bytea NOT NULL, UNIQUE (stream_id, version))"
        );
        connect(address).await.batch_execute(&create).await.expect("a table");
        let mut connections = Vec::new();
        for _ in 0..count {
            let client = connect(address).await;
            let select = format!("SELECT event_type, payload FROM {table} WHERE stream_id = $1 ORDER BY version");
            let insert = format!(
                "INSERT INTO {table} (stream_id, version, event_id, event_type, payload) VALUES ($1, $2, $3, $4, $5)"
            );
            let select = client.prepare(&select).await.expect("a statement");
            let insert = client.prepare(&insert).await.expect("a statement");
            connections.push(Arc::new(Connection { client, select, insert }));
        }
        Self(Arc::new(connections))
    }

    pub(crate) fn connection(&self, task: usize) -> Arc<Connection> {
        Arc::clone(&self.0[task])
    }
}

impl Connection {
    pub(crate) async fn handle_all(&self, orders: &[Uuid]) {
        for ordinal in 0..COMMANDS {
            for &order in orders {
                self.handle(order, AnyCommand::nth(ordinal)).await;
            }
        }
    }

    async fn handle(&self, order: Uuid, command: AnyCommand) {
        let stream = format!("Order-{order}");
        let rows = self.client.query(&self.select, &[&stream]).await.expect("a load");
        let mut order = Order::default();
        for row in &rows {
            apply(&mut order, decode(row.get(0), row.get(1)));
        }
        let event = command.decide(&order).expect("the commands come in order");
        let (name, payload) = encode(&event);
        let version = i64::try_from(rows.len()).unwrap_or(i64::MAX) + 1;
        let id = Uuid::now_v7();
        let inserted = self.client.execute(&self.insert, &[&stream, &version, &id, &name, &payload]).await;
        assert_eq!(inserted.expect("an append"), 1);
    }
}

/// The loop that reads a stream and folds it.
pub(crate) struct Replay {
    client: Client,
    select: Statement,
}

impl Replay {
    pub(crate) async fn open(address: &str, schema: &str) -> Self {
        let client = connect(address).await;
        let select = format!("SELECT event_type, payload FROM {schema}.events WHERE stream_id = $1 ORDER BY version");
        let select = client.prepare(&select).await.expect("a statement");
        Self { client, select }
    }

    pub(crate) async fn fold(&self, order: Uuid) -> u64 {
        let stream = format!("Order-{order}");
        let rows = self.client.query_raw(&self.select, [&stream]).await.expect("a load");
        let mut rows = std::pin::pin!(rows);
        let (mut order, mut count) = (Order::default(), 0);
        while let Some(row) = rows.try_next().await.expect("a row") {
            apply(&mut order, decode(row.get(0), row.get(1)));
            count += 1;
        }
        std::hint::black_box(order);
        count
    }
}
