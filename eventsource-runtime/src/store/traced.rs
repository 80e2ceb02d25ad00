//! The spans and metrics of every store: one decorator, and nothing in the stores themselves.

#![expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice: a command's future would be larger"
)]

use std::borrow::Cow;
use std::future::Future;
use std::time::SystemTime;

use super::call::{Call, Fault, Measured};
use super::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, NewEvent, Page, Position, StoreError,
    StoreInfo, StreamId, Version, Visitor, delegate,
};
use crate::domain::StoredEvent;
use crate::projection::ProjectionStore;
use crate::telemetry::{self, Attributes, Kind, Span, Start, metrics, names};

const INSERT: &str = "INSERT";
const SELECT: &str = "SELECT";

/// A store with its spans and metrics.
///
/// It makes the spans `event_store.append`, `event_store.load` and `event_store.read_all`, and for databases the metric
/// `db.client.operation.duration` and `eventsource.store.active`. Results are those of the inner store even if telemetry fails; all guarantees,
/// including those on dropped futures, are the inner store's. Cloning is as cheap as cloning the inner store.
///
/// ```
/// # use eventsource_runtime::store::MemoryStore;
/// let quiet = MemoryStore::new().enable_tracing(false).enable_metrics(false);
/// ```
#[derive(Clone, Debug)]
pub struct Traced<S> {
    inner: S,
    tracing: bool,
    metrics: bool,
}

impl<S> Traced<S> {
    /// Adds spans and metrics to a store, both enabled.
    #[must_use]
    pub const fn over(inner: S) -> Self {
        Self { inner, tracing: true, metrics: true }
    }

    /// Switches the store's spans on or off. On unless set.
    #[must_use]
    pub fn enable_tracing(self, enabled: bool) -> Self {
        Self { tracing: enabled, ..self }
    }

    /// Switches the store's metrics on or off. On unless set.
    #[must_use]
    pub fn enable_metrics(self, enabled: bool) -> Self {
        Self { metrics: enabled, ..self }
    }

    /// The store without its telemetry.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: EventStore> Traced<S> {
    /// Whether a call leaves a span or a measurement, besides its failure.
    pub(crate) fn is_seen(&self) -> bool {
        self.sees(|| self.inner.info().system.is_some())
    }

    fn call(&self, what: (&'static str, &'static str), known: &mut dyn FnMut(&mut Attributes)) -> Call {
        if self.is_seen() { self.call_of(&self.inner.info(), what, known) } else { self.unseen_call(what) }
    }

    pub(crate) fn load_call(&self, stream: &StreamId, after: Version) -> Call {
        self.call((names::EVENT_STORE_LOAD, SELECT), &mut |attributes| {
            attributes.shared(names::EVENTSOURCE_STREAM_ID, stream.shared());
            attributes.number(names::EVENTSOURCE_FROM_VERSION, after.get().saturating_add(1));
        })
    }
}

impl<S> Traced<S> {
    /// A call to the store in another role than that of an event store.
    pub(crate) fn call_of(
        &self,
        info: &StoreInfo,
        what: (&'static str, &'static str),
        known: &mut dyn FnMut(&mut Attributes),
    ) -> Call {
        let span = self.start(what.0, info).room(16).begin(
            &mut |attributes| {
                database(info, what.1, attributes);
                known(attributes);
            },
            &mut |_| (),
        );
        Call { span, what, measured: self.measured(info) }
    }

    /// A call of which only the failure is visible.
    pub(crate) fn unseen_call(&self, what: (&'static str, &'static str)) -> Call {
        Call { span: self.unseen(), what, measured: None }
    }

    /// Whether more than the failure of such a call is visible: it has a span, or is measured as a database call.
    pub(crate) fn sees(&self, is_database: impl FnOnce() -> bool) -> bool {
        self.tracing && telemetry::is_on() || is_database() && metrics::are_read(self.metrics)
    }

    /// What a call without a span runs in.
    pub(crate) fn unseen(&self) -> Span {
        if self.tracing { Span::OFF } else { Span::MUTED }
    }

    fn start(&self, name: &'static str, info: &StoreInfo) -> Start {
        let kind = if info.system.is_some() { Kind::Client } else { Kind::Internal };
        Start::new(name, kind, || self.tracing)
    }

    /// A malformed stored trace context is not an error, but it breaks a link that somebody will look for.
    fn count_malformed(&self, events: &[StoredEvent]) {
        if self.metrics {
            for _ in events.iter().filter(|event| event.has_malformed_context()) {
                metrics::context_malformed("store");
            }
        }
    }

    /// Only database calls are measured: for others reading the clock would cost more than the call.
    fn measured(&self, info: &StoreInfo) -> Option<Box<Measured>> {
        metrics::are_read(self.metrics && info.system.is_some()).then(|| Box::new(Measured::begin(info)))
    }
}

/// The attributes of a database call; an in-process store has none.
fn database(info: &StoreInfo, operation: &'static str, attributes: &mut Attributes) {
    let Some(system) = info.system else { return };
    attributes.text(names::DB_SYSTEM_NAME, system);
    attributes.text(names::DB_OPERATION_NAME, operation);
    attributes.text(names::DB_COLLECTION_NAME, info.collection);
    if let Some(namespace) = &info.namespace {
        attributes.shared(names::DB_NAMESPACE, namespace);
    }
    attributes.server(info.server.as_ref());
}

fn append_attributes(
    (stream, expected): (&StreamId, ExpectedVersion),
    events: &[NewEvent],
    is_database: bool,
    attributes: &mut Attributes,
) {
    let count = events.len() as u64;
    if is_database && count >= 2 {
        attributes.number(names::DB_OPERATION_BATCH_SIZE, count);
    }
    attributes.shared(names::EVENTSOURCE_STREAM_ID, stream.shared());
    attributes.number(names::EVENTSOURCE_EVENT_COUNT, count);
    let mut types = events.iter().map(|event| Cow::Borrowed(event.event_type));
    attributes.texts(names::EVENTSOURCE_EVENT_TYPES, &mut types);
    attributes.with(names::EVENTSOURCE_EXPECTED_VERSION, &mut |slot| slot.display(&expected));
}

/// What to do about a failure that has changed nothing, unless the database's code tells what helps.
pub(crate) const AGAIN: &str = "try again when the store answers";

impl<S: EventStore> EventStore for Traced<S> {
    delegate!(inner: info head changed);

    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send {
        async move {
            let recorded_at = events.last().map(|event| event.origin.recorded_at);
            let call = self.call((names::EVENT_STORE_APPEND, INSERT), &mut |attributes| {
                append_attributes((stream, expected), &events, self.inner.info().system.is_some(), attributes);
            });
            let result = call.run(self.inner.append(stream, expected, events)).await;
            call.end(|| self.inner.info(), result.as_ref().err().map(Fault::from), &mut |attributes| {
                let Ok(appended) = &result else { return };
                attributes.number(names::EVENTSOURCE_POSITION, appended.position.get());
                attributes.number(names::EVENTSOURCE_VERSION, appended.version.get());
                // A repeated append was recorded when it was first made, a time not known here.
                if let (Some(recorded_at), false) = (&recorded_at, appended.repeated) {
                    attributes.record(names::EVENTSOURCE_EVENT_RECORDED_AT, recorded_at);
                }
            });
            result.map_err(|error| error.to(stream, expected))
        }
    }

    fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> impl Future<Output = Result<Folded<V>, StoreError>> + Send {
        async move {
            let call = self.load_call(&fold.stream, fold.after);
            let result = call.run(self.inner.fold(fold, visitor)).await;
            call.end(|| self.inner.info(), result.as_ref().err().map(Fault::from), &mut |attributes| {
                let visited = result.as_ref().map_or(0, |folded| folded.visited);
                attributes.number(names::EVENTSOURCE_EVENTS_LOADED, visited);
            });
            result
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let call = self.load_call(stream, after);
        let result = call.run(self.inner.read_stream(stream, after, limit)).await;
        call.end(|| self.inner.info(), result.as_ref().err().map(Fault::from), &mut |attributes| {
            attributes.number(names::EVENTSOURCE_EVENTS_LOADED, result.as_ref().map_or(0, Vec::len) as u64);
        });
        self.count_malformed(result.as_deref().unwrap_or_default());
        result.map_err(|error| error.about(|| format!("`{stream}` after version {after}"), AGAIN))
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let info = self.inner.info();
        let what = (names::EVENT_STORE_READ_ALL, SELECT);
        let mut call = Call { span: self.unseen(), what, measured: self.measured(&info) };
        // An empty page makes no span, so the span is made once the page is known, and backdated.
        let since = (self.tracing && telemetry::is_on()).then(SystemTime::now);
        let result = call.run(self.inner.read_all(after, filter, limit)).await;
        call.span = match (&result, since) {
            (Ok(page), _) if page.events.is_empty() => Span::OFF,
            (_, None) => Span::OFF,
            (_, Some(since)) => self.start(names::EVENT_STORE_READ_ALL, &info).since(since).begin(
                &mut |attributes| {
                    database(&info, SELECT, attributes);
                    attributes.number(names::EVENTSOURCE_FROM_POSITION, after.get().saturating_add(1));
                },
                &mut |_| (),
            ),
        };
        call.end(|| info, result.as_ref().err().map(Fault::from), &mut |attributes| {
            let Ok(page) = &result else { return };
            attributes.number(names::EVENTSOURCE_TO_POSITION, page.scanned.get());
            attributes.number(names::EVENTSOURCE_EVENTS_LOADED, page.events.len() as u64);
        });
        self.count_malformed(result.as_ref().map_or(&[], |page| &page.events));
        result.map_err(|error| error.about(|| format!("after position {after}"), AGAIN))
    }
}

/// Projections have spans of their own, which the runner makes.
impl<S: ProjectionStore> ProjectionStore for Traced<S> {
    type Backend = S::Backend;

    delegate!(
        inner: open_projection lease_projection longest_batch apply_batch reset_projection dead_letters
        settle_dead_letter open_aside swap_aside
    );
}
