//! Two services, two processes, one trace: orders are published on RabbitMQ, and a notification service sends mails.
//!
//! ```text
//! EVENTSOURCE_RABBITMQ_URL=amqp://guest:guest@localhost \
//!   cargo run -p eventsource-examples --features rabbitmq --example rabbitmq
//! ```
//!
//! The program starts itself a second time, as the notifications; each prints its own part of the trace. One mail
//! bounces: its message is retried, then kept among the dead letters, and replayed from there once.

#![allow(missing_docs, missing_debug_implementations, reason = "an application's own types")]

use std::env;
use std::error::Error;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, Message, RabbitMqBus, RabbitMqOptions, Received, Subscription};
use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub customer: String,
}

/// A bus on an exchange of this run.
pub async fn open(url: &str, run: &str) -> Outcome<RabbitMqBus> {
    Ok(RabbitMqBus::connect(url, RabbitMqOptions::new(format!("orders-{run}"))).await?)
}

// ---- The service of orders ----

pub async fn place(bus: &RabbitMqBus, customer: &str) -> Outcome {
    let placed = serde_json::to_vec(&OrderPlaced { customer: customer.to_owned() })?;
    let message = Message::new(StreamId::new("Order", Uuid::now_v7()), OrderPlaced::NAME, placed);
    telemetry::span("place_order").run(bus.publish(message)).await?;
    Ok(())
}

// ---- The service of notifications ----

/// Sends mails; while a flag is set, those of one customer bounce.
#[derive(Clone, Default)]
pub struct Mails {
    bounce: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the mail bounced")]
pub struct Bounced;

impl Mails {
    #[traced("notification.send_mail")]
    async fn send(&self, customer: &str) -> Result<(), Bounced> {
        if customer == "Mallory" && self.bounce.load(Ordering::Relaxed) { Err(Bounced) } else { Ok(()) }
    }

    async fn handle(self, received: Received) -> Result<(), HandlerError> {
        let placed: OrderPlaced = serde_json::from_slice(received.payload())?;
        self.send(&placed.customer).await?;
        Ok(())
    }
}

pub struct Notifications {
    bus: RabbitMqBus,
    mails: Mails,
    subscription: Subscription,
}

impl Notifications {
    pub async fn open(bus: RabbitMqBus) -> Outcome<Self> {
        let mails = Mails::default();
        mails.bounce.store(true, Ordering::Relaxed);
        let sender = mails.clone();
        let orders = bus.subscribe("notifications").event::<OrderPlaced>().max_retries(1);
        let orders = orders.pauses(Duration::from_millis(50), Duration::from_secs(1));
        let subscription = orders.handle(move |received| sender.clone().handle(received)).await?;
        Ok(Self { bus, mails, subscription })
    }

    /// Waits until so many messages are settled, and replays the dead letters; returns how many mails that sent.
    pub async fn close(self, messages: u64) -> Outcome<u64> {
        while self.subscription.tally().acknowledged + self.subscription.tally().dead_lettered < messages {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.subscription.shutdown().await?;
        // The customer corrected the address.
        self.mails.bounce.store(false, Ordering::Relaxed);
        let again =
            self.bus.retry_dead_letters("notifications").handle(move |received| self.mails.clone().handle(received));
        Ok(again.await?.finished().await?.acknowledged)
    }
}

// ---- The program ----

pub const CUSTOMERS: [&str; 3] = ["Ada", "Mallory", "Grace"];

#[tokio::main]
async fn main() -> Outcome {
    let url = env::var("EVENTSOURCE_RABBITMQ_URL")
        .map_err(|_| "set EVENTSOURCE_RABBITMQ_URL, or run this as its first lines say")?;
    match env::args().nth(1) {
        None => orders(&url, &Uuid::now_v7().simple().to_string()).await,
        Some(run) => notifications(&url, &run).await,
    }
}

async fn orders(url: &str, run: &str) -> Outcome {
    let telemetry = Telemetry::from_env("orders").console_without_endpoint().install()?;
    let mut other = tokio::process::Command::new(env::current_exe()?);
    let mut other = other.arg(run).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut told = BufReader::new(other.stdout.take().ok_or("the other process tells nothing")?).lines();
    // Its first line says that it listens: before that no queue would accept a message.
    println!("{}", told.next_line().await?.ok_or("the notifications failed; see above")?);
    let bus = open(url, run).await?;
    for customer in CUSTOMERS {
        place(&bus, customer).await?;
    }
    telemetry.shutdown().await?;
    while let Some(line) = told.next_line().await? {
        println!("{line}");
    }
    if other.wait().await?.success() { Ok(()) } else { Err("the notifications failed; see above".into()) }
}

async fn notifications(url: &str, run: &str) -> Outcome {
    let telemetry = Telemetry::from_env("notifications").console_without_endpoint().install()?;
    let service = Notifications::open(open(url, run).await?).await?;
    println!("listening");
    let again = service.close(CUSTOMERS.len() as u64).await?;
    telemetry.shutdown().await?;
    println!("mails that went out in the end: {again}");
    Ok(())
}
