//! Queries and their handlers.

use std::error::Error;
use std::future::Future;

use serde::de::DeserializeOwned;

use super::sealed::Sealed;
use super::span_name::SpanName;
use crate::error::BoxError;
use crate::telemetry::Attributes;

/// A question to the read side; implemented by `#[derive(Query)]`.
///
/// It can also be implemented by hand: what minor releases add to it has a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a query",
    note = "add `#[derive(Query, Deserialize)]` and `#[query(output = ..)]` to `{Self}`"
)]
pub trait Query: DeserializeOwned + Send + 'static {
    /// The name on the wire, in spans and in metrics.
    const NAME: &'static str;
    /// The name of the query's span: `query.` and its name.
    const SPAN: &'static str = SpanOf::<Self>::NAME.as_str();
    /// The answer.
    type Output: Send + 'static;
    /// Why the read side may refuse to answer; [`Infallible`](std::convert::Infallible) if the query names no error. A
    /// handler's error of this type is returned as it is, any other boxed.
    type Error: Error + Send + Sync + 'static;

    /// Records the fields named as attributes; nothing else of a query reaches telemetry.
    fn attributes(&self, _attributes: &mut Attributes) {}

    /// How many items the answer holds, if it is a collection.
    fn result_count(_output: &Self::Output) -> Option<usize> {
        None
    }

    /// The answer as JSON; `None` if its type has no `Serialize`.
    ///
    /// # Errors
    /// The answer cannot be written as JSON.
    fn to_json(_output: &Self::Output) -> Option<serde_json::Result<serde_json::Value>> {
        None
    }
}

struct SpanOf<Q: ?Sized>(std::marker::PhantomData<Q>);

impl<Q: Query> SpanOf<Q> {
    const NAME: &'static SpanName = &SpanName::new("query", Q::NAME);
}

/// The queries that a type answers; implemented by `#[query_handler]`.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` answers no queries",
    note = "put `#[query_handler]` on an `impl {Self}` block whose methods take queries"
)]
pub trait QueryHandlers: Send + Sync + Sized + 'static {
    /// Adds every query to the registry.
    fn register<R: QueryRegistry<Self>>(registry: &mut R);
}

/// Collects the queries of a handler. Sealed: the query bus implements it; users call it only through
/// [`QueryHandlers::register`].
pub trait QueryRegistry<H: QueryHandlers>: Sealed {
    /// Adds query `Q` of `H`.
    fn query<Q: Query>(&mut self)
    where
        H: HandleQuery<Q>;
}

/// Answers one query; implemented by `#[query_handler]` for each method.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer `{Q}`",
    note = "add a method that takes `{Q}` to the `#[query_handler]` block of `{Self}`"
)]
pub trait HandleQuery<Q: Query>: QueryHandlers {
    /// Why there is no answer: the query's own error, or any other.
    type Error: Into<BoxError> + Send + 'static;

    /// Whether the query makes a span.
    fn enable_tracing(&self, _query: &Q) -> bool {
        true
    }

    /// Records the attributes that the method names for the query's span.
    fn attributes(&self, _query: &Q, _attributes: &mut Attributes) {}

    /// Answers the query.
    ///
    /// # Errors
    /// The query's own error, which its caller gets unchanged, or any other, which is boxed.
    fn handle(&self, query: Q) -> impl Future<Output = Result<Q::Output, Self::Error>> + Send;
}
