//! A service that completes tasks, and one that notifies people: the tutorial's example of traces across services, and
//! of what Prometheus scrapes (`eventsource-runtime/docs/tutorial.md`).
//!
//! The bus is the in-process one, so that this runs without a broker; with `KafkaBus` or `RabbitMqBus` in its place,
//! nothing else changes. `examples/rabbitmq.rs` and `examples/postgres_kafka.rs` are two processes each.

use eventsource_runtime::bus::{
    EventBus, HandlerError, InProcessBus, Message, Propagation, Received, Subscription, Traced,
};
use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::Scrape;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// ---- The service that publishes ----

fn completed(task: &str) -> Message {
    Message::new(StreamId::new("Task", task), "TaskCompleted", "{}")
}

#[traced(attributes("task.id" = task))]
async fn complete_task<B: EventBus>(bus: &Traced<B>, task: &str) -> Result<(), Failure> {
    bus.publish(completed(task)).await?; // the context of this trace goes into its headers
    Ok(())
}

// ---- The service that consumes ----

#[traced(kind = "client", attributes("channel" = "email"))]
async fn send_notice(_completed: Received) -> Result<(), HandlerError> {
    Ok(())
}

#[traced(attributes("tasks" = completed.len()))]
async fn count_tasks(completed: Vec<Received>) -> Result<(), HandlerError> {
    Ok(())
}

async fn consume<B: EventBus>(bus: &Traced<B>) -> Result<[Subscription; 2], Failure> {
    let notices = bus.subscribe("notices").propagation(Propagation::default());
    let figures = bus.subscribe("figures").propagation(Propagation::link());
    Ok([notices.handle(send_notice).await?, figures.handle_batches(100, count_tasks).await?])
}

// ---- The program ----

/// Ends when the consumers are done, so that the terminal shows one tree.
#[traced]
async fn serve(bus: &InProcessBus) -> Result<(), Failure> {
    complete_task(bus, "task-1").await?;
    bus.shutdown().await?;
    Ok(())
}

/// Publishes like an uninstrumented program: bypasses the spans of the bus, which put the context on a message.
async fn complete_without_context(bus: &InProcessBus) -> Result<(), Failure> {
    for published in bus.inner().publish(vec![completed("task-0")]).await {
        published?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let scrape = Scrape::new();
    let telemetry = Telemetry::from_env("notices").console_without_endpoint().prometheus(&scrape).install()?;

    let bus = InProcessBus::new();
    let consumers = consume(&bus).await?;
    complete_without_context(&bus).await?;
    serve(&bus).await?;
    for consumer in consumers {
        consumer.finished().await?;
    }

    let text = scrape.text();
    text.lines().filter(|line| line.starts_with("messaging_client_consumed")).for_each(|line| println!("{line}"));
    Ok(telemetry.shutdown().await?)
}
