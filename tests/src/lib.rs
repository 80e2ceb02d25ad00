//! What the tests share: a domain, and trees of spans to compare.

#[expect(missing_docs, dead_code, unreachable_pub, reason = "a program, which is a module here for its domain")]
#[path = "../contract/orders.rs"]
pub mod orders;
#[cfg(feature = "otel")]
pub mod recorder;
#[cfg(feature = "otel")]
pub mod trees;
