//! The example `patterns`: what each of them leaves as traces.

use eventsource_runtime::testing::TraceRecorder;

#[path = "../../../examples/patterns/batch.rs"]
mod batch;
#[path = "../../../examples/patterns/delayed.rs"]
mod delayed;
#[path = "../../../examples/patterns/fan_in.rs"]
mod fan_in;
#[path = "../../../examples/patterns/fan_out.rs"]
mod fan_out;
#[path = "../../../examples/patterns/retry.rs"]
mod retry;
#[path = "../../../examples/patterns/rolling_start.rs"]
mod rolling_start;

/// As in the program that they are part of.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a pattern and compares its traces.
async fn leaves(pattern: impl Future<Output = Result<(), Failure>>, tree: &str) {
    let recorder = TraceRecorder::new();
    recorder.run(pattern).await.unwrap();
    recorder.expect(tree);
}

#[tokio::test]
async fn fan_out_is_one_tree() {
    leaves(
        fan_out::run(),
        "
        serve
          place_order
            event_bus.publish
              . eventsource.handler.count = 3
              event_bus.handle
                ~> event_bus.publish
                . eventsource.handler.name = inventory
                reserve_stock
              event_bus.handle
                ~> event_bus.publish
                . eventsource.handler.name = mail
                send_confirmation
              event_bus.handle
                ~> event_bus.publish
                . eventsource.handler.name = figures
                count_order
        ",
    )
    .await;
}

#[tokio::test]
async fn fan_in_links_to_both() {
    leaves(
        fan_in::run(),
        "
        take_payment
          event_bus.publish
            . eventsource.event.type = PaymentTaken
        reserve_stock
          event_bus.publish
            . eventsource.event.type = StockReserved
        event_bus.handle
          ~> event_bus.publish
        event_bus.handle
          ~> event_bus.publish
        ship
          ~> event_bus.publish
          ~> event_bus.publish
        ",
    )
    .await;
}

#[tokio::test]
async fn a_batch_links_to_each_of_its_messages() {
    let place_order = "place_order\n  event_bus.publish\n";
    leaves(
        batch::run(),
        &format!(
            "event_bus.publish\nevent_bus.handle\n  ~> event_bus.publish\n{}event_bus.handle\n{}  count_orders\n    . orders = 5\n",
            place_order.repeat(5),
            "  ~> event_bus.publish\n".repeat(5),
        ),
    )
    .await;
}

#[tokio::test]
async fn attempts_and_the_replay_link_to_the_original() {
    leaves(
        retry::run(),
        "
        place_order
          event_bus.publish
        event_bus.handle ERROR
          ~> event_bus.publish
          . eventsource.outcome = retry
          take_payment ERROR
        event_bus.handle ERROR
          ~> event_bus.publish
          . eventsource.outcome = retry
          take_payment ERROR
        event_bus.handle ERROR
          ~> event_bus.publish
          . eventsource.outcome = dead_letter
          take_payment ERROR
        event_bus.handle
          ~> event_bus.publish
          . eventsource.outcome = ack
          . eventsource.replay = true
          take_payment
        ",
    )
    .await;
}

#[tokio::test]
async fn what_is_late_is_linked() {
    leaves(
        delayed::run(),
        "
        place_order
          event_bus.publish
        event_bus.handle
          ~> event_bus.publish
          remind
        ",
    )
    .await;
}

#[tokio::test]
async fn a_message_without_context_starts_a_trace() {
    leaves(
        rolling_start::run(),
        "
        place_order
          event_bus.publish
            event_bus.handle
              ~> event_bus.publish
              reserve_stock
        event_bus.handle
          . eventsource.aggregate.id = 41
          reserve_stock
        ",
    )
    .await;
}
