//! A bus whose telemetry is off: nothing of it is evaluated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_runtime::bus::{
    BusError, BusInfo, Destination, EventBus, InProcess, InProcessBus, Intake, Message, PublishError, Published, Traced,
};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::telemetry::span;
use eventsource_tests::recorder::Recorder;

/// A bus that counts what telemetry asks of it.
#[derive(Clone)]
struct Asked {
    inner: InProcess,
    questions: Arc<AtomicUsize>,
}

impl Asked {
    fn bus() -> Traced<Self> {
        Traced::over(Self { inner: InProcessBus::new().inner().clone(), questions: Arc::default() })
    }

    fn count(&self) {
        self.questions.fetch_add(1, Ordering::SeqCst);
    }
}

impl EventBus for Asked {
    type Consumer = <InProcess as EventBus>::Consumer;

    fn info(&self) -> BusInfo {
        self.count();
        BusInfo::broker("kafka", "orders")
    }

    fn destination(&self, _: &Message) -> Destination {
        self.count();
        Destination::new("orders")
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        // A span of a stranger's, which is off below a bus that is.
        span("stranger").in_scope(|| ());
        self.inner.publish(messages).await
    }

    async fn subscribe(&self, intake: Intake) -> Result<Self::Consumer, BusError> {
        self.inner.subscribe(intake).await
    }
}

/// How often telemetry asked the bus, and the spans that publishing left.
async fn published(tracing: bool, metrics: bool) -> (usize, String) {
    let (recorder, _) = Recorder::measured();
    let bus = Asked::bus().enable_tracing(tracing).enable_metrics(metrics);
    let message = || Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}");
    recorder.run(bus.publish_all([message(), message()])).await.unwrap();
    (bus.inner().questions.load(Ordering::SeqCst), recorder.trees().names())
}

#[tokio::test]
async fn a_bus_that_is_off_is_asked_nothing() {
    assert_eq!(published(false, false).await, (0, String::new()));
    let (asked, spans) = published(false, true).await;
    assert!(asked > 0 && spans.is_empty(), "{spans}");
    let (asked, spans) = published(true, false).await;
    assert!(asked > 0 && spans == "send orders(stranger)", "{spans}");
}
