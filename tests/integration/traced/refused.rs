//! Errors that are no failures, as `fault` says.

use std::future::Future;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::names;
use eventsource_tests::logged::Log;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};

use super::rendered;

#[derive(Debug)]
enum Answer {
    NotFound,
    Unavailable,
}

impl Answer {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

#[traced(fault = Answer::is_fault)]
fn at_once(answer: Answer) -> Result<(), Answer> {
    Err(answer)
}

#[traced(fault = |answer| matches!(answer, Answer::Unavailable), record("failed" = result.is_err()))]
async fn later(answer: Answer) -> Result<(), Answer> {
    tokio::task::yield_now().await;
    Err(answer)
}

#[traced(fault = Answer::is_fault)]
fn covered(answer: Answer) -> impl Future<Output = Result<(), Answer>> {
    async { Err(answer) }
}

#[traced(fault = Answer::is_fault)]
fn several(answers: Vec<Answer>) -> impl Stream<Item = Result<(), Answer>> {
    stream::iter(answers).map(Err)
}

#[traced(fault = |_| panic!("in `fault`"))]
fn broken() -> Result<(), Answer> {
    Err(Answer::NotFound)
}

/// Each HTTP answer of the class 4xx was a failed span and a log event of level `error`.
#[tokio::test]
async fn an_error_that_is_no_fault_is_named_and_neither_fails_its_span_nor_is_logged() {
    let (log, _guard) = Log::of_thread();
    let (_, tree) = rendered(async { at_once(Answer::NotFound) }).await;
    assert_eq!(tree, "at_once\n  . error.type=NotFound\n");
    let (_, tree) = rendered(later(Answer::NotFound)).await;
    assert_eq!(tree, "later\n  . error.type=NotFound\n  . failed=true\n");
    let (_, tree) = rendered(async { covered(Answer::NotFound).await }).await;
    assert_eq!(tree, "covered\n  . error.type=NotFound\n");
    let (count, tree) = rendered(async { several(vec![Answer::NotFound, Answer::NotFound]).count().await }).await;
    assert_eq!((count, tree.as_str()), (2, "several\n  . error.type=NotFound\n"));
    assert_eq!(log.names_of(names::LOG_SPAN), [""; 0]);
}

#[tokio::test]
async fn an_error_that_is_a_fault_fails_its_span_and_is_logged() {
    let (log, _guard) = Log::of_thread();
    let (_, tree) = rendered(async { at_once(Answer::Unavailable) }).await;
    assert_eq!(tree, "at_once ERROR\n  . error.type=Unavailable\n");
    let (_, tree) = rendered(later(Answer::Unavailable)).await;
    assert_eq!(tree, "later ERROR\n  . error.type=Unavailable\n  . failed=true\n");
    let (_, tree) = rendered(async { covered(Answer::Unavailable).await }).await;
    assert_eq!(tree, "covered ERROR\n  . error.type=Unavailable\n");
    let (_, tree) = rendered(async { several(vec![Answer::NotFound, Answer::Unavailable]).count().await }).await;
    assert_eq!(tree, "several ERROR\n  . error.type=Unavailable\n", "what was refused before it is no failure");
    let (_, tree) = rendered(async { broken() }).await;
    assert_eq!(tree, "broken ERROR\n  . error.type=NotFound\n", "nobody said that it is none");
    assert_eq!(log.names_of(names::LOG_SPAN).len(), 5);
}
