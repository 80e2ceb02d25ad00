//! Where a story leaves its command: over a bus, and to a process manager.

use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Received, Relay};
use eventsource_runtime::prelude::*;
use eventsource_tests::own_bus::remote;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::shipping::{PlaceOrder, Shipping, commands};
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

use crate::open;

/// An order's event goes over a broker to a handler that passes it on within its process, and to a process manager.
async fn product() -> Vec<SpanData> {
    let recorder = Recorder::new();
    let work = async {
        let (store, broker, within) = (MemoryStore::new(), remote(), InProcessBus::new());
        let notified = within.subscribe("mail").handle(async |_: Received| Ok(())).await.unwrap();
        let passing_on = within.clone();
        let passed_on = broker.subscribe("inventory").handle(move |received: Received| {
            let within = passing_on.clone();
            async move {
                within.publish(received.into_message()).await?;
                Ok::<_, HandlerError>(())
            }
        });
        let passed_on = passed_on.await.unwrap();
        let order_id = Uuid::from_u128(7);
        let place = PlaceOrder { order_id, customer: "Mallory".into(), cents: 4200, address: "9 Back Street".into() };
        let placed = commands(&store).dispatch(place).await.unwrap();
        // Before there are events of the process manager's, which would be other stories.
        let relay = Relay::new("to the broker", store.clone(), broker).spawn();
        relay.wait_for(placed.position).await.unwrap();
        relay.shutdown().await.unwrap();
        while passed_on.tally().acknowledged == 0 {
            tokio::task::yield_now().await;
        }
        passed_on.shutdown().await.unwrap();
        within.shutdown_within(Duration::from_secs(20)).await.unwrap();
        assert_eq!(notified.finished().await.unwrap().acknowledged, 1);
        let managers = ProcessManagerRunner::new(store.clone(), commands(&store)).process_manager::<Shipping>().spawn();
        managers.wait_for(placed.position).await.unwrap();
        managers.shutdown().await.unwrap();
    };
    recorder.run(work).await;
    recorder.spans()
}

#[tokio::test]
async fn messages_and_reactions_are_drawn_on_their_sides_and_lead_back_to_what_caused_them() {
    let Some(mut browser) = open(&product().await) else { return };
    let side = "[...document.querySelectorAll('#details tr')].find((row) => row.firstChild.textContent === 'side').lastChild.textContent";
    for (name, shade, told, cause) in [
        ("send orders", "bus", "message bus", "persist_events"),
        ("process orders", "bus", "message bus", "persist_events"),
        ("event_bus.handle", "bus", "message bus", "event_bus.publish"),
        ("process_manager.Shipping", "projection", "projection", "persist_events"),
    ] {
        let row = format!(".row:has(.name[title='{name}'])");
        browser.click(&row);
        browser.wait_for(&format!("document.querySelector('#details h2')?.textContent === {name:?}"));
        assert_eq!(browser.text(side), told, "{name}");
        let drawn = format!("document.querySelector({row:?}).style.getPropertyValue('--shade')");
        assert_eq!(browser.text(&drawn), format!("var(--{shade})"), "{name}");
        browser.click("#details .link");
        browser.wait_for(&format!("document.querySelector('#details h2').textContent === {cause:?}"));
    }
    browser.wait_for("document.querySelectorAll('#curves path').length === 4");
    let legend = "[...document.querySelectorAll('#legend li')].map((side) => side.textContent).join(', ')";
    assert_eq!(browser.text(legend), "write side, projection, store, message bus");
    assert_eq!(browser.complaints, [""; 0]);
}
