//! What the service has no part in: a broker, which does not always take what it is sent, leases that others take, a
//! command and a query that nobody answers, a rebuild, and what a neighbour sends who has another clock and nothing to
//! say of traces.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, Message, Received};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore as _};
use eventsource_runtime::store::{NewEvent, Origin, StreamId};
use eventsource_runtime::telemetry::span;
use eventsource_tests::own_bus::remote;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Event, Serialize, Deserialize)]
struct Seen {}

struct Watching;

#[projection]
impl Watching {
    fn seen(&self, _: &Recorded<Seen>) {}

    #[projection(reset)]
    fn forget(&self) {}
}

/// For as long as the process runs, again and again: nobody says when the service has set telemetry up.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn runs() {
    loop {
        let bus = remote();
        let running = bus.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
        bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await.unwrap();
        bus.inner().fail(1);
        bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await.unwrap_err();
        // Past the spans of the bus, which would put a context on it.
        let unreadable =
            Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}").with_header("traceparent", "none");
        bus.inner().publish(vec![unreadable]).await.pop().unwrap().unwrap();
        span("elsewhere").attribute("text", "long".repeat(1000)).in_scope(|| ());
        CommandBus::builder().build().dispatch_json("Unheard", "{}").await.unwrap_err();
        QueryBus::builder().build().execute_json("Unheard", "{}").await.unwrap_err();
        let rebuilt = ProjectionRunner::new(MemoryStore::new()).projection(Watching).rebuild().spawn();
        lose_a_lease().await;
        rebuilt.shutdown().await.unwrap();
        running.shutdown().await.unwrap();
    }
}

async fn lose_a_lease() {
    let (store, term) = (MemoryStore::new(), Duration::from_millis(60));
    let projections = ProjectionRunner::new(store.clone()).projection(Watching).lease(term).spawn();
    // By a clock that is far ahead.
    let origin = Arc::new(Origin::at(Timestamp::from_micros(4_000_000_000_000_000)));
    let seen = NewEvent { id: Uuid::now_v7(), event_type: "Seen", schema_version: 1, payload: "{}".into(), origin };
    let appended = store.append(&StreamId::new("Shop", 1), ExpectedVersion::NoStream, vec![seen]).await.unwrap();
    // Then it has the lease.
    projections.wait_for(appended.position).await.unwrap();
    let claim = Claim::new(Uuid::now_v7(), "another", term).by_force();
    store.lease_projection(Partition::whole("Watching"), claim).await.unwrap();
    // The next renewal finds that the lease is lost, and nobody else can be asked whether it has.
    tokio::time::sleep(term).await;
    projections.shutdown().await.unwrap();
}
