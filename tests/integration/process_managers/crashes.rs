//! What is left when the process dies, and what is done about what is past.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{NewEvent, Origin};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::shipping::{SettlePayment, commands};
use uuid::Uuid;

use super::{all_events, names, place, quiet, runner};

/// The stream of each aggregate, as the names of its events; what it is called is made up anew each time.
async fn outcome(store: &Faulty) -> Vec<Vec<String>> {
    let mut outcome = Vec::new();
    for kind in ["Order", "Payment", "Parcel", "Shipping"] {
        outcome.push(names(store, kind).await);
    }
    outcome
}

/// One order until nothing follows, in as many lives as it takes; how many calls the first had of the store.
fn lives(customer: &str, address: &str, death: Option<(usize, bool)>) -> (Vec<Vec<String>>, bool) {
    let (store, order) = (Faulty::default(), Uuid::now_v7());
    let mut died = false;
    for life in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        store.revive();
        if let (0, Some((call, with_effect))) = (life, death) {
            store.die_at(call, with_effect);
        }
        let lived = runtime.block_on(async {
            let body = async {
                let managers = runner(&store).lease(Duration::from_millis(1)).spawn();
                let bus = commands(&store);
                let context = |id| Context { command_id: Some(Uuid::from_u128(id)), ..Context::default() };
                let _ = bus.dispatch_with(place(order, customer, address), context(1)).await;
                quiet(&managers, &store).await;
                let _ = bus.dispatch_with(SettlePayment { order_id: order }, context(2)).await;
                quiet(&managers, &store).await;
            };
            tokio::select! {
                () = body => true,
                () = store.death() => false,
            }
        });
        // With the runtime everything goes that the process had in memory.
        drop(runtime);
        if lived {
            break;
        }
        died = true;
    }
    store.revive();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    (runtime.block_on(outcome(&store)), died)
}

#[test]
fn a_crash_at_any_call_loses_nothing_and_repeats_nothing() {
    for (customer, address) in [("Ada", "1 Analytical Row"), ("Mallory", "9 Back Street"), ("Neil", "the Moon")] {
        let (undisturbed, _) = lives(customer, address, None);
        for with_effect in [false, true] {
            let mut call = 0;
            loop {
                let (outcome, died) = lives(customer, address, Some((call, with_effect)));
                assert_eq!(outcome, undisturbed, "{customer}: died at call {call}, with its effect: {with_effect}");
                if !died {
                    break;
                }
                call += 1;
            }
            assert!(call > 10, "it died at {call} calls only");
        }
    }
}

/// A copy of all events, in which every checkpoint is lost.
async fn copy(store: &MemoryStore) -> MemoryStore {
    const NAMES: [&str; 12] = [
        "OrderPlaced",
        "OrderDone",
        "OrderCancelled",
        "PaymentAsked",
        "PaymentTaken",
        "PaymentRefunded",
        "ParcelSent",
        "ShippingBegun",
        "ShippingPaid",
        "TimeToPayOver",
        "process_manager.reacted",
        "process_manager.scheduled",
    ];
    let copy = MemoryStore::new();
    for event in all_events(store).await {
        let origin = Origin {
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            metadata: event.metadata.clone(),
            ..Origin::at(event.recorded_at)
        };
        let event_type = NAMES.iter().find(|name| ***name == *event.event_type).unwrap();
        let (id, schema_version, payload) = (event.id, event.schema_version, event.payload().clone());
        let new = NewEvent { id, event_type, schema_version, payload, origin: Arc::new(origin) };
        copy.append(&event.stream, ExpectedVersion::Any, vec![new]).await.unwrap();
    }
    copy
}

#[tokio::test]
async fn the_past_is_never_reacted_to_again() {
    let store = MemoryStore::new();
    let (managers, bus) = (runner(&store).spawn(), commands(&store));
    for (customer, address) in [("Ada", "1 Analytical Row"), ("Mallory", "9 Back Street"), ("Neil", "the Moon")] {
        let order_id = Uuid::now_v7();
        bus.dispatch(place(order_id, customer, address)).await.unwrap();
        quiet(&managers, &store).await;
        let _ = bus.dispatch(SettlePayment { order_id }).await;
        quiet(&managers, &store).await;
    }
    managers.shutdown().await.unwrap();
    let copy = copy(&store).await;
    let before = all_events(&copy).await;
    let managers = runner(&copy).spawn();
    quiet(&managers, &copy).await;
    managers.shutdown().await.unwrap();
    assert_eq!(all_events(&copy).await, before);
}
