//! One instrumented call with three attributes (a literal, a `u64`, the `Display` of a UUID) and a body that does
//! nothing, as a plain and as an async function. An async one is polled once, with a waker that does nothing.

mod by_hand;
mod component;
pub mod driver;
mod fastrace;
mod ours;
mod providers;
mod tracing;
mod variants;
pub mod worker;

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use uuid::Uuid;

pub use variants::{Aim, AtMost, VARIANTS, Variant};
use variants::{Calls, ID};

/// Whether the call is a plain or an async function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `fn`.
    Sync,
    /// `async fn`.
    Async,
}

impl Shape {
    /// How the command line calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// Calls a function `calls` times, with arguments that the compiler cannot see through.
#[inline]
fn repeat(calls: u64, call: impl Fn(u64, &Uuid) -> u64) {
    let id = Uuid::from_u128(0x0194_1f3c_7a2e_7bcd_8e4f_0123_4567_89ab);
    for count in 0..calls {
        black_box(call(black_box(count), black_box(&id)));
    }
}

/// Calls an async function `calls` times, and polls what it returns once.
#[inline]
fn repeat_async<'a, F: Future<Output = u64>>(calls: u64, id: &'a Uuid, call: impl Fn(u64, &'a Uuid) -> F) {
    for count in 0..calls {
        black_box(poll_once(call(black_box(count), black_box(id))));
    }
}

#[inline]
fn poll_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing in the body waits"),
    }
}

/// The body of every variant: nothing that the compiler may leave out, and with both arguments, as a body that an
/// attribute tells about would have.
#[inline]
fn body(count: u64, id: &Uuid) -> u64 {
    black_box(id);
    black_box(count)
}
