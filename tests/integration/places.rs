//! Where things are in a traced body: what asks the compiler or the stack gets the user's own lines, as it would
//! without the macro.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{self, Location};
use std::sync::Once;

use eventsource_runtime::prelude::*;
use eventsource_tests::recorder::Recorder;

use crate::hold_panic_hook;

/// File, line and column.
type Place = (&'static str, u32, u32);

/// The caller's place.
#[track_caller]
fn here() -> Place {
    let place = Location::caller();
    (place.file(), place.line(), place.column())
}

/// An error that knows where it was made of another.
#[derive(Debug)]
struct Located(Place);

impl From<std::num::ParseIntError> for Located {
    #[track_caller]
    fn from(_: std::num::ParseIntError) -> Self {
        Self(here())
    }
}

/// What stands in this file from a place to the end of its line.
fn text((file, line, column): Place) -> &'static str {
    assert!(file.ends_with("places.rs"), "{file}:{line}:{column}");
    let line = include_str!("places.rs").lines().nth(line as usize - 1).expect("the file has that line");
    &line[column as usize - 1..]
}

mod plain {
    use super::{Located, Place, here};

    pub(super) fn callee() -> Place {
        here() // plain
    }

    pub(super) fn question(text: &str) -> Result<u8, Located> {
        Ok(text.parse::<u8>()?) // plain
    }

    pub(super) fn panics(list: &[u8]) -> u8 {
        list[7] // plain
    }
}

mod traced {
    use eventsource_runtime::traced;

    use super::{Located, Place, here};

    #[traced(attributes("a" = 1), record("size" = size_of_val(result)))]
    pub(super) fn callee() -> Place {
        here() // traced
    }

    #[traced]
    pub(super) async fn callee_async() -> Place {
        std::future::ready(()).await;
        here() // traced
    }

    #[traced]
    pub(super) fn compiler() -> [Place; 2] {
        let compiler = (file!(), line!(), column!()); // traced
        [compiler, here()]
    }

    #[traced]
    pub(super) async fn compiler_async() -> [Place; 2] {
        std::future::ready(()).await;
        let compiler = (file!(), line!(), column!()); // traced
        [compiler, here()]
    }

    #[traced(attributes(text))]
    pub(super) fn question(text: &str) -> Result<u8, Located> {
        Ok(text.parse::<u8>()?) // traced
    }

    #[traced(attributes(text))]
    pub(super) async fn question_async(text: &str) -> Result<u8, Located> {
        std::future::ready(()).await;
        Ok(text.parse::<u8>()?) // traced
    }

    #[traced]
    pub(super) fn panics(list: &[u8]) -> u8 {
        list[7] // traced
    }

    #[traced]
    pub(super) async fn panics_async(list: &[u8]) -> u8 {
        std::future::ready(()).await;
        list[7] // traced
    }
}

thread_local! {
    static PANICKED: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Where a panic was said to be.
fn panicked(code: impl FnOnce()) -> Option<Place> {
    static HOOK: Once = Once::new();
    let _held = hold_panic_hook();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(|place| (leaked(place.file()), place.line(), place.column()));
            PANICKED.set(place);
            before(panic);
        }));
    });
    PANICKED.set(None);
    panic::catch_unwind(panic::AssertUnwindSafe(code)).unwrap_err();
    PANICKED.take()
}

/// A test may leak the name of a file.
fn leaked(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn block<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn the_compiler_and_callees_are_told_the_users_places() {
    let recorder = Recorder::new();
    block(recorder.run(async {
        assert_eq!(text(plain::callee()), "here() // plain");
        assert_eq!(text(traced::callee()), "here() // traced");
        assert_eq!(text(traced::callee_async().await), "here() // traced");
        for [compiler, callee] in [traced::compiler(), traced::compiler_async().await] {
            assert_eq!(text(compiler), "column!()); // traced");
            assert_eq!((compiler.0, compiler.1 + 1), (callee.0, callee.1));
        }
    }));
    assert_eq!(recorder.spans().len(), 4);
}

#[test]
fn errors_know_the_place_where_they_were_made() {
    let recorder = Recorder::new();
    block(recorder.run(async {
        let plain = text(plain::question("x").unwrap_err().0);
        assert!(plain.ends_with("// plain"), "{plain}");
        let expected = plain.replace("plain", "traced");
        assert_eq!(text(traced::question("x").unwrap_err().0), expected);
        assert_eq!(text(traced::question_async("x").await.unwrap_err().0), expected);
    }));
    assert_eq!(recorder.spans().len(), 2);
}

#[test]
fn panics_are_where_they_are_without_us() {
    let recorder = Recorder::new();
    let place = |code: &dyn Fn() -> u8| text(panicked(|| _ = code()).expect("a panic has a place"));
    assert_eq!(place(&|| plain::panics(&[])), "list[7] // plain");
    assert_eq!(place(&|| block(recorder.run(async { traced::panics(&[]) }))), "list[7] // traced");
    assert_eq!(place(&|| block(recorder.run(traced::panics_async(&[])))), "list[7] // traced");
    assert_eq!(recorder.spans().len(), 2);
}

#[traced]
fn captured() -> (u32, String) {
    (line!(), Backtrace::force_capture().to_string())
}

#[traced]
async fn captured_async() -> (u32, String) {
    std::future::ready(()).await;
    (line!(), Backtrace::force_capture().to_string())
}

#[test]
fn backtraces_name_the_users_line() {
    let recorder = Recorder::new();
    let captured = block(recorder.run(async { [captured(), captured_async().await] }));
    for (line, backtrace) in captured {
        assert!(backtrace.contains(&format!("places.rs:{line}")), "no line {line} in\n{backtrace}");
    }
}

/// How many frames of ours, and of what we call, stand between a body and its caller.
#[test]
fn few_frames_are_added() {
    #[inline(never)]
    fn plain() -> usize {
        Backtrace::force_capture().to_string().lines().filter(|line| line.contains("places")).count()
    }
    #[traced]
    fn traced() -> usize {
        plain()
    }
    let recorder = Recorder::new();
    let (alone, within) = block(recorder.run(async { (plain(), traced()) }));
    assert!(within > alone && within <= alone + 8, "{alone} lines without, {within} with");
}
