//! postgres-es, as the benchmark `postgres` asks for it: for each line of two numbers, tasks and orders, it gives each
//! order its ten commands, and answers with how many commands that were and how many nanoseconds they took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventsource_bench_peers::answer;
use eventsource_bench_peers::cqrs::PeerOrder;
use eventsource_bench_peers::orders::{AnyCommand, COMMANDS, ids};
use postgres_es::{PostgresCqrs, PostgresEventRepository};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

/// A connection for each task of the largest run.
const CONNECTIONS: u32 = 16;

fn main() {
    let address = std::env::args().nth(1).expect("the address of a server");
    let runtime = Runtime::new().expect("a runtime");
    let cqrs = runtime.block_on(open(&address));
    answer(|question| {
        let mut numbers = question.split(' ').map(|number| number.parse().expect("a number"));
        let (tasks, orders) = (numbers.next().expect("tasks"), numbers.next().expect("orders"));
        (orders * COMMANDS, runtime.block_on(handle(&cqrs, tasks, orders)))
    });
}

/// The framework over a table of its own, as its `init.sql` makes it.
async fn open(address: &str) -> Arc<PostgresCqrs<PeerOrder>> {
    let pool: PgPool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(address).await.expect("a connection");
    let table = format!("peer_{}", ids(1)[0].simple());
    let create = format!(
        "CREATE TABLE {table} (aggregate_type text NOT NULL, aggregate_id text NOT NULL, \
        sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL, \
        payload json NOT NULL, metadata json NOT NULL, PRIMARY KEY (aggregate_type, aggregate_id, sequence))"
    );
    sqlx::query(&create).execute(&pool).await.expect("a table");
    let repository = PostgresEventRepository::new(pool).with_tables(&table, "snapshots");
    let store = cqrs_es::persist::PersistedEventStore::new_event_store(repository);
    Arc::new(PostgresCqrs::new(store, Vec::new(), ()))
}

async fn handle(cqrs: &Arc<PostgresCqrs<PeerOrder>>, tasks: usize, orders: usize) -> Duration {
    let orders: Vec<String> = ids(orders).into_iter().map(|order| order.to_string()).collect();
    let begun = Instant::now();
    let of_task = |orders: &[String]| {
        let (cqrs, orders) = (Arc::clone(cqrs), orders.to_vec());
        tokio::spawn(async move {
            for ordinal in 0..COMMANDS {
                for order in &orders {
                    cqrs.execute(order, AnyCommand::nth(ordinal)).await.expect("the commands come in order");
                }
            }
        })
    };
    let handles: Vec<_> = orders.chunks(orders.len().div_ceil(tasks)).map(of_task).collect();
    for handle in handles {
        handle.await.expect("no task panics");
    }
    begun.elapsed()
}
