//! The same on PostgreSQL: beside the driver by hand, whose writes are sent one behind the other.

use std::time::{Duration, Instant};

use eventsource_bench::orders::{ItemAdded, NoteTaken, OrderPlaced, decode};
use eventsource_bench::sample::{Contender, timed};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{PostgresOptions, PostgresStore, PostgresTransaction};
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::{BATCH, compare, fill, latencies, peers, print_latencies};

const ROUNDS: usize = 5;
const EVENTS: usize = 50_000;

/// Counts the events of each kind, and waits for each write or for none.
struct Counts {
    table: String,
    upsert: String,
    waits: bool,
}

impl Counts {
    fn of(schema: &str, waits: bool) -> Self {
        let table = format!("{schema}.counts");
        let upsert = upsert(&table);
        Self { table, upsert, waits }
    }

    async fn count(&self, kind: &str, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        if self.waits {
            tx.execute(&self.upsert, &[&kind]).await?;
        } else {
            tx.enqueue(&self.upsert, &[&kind]).await?;
        }
        Ok(())
    }
}

fn upsert(table: &str) -> String {
    format!("INSERT INTO {table} AS old VALUES ($1, 1) ON CONFLICT (kind) DO UPDATE SET count = old.count + 1")
}

#[projection]
impl Counts {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let create =
            format!("CREATE TABLE IF NOT EXISTS {} (kind text PRIMARY KEY, count bigint NOT NULL)", self.table);
        Ok(tx.execute_batch(&create).await?)
    }

    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("DELETE FROM {}", self.table)).await?)
    }

    async fn placed(&self, _: &Recorded<OrderPlaced>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.count("placed", tx).await
    }

    async fn added(&self, _: &Recorded<ItemAdded>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.count("added", tx).await
    }

    async fn noted(&self, _: &Recorded<NoteTaken>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.count("noted", tx).await
    }
}

pub(crate) fn run(runtime: &Runtime, address: &str) {
    let schema = format!("bench_{}", Uuid::now_v7().simple());
    let options = PostgresOptions::default().schema(&schema);
    let store = runtime.block_on(PostgresStore::connect_with(address, options)).expect("a store");
    runtime.block_on(fill(&store, EVENTS));
    let mut raw = runtime.block_on(prepared(address, &schema));
    let peers = started(runtime, &raw, address, &schema);
    let mut contenders = vec![
        Contender::new("by hand, 1,000 events a transaction, pipelined", || {
            let (count, elapsed) = timed(|| runtime.block_on(by_hand(&mut raw, &schema)));
            (count.expect("PostgreSQL works"), elapsed)
        }),
        Contender::new("ours, `enqueue`", || runtime.block_on(caught_up(&store, &schema, false))),
        Contender::new("ours, `execute`", || runtime.block_on(caught_up(&store, &schema, true))),
    ];
    contenders.extend(peers);
    compare("PostgreSQL", "ours, `enqueue`", ROUNDS, contenders);
    let alone = runtime.block_on(latencies(&store));
    let beside = runtime.block_on(async {
        let projections = ProjectionRunner::new(store.clone()).projection(Counts::of(&schema, false)).rebuild().spawn();
        let beside = latencies(&store).await;
        projections.shutdown().await.expect("it stops");
        beside
    });
    print_latencies(alone, beside);
    let drop = format!("DROP SCHEMA {schema}, {schema}_disintegrate, {schema}_py CASCADE");
    runtime.block_on(raw.batch_execute(&drop)).expect("PostgreSQL works");
}

/// The peers that can be had, in a schema each: what they make there bears the names that they give it.
fn started(runtime: &Runtime, client: &Client, address: &str, schema: &str) -> Vec<Contender<'static>> {
    let (disintegrate, python) = (format!("{schema}_disintegrate"), format!("{schema}_py"));
    let create = format!("CREATE SCHEMA {disintegrate}; CREATE SCHEMA {python}");
    runtime.block_on(client.batch_execute(&create)).expect("PostgreSQL works");
    let disintegrate = peers::disintegrate(runtime, client, address, &disintegrate);
    let python = peers::eventsource_py(&["postgres".as_ref(), address.as_ref(), python.as_ref()]);
    disintegrate.into_iter().chain(python).collect()
}

async fn prepared(address: &str, schema: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let prepare = format!(
        "CREATE TABLE {schema}.counts (kind text PRIMARY KEY, count bigint NOT NULL); \
        CREATE TABLE {schema}.checkpoint (position bigint NOT NULL); INSERT INTO {schema}.checkpoint VALUES (0)"
    );
    client.batch_execute(&prepare).await.expect("tables");
    client
}

async fn by_hand(client: &mut Client, schema: &str) -> Result<u64, tokio_postgres::Error> {
    let read = format!(
        "SELECT position, event_type, payload FROM {schema}.events WHERE position > $1 ORDER BY position LIMIT $2"
    );
    let read = client.prepare(&read).await?;
    let upsert = client.prepare(&upsert(&format!("{schema}.counts"))).await?;
    let (mut after, mut count, limit) = (0_i64, 0, i64::try_from(BATCH).unwrap_or(i64::MAX));
    loop {
        let tx = client.transaction().await?;
        let rows = tx.query(&read, &[&after, &limit]).await?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.get(0);
        let kinds: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
        for row in &rows {
            std::hint::black_box(decode(row.get(1), row.get(2)));
        }
        let (writer, upsert) = (&tx, &upsert);
        try_join_all(kinds.iter().map(|kind| async move { writer.execute(upsert, &[kind]).await })).await?;
        tx.execute(&format!("UPDATE {schema}.checkpoint SET position = $1"), &[&after]).await?;
        tx.commit().await?;
        count += rows.len() as u64;
    }
}

async fn caught_up(store: &PostgresStore, schema: &str, waits: bool) -> (u64, Duration) {
    let head = store.head().await.expect("the store works");
    let started = Instant::now();
    let runner = ProjectionRunner::new(store.clone()).projection(Counts::of(schema, waits)).rebuild();
    let projections = runner.spawn();
    projections.wait_for(head).await.expect("it catches up");
    let elapsed = started.elapsed();
    projections.shutdown().await.expect("it stops");
    (head.get(), elapsed)
}
