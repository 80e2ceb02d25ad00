//! Items that other macros make.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

macro_rules! domain {
    ($(#[$meta:meta])* $vis:vis $module:ident, $event:ident { $($field:ident: $ty:ty = $key:literal),* $(,)? }, $agg:ident, $id:ty, $name:expr, $every:literal, $cmd:ident, $err:path) => {
        $(#[$meta])*
        $vis mod $module {
            use super::*;
            #[derive(Event, Serialize, Deserialize, Clone, Debug)]
            pub struct $event { $(#[event(attribute = $key)] pub $field: $ty),* }
            #[derive(Aggregate, Default, Serialize, Deserialize)]
            #[aggregate(id = $id, error = $err, events($event), name = $name, snapshot(every = $every))]
            pub struct $agg { n: u64 }
            impl Apply<$event> for $agg { fn apply(&mut self, _: $event) { self.n += 1; } }
            #[derive(Command, Clone, Serialize, Deserialize)]
            #[command(aggregate = $agg, name = $name)]
            pub struct $cmd { #[command(id)] pub id: $id, $(#[command(attribute = $key)] pub $field: $ty),* }
            #[command_handler]
            impl $agg {
                #[traced(attributes($($key = &command.$field),*))]
                fn act(&self, command: $cmd) -> Result<$event, $err> { Ok($event { $($field: command.$field),* }) }
            }
            pub struct Rows;
            #[projection(name = $name)]
            impl Rows { fn on(&self, event: &Recorded<$event>) {} }
            #[process_manager(name = $name)]
            impl $agg { #[process_manager(id = event.aggregate_id())] fn on(&self, event: &Recorded<$event>) {} fn no(&self, c: &Rejected<$cmd>) {} }
        }
    };
}
domain!(
    /// A domain.
    #[allow(clippy::all)]
    pub(crate) orders, Placed { n: u32 = "a.n", text: String = "a.text" }, Order, String, "orders", 5, Place, std::convert::Infallible);
domain!(pub carts, Filled {}, Cart, u64, "carts", 7, Fill, std::fmt::Error);

macro_rules! functions {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block)*) => {
        $( #[traced($($arg),*)] $vis fn $name($($arg: $ty),*) -> $ret $body )*
    };
}
macro_rules! traced_functions {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block)*) => {
        $( $(#[$meta])* #[traced(attributes($($arg),*), record("r" = result))] $vis fn $name($($arg: $ty),*) -> $ret $body )*
    };
}
traced_functions! {
    /// One.
    #[inline]
    pub fn one(a: u8, b: u8) -> u8 { a + b }
    fn two() -> u8 { 2 }
}

macro_rules! by_item {
    ($item:item) => {
        #[traced("by.item")]
        $item
    };
}
by_item! { fn three(n: u8) -> u8 { n } }
by_item! { async fn four(n: u8) -> Result<u8, std::fmt::Error> { Ok(n) } }

macro_rules! by_impl {
    ($ty:ty, $msg:ident, $pat:pat, $out:ty, $body:expr) => {
        #[query_handler]
        impl $ty {
            fn ask(&self, $pat: $msg) -> $out {
                $body
            }
        }
    };
}
#[derive(Query, Deserialize)]
#[query(output = u8)]
struct Ask {
    n: u8,
}
struct Answers;
by_impl!(Answers, Ask, Ask { n }, Result<u8, std::fmt::Error>, Ok(n));

macro_rules! by_expr {
    ($name:ident, $a:expr, $b:expr, $c:literal, $p:path) => {
        #[traced($c, attributes("a" = $a, "b" = ?$b, "c" = $c), enable_tracing = $a > 0, crate = $p)]
        fn $name() -> u8 {
            $a
        }
    };
}
by_expr!(five, 5, vec![1], "generated.five", eventsource_runtime);
by_expr!(six, { 3 + 3 }, (), "generated.six", ::eventsource_runtime);

macro_rules! by_type { ($($name:ident $ty:ty)*) => { $(
    #[derive(Event, Serialize, Deserialize)]
    struct $name($ty);
)* }; }
by_type!(E1 u8 E2 Vec<u8> E3 (u8, String) E4 Option<Box<[u8]>>);

macro_rules! aggregate_of { ($agg:ident: $($event:path),* ; $id:ty) => {
    #[derive(Aggregate, Default)]
    #[aggregate(id = $id, events($($event),*))]
    struct $agg;
    $( impl Apply<$event> for $agg { fn apply(&mut self, _: $event) {} } )*
}; }
aggregate_of!(Many: E1, E2, self::E3, crate::generated::E4; String);

macro_rules! aggregate_of_types { ($agg:ident: $($event:ty),*) => {
    #[derive(Aggregate, Default)]
    #[aggregate(id = u8, events($($event),*))]
    struct $agg;
    $( impl Apply<$event> for $agg { fn apply(&mut self, _: $event) {} } )*
}; }
aggregate_of_types!(Typed: E1, E2);

macro_rules! method { ($vis:vis $name:ident $self:ident $body:block) => { $vis fn $name(&$self) -> u8 $body }; }
struct Holder {
    n: u8,
}
impl Holder {
    #[traced]
    fn plain(&self) -> u8 {
        self.n
    }
}
macro_rules! with_self { ($self:ident, $e:expr) => {
    impl Holder {
        #[traced(attributes("n" = $e, "m" = $self.n), enable_tracing = $self.n > 0)]
        fn seven(&$self) -> u8 { $e }
        #[traced(attributes("n" = $e))]
        async fn eight(&$self) -> u8 { $e }
    }
}; }
with_self!(self, self.n);

// What was returned, as the one says it who gives the expression.
macro_rules! recorded {
    ($name:ident, $shown:expr) => {
        #[traced(record("shown" = $shown))]
        fn $name() -> Result<Vec<u8>, std::fmt::Error> {
            Ok(vec![1])
        }
    };
}
recorded!(shown_by_another, result.as_ref().map_or(0, Vec::len));

// What was returned by the macro's name, and by that of its caller.
macro_rules! results {
    ($theirs:expr) => {
        #[traced(record("ours" = result.len(), "theirs" = $theirs))]
        fn results() -> String {
            "ab".into()
        }
        #[traced(record("ours" = result.len(), "theirs" = $theirs))]
        async fn later_results() -> String {
            "ab".into()
        }
    };
}
results!(result.is_empty());

macro_rules! nested {
    ($d:tt $name:ident) => {
        macro_rules! $name { ($d f:ident) => { #[traced(attributes(n))] fn $d f(n: u8) -> u8 { n + 1 } }; }
    };
}
nested!($ make);
make!(nine);

// A local of the macro's and one of the user's of one name.
macro_rules! hygiene {
    ($name:ident $user:ident) => {
        #[traced(attributes("a" = n, "b" = $user))]
        fn $name(n: u8, $user: u8) -> u8 {
            n * 10 + $user
        }
    };
}
hygiene!(ten n);

macro_rules! stream_of {
    ($ret:ty) => {
        #[traced]
        fn pinned() -> $ret {
            Box::pin(async { 11 })
        }
    };
}
stream_of!(std::pin::Pin<Box<dyn Future<Output = u8> + Send>>);

macro_rules! lifetimes { ($lt:lifetime, $name:ident) => {
    #[traced(attributes(text))]
    fn $name<$lt>(text: &$lt str) -> &$lt str { text }
}; }
lifetimes!('q, twelve);

macro_rules! list { ($($key:literal => $value:expr),* $(,)?) => {
    #[traced(attributes($($key = $value,)*))]
    fn thirteen(n: u8) -> u8 { n }
}; }
list!("a" => 1, "b" => n_of(), "c" => -2.5);
fn n_of() -> u8 {
    1
}

// Beyond an `i32`, which the compiler takes a number for that says nothing else.
macro_rules! numbers {
    ($name:ident, $literal:literal, $expr:expr, $wide:expr) => {
        #[traced(attributes("a" = $literal, "b" = -$literal, "c" = $expr, "d" = (3_000_000_000), "e" = $wide))]
        fn $name() -> u8 {
            14
        }
    };
}
numbers!(fourteen, 3_000_000_000, -3_000_000_000, 18_446_744_073_709_551_615);

macro_rules! transaction {
    ($tx:ty, $event:ty) => {
        struct Writes;
        #[projection]
        impl Writes {
            fn on(&self, event: &Recorded<$event>, tx: &$tx) -> Result<(), ProjectionError> {
                Ok(())
            }
            #[projection(setup)]
            fn make(&self, tx: &$tx) {}
        }
    };
}
transaction!(eventsource_runtime::store::SqliteTransaction<'_>, E1);

macro_rules! whole {
    ($ty:ty) => {
        struct Whole;
        #[projection]
        impl Whole {
            fn on(&self, event: $ty) {}
        }
        #[process_manager]
        impl Many {
            fn on(&self, event: $ty) {}
        }
    };
}
whole!(&Recorded<E2>);

#[test]
fn run() {
    assert_eq!((one(1, 2), two(), three(3)), (3, 2, 3));
    assert_eq!(crate::ready(four(4)), Ok(4));
    assert_eq!((five(), six()), (5, 6));
    assert_eq!((Holder { n: 7 }.seven(), crate::ready(Holder { n: 8 }.eight())), (7, 8));
    assert_eq!((nine(8), ten(1, 2), crate::ready(pinned()), twelve("q"), thirteen(1)), (9, 12, 11, "q", 1));
    assert_eq!(fourteen(), 14);
    assert_eq!((results(), crate::ready(later_results())), ("ab".into(), "ab".into()));
}
