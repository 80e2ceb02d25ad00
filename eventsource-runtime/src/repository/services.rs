//! Whether the services are at hand that an aggregate's handlers borrow.

use std::sync::Arc;

/// The services of `A`'s handlers, where `V` are given: one type. It is a trait for the sake of its message, which an
/// equality of types cannot have. Others cannot name it, and need not: `CommandBusBuilder::aggregate` says what they
/// write instead.
#[diagnostic::on_unimplemented(
    message = "the command handlers of `{A}` need `{Self}` as services, but are given `{V}`",
    label = "gives `{V}`, not `{Self}`",
    note = "write `.with_services(..)` with a `{Self}`; without that call the services are `()`"
)]
pub trait ServicesOf<A, V>: Sized {
    /// Those given, in shared ownership.
    fn shared(given: Arc<V>) -> Arc<Self>;

    /// Those given, borrowed.
    fn borrowed(given: &V) -> &Self;
}

#[diagnostic::do_not_recommend]
impl<A, V> ServicesOf<A, V> for V {
    fn shared(given: Arc<Self>) -> Arc<Self> {
        given
    }

    fn borrowed(given: &Self) -> &Self {
        given
    }
}
