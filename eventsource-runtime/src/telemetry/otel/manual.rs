//! Manual spans, and the current span.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::future::Future;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use super::options::Options;
use super::run::traced;
use super::running::Running;
use super::span::{Span, evaluate};
use super::start::Ready;
use super::toggle;
use crate::telemetry::site::Kind;
use crate::telemetry::{AttributeValue, Attributes, ByText, NoResult};

/// The span in whose body the caller runs.
#[derive(Debug)]
pub struct CurrentSpan(Option<Context>);

/// The span in whose body this is called: of a traced function, a handler, or any OpenTelemetry span.
///
/// If spans are off there is none, and what is recorded on it is discarded.
#[must_use]
pub fn current_span() -> CurrentSpan {
    if !toggle::is_on() {
        return CurrentSpan(None);
    }
    CurrentSpan(Context::map_current(|current| current.span().is_recording().then(|| current.clone())))
}

impl CurrentSpan {
    /// Records an attribute whose value becomes known only later: once for each key, since the span keeps all of them.
    pub fn record<V: AttributeValue>(&self, key: &'static str, value: V) {
        if let Some(context) = &self.0 {
            let list = evaluate(&mut |attributes| attributes.record(key, &value));
            context.span().set_attributes(list.into_vec());
        }
    }
}

/// A manual span, behind the same switches as the generated ones.
///
/// ```
/// # use eventsource_runtime::telemetry;
/// let rows = telemetry::span("import.batch").attribute("import.source", "partner").in_scope(|| 3);
/// assert_eq!(rows, 3);
/// ```
#[must_use = "a span starts when its body runs"]
#[derive(Debug)]
pub struct ManualSpan {
    start: Option<Box<(Ready, Attributes)>>,
}

/// A span of that name, of low cardinality: no ids in it.
pub fn span(name: impl Into<Cow<'static, str>>) -> ManualSpan {
    let made = || Box::new((Ready::new(name.into(), Kind::Internal), Attributes::default()));
    ManualSpan { start: toggle::is_on().then(made) }
}

impl ManualSpan {
    /// Sets the kind.
    pub fn kind(mut self, kind: Kind) -> Self {
        if let Some(start) = &mut self.start {
            start.0.kind = kind;
        }
        self
    }

    /// Records an attribute at start. It is kept whenever spans of the process are on; record what is costly to compute
    /// in the body, on [`current_span`].
    pub fn attribute<V: AttributeValue>(mut self, key: &'static str, value: V) -> Self {
        if let Some(start) = &mut self.start {
            start.1.record(key, &value);
        }
        self
    }

    /// Sets parent, links, or a component's switch.
    pub fn options(mut self, set: impl FnOnce(&mut Options)) -> Self {
        if let Some(start) = &mut self.start {
            set(&mut start.0.options);
        }
        self
    }

    /// Runs a closure in the span. Whatever it returns, the span has no status; see [`ManualSpan::try_in_scope`].
    pub fn in_scope<R>(self, body: impl FnOnce() -> R) -> R {
        let mut running = Running::new(self.begin());
        let returned = body();
        running.succeed();
        returned
    }

    /// Runs a fallible closure in the span: for an error it records the error's name, the status of a failure and a log
    /// record, as a traced function does.
    ///
    /// # Errors
    /// What the closure returned.
    pub fn try_in_scope<T, E: Debug + Display>(self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let running = Running::new(self.begin());
        let returned = body();
        running.end(returned, ByText)
    }

    /// Runs a future in the span, which starts when the future is first polled. If dropped before it is done, the span
    /// ends as cancelled.
    pub async fn run<F: Future>(self, body: F) -> F::Output {
        match self.begin() {
            None => body.await,
            span => traced(span, body, NoResult).await,
        }
    }

    /// Runs a fallible future as [`ManualSpan::run`] does; an error is recorded as in [`ManualSpan::try_in_scope`].
    ///
    /// ```
    /// # use eventsource_runtime::telemetry;
    /// # async fn import() -> Result<(), std::num::ParseIntError> {
    /// let rows: u32 = telemetry::span("import.batch").try_run(async { "3".parse() }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the future returned.
    pub async fn try_run<T, E, F>(self, body: F) -> Result<T, E>
    where
        E: Debug + Display,
        F: Future<Output = Result<T, E>>,
    {
        match self.begin() {
            None => body.await,
            span => traced(span, body, ByText).await,
        }
    }

    pub(super) fn begin(self) -> Option<Span> {
        // It may have been created elsewhere, where spans were on.
        if !toggle::is_on() {
            return None;
        }
        let (start, mut attributes) = *self.start?;
        let mut known = |known: &mut Attributes| *known = std::mem::take(&mut attributes);
        start.begin(&mut known, &mut |_| ()).unless_off()
    }
}
