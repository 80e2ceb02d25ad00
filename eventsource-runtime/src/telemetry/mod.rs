//! Spans, metrics and trace context: what is emitted, and every way to switch it off.
//!
//! Without the feature `otel` all this does nothing, so that a program compiles unchanged; only what has types of
//! OpenTelemetry in its signature (exporters, processors, samplers, readers) and the trace tree are missing then.
//!
//! With it, types of the crates `opentelemetry` and `opentelemetry_sdk` stand in public signatures. Depend on the version
//! that this crate depends on (`cargo tree -i opentelemetry` shows it): an exporter of another one does not fit
//! [`TelemetryBuilder`], and its spans are not in these traces. A new major version of theirs, or a new minor one before
//! 1.0, is a breaking change of this crate.

mod attribute_value;
mod attributes;
mod bounded_names;
mod error;
mod failure;
mod guard;
mod links;
pub(crate) mod log;
/// Many follow OpenTelemetry's semantic conventions, of which those for messaging, and others, are experimental. A
/// minor release may follow them: which constants there are, and their values, is outside semantic versioning.
pub mod names;
#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod otel;
mod outcome;
mod propagation;
mod site;
mod spawn;
mod unanswered;

#[cfg(not(feature = "otel"))]
use off as backend;
#[cfg(feature = "otel")]
use otel as backend;

pub use attribute_value::AttributeValue;
#[cfg(feature = "otel")]
pub(crate) use attributes::Values;
pub use attributes::{Attributes, MAX_ITEMS, MAX_TEXT, Slot};
pub use backend::{
    CurrentSpan, ManualSpan, Options, Scope, Telemetry, TelemetryBuilder, TelemetryGuard, current_span, set_enabled,
    span,
};
pub(crate) use backend::{Start, is_on, messaging, metrics};
pub(crate) use bounded_names::BoundedNames;
pub use bounded_names::MAX_NAMES;
pub use error::TelemetryError;
pub(crate) use expanded::*;
pub(crate) use failure::{Chain, error_text, shown};
pub(crate) use guard::{guarded, guarded_by_type};
pub use links::Linked;
#[cfg(feature = "tracing-bridge")]
pub use otel::LogFormat;
#[cfg(feature = "prometheus")]
pub use otel::Scrape;
#[cfg(feature = "otel")]
pub use otel::TraceTree;
#[cfg(feature = "view")]
pub use otel::TraceView;
#[cfg(feature = "otel")]
pub(crate) use outcome::ByText;
pub use propagation::{InvalidTraceContext, TraceContext};
pub use site::Kind;
pub use spawn::{spawn_traced, stream_traced};
pub(crate) use unanswered::{PANIC, Unanswered, tell_dropped};

/// What the expansions of macros call, through the crate's `__private`.
pub(crate) mod expanded {
    pub use super::attributes::ByPlace;
    pub use super::backend::Span;
    #[cfg(feature = "otel")]
    pub use super::backend::{
        BoxedFuture, BoxedStream, Once, Running, Site, apart, cover_future, cover_stream, disabled, held, once, run,
        start, start_with, traced, traced_by,
    };
    pub use super::outcome::{
        By, Fallible, Faults, NoResult, Outcome, Teller, ToldResult, ToldValue, faults, told, told_of,
    };
    pub use super::site::Literal;
}

/// Whether the crate was built with the feature `otel`.
pub const AVAILABLE: bool = cfg!(feature = "otel");
