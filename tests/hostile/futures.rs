//! What the futures and streams of functions are, they are under our macro as well.

use std::future::{Future, ready};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;

use eventsource_runtime::prelude::*;
use futures_util::stream::{self, Stream, StreamExt};

/// Functions whose futures and streams a panic may leave, with what is caught of them looked at after it.
macro_rules! unwinding {
    ($module:ident $($traced:ident)?) => {
        mod $module {
            use super::*;

            $(#[$traced])?
            pub async fn waits(text: &str, list: Vec<u8>) -> usize {
                ready(()).await;
                text.len() + list.len()
            }
            $(#[$traced(record("n" = text.len()))])?
            pub async fn recorded(text: &str) -> usize {
                ready(text.len()).await
            }
            $(#[$traced])?
            pub async fn fails() -> Result<u8, std::fmt::Error> {
                ready(Ok(1)).await
            }
            $(#[$traced])?
            pub fn opaque(text: &str) -> impl Future<Output = usize> {
                let length = text.len();
                async move { ready(length).await }
            }
            $(#[$traced(record("n" = *result))])?
            pub fn recorded_opaque(n: u8) -> impl Future<Output = u8> {
                ready(n)
            }
            $(#[$traced])?
            pub fn items(n: u8) -> impl Stream<Item = u8> {
                stream::iter([n])
            }
            $(#[$traced])?
            pub fn boxed(n: u8) -> Pin<Box<dyn Future<Output = u8> + Send + UnwindSafe>> {
                Box::pin(ready(n))
            }

            pub fn all() {
                unwinds(&waits("a", vec![1]));
                unwinds(&recorded("a"));
                unwinds(&fails());
                unwinds(&opaque("a"));
                unwinds(&recorded_opaque(1));
                unwinds(&items(1));
                unwinds_owned(&boxed(1));
            }
        }
    };
}
unwinding!(plain);
unwinding!(spanned traced);
fn unwinds<T: UnwindSafe + RefUnwindSafe>(_: &T) {}
fn unwinds_owned<T: UnwindSafe>(_: &T) {}

/// Boxed ones that may be moved, whatever else they are.
macro_rules! moving {
    ($($module:ident: $($bound:ident),*;)*) => {
        $(mod $module {
            use super::*;

            #[traced]
            pub fn later(n: u8) -> Pin<Box<dyn Future<Output = u8> $(+ $bound)*>> {
                Box::pin(ready(n))
            }
            #[traced]
            pub fn items<'a>(list: &'a [u8]) -> Pin<Box<dyn Stream<Item = u8> $(+ $bound)* + 'a>> {
                Box::pin(stream::iter(list).map(|n| *n))
            }
        })*

        #[test]
        fn what_may_be_moved_is_covered() {
            $(
                let (later, items) = ($module::later(1), $module::items(&[1, 2]).collect::<Vec<u8>>());
                assert_eq!((crate::ready(later), crate::ready(items)), (1, vec![1, 2]));
            )*
        }
    };
}
moving! {
    alone: Unpin;
    sent: Send, Unpin;
    shared: Unpin, Sync;
    both: Sync, Unpin, Send;
}

#[test]
fn run() {
    plain::all();
    spanned::all();
}
