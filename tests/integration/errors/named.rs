//! What an error is called on spans and in the log, whatever it is wrapped in.

use std::error::Error;
use std::fmt;

use eventsource_runtime::bus::HandlerError;
use eventsource_runtime::prelude::*;
use eventsource_tests::recorder::Recorder;
use serde::Deserialize;

/// As what `anyhow` puts around an error: of an unknown type, with an output that names nothing.
#[derive(thiserror::Error)]
#[error("while the carts were counted")]
struct Around(#[source] tokio_postgres::Error);

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("source", &self.0).finish()
    }
}

fn misread() -> tokio_postgres::Error {
    "port=none".parse::<tokio_postgres::Config>().unwrap_err()
}

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct CountCarts {
    bare: bool,
}

struct Carts;

#[query_handler]
impl Carts {
    fn count(&self, query: CountCarts) -> Result<u64, Box<dyn Error + Send + Sync>> {
        if query.bare { Err(misread().into()) } else { Err(Around(misread()).into()) }
    }
}

/// Both were an `Error`.
#[tokio::test]
async fn a_query_whose_database_failed_says_so_behind_a_box() {
    let queries = QueryBus::builder().handler(Carts).build();
    for bare in [true, false] {
        let error = queries.execute(CountCarts { bare }).await.unwrap_err();
        assert_eq!(error.error_type(), "PostgresError");
        assert_eq!(error.to_string(), "`CountCarts` failed", "why is said by its source");
        assert!(error.source().is_some_and(|cause| cause.is::<tokio_postgres::Error>() || cause.is::<Around>()));
    }
}

#[traced]
fn of_driver() -> Result<(), tokio_postgres::Error> {
    Err(misread())
}

#[traced]
fn of_handler() -> Result<(), HandlerError> {
    Err(misread().into())
}

#[traced]
async fn of_step() -> Result<(), ProjectionError> {
    Err("x".parse::<u8>().unwrap_err().into())
}

#[traced]
fn of_any() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(Around(misread()).into())
}

/// They were called by the type that is wrapped around the error.
#[tokio::test]
async fn a_traced_function_names_what_is_in_an_error_that_can_be_any() {
    let recorder = Recorder::new();
    let all = async { (of_driver().is_err(), of_handler().is_err(), of_step().await.is_err(), of_any().is_err()) };
    assert_eq!(recorder.run(all).await, (true, true, true, true));
    let failed = |(name, error_type)| format!("{name} ERROR\n  . error.type={error_type}\n");
    let [driver, handler, any] = ["of_driver", "of_handler", "of_any"].map(|name| failed((name, "PostgresError")));
    assert_eq!(recorder.trees().render(), format!("{driver}{handler}{}{any}", failed(("of_step", "ParseIntError"))));
}
