//! One event, three services.

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Propagation, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;

use super::Failure;

pub(crate) async fn run() -> Result<(), Failure> {
    let bus = InProcessBus::new();
    // In process a handler begins its own trace, because there is a queue in between; here it continues the
    // publisher's, as on a broker.
    let joined = Propagation::default;
    let inventory = bus.subscribe("inventory").propagation(joined()).handle(reserve_stock).await?;
    let mail = bus.subscribe("mail").propagation(joined()).handle(send_confirmation).await?;
    let figures = bus.subscribe("figures").propagation(joined()).handle(count_order).await?;

    serve(&bus).await?;
    for service in [inventory, mail, figures] {
        service.finished().await?;
    }
    Ok(())
}

/// Ends when the services are done, so that the terminal shows one tree.
#[traced]
async fn serve(bus: &InProcessBus) -> Result<(), Failure> {
    place_order(bus).await?;
    bus.shutdown().await?;
    Ok(())
}

#[traced]
async fn place_order(bus: &InProcessBus) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", r#"{"item":"tea"}"#)).await?;
    Ok(())
}

#[traced]
async fn reserve_stock(_order: Received) -> Result<(), HandlerError> {
    Ok(())
}

#[traced(attributes("mail.template" = "confirmation"))]
async fn send_confirmation(_order: Received) -> Result<(), HandlerError> {
    Ok(())
}

#[traced]
async fn count_order(_order: Received) -> Result<(), HandlerError> {
    Ok(())
}
