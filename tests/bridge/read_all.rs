//! A span that is made once its page is read, and began before.

use std::time::SystemTime;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, Traced};
use eventsource_runtime::telemetry;
use eventsource_tests::hooked::{Asked, Hooked};
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::recorder::Recorder;
use tokio::sync::mpsc;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::seen::Seen;
use crate::{ORDER, bridged};

/// A store with one event, and when it read that.
async fn store() -> (Traced<Hooked>, mpsc::UnboundedReceiver<SystemTime>) {
    let memory = MemoryStore::new().enable_tracing(false);
    let orders = Repository::<Order, _>::new(memory.clone());
    let cancelled = OrderCancelled { reason: "too slow".into() };
    orders.append(&ORDER, ExpectedVersion::NoStream, vec![cancelled]).await.unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let store = Hooked::new(&memory, move |asked| {
        let tell = tell.clone();
        async move {
            assert!(matches!(asked, Asked::Feed { found: true, .. }), "{asked:?}");
            let read = SystemTime::now();
            tell.send(read).unwrap();
            // Whatever is made after that begins later, by the clock too.
            while SystemTime::now() <= read {
                tokio::task::yield_now().await;
            }
        }
    });
    (Traced::over(store), told)
}

/// A page is read below a subscriber: when that was.
async fn read(recorder: &Recorder, subscriber: impl Subscriber + Send + Sync) -> SystemTime {
    let (store, mut told) = store().await;
    let _default = tracing::subscriber::set_default(subscriber);
    let page = telemetry::span("around").run(async { store.read_all(Position::START, &Filter::all(), 10).await });
    assert_eq!(recorder.run(page).await.unwrap().events.len(), 1);
    told.try_recv().expect("it was read")
}

/// What was recorded, whichever way it was made.
fn assert_covered(recorder: &Recorder, read: SystemTime) {
    let trees = recorder.trees();
    assert_eq!(
        trees.render(),
        "around\n  event_store.read_all\n    . eventsource.events.loaded=1\n    . eventsource.from_position=1\n    \
         . eventsource.to_position=1\n"
    );
    let span = trees.span("event_store.read_all");
    assert!(span.start_time <= read && read < span.end_time, "{span:?} of {read:?}");
}

/// Nobody but OpenTelemetry heard of it.
#[tokio::test]
async fn a_page_is_seen_by_the_subscriber_and_covers_its_read() {
    let (recorder, seen) = (bridged(), Seen::default());
    let layers = tracing_subscriber::registry().with(recorder.telemetry().tracing_layer()).with(seen.clone());
    let read = read(&recorder, layers).await;
    assert_covered(&recorder, read);
    assert_eq!(seen.names(), "around(event_store.read_all)");
    let targets = [("around", "eventsource::span"), ("event_store", "eventsource::store")];
    assert_eq!(seen.targets(), targets.map(|(name, target)| (name.to_owned(), target.to_owned())));
}

/// Not even its filter got it.
#[tokio::test]
async fn a_page_that_is_filtered_away_leaves_no_span() {
    let recorder = bridged();
    let filter: EnvFilter = "info,eventsource::store=off".parse().unwrap();
    let layers = tracing_subscriber::registry().with(filter).with(recorder.telemetry().tracing_layer());
    read(&recorder, layers).await;
    assert_eq!(recorder.trees().names(), "around");
}

/// It begins all spans when they are made, and would show what ours is told.
#[tokio::test]
async fn below_a_layer_that_is_not_ours_a_page_covers_its_read_too() {
    let (recorder, seen) = (bridged(), Seen::default());
    let theirs = tracing_opentelemetry::layer().with_tracer(recorder.tracer());
    let theirs = theirs.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
    let read = read(&recorder, tracing_subscriber::registry().with(theirs).with(seen.clone())).await;
    assert_covered(&recorder, read);
    assert_eq!(seen.names(), "around");
}
