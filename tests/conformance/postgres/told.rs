//! What operators are told of the connection on which the server tells of new events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::store::{EventStore, PostgresOptions, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::several::{KILL, gone, listening};

/// The names of events of the store in PostgreSQL.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "eventsource::store::postgres" {
            self.0.lock().unwrap().push(event.metadata().name());
        }
    }
}

#[test]
fn a_lost_connection_is_told_once_and_that_it_stands_again() {
    run(async {
        let address = services::postgres();
        // A thread of its own: what is told goes to the subscriber of the thread that the listener runs on.
        std::thread::spawn(move || on_one_thread(&address)).join().unwrap();
    });
}

fn on_one_thread(address: &str) {
    let told = Told::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let schema = services::a_schema();
        let options = PostgresOptions::default().schema(&*schema).polling_interval(Duration::from_hours(1));
        let of_its_own = format!("{address}?application_name={schema}");
        let store = PostgresStore::connect_with(&of_its_own, options).await.unwrap();
        let raw = services::raw(address).await;
        let head = store.head().await.unwrap();
        let waiting = store.clone();
        let waiter = tokio::spawn(async move { waiting.changed(head).await });
        listening(&raw, &schema).await;
        assert_eq!(*told.0.lock().unwrap(), [""; 0], "it is no news that it stands at first");
        assert_eq!(raw.query(KILL, &[&schema]).await.unwrap().len(), 1);
        gone(&raw, &schema).await;
        while told.0.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        listening(&raw, &schema).await;
        let expected = ["eventsource.store.postgres.reconnecting", "eventsource.store.postgres.reconnected"];
        assert_eq!(*told.0.lock().unwrap(), expected);
        waiter.abort();
    });
}
