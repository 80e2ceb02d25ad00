//! Bodies, results and options of odd shapes.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::TraceContext;
use serde::{Deserialize, Serialize};

#[traced()]
fn no_options() {}
#[traced("a")]
fn trailing() {}
#[traced(attributes(), record(), kind = "server")]
fn empty_lists() {}
#[traced("name with spaces and \"quotes\" and 🦀", attributes("k" = "",))]
fn odd_name() {}
#[traced(r"raw\name", kind = r#"client"#)]
fn raw_name() {}
#[traced(attributes("a" = if n > 1 { "x" } else { "y" }, "b" = match n { 0 => "z", _ if n > 3 => "q", _ => "w" }, "c" = (n, 1).0, "d" = &&n, "e" = Some(n), "f" = [1, 2].len(), "g" = n as u64, "h" = -(i64::from(n)), "i" = !true, "k" = (|| 1 == 2)(), "m" = 'a: { if n > 1 { break 'a 3 } 4 }, "o" = { fn f() -> u8 { return 1 } f() }, "p" = n == 1 || n < 2 && n > 0, "q" = const { 1 + 1 }, "r" = format!("{n}"), "s" = vec![String::new()], "t" = stringify!(a.b), "u" = 1u8, "v" = 0xff_u64, "w" = 1e3, "x" = "a" , "y" = u64::MAX, "z" = i128::from(n) as i64))]
fn expressions(n: u8) -> u8 {
    n
}
#[traced(attributes("a" = 1 < 2, b = 3 > 2, "c" = *n.min(&1) as u64, "d" = %n, "e" = ?n, "f" = %*n, "g" = ?&n, h.i.j = n, "k" = %"text", "l" = ?"text", "m" = %1, "n" = %-1))]
fn sigils(n: &u8) -> u8 {
    *n
}
#[traced(record("ok" = result.is_ok(), "len" = result.as_ref().map(Vec::len).unwrap_or(0), "dbg" = ?result, "e" = %match result { Ok(_) => "ok", Err(_) => "err" }))]
fn records(fail: bool) -> Result<Vec<u8>, std::fmt::Error> {
    if fail { Err(std::fmt::Error) } else { Ok(vec![1]) }
}
#[traced(attributes("a" = %text[..1], "b" = ?items[1..], "c" = %*text, "d" = ?(*items), "e" = %((text[1..])), "f" = text[1..]), record("g" = %result[1..], "h" = ?**result))]
fn without_a_size(text: &str, items: &[u8]) -> String {
    text.repeat(items.len())
}
struct Tail<T: ?Sized>(u8, T);
impl Tail<[u8]> {
    #[traced(attributes("head" = %self.0, "tail" = ?self.1), record("rest" = ?self.1))]
    fn tail(&self) -> usize {
        self.1.len()
    }
}
#[test]
fn a_field_without_a_size_is_shown() {
    let tail: &Tail<[u8]> = &Tail(1, [2, 3]);
    assert_eq!(tail.tail(), 2);
}

macro_rules! sliced {
    ($text:expr) => {
        #[traced(attributes("a" = %$text, "b" = ?$text))]
        async fn sliced() {}
    };
}
sliced!(TEXT[1..]);
const TEXT: &str = "text";
#[traced(links = Vec::<TraceContext>::new(), parent = None::<TraceContext>)]
fn empty_links() {}
#[traced(links = &links[..], parent = links.first())]
async fn many_links(links: Vec<TraceContext>) -> usize {
    links.len()
}
#[traced]
fn unit_struct_like() -> () {}
#[traced]
fn semicolon() {
    ();
}
#[traced]
fn ends_in_macro() -> String {
    format!("{}", 1)
}
#[traced]
fn ends_in_if(n: u8) -> u8 {
    if n > 1 { 1 } else { 2 }
}
#[traced]
fn ends_in_struct() -> Point {
    Point { x: 1 }
}
#[derive(PartialEq, Debug)]
struct Point {
    x: u8,
}
#[traced]
fn ends_in_never(n: u8) -> u8 {
    if n > 1 {
        return 1;
    }
    loop {
        break 3;
    }
}
#[traced]
fn only_return() -> u8 {
    return 7;
}
#[traced]
async fn only_return_later() -> u8 {
    return 7;
}
#[traced]
fn temporaries(lock: &Mutex<Vec<u8>>) -> usize {
    lock.lock().unwrap().len()
}
#[traced]
async fn temporaries_later(lock: &Mutex<Vec<u8>>) -> usize {
    lock.lock().unwrap().len()
}
#[traced]
fn guard<'a>(lock: &'a Mutex<u8>) -> std::sync::MutexGuard<'a, u8> {
    lock.lock().unwrap()
}
#[traced]
fn coerced(n: u8) -> &'static dyn std::fmt::Debug {
    if n > 1 { &1 } else { &"a" }
}
#[traced]
fn coerced_fn(n: u8) -> fn(u8) -> u8 {
    |n| n + 1
}
#[traced]
fn coerced_slice(n: &[u8; 3]) -> &[u8] {
    n
}
#[traced]
async fn coerced_box(n: u8) -> Result<Box<dyn Fn(u8) -> u8>, Box<dyn std::error::Error>> {
    if n > 2 {
        return Err("text".into());
    }
    Ok(Box::new(move |m| m + n))
}
#[traced]
fn infers() -> Vec<u64> {
    (0..3u8).map(Into::into).collect::<Vec<u64>>().into_iter().sum::<u64>().checked_add(1).into_iter().collect()
}
#[traced]
fn parse_infers() -> Result<u16, std::num::ParseIntError> {
    "12".parse()
}
#[traced]
fn question() -> Option<u8> {
    let n = Some(1)?;
    Some(n + 1)
}
#[traced]
fn control_flow() -> std::ops::ControlFlow<u8, u16> {
    std::ops::ControlFlow::Break(1)?;
    unreachable!()
}
#[traced]
async fn poll() -> std::task::Poll<Result<u8, std::fmt::Error>> {
    std::task::Poll::Ready(Ok(1))
}
#[traced(attributes("a" = a, "n" = n.len()))]
fn patterns(
    &(a, ref b): &(u8, String),
    [.., n]: [&str; 2],
    Point { x: y @ 0..=255 }: Point,
    (ref mut z, _): (u8, u8),
    _: (),
) -> u8 {
    *z += 1;
    a + y + *z + b.len() as u8
}
#[traced]
async fn patterns_later(mut a: u8, (mut b, _): (u8, u8)) -> u8 {
    a += 1;
    b += 1;
    a + b
}
#[traced(attributes("n" = n))]
fn mutable_reference(n: &mut u8, list: &mut [u8]) -> u8 {
    *n += 1;
    list[0] = *n;
    *n
}
#[traced]
fn not_send(n: Rc<u8>) -> Rc<u8> {
    n
}
#[traced]
async fn not_send_later(n: Rc<u8>) -> Rc<u8> {
    std::future::ready(()).await;
    n
}
fn is_send<T: Send>(t: T) -> T {
    t
}
#[traced]
async fn send_later(n: Arc<u8>) -> Result<u8, std::io::Error> {
    std::future::ready(()).await;
    Ok(*n)
}
#[traced]
fn future_of_result(n: u8) -> impl Future<Output = Result<u8, std::fmt::Error>> + Send + 'static {
    async move { Ok(n) }
}
#[traced]
fn future_in_result(n: u8) -> Result<impl Future<Output = u8>, std::fmt::Error> {
    Ok(async move { n })
}
#[traced]
fn future_with_lifetime<'a>(n: &'a str) -> Pin<Box<dyn Future<Output = &'a str> + Send + 'a>> {
    Box::pin(async move { n })
}
#[traced(covers = call)]
fn future_uncovered(n: u8) -> impl Future<Output = u8> {
    async move { n }
}
#[traced]
fn named_future(n: u8) -> std::future::Ready<u8> {
    std::future::ready(n)
}
#[traced(covers = future, attributes(n), record("r" = *result))]
fn future_by_word(n: u8) -> impl IntoFutureLike<Output = u8> {
    async move { n }
}
#[traced(fault = |_| false)]
fn fault_of_a_future(n: u8) -> impl Future<Output = Result<u8, std::fmt::Error>> + Send + 'static {
    async move { Ok(n) }
}
#[traced(fault = fails_for, record("ok" = result.is_ok()))]
fn fault_beside_record(n: String) -> Result<usize, Box<str>> {
    if n.is_empty() { Err(n.into()) } else { Ok(n.len()) }
}
#[traced(fault = <Failed<T> as Fails>::fails)]
async fn fault_of_a_trait<T: Copy>(n: &T) -> Result<&T, Failed<T>> {
    Err(Failed(*n))
}
#[traced(fault = |_| true)]
fn fault_in_part(n: u8) -> Result<impl Sized, std::fmt::Error> {
    Ok(n)
}
/// Takes what its argument derefs to.
fn fails_for(text: &str) -> bool {
    text.is_empty()
}
struct Failed<T>(T);
trait Fails {
    fn fails(&self) -> bool;
}
impl<T> Fails for Failed<T> {
    fn fails(&self) -> bool {
        size_of_val(&self.0) > 0
    }
}
trait IntoFutureLike: Future {}
impl<F: Future> IntoFutureLike for F {}
#[traced]
async fn recursive(n: u8) -> u8 {
    if n == 0 { 0 } else { Box::pin(recursive(n - 1)).await + 1 }
}
#[traced]
extern "C" fn foreign(n: u8) -> u8 {
    n
}

// What is put around a future or a stream is neither of these as well.
#[traced]
fn future_and_more(n: u8) -> impl Future<Output = u8> + Clone {
    std::future::ready(n)
}
#[traced]
fn stream_and_more(n: u8) -> impl futures_util::Stream<Item = u8> + Many {
    futures_util::stream::iter([n])
}
trait Many {}
impl Many for futures_util::stream::Iter<std::array::IntoIter<u8, 1>> {}
fn is_many(_: impl Many) -> bool {
    true
}
#[traced]
fn future_that_is_covered(n: u8) -> impl Future<Output = u8> + Send + Sync + Sized + std::fmt::Debug {
    std::future::ready(n)
}

/// Very long items.
macro_rules! many {
    ($($field:ident)*) => {
        #[derive(Event, Serialize, Deserialize)]
        struct VeryLong { $(#[event(attribute)] $field: u32),* }
        #[traced(attributes($($field),*))]
        fn very_long($($field: u32),*) -> u32 { 0 $(+ $field)* }
    };
}
many!(
    a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 d2 d3 d4 d5 d6 d7 d8
    d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 g0 g1 g2 g3 g4 g5 g6 g7 g8 g9 h0 h1 h2 h3 h4 h5 h6 h7
);
macro_rules! wide {
    ($($event:ident)*) => {
        $(
            #[derive(Event, Serialize, Deserialize)]
            struct $event;
            impl Apply<$event> for Wide { fn apply(&mut self, _: $event) {} }
        )*
        #[derive(Aggregate, Default)]
        #[aggregate(id = u8, events($($event),*))]
        struct Wide;
    };
}
wide!(
    A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 D0 D1 D2 D3 D4 D5 D6 D7 D8
);

#[test]
fn run() {
    no_options();
    trailing();
    empty_lists();
    odd_name();
    raw_name();
    empty_links();
    assert_eq!(expressions(1) + sigils(&1), 2);
    assert_eq!(without_a_size("ab", &[1, 2]), "abab");
    crate::ready(sliced());
    assert!(records(true).is_err() && records(false).is_ok());
    assert_eq!(crate::ready(many_links(vec![])), 0);
    assert_eq!(ends_in_macro(), "1");
    assert_eq!(
        (ends_in_if(2), ends_in_struct(), ends_in_never(0), only_return(), crate::ready(only_return_later())),
        (1, Point { x: 1 }, 3, 7, 7)
    );
    let lock = Mutex::new(vec![1]);
    assert_eq!(temporaries(&lock) + crate::ready(temporaries_later(&lock)), 2);
    assert_eq!(*guard(&Mutex::new(3)), 3);
    assert_eq!(format!("{:?}{}", coerced(1), coerced_fn(1)(1)), "\"a\"2");
    assert_eq!(coerced_slice(&[1, 2, 3]), [1, 2, 3]);
    assert_eq!(crate::ready(coerced_box(1)).unwrap()(1), 2);
    assert_eq!((infers(), parse_infers(), question()), (vec![4], Ok(12), Some(2)));
    assert!(control_flow().is_break() && crate::ready(poll()).is_ready());
    assert_eq!(patterns(&(1, "ab".into()), ["a", "b"], Point { x: 2 }, (3, 4), ()), 9);
    assert_eq!(crate::ready(patterns_later(1, (1, 1))), 4);
    assert_eq!(mutable_reference(&mut 1, &mut [0]), 2);
    assert_eq!((*not_send(Rc::new(1)), *crate::ready(not_send_later(Rc::new(1)))), (1, 1));
    assert_eq!(crate::ready(is_send(send_later(Arc::new(1)))).unwrap(), 1);
    assert_eq!(crate::ready(is_send(future_of_result(1))), Ok(1));
    assert_eq!(crate::ready(future_in_result(1).unwrap()), 1);
    assert_eq!(crate::ready(is_send(future_with_lifetime("a"))), "a");
    assert_eq!(
        (crate::ready(future_uncovered(1)), crate::ready(named_future(1)), crate::ready(future_by_word(1))),
        (1, 1, 1)
    );
    assert!(fault_beside_record(String::new()).is_err() && fault_in_part(1).is_ok());
    assert!(crate::ready(fault_of_a_future(1)).is_ok() && crate::ready(fault_of_a_trait(&1)).is_err());
    assert_eq!(crate::ready(recursive(5)), 5);
    assert_eq!(crate::ready(future_and_more(1).clone()) + crate::ready(future_that_is_covered(1)), 2);
    assert!(is_many(stream_and_more(1)));
}
