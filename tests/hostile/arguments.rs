//! What becomes of arguments: what is returned of them, recorded of them, and dropped.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use eventsource_runtime::prelude::*;

// The body is the function's own: what it returns takes its arguments' types from the signature.
#[traced]
fn a_function() -> impl Fn(&str) -> &str {
    |text| text.trim()
}
// A field is no argument, though it has the name of one.
#[traced(record("count" = result.count))]
async fn a_field_of_that_name(count: &mut u32) -> Counted {
    *count += 1;
    Counted { count: *count }
}
// Nor are what a closure takes and what an arm binds.
#[traced(record("rows" = result.iter().filter(|row| row.count > 1).count(), "first" = match result.first() { Some(row) => row.count, None => 0 }))]
async fn a_name_of_its_own(row: &mut Counted) -> Vec<Counted> {
    row.count += 1;
    vec![Counted { count: row.count }]
}
struct Counted {
    count: u32,
}
#[traced]
fn one_by_another_name() -> impl Measures {
    |text| text.len()
}
trait Measures: Fn(&str) -> usize {}
impl<F: Fn(&str) -> usize> Measures for F {}
#[traced(attributes(n))]
fn one_that_changes(n: usize) -> impl FnMut(&mut Vec<u8>) -> usize {
    move |list| {
        list.push(0);
        list.len() + n
    }
}
#[traced]
fn one_that_is_called_once(text: String) -> impl FnOnce(&String) -> Box<dyn Debug> {
    move |more| Box::new(text + more)
}
#[traced]
fn one_of_two(more: Option<usize>) -> (impl Fn(&str) -> usize, bool) {
    let is_more = more.is_some_and(|more| more > 1);
    (move |text| text.len() + usize::from(is_more), is_more)
}
#[traced]
fn one_or_none(more: Option<usize>) -> Option<impl Fn(&str) -> usize> {
    let more = more?;
    Some(move |text: &str| text.len() + more)
}
#[traced]
fn one_of_an_early_return(more: Option<usize>) -> impl Fn(&str) -> Option<usize> {
    let most = loop {
        match more {
            Some(0) => break 1,
            Some(more) => break more,
            None => break 3,
        }
    };
    return move |text| text.len().checked_sub(most);
}
#[traced]
fn one_that_waits() -> impl AsyncFn(&str) -> usize {
    async |text| text.len()
}
#[traced(record("called" = result("abc")))]
fn one_that_is_recorded() -> impl Fn(&str) -> usize {
    |text: &str| text.len()
}

#[traced(attributes(text), record("size" = result.len()))]
fn boxed_and_recorded(text: &str) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
    Box::pin(async move { text.to_owned() })
}
#[traced(record("size" = result.len()))]
fn opaque_and_recorded(text: String) -> impl Future<Output = String> {
    async move { text }
}

#[traced(attributes(?shown, "type" = ?nested))]
fn nested_impl(shown: &impl Debug, nested: Option<impl Debug>) -> String {
    format!("{shown:?}{nested:?}")
}
#[traced(attributes("a" = %list, ?list))]
fn nested_in_place(list: Box<impl Debug + std::fmt::Display>) {}

struct Counter {
    count: u32,
    name: String,
}
impl Counter {
    #[traced(record("count" = self.count, "result" = *result))]
    fn count(&mut self, by: u32) -> u32 {
        self.count += by;
        self.count
    }
    #[traced(record("name" = &*self.name, "count" = self.count))]
    fn consumed(self) -> u32 {
        self.count
    }
    #[traced(record("name" = self.name.len()))]
    fn lent(&mut self) -> Result<&str, std::fmt::Error> {
        Ok("lent")
    }
}
#[traced(record("size" = list.len(), "text" = text.len()))]
fn filled(list: &mut Vec<u8>, text: String, n: u8) -> usize {
    list.push(n);
    text.len()
}
#[traced(record("size" = format!("{list:?} {number}")))]
fn filled_and_shown(list: &mut Vec<u8>, number: String) -> usize {
    list.push(1);
    number.len()
}
#[traced(record("text" = text))]
async fn seen_later(text: &str, owned: String) -> usize {
    owned.len() + text.len()
}
#[traced(attributes("n" = *n))]
async fn changed_later(ref mut n: u32) -> u32 {
    *n += 1;
    *n
}
#[traced(attributes("text" = *text), record("rest" = *text))]
fn changed(ref mut text: &str) -> usize {
    *text = &text[1..];
    text.len()
}
#[traced(record("r" = *result))]
fn result_of_that_name(result: u8) -> u8 {
    result
}

#[traced(attributes("most" = 18446744073709551615, "least" = -9223372036854775808, "wide" = 9223372036854775808))]
fn numbers() {}

/// Says when it is dropped.
struct Dropped(&'static str, Rc<RefCell<Vec<&'static str>>>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}
impl Dropped {
    fn use_it(&self) {}
}
impl Debug for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! twins {
    ($($name:ident $traced:ident $shown:tt: ($($argument:tt)*) $body:tt)*) => { $(
        fn $name($($argument)*) $body
        #[traced(attributes("name" = $shown.0))]
        fn $traced($($argument)*) $body
    )* };
}
macro_rules! later_twins {
    ($($name:ident $traced:ident $shown:tt: ($($argument:tt)*) $body:tt)*) => { $(
        async fn $name($($argument)*) $body
        #[traced(attributes("name" = $shown.0))]
        async fn $traced($($argument)*) $body
    )* };
}
twins! {
    in_order in_order_traced c: (a: Dropped, b: Dropped, c: Dropped) { b.use_it(); a.use_it(); let d = c.1.clone(); }
    in_part in_part_traced c: (a: Dropped, b: Dropped, c: Dropped) { a.1.borrow(); c.use_it(); b.use_it(); }
    one_moved one_moved_traced c: (a: Dropped, b: Dropped, c: Dropped) { drop(b); a.use_it(); c.use_it(); }
    unnamed unnamed_traced c: (_a: Dropped, b: Dropped, c: Dropped) { c.use_it(); b.use_it(); }
    early early_traced c: ((a, b): (Dropped, Dropped), mut c: Dropped) { if a.0 == "a" { return; } c.0 = b.0; }
    by_text by_text_traced c: (a: Dropped, b: Dropped, c: Dropped) { drop(format!("{a:?}")); b.use_it(); c.use_it(); }
    by_two by_two_traced c: (a: Dropped, b: Dropped, c: Dropped) { drop(format!("{a:?}")); Some(b).map(|a| a.use_it()); c.use_it(); }
    by_closure by_closure_traced c: (a: Dropped, b: Dropped, c: Dropped) { let d = || a.use_it(); d(); drop((&c, &b)); }
}
later_twins! {
    later later_traced c: (a: Dropped, b: Dropped, c: Dropped) { b.use_it(); a.use_it(); let d = c.1.clone(); }
    unnamed_later unnamed_later_traced c: (_a: Dropped, b: Dropped, c: Dropped) { c.use_it(); std::future::ready(()).await; b.use_it(); }
    moved_later moved_later_traced c: (a: Dropped, b: Dropped, c: Dropped) { drop(b); a.use_it(); c.use_it(); }
}
/// Says of each part when it is dropped.
struct Parts {
    a: Dropped,
    b: Dropped,
    c: Dropped,
}
struct Lists {
    first: Dropped,
    list: Vec<Dropped>,
    flag: bool,
    last: Dropped,
}
macro_rules! twins_in_parts {
    ($($name:ident $traced:ident: ($($argument:tt)*) $(-> $returned:ty)? $body:block)*) => { $(
        fn $name($($argument)*) $(-> $returned)? $body
        #[traced]
        fn $traced($($argument)*) $(-> $returned)? $body
    )* };
}
twins_in_parts! {
    one_part one_part_traced: (parts: Parts) { parts.b.use_it(); }
    one_part_moved one_part_moved_traced: (parts: Parts) { drop(parts.b); parts.a.1.borrow_mut().push("end"); }
    by_pattern by_pattern_traced: (parts: Parts) { let Parts { b, .. } = parts; b.use_it(); }
    by_match by_match_traced: (parts: Parts) { match parts { Parts { b, .. } => b.use_it() } }
    by_macro by_macro_traced: (parts: Parts) { assert!(matches!(parts, Parts { b: Dropped("b", _), .. })); }
    by_rest by_rest_traced: (parts: Parts) { Parts { b: Dropped("other", Rc::default()), ..parts }; }
    by_index by_index_traced: (lists: Lists) { lists.list[0].use_it(); }
    by_flag by_flag_traced: (lists: Lists) { if lists.flag { std::hint::black_box(()); } }
    by_loop by_loop_traced: (lists: Lists) { for one in lists.list { one.use_it(); } }
    for_a_future for_a_future_traced: (a: Dropped, b: Dropped) -> impl Future<Output = ()> {
        a.use_it();
        b.use_it();
        std::future::ready(())
    }
    for_a_boxed_future for_a_boxed_future_traced: (a: Dropped, b: Dropped) -> Pin<Box<dyn Future<Output = ()>>> {
        a.use_it();
        b.use_it();
        Box::pin(async {})
    }
    for_a_part_of_one for_a_part_of_one_traced: (parts: Parts) -> impl Future<Output = ()> {
        parts.c.use_it();
        std::future::ready(())
    }
}

#[traced(record("name" = a.0))]
fn recorded_and_dropped(a: Dropped, b: Dropped, c: Dropped) {
    b.use_it();
    c.use_it();
}

fn order(function: impl FnOnce(Dropped, Dropped, Dropped)) -> Vec<&'static str> {
    let order = Rc::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| Dropped(name, Rc::clone(&order)));
    function(a, b, c);
    order.take()
}

#[test]
fn arguments_are_dropped_in_the_order_in_which_they_are_without_us() {
    assert_eq!(order(in_order), ["c", "b", "a"]);
    assert_eq!(order(in_order_traced), order(in_order));
    assert_eq!(order(in_part_traced), order(in_part));
    assert_eq!(order(one_moved_traced), order(one_moved));
    assert_eq!(order(unnamed_traced), order(unnamed));
    assert_eq!(order(|a, b, c| early_traced((a, b), c)), order(|a, b, c| early((a, b), c)));
    assert_eq!(order(by_closure_traced), order(by_closure));
    assert_eq!([order(by_text_traced), order(by_two_traced)], [order(by_text), order(by_two)]);
    assert_eq!(order(recorded_and_dropped), ["c", "b", "a"]);
    macro_rules! later { ($($function:ident)*) => { [$(order(|a, b, c| crate::ready($function(a, b, c)))),*] } }
    assert_eq!(later!(later_traced unnamed_later_traced moved_later_traced), later!(later unnamed_later moved_later));
}

#[test]
fn what_is_used_in_part_is_dropped_in_the_order_in_which_it_is_without_us() {
    let parts = |function: fn(Parts)| order(|a, b, c| function(Parts { a, b, c }));
    assert_eq!(parts(one_part), ["a", "b", "c"]);
    assert_eq!(parts(one_part_traced), parts(one_part));
    assert_eq!(parts(one_part_moved_traced), parts(one_part_moved));
    assert_eq!(parts(by_pattern_traced), parts(by_pattern));
    assert_eq!(parts(by_match_traced), parts(by_match));
    assert_eq!([parts(by_macro_traced), parts(by_rest_traced)], [parts(by_macro), parts(by_rest)]);
    let lists = |function: fn(Lists)| order(|a, b, c| function(Lists { first: a, list: vec![b], flag: true, last: c }));
    assert_eq!(lists(by_index), ["a", "b", "c"]);
    assert_eq!(lists(by_index_traced), lists(by_index));
    assert_eq!([lists(by_flag_traced), lists(by_loop_traced)], [lists(by_flag), lists(by_loop)]);
    assert_eq!(parts(|it| drop(for_a_part_of_one_traced(it))), parts(|it| drop(for_a_part_of_one(it))));
    macro_rules! two { ($($function:ident)*) => { [$(order(|a, b, _c| drop($function(a, b)))),*] } }
    assert_eq!(two!(for_a_future_traced for_a_boxed_future_traced), two!(for_a_future for_a_boxed_future));
}

#[test]
fn run() {
    assert_eq!(crate::ready(a_field_of_that_name(&mut 1)).count, 2);
    assert_eq!(a_function()(" a "), "a");
    assert_eq!(one_by_another_name()("ab"), 2);
    assert_eq!(one_that_changes(1)(&mut vec![1]), 3);
    assert_eq!(format!("{:?}", one_that_is_called_once("a".into())(&"b".into())), "\"ab\"");
    assert_eq!(one_of_two(Some(1)).0("ab"), 2);
    assert!(one_or_none(None).is_none() && one_or_none(Some(1)).is_some());
    assert_eq!(one_of_an_early_return(None)("abcd"), Some(1));
    assert_eq!(crate::ready(one_that_waits()("ab")), 2);
    assert_eq!(one_that_is_recorded()("ab"), 2);
    assert_eq!(crate::ready(boxed_and_recorded("a")) + &crate::ready(opaque_and_recorded("b".into())), "ab");
    assert_eq!(nested_impl(&1, Some("a")), "1Some(\"a\")");
    nested_in_place(Box::new(1));
    let mut counter = Counter { count: 1, name: "a".into() };
    assert_eq!(counter.count(2), 3);
    assert_eq!(counter.lent(), Ok("lent"));
    assert_eq!(counter.consumed(), 3);
    assert_eq!(filled(&mut vec![], "ab".into(), 1) + filled_and_shown(&mut vec![], "ab".into()), 4);
    assert_eq!(crate::ready(seen_later("a", "bc".into())), 3);
    assert_eq!((crate::ready(changed_later(1)), changed("abc")), (2, 2));
    assert_eq!(result_of_that_name(1), 1);
    numbers();
}
