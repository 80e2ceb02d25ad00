//! A set-up that does nothing, so that a program's `main` compiles with and without the feature `otel`. Methods with
//! types of OpenTelemetry's SDK are missing.

#![expect(clippy::missing_errors_doc, reason = "nothing fails here")]

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::time::Duration;

use crate::telemetry::TelemetryError;

/// Telemetry in a build without the feature `otel`: none.
#[must_use = "call `shutdown` at the end, for builds with the feature `otel`"]
#[derive(Debug)]
pub struct Telemetry(());

/// A set-up that will do nothing; created by [`Telemetry::from_env`].
#[must_use = "nothing is set up before `install` or `build`"]
#[derive(Debug)]
pub struct TelemetryBuilder(());

/// Keeps nothing. As the guard of a build with the feature `otel` it stays in its thread:
///
/// ```compile_fail,E0277
/// fn send(_: impl Send) {}
/// fn attached(guard: eventsource_runtime::telemetry::TelemetryGuard) {
///     send(guard);
/// }
/// ```
#[must_use = "the set-up applies until the guard is dropped"]
#[derive(Debug)]
pub struct TelemetryGuard(PhantomData<*const ()>);

impl Telemetry {
    /// Reads nothing: without the feature `otel` there is nothing to set up.
    pub fn from_env(_: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder(())
    }

    /// Sets nothing up.
    pub fn builder(_: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder(())
    }

    /// Does nothing.
    pub fn attach(&self) -> TelemetryGuard {
        TelemetryGuard(PhantomData)
    }

    /// Runs the future.
    pub fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        body
    }

    /// Does nothing.
    pub fn force_flush(&self) -> impl Future<Output = Result<(), TelemetryError>> + Send {
        ready(Ok(()))
    }

    /// Does nothing.
    pub fn shutdown(&self) -> impl Future<Output = Result<(), TelemetryError>> + Send {
        ready(Ok(()))
    }

    /// Does nothing.
    pub fn force_flush_blocking(&self) -> Result<(), TelemetryError> {
        Ok(())
    }

    /// Does nothing.
    pub fn shutdown_blocking(&self) -> Result<(), TelemetryError> {
        Ok(())
    }
}

/// Makes methods of the set-up that do nothing.
macro_rules! idle {
    ($($name:ident($($argument:ty),*))*) => {
        $(
            /// Does nothing.
            pub fn $name(self, $(_: $argument),*) -> Self {
                self
            }
        )*
    };
}

impl TelemetryBuilder {
    idle! {
        resource_attribute(impl Into<String>, impl Into<String>)
        console_without_endpoint()
        console_traces(usize)
        console_slow(Duration)
        log_slow(Duration)
        span_events_as_logs()
        record_error_text(bool)
        shutdown_timeout(Duration)
    }

    /// Sets nothing up.
    pub fn install(self) -> Result<Telemetry, TelemetryError> {
        Ok(Telemetry(()))
    }

    /// Sets nothing up.
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        Ok(Telemetry(()))
    }
}
