//! Every switch that belongs to a component.

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, Traced};
use eventsource_runtime::telemetry;
use eventsource_tests::hooked::Hooked;
use eventsource_tests::orders::{NotificationService, Order};
use eventsource_tests::recorder::Recorder;
use uuid::Uuid;

use crate::{bus, place};

async fn names(bus: impl FnOnce(MemoryStore) -> CommandBus, store: MemoryStore) -> String {
    let recorder = Recorder::new();
    recorder.run(bus(store).dispatch(place(Uuid::now_v7()))).await.unwrap();
    recorder.trees().names()
}

fn repository(store: MemoryStore) -> Repository<Order, MemoryStore> {
    Repository::new(store)
}

#[tokio::test]
async fn a_bus_that_is_off_takes_everything_below_it_along() {
    let bus = |store| CommandBus::builder().enable_tracing(false).aggregate(repository(store)).build();
    assert_eq!(names(bus, MemoryStore::new()).await, "");
}

#[tokio::test]
async fn a_repository_that_is_off_leaves_the_command() {
    let bus = |store| CommandBus::builder().aggregate(repository(store).enable_tracing(false)).build();
    assert_eq!(names(bus, MemoryStore::new()).await, "command.PlaceOrder");
}

#[tokio::test]
async fn a_store_that_is_off_leaves_the_repository() {
    let bus = |store| CommandBus::builder().aggregate(repository(store)).build();
    let all = "command.PlaceOrder(load_aggregate handle_command persist_events)";
    assert_eq!(names(bus, MemoryStore::new().enable_tracing(false)).await, all);
}

/// A store of one's own that traces itself.
#[tokio::test]
async fn a_store_that_is_off_takes_everything_below_it_along() {
    let store = MemoryStore::new();
    bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    let inside = store.enable_tracing(false);
    let hooked = Hooked::new(&inside, |_| async { telemetry::span("stranger").in_scope(|| ()) });
    for (enabled, expected) in [(true, "event_store.read_all stranger"), (false, "")] {
        let (recorder, store) = (Recorder::new(), Traced::over(hooked.clone()).enable_tracing(enabled));
        recorder.run(store.read_all(Position::START, &Filter::all(), 10)).await.unwrap();
        assert_eq!(recorder.trees().names(), expected);
    }
}

#[tokio::test]
async fn a_component_of_the_users_has_its_own_switch() {
    for (enabled, expected) in [(true, "notification_service.send_email"), (false, "")] {
        let recorder = Recorder::new();
        let service = NotificationService::new(enabled);
        recorder.run(service.send_email("ada@example.org", "hello")).await.unwrap();
        assert_eq!(recorder.trees().names(), expected);
    }
}
