//! The same call with fastrace.

use fastrace::Span;
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use uuid::Uuid;

use super::body;

/// How many calls have one root: without a root fastrace records nothing.
const CALLS_PER_ROOT: u64 = 100;

#[inline(never)]
#[fastrace::trace(properties = { "channel": "email", "message.length": "{count}", "recipient.id": "{id}" })]
pub(super) fn traced(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

#[inline(never)]
#[fastrace::trace(properties = { "channel": "email", "message.length": "{count}", "recipient.id": "{id}" })]
pub(super) async fn traced_async(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

struct Nowhere;

impl Reporter for Nowhere {
    fn report(&mut self, _: Vec<SpanRecord>) {}
}

/// Records, and drops what was recorded.
pub(super) fn set_up() {
    fastrace::set_reporter(Nowhere, Config::default());
}

/// Runs calls in batches, each below a root of its own.
pub(super) fn below_roots(calls: u64, batch: fn(u64)) {
    let mut left = calls;
    while left > 0 {
        let root = Span::root("root", SpanContext::random());
        let _parent = root.set_local_parent();
        batch(left.min(CALLS_PER_ROOT));
        left = left.saturating_sub(CALLS_PER_ROOT);
    }
}
