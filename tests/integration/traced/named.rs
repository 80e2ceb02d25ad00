//! What spans are called that nobody named.

use std::fmt::Display;
use std::sync::Arc;

use eventsource_runtime::prelude::*;

use super::{Opaque, Refused, moves, rendered};

struct HttpClient<T> {
    base: T,
}

impl<T: Display> HttpClient<T> {
    #[traced(attributes("url" = format!("{}/{path}", self.base)))]
    async fn get<'a>(&self, path: &'a str) -> &'a str {
        current_span().record("half.way", 1);
        path
    }

    #[traced]
    fn consume(self: Arc<Self>) -> Arc<Self> {
        self
    }

    #[traced]
    async fn connect(base: T) -> Result<Self, Refused> {
        Ok(Self { base })
    }

    #[traced]
    fn timeout() -> u32 {
        30
    }
}

trait Greets {
    #[traced]
    fn greet(&self) -> &'static str {
        "hello"
    }

    #[traced]
    fn among(all: &[Self]) -> usize
    where
        Self: Sized,
    {
        all.len()
    }
}

impl Greets for Opaque {}

#[tokio::test]
async fn methods_are_named_after_their_type() {
    let client = Arc::new(HttpClient { base: "http://here" });
    let ((), tree) = rendered(async {
        assert_eq!(client.get("orders").await, "orders");
        client.clone().consume();
        Opaque.greet();
        assert_eq!(moves("Ada", (1, 2)).count(), 2);
    })
    .await;
    let expected =
        "http_client.get\n  . half.way=1\n  . url=http://here/orders\nhttp_client.consume\nopaque.greet\nmoves\n";
    assert_eq!(tree, expected);
}

/// Without `self` and `Self` nothing tells a function of a type from any other.
#[tokio::test]
async fn functions_that_name_self_are_named_after_their_type() {
    let (timeout, tree) = rendered(async {
        assert_eq!(HttpClient::connect("http://here").await.unwrap().base, "http://here");
        assert_eq!(Opaque::among(&[Opaque, Opaque]), 2);
        HttpClient::<u8>::timeout()
    })
    .await;
    assert_eq!((timeout, tree.as_str()), (30, "http_client.connect\nopaque.among\ntimeout\n"));
}
