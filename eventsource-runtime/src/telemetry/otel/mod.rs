//! Telemetry over the OpenTelemetry API; `off` is the twin that does nothing.

mod cover;
mod init;
mod list;
mod manual;
pub(crate) mod messaging;
mod method_names;
pub(crate) mod metrics;
mod pipeline;
mod run;
mod site;
mod span;
mod start;
mod toggle;
mod tree;
#[cfg(feature = "view")]
mod view;

pub use cover::{BoxedFuture, BoxedStream, Covered, cover_future, cover_stream};
pub use init::{Telemetry, TelemetryBuilder, TelemetryGuard};
pub(super) use list::List;
pub use manual::{CurrentSpan, ManualSpan, current_span, span};
pub use run::{Scope, Traced, enter, sync, traced};
pub use site::Site;
pub use span::Span;
pub(super) use span::current_trace_context;
pub(crate) use start::Start;
pub use start::{Options, start};
pub use toggle::set_enabled;
pub(crate) use toggle::spans_are_on as is_on;
pub use tree::TraceTree;
#[cfg(feature = "view")]
pub use view::TraceView;
