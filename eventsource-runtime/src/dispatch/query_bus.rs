//! Routes queries to their handlers.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use super::json::{Known, Payload, QUERIES, Refused, Switches};
use super::query_error::{ExecuteJsonError, QueryError};
use super::routes::Found;
use super::{BoxFuture, MAX_JSON};
use crate::domain::sealed::Sealed;
use crate::domain::{HandleQuery, Query, QueryHandlers, QueryRegistry};
use crate::error::{BoxError, error_type_or, quoted};
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Kind, Span, Start, Unanswered, guarded_by_type, metrics, names};

type Answered<Q> = Result<<Q as Query>::Output, QueryError<<Q as Query>::Error>>;

/// Routes queries to their handlers, each in a `query.{Type}` span.
///
/// Cloning is cheap.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # use serde::Deserialize;
/// #[derive(Query, Deserialize)]
/// #[query(output = u64)]
/// struct CountOrders {
///     status: String,
/// }
///
/// struct OrderQueries;
///
/// #[query_handler]
/// impl OrderQueries {
///     async fn count(&self, query: CountOrders) -> Result<u64, std::io::Error> {
///         Ok(if query.status == "placed" { 2 } else { 0 })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queries = QueryBus::builder().handler(OrderQueries).build();
/// assert_eq!(queries.execute(CountOrders { status: "placed".into() }).await?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QueryBus {
    routes: Arc<Routes>,
    switches: Switches,
}

type Routes = super::routes::Routes<dyn JsonRoute>;

/// Builds a [`QueryBus`].
#[derive(Default)]
#[must_use = "the bus comes out of `build`"]
pub struct QueryBusBuilder {
    routes: Routes,
    /// The types of the handlers, by those of their queries.
    handlers: HashMap<TypeId, &'static str, FixedState>,
    switches: Switches,
}

impl QueryBusBuilder {
    /// Routes every query of the handler to it.
    ///
    /// # Panics
    /// Another handler of the bus has one of the queries: a bus asks one. Where it depends on something else which of
    /// them answers, give each a bus of its own.
    #[track_caller]
    pub fn handler<H: QueryHandlers>(mut self, handler: H) -> Self {
        let Self { routes, handlers, .. } = &mut self;
        let mut registrar = Registrar { handler: Arc::new(handler), routes, handlers, clash: None };
        H::register(&mut registrar);
        if let Some((query, other)) = registrar.clash {
            panic!("`{}` and `{other}` both handle `{query}`; leave it to one of them", type_name::<H>());
        }
        self
    }

    /// Switches query spans on or off, and every span of ours below them. On by default.
    pub fn enable_tracing(mut self, enabled: bool) -> Self {
        self.switches.tracing = enabled;
        self
    }

    /// Switches query metrics on or off, independently of tracing. On by default.
    pub fn enable_metrics(mut self, enabled: bool) -> Self {
        self.switches.metrics = enabled;
        self
    }

    /// Builds the bus.
    #[must_use]
    pub fn build(self) -> QueryBus {
        QueryBus { routes: Arc::new(self.routes), switches: self.switches }
    }
}

impl QueryBus {
    /// Creates a builder.
    pub fn builder() -> QueryBusBuilder {
        QueryBusBuilder::default()
    }

    /// Answers a query. The future may be dropped at any point.
    ///
    /// # Errors
    /// The bus has no handler for the query, or the handler failed: with the query's own error, which is returned as
    /// [`QueryError::Rejected`], or with another.
    pub fn execute<Q: Query>(&self, query: Q) -> BoxFuture<'_, Answered<Q>> {
        match self.routes.typed::<Box<dyn Route<Q>>>() {
            Some(route) => route.execute(query, self.switches),
            None => Box::pin(async {
                QUERIES.refuse(known::<Q>(), Q::NAME, "no_handler".into(), self.switches);
                Err(QueryError::NoHandler { query: Q::NAME })
            }),
        }
    }

    /// Answers a query received as JSON, by its name, with JSON.
    ///
    /// # Errors
    /// No query has this name, or several types have it; the payload does not fit it; its answer cannot be serialized;
    /// or as [`QueryBus::execute`].
    pub async fn execute_json(
        &self,
        name: &str,
        payload: impl AsRef<[u8]> + Send,
    ) -> Result<serde_json::Value, ExecuteJsonError> {
        match self.routes.find(name) {
            Found::Route(route) => {
                route.execute(Payload { json: payload.as_ref(), most: MAX_JSON }, self.switches).await
            }
            Found::Unknown => {
                let query = quoted(name);
                QUERIES.unknown(&query, self.switches);
                Err(ExecuteJsonError::UnknownQuery { query })
            }
            Found::Ambiguous { name: query, types } => {
                QUERIES.ambiguous(query, self.switches);
                Err(ExecuteJsonError::AmbiguousQuery { query, types })
            }
        }
    }
}

/// Routes one type of query to its handler.
trait Route<Q: Query>: Send + Sync {
    fn execute(&self, query: Q, switches: Switches) -> BoxFuture<'_, Answered<Q>>;
}

impl<H: HandleQuery<Q>, Q: Query> Route<Q> for Arc<H> {
    fn execute(&self, query: Q, switches: Switches) -> BoxFuture<'_, Answered<Q>> {
        Box::pin(async move { asked(&**self, query, switches).await.end(|answered| answered, QueryError::error_type) })
    }
}

fn written<Q: Query>(answered: Answered<Q>) -> Result<serde_json::Value, ExecuteJsonError> {
    let output = answered.map_err(|error| ExecuteJsonError::from_typed(Q::NAME, error))?;
    let unwritable = |source| ExecuteJsonError::Answer { query: Q::NAME, source };
    Q::to_json(&output).ok_or_else(|| unwritable(None))?.map_err(|error| unwritable(Some(error)))
}

/// A query that its handler has answered, in a span that is still open.
struct Asked<Q: Query> {
    span: Span,
    begun: Option<Instant>,
    answered: Answered<Q>,
}

async fn asked<H: HandleQuery<Q>, Q: Query>(handler: &H, query: Q, switches: Switches) -> Asked<Q> {
    let begun = metrics::begun(switches.metrics);
    let span = query_span(
        (Q::NAME, Q::SPAN),
        &|| switches.tracing && guarded_by_type(|| handler.enable_tracing(&query)).unwrap_or(true),
        &mut |user| {
            guarded_by_type(|| query.attributes(user));
            guarded_by_type(|| HandleQuery::attributes(handler, &query, user));
            // Each may name what the other does.
            user.keep_last();
        },
    );
    let tell = |error_type| QUERIES.unanswered((Q::NAME, Q::SPAN), &span, begun, error_type);
    let unanswered = Unanswered::new(tell);
    // Inside the block, so that a plain method runs in the span as well: it has answered when `handle` returns.
    let output = span.run(async { handler.handle(query).await }).await;
    let answered = span.in_scope(|| output.map_err(failed::<Q, H::Error>));
    unanswered.answered();
    Asked { span, begun, answered }
}

impl<Q: Query> Asked<Q> {
    /// Finishes the answer and ends the span.
    fn end<T, E: Error + 'static>(
        self,
        finish: impl FnOnce(Answered<Q>) -> Result<T, E>,
        error_type: impl FnOnce(&E) -> Cow<'static, str>,
    ) -> Result<T, E> {
        let Self { span, begun, answered } = self;
        let tell = |error_type| QUERIES.unanswered((Q::NAME, Q::SPAN), &span, begun, error_type);
        let unanswered = Unanswered::new(tell);
        let results = answered.as_ref().ok().and_then(Q::result_count);
        let finished = span.in_scope(|| finish(answered));
        unanswered.answered();
        let metered = begun.map(|begun| begun.elapsed());
        let error = finished.as_ref().err().map(|error| (error as &(dyn Error + 'static), error_type(error)));
        end((Q::NAME, Q::SPAN), span, error, results, metered);
        finished
    }
}

fn query_span(
    (name, span): (&'static str, &'static str),
    enabled: &dyn Fn() -> bool,
    user: &mut dyn FnMut(&mut Attributes),
) -> Span {
    Start::new(span, Kind::Internal, enabled).begin(
        &mut |known| {
            known.text(names::CQRS_SIDE, "read");
            known.text(names::CQRS_QUERY_TYPE, name);
        },
        user,
    )
}

/// A handler may return the query's error boxed, as one of several; downcasting finds it.
fn failed<Q: Query, E: Into<BoxError>>(error: E) -> QueryError<Q::Error> {
    match error.into().downcast() {
        Ok(refusal) => QueryError::Rejected(*refusal),
        Err(source) => QueryError::Failed { query: Q::NAME, error_type: error_type_or::<E>(&source), source },
    }
}

/// `error` comes with its short, stable name; `metered` is how long it took, if that is measured.
fn end(
    (name, span_name): (&'static str, &'static str),
    span: Span,
    error: Option<(&(dyn Error + 'static), Cow<'static, str>)>,
    results: Option<usize>,
    metered: Option<Duration>,
) {
    if let Some(results) = results {
        span.record(&mut |later| later.number(names::CQRS_QUERY_RESULT_COUNT, results as u64));
    }
    if let Some(elapsed) = metered {
        let error_type = error.as_ref().map(|(_, error_type)| &**error_type);
        let status = if error.is_none() { "success" } else { "error" };
        let ended = metrics::Ended { name, status, error_type, elapsed };
        span.in_scope(|| metrics::query(&ended, results));
    }
    match error {
        None => span.succeed(),
        Some((error, error_type)) => span.fail(Failed::new(names::LOG_QUERY, span_name), error_type, &Chain(error)),
    }
}

const fn known<Q: Query>() -> Known {
    Known { name: Q::NAME, span: Q::SPAN, aggregate_type: None }
}

/// Reads one type of query from JSON, executes it and writes the answer as JSON.
trait JsonRoute: Send + Sync {
    fn execute<'a>(
        &'a self,
        payload: Payload<'a>,
        switches: Switches,
    ) -> BoxFuture<'a, Result<serde_json::Value, ExecuteJsonError>>;
}

struct Json<H, Q> {
    handler: Arc<H>,
    query: PhantomData<fn() -> Q>,
}

impl<H: HandleQuery<Q>, Q: Query> JsonRoute for Json<H, Q> {
    fn execute<'a>(
        &'a self,
        payload: Payload<'a>,
        switches: Switches,
    ) -> BoxFuture<'a, Result<serde_json::Value, ExecuteJsonError>> {
        Box::pin(async move {
            let query = QUERIES.read(known::<Q>(), payload, |json| serde_json::from_slice::<Q>(json), switches);
            let query = query.map_err(|refused| refuse(Q::NAME, refused))?;
            // The answer is serialized within the span, so that a failure to do so shows there.
            asked(&*self.handler, query, switches).await.end(written::<Q>, ExecuteJsonError::error_type)
        })
    }
}

fn refuse(query: &'static str, refused: Refused) -> ExecuteJsonError {
    match refused {
        Refused::TooLarge(size) => ExecuteJsonError::TooLarge { query, size },
        Refused::BadPayload(source) => ExecuteJsonError::BadPayload { query, source },
    }
}

/// Adds the queries of one handler to the routes.
struct Registrar<'a, H> {
    handler: Arc<H>,
    routes: &'a mut Routes,
    handlers: &'a mut HashMap<TypeId, &'static str, FixedState>,
    /// A query that has a handler already, and the type of that.
    clash: Option<(&'static str, &'static str)>,
}

impl<H> Sealed for Registrar<'_, H> {}

impl<H: QueryHandlers> QueryRegistry<H> for Registrar<'_, H> {
    fn query<Q: Query>(&mut self)
    where
        H: HandleQuery<Q>,
    {
        if let Some(other) = self.handlers.insert(TypeId::of::<Q>(), type_name::<H>()) {
            self.clash = Some((type_name::<Q>(), other));
        }
        let route: Box<dyn Route<Q>> = Box::new(Arc::clone(&self.handler));
        let json = Json { handler: Arc::clone(&self.handler), query: PhantomData };
        self.routes.insert::<Q, _>(Q::NAME, route, Box::new(json));
    }
}

impl fmt::Debug for QueryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBus").field("queries", &self.routes.sorted()).finish_non_exhaustive()
    }
}

impl fmt::Debug for QueryBusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBusBuilder").field("queries", &self.routes.len()).finish_non_exhaustive()
    }
}
