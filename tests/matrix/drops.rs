//! What is dropped when, which the edition of the function decides and not that of the macro.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use eventsource_runtime::prelude::*;
use eventsource_tests::recorder::Recorder;

use crate::support::block;

/// Says when it is dropped.
struct Dropped(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Dropped {
    fn another(&self, name: &'static str) -> Self {
        Self(name, Rc::clone(&self.1))
    }

    fn size(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

macro_rules! twins {
    ($($name:ident $traced:ident: ($($argument:ident),*) $body:tt)*) => { $(
        fn $name($($argument: Dropped),*) -> usize $body
        #[traced]
        fn $traced($($argument: Dropped),*) -> usize $body
    )* };
}
macro_rules! later_twins {
    ($($name:ident $traced:ident: ($($argument:ident),*) $body:tt)*) => { $(
        async fn $name($($argument: Dropped),*) -> usize $body
        #[traced]
        async fn $traced($($argument: Dropped),*) -> usize $body
    )* };
}
twins! {
    one one_traced: (a) { let local = a.another("local"); a.another("temporary").size() }
    two two_traced: (a, b) { let local = b.another("local"); a.another("temporary").size() }
    unnamed unnamed_traced: (_a, b) { let local = b.another("local"); b.another("temporary").size() }
    single single_traced: (a, b) { a.another("temporary").size() + b.another("other").size() }
}
later_twins! {
    one_later one_later_traced: (a) { let local = a.another("local"); a.another("temporary").size() }
    two_later two_later_traced: (a, b) { let local = b.another("local"); a.another("temporary").size() }
    single_later single_later_traced: (a, b) { a.another("temporary").size() + b.another("other").size() }
}

/// Counts the spans that are open when it is dropped.
struct Counting(Rc<Recorder>, Rc<Cell<usize>>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.1.set(self.0.open_spans());
    }
}

struct Parts {
    flag: bool,
    list: Vec<u8>,
    counting: Counting,
}

#[traced]
fn by_flag(parts: Parts) {
    if parts.flag {
        block(async {});
    }
}
#[traced]
fn by_index(parts: Parts) {
    std::hint::black_box(parts.list[0]);
}
#[traced]
fn by_loop(parts: Parts) {
    for one in parts.list {
        std::hint::black_box(one);
    }
}

fn order(function: impl FnOnce(Dropped, Dropped)) -> Vec<&'static str> {
    let order = Rc::default();
    let [a, b] = ["a", "b"].map(|name| Dropped(name, Rc::clone(&order)));
    function(a, b);
    order.take()
}

#[test]
fn the_last_expression_drops_what_it_made_when_it_does_without_us() {
    macro_rules! dropped {
        ($a:ident $b:ident: $($called:expr),*) => { [$(order(|$a, $b| drop($called))),*] };
    }
    assert_eq!(
        dropped!(a b: one_traced(a), two_traced(a, b), unnamed_traced(a, b), single_traced(a, b)),
        dropped!(a b: one(a), two(a, b), unnamed(a, b), single(a, b)),
    );
    assert_eq!(
        dropped!(a b: block(one_later_traced(a)), block(two_later_traced(a, b)), block(single_later_traced(a, b))),
        dropped!(a b: block(one_later(a)), block(two_later(a, b)), block(single_later(a, b))),
    );
}

#[test]
fn what_is_used_in_part_is_dropped_before_the_span_ends() {
    for function in [by_flag as fn(Parts), by_index, by_loop] {
        let (recorder, open) = (Rc::new(Recorder::new()), Rc::default());
        let counting = Counting(Rc::clone(&recorder), Rc::clone(&open));
        block(recorder.run(async { function(Parts { flag: true, list: vec![1], counting }) }));
        assert_eq!(open.get(), 1);
    }
}
