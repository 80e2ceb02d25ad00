//! The order in which positions become visible, whoever commits when.

use std::collections::HashMap;

use eventsource_runtime::store::{EventStore, Filter, Position, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, repeats};
use tokio_postgres::Client;
use uuid::Uuid;

use super::open_in;

/// How many of the interleavings are run; all of them in a long run.
const ORDERS: &str = "EVENTSOURCE_TESTS_ORDERS";
const WRITERS: usize = 4;
const EVENTS: usize = 2;

/// Each order in which four writers can commit two events each, where the next writer already waits in its transaction
/// when one commits, and one of the events is rolled back or none. After each commit a reader polls, and has in the end
/// seen every committed event once, with positions and versions ascending.
#[test]
fn every_interleaving_of_four_writers_shows_every_event_once() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            writers.push(services::raw(&services::postgres()).await);
        }
        let mut orders = Vec::new();
        permute(&mut Vec::new(), &mut orders);
        assert_eq!(orders.len(), 2520);
        let wanted = repeats(ORDERS, 126);
        for (number, order) in orders.iter().enumerate().step_by((orders.len() / wanted).max(1)) {
            let mut reader = Reader { store: &store, after: store.head().await.unwrap(), seen: Vec::new() };
            let committed = interleave(&schema, &writers, order, number % (order.len() + 1), &mut reader).await;
            reader.poll().await;
            let seen: Vec<Uuid> = reader.seen.iter().map(|(id, ..)| *id).collect();
            assert_eq!(seen, committed, "{order:?}");
        }
    });
}

/// All orders of the writers' events.
fn permute(order: &mut Vec<usize>, orders: &mut Vec<Vec<usize>>) {
    if order.len() == WRITERS * EVENTS {
        orders.push(order.clone());
    }
    for writer in 0..WRITERS {
        if order.iter().filter(|of| **of == writer).count() < EVENTS {
            order.push(writer);
            permute(order, orders);
            order.pop();
        }
    }
}

/// Appends in the given order, each in a transaction that holds the lock while the next waits for it. The ids of what
/// was committed, in order.
async fn interleave(
    schema: &str,
    writers: &[Client],
    order: &[usize],
    rolled_back: usize,
    reader: &mut Reader<'_>,
) -> Vec<Uuid> {
    let streams: Vec<String> = (0..WRITERS).map(|_| format!("Order-{}", Uuid::now_v7())).collect();
    let append = async |writer: usize, id: Uuid| {
        let sql = format!(
            "BEGIN; SELECT * FROM {schema}.append_one_1('{}', -1, '{id}', 'Placed', 1, 1, NULL, NULL, NULL, NULL, NULL, '1')",
            streams[writer]
        );
        writers[writer].batch_execute(&sql).await.unwrap();
    };
    let ids: Vec<Uuid> = order.iter().map(|_| Uuid::now_v7()).collect();
    let mut committed = Vec::new();
    append(order[0], ids[0]).await;
    for (at, &writer) in order.iter().enumerate() {
        let end = if at == rolled_back { "ROLLBACK" } else { "COMMIT" };
        let finish = async {
            reader.poll().await;
            writers[writer].batch_execute(end).await.unwrap();
            reader.poll().await;
        };
        match order.get(at + 1) {
            // One connection does one thing at a time.
            Some(&next) if next == writer => {
                finish.await;
                append(next, ids[at + 1]).await;
            }
            Some(&next) => drop(tokio::join!(append(next, ids[at + 1]), finish)),
            None => finish.await,
        }
        if at != rolled_back {
            committed.push(ids[at]);
        }
    }
    committed
}

/// Reads the feed as a subscription does.
struct Reader<'a> {
    store: &'a PostgresStore,
    after: Position,
    seen: Vec<(Uuid, String, u64)>,
}

impl Reader<'_> {
    async fn poll(&mut self) {
        let page = self.store.read_all(self.after, &Filter::all(), 100).await.unwrap();
        let mut versions = HashMap::new();
        for (_, stream, version) in &self.seen {
            versions.insert(stream.clone(), *version);
        }
        for event in page.events {
            assert!(event.position > self.after, "nothing appears behind a reader");
            self.after = event.position;
            let before = versions.insert(event.stream.to_string(), event.version.get());
            assert_eq!(event.version.get(), before.unwrap_or_default() + 1, "a stream is in order");
            self.seen.push((event.id, event.stream.to_string(), event.version.get()));
        }
    }
}
