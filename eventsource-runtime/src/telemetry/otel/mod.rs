//! Telemetry over the OpenTelemetry API; `off` is the twin that does nothing.

mod attribute_list;
#[cfg(feature = "tracing-bridge")]
mod bridge;
mod cover;
mod error_text;
mod foreign;
mod gauges;
mod in_context;
mod init;
mod line;
#[cfg(feature = "tracing-bridge")]
mod log_format;
mod manual;
pub(crate) mod messaging;
mod method_names;
pub(crate) mod metrics;
#[cfg(not(feature = "tracing-bridge"))]
mod no_bridge;
mod observed;
mod options;
mod pipeline;
mod processed;
mod run;
mod running;
#[cfg(feature = "prometheus")]
mod scrape;
#[cfg(test)]
mod screen;
mod site;
mod span;
mod start;
mod store_calls;
mod streams;
mod toggle;
mod tree;
#[cfg(feature = "view")]
mod view;

#[cfg(not(feature = "tracing-bridge"))]
use no_bridge as bridge;

pub(super) use attribute_list::AttributeList;
pub use cover::{BoxedFuture, BoxedStream, cover_future, cover_stream};
pub(super) use error_text::{error_text_for_any, records_error_text};
pub use init::{Telemetry, TelemetryBuilder, TelemetryGuard};
#[cfg(feature = "tracing-bridge")]
pub use log_format::LogFormat;
pub use manual::{CurrentSpan, ManualSpan, current_span, span};
pub use options::Options;
pub(super) use pipeline::exported_logs;
pub use run::{Once, Scope, apart, once, run, traced, traced_by};
pub use running::{Running, held};
#[cfg(feature = "prometheus")]
pub use scrape::Scrape;
pub use site::Site;
pub use span::Span;
pub(super) use span::current_trace_context;
pub(crate) use start::Start;
pub use start::{disabled, start, start_with};
pub(super) use toggle::Mute;
pub(crate) use toggle::is_on;
pub use toggle::set_enabled;
pub use tree::TraceTree;
#[cfg(feature = "view")]
pub use view::TraceView;
