//! What is compared: each variant with its set-up, its counterpart and its aim.

use std::any::Any;

use opentelemetry_sdk::trace::Sampler;
use uuid::Uuid;

use super::by_hand::{bare, bare_async, below_unsampled, by_boxed, by_boxed_async, by_sdk, by_sdk_async, keep_tracers};
use super::providers::{REFUSING, TAKING, parent_based, provider};
use super::{component, fastrace, ours, repeat, repeat_async, tracing};

/// What a variant of ours should cost at most, sync and async.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// Instructions beyond those of the bare function, and no allocation.
    OverBare {
        /// Of the plain function.
        sync: f64,
        /// Of the async function.
        future: f64,
    },
    /// Instructions and allocations.
    AtMost(f64, u64),
}

/// What a variant that is switched off may cost at most beyond the call without instrumentation: no allocation, and a
/// tenth more instructions than it did. More than that fails the benchmark, unlike an aim that is missed.
#[derive(Clone, Copy, Debug)]
pub struct AtMost {
    /// The variant without instrumentation.
    pub over: &'static str,
    /// Of the plain function.
    pub sync: f64,
    /// Of the async function.
    pub future: f64,
}

/// One way to instrument the call.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How the command line calls it.
    pub key: &'static str,
    /// What the table calls it.
    pub title: &'static str,
    /// The environment in which it is set up.
    pub environment: &'static [(&'static str, &'static str)],
    /// The peer that does the same.
    pub against: Option<&'static str>,
    /// What it should cost.
    pub aim: Option<Aim>,
    /// What it may cost.
    pub at_most: Option<AtMost>,
    /// Sets the process up; what it returns must be kept.
    pub(super) set_up: fn() -> Box<dyn Any>,
    pub(super) calls: Calls,
}

/// The function that makes so many calls, for each shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) sync: fn(u64),
    pub(super) future: fn(u64),
}

impl Variant {
    const fn new(key: &'static str, title: &'static str, set_up: fn() -> Box<dyn Any>, calls: Calls) -> Self {
        Self { key, title, environment: &[], against: None, aim: None, at_most: None, set_up, calls }
    }

    const fn against(self, key: &'static str) -> Self {
        Self { against: Some(key), ..self }
    }

    const fn aim(self, aim: Aim) -> Self {
        Self { aim: Some(aim), ..self }
    }

    const fn at_most(self, over: &'static str, sync: f64, future: f64) -> Self {
        Self { at_most: Some(AtMost { over, sync, future }), ..self }
    }

    const fn sampler(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { environment, ..self }
    }

    /// The variant of that key.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        VARIANTS.iter().find(|variant| variant.key == key)
    }
}

pub(super) const ID: &Uuid = &Uuid::from_u128(0x0194_1f3c_7a2e_7bcd_8e4f_0123_4567_89ab);

const BARE: Calls = Calls { sync: |calls| repeat(calls, bare), future: |calls| repeat_async(calls, ID, bare_async) };
const OURS: Calls =
    Calls { sync: |calls| repeat(calls, ours::send), future: |calls| repeat_async(calls, ID, ours::send_async) };
const COMPONENT: Calls =
    Calls { sync: |calls| repeat(calls, ours::send_if), future: |calls| repeat_async(calls, ID, ours::send_if_async) };
const BOXED: Calls =
    Calls { sync: |calls| repeat(calls, by_boxed), future: |calls| repeat_async(calls, ID, by_boxed_async) };
const SDK: Calls = Calls { sync: |calls| repeat(calls, by_sdk), future: |calls| repeat_async(calls, ID, by_sdk_async) };
const TRACING: Calls = Calls {
    sync: |calls| repeat(calls, tracing::instrumented),
    future: |calls| repeat_async(calls, ID, tracing::instrumented_async),
};
const FASTRACE: Calls = Calls {
    sync: |calls| repeat(calls, fastrace::traced),
    future: |calls| repeat_async(calls, ID, fastrace::traced_async),
};
const FASTRACE_RECORDED: Calls = Calls {
    sync: |calls| fastrace::below_roots(calls, FASTRACE.sync),
    future: |calls| fastrace::below_roots(calls, FASTRACE.future),
};

fn nothing() -> Box<dyn Any> {
    Box::new(())
}

fn kept(set_up: impl FnOnce()) -> Box<dyn Any> {
    set_up();
    Box::new(())
}

/// Every variant, in the order of the table.
pub const VARIANTS: &[Variant] = &[
    Variant::new("bare", "bare function", nothing, BARE),
    Variant::new("ours-off", "ours, switched off", ours::off, OURS)
        .against("tracing")
        .aim(Aim::OverBare { sync: 2.0, future: 5.0 })
        .at_most("bare", 6.6, 13.2),
    Variant::new("ours-disabled", "ours, OTEL_SDK_DISABLED", ours::built_in, OURS)
        .sampler(&[("OTEL_SDK_DISABLED", "true")])
        .against("tracing")
        .at_most("bare", 6.6, 13.2),
    Variant::new("ours-component", "ours, off by its `enable_tracing`", ours::built_in, COMPONENT)
        .sampler(&[("OTEL_TRACES_SAMPLER", "always_on")])
        .against("tracing")
        .at_most("bare", 185.9, 192.5),
    Variant::new("store", "a call to a store, without its spans and metrics", ours::built_in, component::INNER),
    Variant::new("store-off", "the call, switched off", ours::off, component::SWITCHABLE)
        .at_most("store", 355.3, 355.3),
    Variant::new("store-component", "the call, off by the store's switches", ours::built_in, component::SWITCHED_OFF)
        .sampler(&[("OTEL_TRACES_SAMPLER", "always_on")])
        .at_most("store", 347.6, 347.6),
    Variant::new("tracing", "tracing, no subscriber", nothing, TRACING),
    Variant::new("fastrace", "fastrace, no root", nothing, FASTRACE),
    Variant::new("ours-no-provider", "ours, no provider", ours::no_provider, OURS).against("boxed-no-provider"),
    Variant::new("boxed-no-provider", "by hand, BoxedTracer, no provider", || kept(|| keep_tracers(None)), BOXED),
    Variant::new("ours-below", "ours, below an unsampled span", ours::built_in_below_unsampled, OURS)
        .sampler(&[("OTEL_TRACES_SAMPLER", "parentbased_always_on")])
        .against("boxed-below")
        .aim(Aim::AtMost(150.0, 0)),
    Variant::new(
        "boxed-below",
        "by hand, BoxedTracer, below an unsampled span",
        || {
            keep_tracers(Some(provider(parent_based())));
            Box::new(below_unsampled())
        },
        BOXED,
    ),
    Variant::new("ours-refused", "ours, root sampled out", ours::built_in, OURS)
        .sampler(&[("OTEL_TRACES_SAMPLER", "always_off")])
        .against("boxed-refused")
        .aim(Aim::AtMost(1400.0, 3)),
    Variant::new(
        "boxed-refused",
        "by hand, BoxedTracer, sampled out",
        || kept(|| keep_tracers(Some(provider(Sampler::AlwaysOff)))),
        BOXED,
    ),
    Variant::new(
        "sdk-refused",
        "by hand, SdkTracer, sampled out",
        || kept(|| keep_tracers(Some(provider(Sampler::AlwaysOff)))),
        SDK,
    ),
    Variant::new(
        "bridge-refused",
        "tracing-opentelemetry, sampled out",
        || kept(|| tracing::bridge(Sampler::AlwaysOff)),
        TRACING,
    ),
    Variant::new("ours-recorded", "ours, recorded", ours::built_in, OURS)
        .sampler(&[("OTEL_TRACES_SAMPLER", "always_on")])
        .against("boxed-recorded")
        .aim(Aim::AtMost(2800.0, 5)),
    Variant::new(
        "boxed-recorded",
        "by hand, BoxedTracer, recorded",
        || kept(|| keep_tracers(Some(provider(Sampler::AlwaysOn)))),
        BOXED,
    ),
    Variant::new(
        "sdk-recorded",
        "by hand, SdkTracer, recorded",
        || kept(|| keep_tracers(Some(provider(Sampler::AlwaysOn)))),
        SDK,
    ),
    Variant::new(
        "bridge-recorded",
        "tracing-opentelemetry, recorded",
        || kept(|| tracing::bridge(Sampler::AlwaysOn)),
        TRACING,
    ),
    Variant::new(
        "fastrace-recorded",
        "fastrace, recorded, a root per 100 calls",
        || kept(fastrace::set_up),
        FASTRACE_RECORDED,
    ),
    Variant::new("ours-reading-refused", "ours, a sampler reads and refuses", || ours::reading(REFUSING), OURS)
        .against("boxed-reading-refused")
        .aim(Aim::AtMost(2150.0, 5)),
    Variant::new(
        "boxed-reading-refused",
        "by hand, BoxedTracer, a sampler reads and refuses",
        || kept(|| keep_tracers(Some(provider(REFUSING)))),
        BOXED,
    ),
    Variant::new("ours-reading-recorded", "ours, a sampler reads and takes", || ours::reading(TAKING), OURS)
        .against("boxed-reading-recorded")
        .aim(Aim::AtMost(2800.0, 5)),
    Variant::new(
        "boxed-reading-recorded",
        "by hand, BoxedTracer, a sampler reads and takes",
        || kept(|| keep_tracers(Some(provider(TAKING)))),
        BOXED,
    ),
];
