//! The same call with `#[traced]`.

use std::any::Any;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry;
use uuid::Uuid;

use super::body;
use super::by_hand::below_unsampled;
use super::providers::{Nowhere, Reading};

#[inline(never)]
#[traced("send_email", attributes("channel" = "email", "message.length" = count, "recipient.id" = %id))]
pub(super) fn send(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

#[inline(never)]
#[traced("send_email", attributes("channel" = "email", "message.length" = count, "recipient.id" = %id))]
pub(super) async fn send_async(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

/// The switch of a component, which is off.
static ENABLED: AtomicBool = AtomicBool::new(false);

#[inline(never)]
#[traced(
    "send_email",
    enable_tracing = ENABLED.load(Relaxed),
    attributes("channel" = "email", "message.length" = count, "recipient.id" = %id)
)]
pub(super) fn send_if(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

#[inline(never)]
#[traced(
    "send_email",
    enable_tracing = ENABLED.load(Relaxed),
    attributes("channel" = "email", "message.length" = count, "recipient.id" = %id)
)]
pub(super) async fn send_if_async(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

/// What must live as long as the set-up.
type Kept = Box<dyn Any>;

pub(super) fn off() -> Kept {
    telemetry::set_enabled(false);
    Box::new(())
}

pub(super) fn no_provider() -> Kept {
    Box::new(())
}

/// With the sampler that the environment names.
pub(super) fn built_in() -> Kept {
    Box::new(Telemetry::from_env("bench").span_processor(Nowhere).install().expect("nothing to connect to"))
}

pub(super) fn built_in_below_unsampled() -> Kept {
    Box::new((built_in(), below_unsampled()))
}

pub(super) fn reading(sampler: Reading) -> Kept {
    let telemetry = Telemetry::from_env("bench").span_processor(Nowhere).sampler(sampler);
    Box::new(telemetry.install().expect("nothing to connect to"))
}
