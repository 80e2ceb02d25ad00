//! A handler that fails until its message is a dead letter, which is replayed once the fault is fixed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;

use super::Failure;

static BANK_ANSWERS: AtomicBool = AtomicBool::new(false);

pub(crate) async fn run() -> Result<(), Failure> {
    let bus = InProcessBus::new();
    let pause = Duration::from_millis(1);
    let payments = bus.subscribe("payments").max_retries(2).pauses(pause, pause).handle(take_payment).await?;
    place_order(&bus).await?;
    while payments.tally().dead_lettered == 0 {
        tokio::time::sleep(pause).await;
    }

    BANK_ANSWERS.store(true, Ordering::Relaxed);
    let replay = bus.retry_dead_letters("payments").handle(take_payment).await?;
    replay.finished().await?;
    payments.shutdown().await?;
    Ok(())
}

#[traced]
async fn place_order(bus: &InProcessBus) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the bank does not answer")]
struct BankAway;

#[traced(attributes("payment.attempt" = order.attempt()))]
async fn take_payment(order: Received) -> Result<(), HandlerError> {
    if BANK_ANSWERS.load(Ordering::Relaxed) { Ok(()) } else { Err(BankAway.into()) }
}
