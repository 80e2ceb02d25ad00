//! Programs of those who would break the macros: what the matrix does not pair, because nobody would write it. What
//! does not compile here fails; what it does is asserted where that is in doubt.
#![allow(warnings, clippy::all, clippy::pedantic, reason = "the oddness of these programs is their point")]

mod accepted;
mod arguments;
mod attributes;
mod called;
mod futures;
mod generated;
mod generics;
mod listeners;
mod names;
mod places;
mod shadowed;
mod shapes;

/// What programs without a runtime of their own await with.
pub fn ready<F: std::future::Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the future is not ready"),
    }
}

pub use eventsource_runtime::prelude as product;
