//! Futures that are dropped, at every point where they wait.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;

use eventsource_runtime::EventRef;
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, Filter, Fold, Position, PostgresOptions, PostgresStore, StreamId, Version, Visitor,
};
use eventsource_tests::services;
use tokio_postgres::Client;

use super::{a_stream, events};

struct Count(usize);

impl Visitor for Count {
    fn visit(&mut self, _: EventRef<'_>) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Continue(())
    }
}

/// Every call is polled once, twice, and so on until it is done, and dropped; then the same single connection has no
/// transaction and no lock left, and does the next call. On one thread, where no answer can come while a call is
/// polled, so that each call waits at least once.
#[test]
fn no_point_at_which_a_future_is_dropped_leaves_anything_behind() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let name = services::a_schema();
        let address = format!("{}?application_name={name}", services::postgres());
        let options = PostgresOptions::default().schema(&*name).connections(1);
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let observer = services::raw(&services::postgres()).await;
        let stream = a_stream();
        store.append(&stream, ExpectedVersion::Any, events(300)).await.unwrap();
        for call in 0..5 {
            let mut polls = 0;
            loop {
                polls += 1;
                let done = dropped_after(polls, one_of(call, &store, &stream)).await;
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
    });
}

async fn one_of(call: usize, store: &PostgresStore, stream: &StreamId) {
    match call {
        0 => drop(store.append(stream, ExpectedVersion::Any, events(3)).await.unwrap()),
        1 => {
            let fold = Fold { stream: stream.clone(), after: Version::START, first_event: None };
            assert!(store.fold(fold, Count(0)).await.unwrap().visitor.0 >= 300);
        }
        2 => drop(store.read_stream(stream, Version::START, 1000).await.unwrap()),
        3 => drop(store.read_all(Position::START, &Filter::all().event_types(["Placed"]), 1000).await.unwrap()),
        _ => drop(store.append(stream, ExpectedVersion::Any, Vec::new()).await.unwrap()),
    }
}

/// The store does its next call, and then none of its connections has a transaction or a lock of one.
async fn nothing_is_left(observer: &Client, application: &str, store: &PostgresStore) {
    store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
    store.head().await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 \
        AND (state LIKE 'idle in transaction%' OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory') AND state = 'idle')";
    let left: i64 = observer.query_one(left, &[&application]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

/// Polls a future so many times, each time when it was woken, and drops it.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|task| {
        polled += 1;
        match future.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
