//! Telemetry in a build without the feature `otel`: the same names, with nothing behind them. Closures that would
//! compute attributes are compiled and never called.

#![expect(clippy::unused_self, reason = "the signatures are those of what this stands for")]

mod init;
pub(crate) mod messaging;
pub(crate) mod metrics;

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use futures_core::Stream;

use super::links::Linked;
use super::site::Kind;
use super::{AttributeValue, Attributes, Outcome, TraceContext};

pub use init::{Telemetry, TelemetryBuilder, TelemetryGuard};

/// What exports log events: nothing.
pub(in crate::telemetry) fn exported_logs() -> Option<tracing::Dispatch> {
    None
}

/// Nobody records what errors say.
pub(in crate::telemetry) fn records_error_text() -> bool {
    false
}

/// Nobody does.
pub(in crate::telemetry) fn error_text_for_any(_: &dyn Display) -> Option<String> {
    None
}

/// Attributes that nobody will see.
#[derive(Default)]
pub(in crate::telemetry) struct AttributeList;

impl AttributeList {
    pub(in crate::telemetry) fn len(&self) -> usize {
        0
    }

    pub(in crate::telemetry) fn truncate(&mut self, _: usize) {}

    pub(in crate::telemetry) fn keep_last(&mut self) {}

    pub(in crate::telemetry) fn text(&mut self, _: &'static str, _: &'static str) {}

    pub(in crate::telemetry) fn string(&mut self, _: &'static str, _: String) {}

    pub(in crate::telemetry) fn shared(&mut self, _: &'static str, _: Arc<str>) {}

    pub(in crate::telemetry) fn int(&mut self, _: &'static str, _: i64) {}

    pub(in crate::telemetry) fn float(&mut self, _: &'static str, _: f64) {}

    pub(in crate::telemetry) fn bool(&mut self, _: &'static str, _: bool) {}

    pub(in crate::telemetry) fn texts(&mut self, _: &'static str, _: &mut dyn Iterator<Item = Cow<'static, str>>) {}
}

/// No span.
#[derive(Debug)]
pub struct Span(());

impl Span {
    /// No span.
    pub const OFF: Self = Self(());
    pub(crate) const MUTED: Self = Self(());

    pub(crate) fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        body()
    }

    pub(crate) fn run<F: Future>(&self, body: F) -> F {
        body
    }

    pub(crate) fn record(&self, _: &mut dyn FnMut(&mut Attributes)) {}

    pub(crate) fn events(&self, _: &'static str, _: usize, _: &mut dyn FnMut(usize, &mut Attributes)) {}

    pub(crate) fn is_recording(&self) -> bool {
        false
    }

    pub(crate) fn finish(self, _: Outcome) {}

    pub(crate) fn succeed(self) {}

    pub(crate) fn scope(&self, _: bool) -> Scope {
        Scope(())
    }
}

/// A scope that holds nothing.
#[derive(Clone, Debug)]
pub struct Scope(());

impl Scope {
    /// The caller's scope: nothing.
    #[must_use]
    pub fn current() -> Self {
        Self(())
    }

    pub(crate) fn detached() -> Self {
        Self(())
    }

    #[must_use]
    pub(crate) fn muted(self) -> Self {
        self
    }

    /// Runs a closure.
    pub fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        body()
    }

    /// Runs a future.
    pub fn run<F: Future>(self, body: F) -> impl Future<Output = F::Output> {
        body
    }

    /// The stream as it is.
    pub fn stream<S: Stream>(self, body: S) -> impl Stream<Item = S::Item> + use<S> {
        body
    }
}

/// The options of a span that will not start.
#[derive(Debug, Default)]
pub struct Options(());

impl Options {
    /// Does nothing.
    pub fn enable_tracing(&mut self, _: bool) {}

    /// Does nothing.
    #[doc(hidden)]
    pub fn with(&mut self, _: &dyn Fn(&mut Self)) {}

    /// Does nothing.
    #[doc(hidden)]
    pub fn with_links(&mut self, _: &dyn Fn(&mut Self)) {}

    /// Does nothing.
    #[doc(hidden)]
    pub fn owner(&mut self, _: &'static str) {}

    /// Does nothing.
    pub fn root(&mut self) {}

    /// Does nothing.
    pub fn parent(&mut self, _: &(impl Linked + ?Sized)) {}

    /// Does nothing.
    pub fn links(&mut self, _: &(impl Linked + ?Sized)) {}

    pub(crate) fn link_event(&mut self, _: &TraceContext, _: Option<uuid::Uuid>) {}

    pub(crate) fn link_message(&mut self, _: &TraceContext, _: Option<uuid::Uuid>) {}

    pub(crate) fn replay(&mut self) {}
}

/// A span that will not start.
#[derive(Debug)]
pub(crate) struct Start(());

impl Start {
    pub(crate) fn new(_: impl Into<Cow<'static, str>>, _: Kind, _: impl FnOnce() -> bool) -> Self {
        Self(())
    }

    pub(crate) fn of(_: impl FnOnce() -> bool, _: impl FnOnce() -> (Cow<'static, str>, Kind)) -> Self {
        Self(())
    }

    #[must_use]
    pub(crate) fn options(self, _: impl FnOnce(&mut Options)) -> Self {
        self
    }

    #[must_use]
    pub(crate) fn room(self, _: usize) -> Self {
        self
    }

    #[must_use]
    pub(crate) fn since(self, _: SystemTime) -> Self {
        self
    }

    pub(crate) fn begin(self, _: &mut dyn FnMut(&mut Attributes), _: &mut dyn FnMut(&mut Attributes)) -> Span {
        Span::OFF
    }
}

/// No span to record on.
#[derive(Debug)]
pub struct CurrentSpan(());

/// No span: without the feature `otel` nothing is recorded.
#[must_use]
pub fn current_span() -> CurrentSpan {
    CurrentSpan(())
}

impl CurrentSpan {
    /// Records nothing.
    pub fn record<V: AttributeValue>(&self, _: &'static str, _: V) {}
}

/// A span made by hand, of which only its body is left.
#[must_use = "the body is what is left to run"]
#[derive(Debug)]
pub struct ManualSpan(());

/// No span: without the feature `otel` only its body runs.
pub fn span(_: impl Into<Cow<'static, str>>) -> ManualSpan {
    ManualSpan(())
}

impl ManualSpan {
    /// Does nothing.
    pub fn kind(self, _: Kind) -> Self {
        self
    }

    /// Does nothing.
    pub fn attribute<V: AttributeValue>(self, _: &'static str, _: V) -> Self {
        self
    }

    /// Does nothing; the closure is not called.
    pub fn options(self, _: impl FnOnce(&mut Options)) -> Self {
        self
    }

    /// Runs a closure.
    pub fn in_scope<R>(self, body: impl FnOnce() -> R) -> R {
        body()
    }

    /// Runs a closure.
    ///
    /// # Errors
    /// What the closure returned.
    pub fn try_in_scope<T, E: Debug + Display>(self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        body()
    }

    /// Runs a future.
    pub fn run<F: Future>(self, body: F) -> impl Future<Output = F::Output> {
        body
    }

    /// Runs a future.
    ///
    /// # Errors
    /// What the future returned.
    pub fn try_run<T, E, F>(self, body: F) -> impl Future<Output = Result<T, E>>
    where
        E: Debug + Display,
        F: Future<Output = Result<T, E>>,
    {
        body
    }

    /// The stream as it is.
    pub fn stream<S: Stream>(self, body: S) -> impl Stream<Item = S::Item> + use<S> {
        body
    }
}

/// Does nothing: without the feature `otel` spans are off.
pub fn set_enabled(_: bool) {}

/// They are not.
pub(crate) fn is_on() -> bool {
    false
}

pub(in crate::telemetry) fn current_trace_context() -> Option<TraceContext> {
    None
}

/// Keeps off what is off anyway.
pub(in crate::telemetry) struct Mute(());

impl Mute {
    pub(in crate::telemetry) fn new() -> Self {
        Self(())
    }
}
