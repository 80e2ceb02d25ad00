//! Boxed futures and streams that may be moved, without `Pin`.

use std::future::Future;

use eventsource_runtime::prelude::*;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};

use super::{Refused, rendered, values};
use crate::dropped_after;

#[traced(attributes(text), record("length" = result.as_ref().ok().copied()))]
fn later(text: &str) -> Box<dyn Future<Output = Result<usize, Refused>> + Send + Unpin + '_> {
    Box::new(Box::pin(async move {
        tokio::task::yield_now().await;
        values(text);
        if text.is_empty() { Err(Refused("secret")) } else { Ok(text.len()) }
    }))
}

#[traced]
fn items(count: u8) -> Box<dyn Stream<Item = Result<u8, Refused>> + Unpin> {
    Box::new(stream::iter(0..count).map(|number| if number == 2 { Err(Refused("secret")) } else { Ok(number) }))
}

#[tokio::test]
async fn a_span_covers_a_boxed_future_that_may_be_moved() {
    let (length, tree) = rendered(async { later("text").await.unwrap() }).await;
    assert_eq!(length, 4);
    assert!(tree.starts_with("later\n  . length=4\n  . text=text\n  values\n"), "{tree}");
    let (failed, tree) = rendered(async { later("").await }).await;
    assert!(failed.is_err() && tree.starts_with("later ERROR\n  . error.type=Refused\n  . text=\n"), "{tree}");
    let (_, tree) = rendered(async { dropped_after(1, later("text")).await }).await;
    assert_eq!(tree, "later\n  . eventsource.cancelled=true\n  . text=text\n");
}

#[tokio::test]
async fn a_span_covers_a_boxed_stream_that_may_be_moved() {
    let (count, tree) = rendered(async { items(2).count().await }).await;
    assert_eq!((count, tree.as_str()), (2, "items\n"));
    let (count, tree) = rendered(async { items(4).count().await }).await;
    assert_eq!((count, tree.as_str()), (4, "items ERROR\n  . error.type=Refused\n"));
    let (_, tree) = rendered(async { items(4).next().await }).await;
    assert_eq!(tree, "items\n  . eventsource.cancelled=true\n");
}
