//! Parameters of all kinds.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use eventsource_runtime::prelude::*;
use futures_util::stream::{self, Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Defaulted<T = u8, const N: usize = 3> {
    #[event(attribute)]
    by: u8,
    of: T,
}
#[derive(Event, Serialize, Deserialize)]
struct Bounded<T: Clone + Default, U>
where
    T: Debug,
    U: Send + Sync + 'static,
    Vec<T>: Clone,
{
    t: T,
    u: PhantomData<U>,
}
#[derive(Event, Serialize, Deserialize)]
#[serde(bound = "")]
struct Marked<T: ?Sized> {
    of: PhantomData<T>,
}
#[derive(Event, Serialize, Deserialize)]
struct Flagged<const B: bool, const C: char> {}
#[derive(Event, Serialize, Deserialize)]
struct Where
where
    String: Clone,
{
    a: u8,
}
#[derive(Event, Serialize, Deserialize)]
#[serde(bound = "")]
struct Associated<I: Iterator>
where
    I::Item: Serialize + DeserializeOwned,
{
    #[event(attribute = "n")]
    n: u8,
    item: Option<I::Item>,
}
#[derive(Event, Serialize, Deserialize)]
#[serde(bound = "")]
struct Secret<T: Serialize + DeserializeOwned> {
    #[event(sensitive)]
    t: T,
}
#[derive(Event, Serialize, Deserialize)]
struct Hrtb<F>
where
    F: Clone + for<'a> Fn(&'a u8) -> &'a u8,
{
    #[serde(skip, default = "none")]
    f: Option<F>,
}
fn none<F>() -> Option<F> {
    None
}
#[derive(Event, Serialize, Deserialize)]
struct Pointers {
    #[serde(skip)]
    f: Option<for<'a> fn(&'a u8) -> &'a u8>,
    c: Cow<'static, str>,
    b: Box<[u8]>,
}

// A query is sent, and never shared.
#[derive(Query, Deserialize)]
#[query(output = u8)]
struct Unshared<T>(std::cell::RefCell<T>);
const _: () = {
    const fn is_query<Q: eventsource_runtime::Query>() {}
    is_query::<Unshared<u8>>();
};

#[derive(Aggregate, Default)]
#[aggregate(id = u8, error = std::fmt::Error, events(
    Defaulted<u8, 3>, Bounded::<u8, u8>, Marked<str>, Flagged<true, 'x'>, Where, Pointers,
    Associated<std::vec::IntoIter<u8>>, Secret<(u8, [u8; { 1 + 2 }])>,
    Hrtb<for<'a> fn(&'a u8) -> &'a u8>,
))]
struct All;
macro_rules! apply { ($($ty:ty),* $(,)?) => { $(impl Apply<$ty> for All { fn apply(&mut self, _: $ty) {} })* }; }
apply!(
    Defaulted, Bounded<u8, u8>, Marked<str>, Flagged<true, 'x'>, Where, Pointers, Associated<std::vec::IntoIter<u8>>,
    Secret<(u8, [u8; 3])>, Hrtb<for<'a> fn(&'a u8) -> &'a u8>,
);

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = All)]
struct Do<T, const N: usize = 1>
where
    T: Clone,
{
    #[command(id)]
    id: u8,
    #[command(attribute)]
    n: u8,
    t: T,
}
struct Services<'a>(&'a str);
#[command_handler]
impl All {
    #[traced(attributes("n" = command.n, "s" = services.0))]
    fn one<'a>(&'a self, command: Do<u8>, services: &'a Services<'a>) -> Result<Where, std::fmt::Error> {
        Ok(Where { a: 1 })
    }
    async fn two(&self, Do { n, .. }: Do<String, 2>, _: &Services<'_>) -> Result<Vec<Where>, std::fmt::Error> {
        Err(std::fmt::Error)?
    }
}

#[derive(Query, Serialize, Deserialize)]
#[query(output = Vec<T>)]
struct Ask<T: Send + Sync + 'static>(#[query(attribute = "n")] u8, PhantomData<T>);
#[derive(Query, Deserialize)]
#[query(output = Box<dyn Fn(&u8) -> u8 + Send + Sync>)]
struct AskFn;
#[derive(Query, Deserialize)]
#[query(output = Result<u8, String>)]
struct AskResult;
#[derive(Query, Deserialize)]
#[query(output = ())]
struct AskNothing {}
#[derive(Query, Deserialize)]
#[query(output = (u8, [u8; 2], fn(u8) -> u8))]
struct AskTuple {}

/// Whether it may be shared is asked where what is generic in it is handed on.
trait Port {
    type Error: std::error::Error + Send + Sync + 'static;
    fn ask(&self) -> Result<u8, Self::Error>;
}
struct Real;
impl Port for Real {
    type Error = std::fmt::Error;
    fn ask(&self) -> Result<u8, std::fmt::Error> {
        Ok(1)
    }
}
struct Answers<P, const N: usize = 0>(P);
#[query_handler]
impl<P: Port, const N: usize> Answers<P, N> {
    fn result(&self, _: AskResult) -> Result<Result<u8, String>, P::Error> {
        Ok(self.0.ask().map_err(|error| error.to_string()))
    }
    #[traced(attributes("n" = query.0, "m" = N))]
    async fn ask(&self, query: Ask<u8>) -> Result<Vec<u8>, P::Error> {
        self.0.ask().map(|n| vec![n])
    }
    fn f(&self, _: AskFn) -> Result<Box<dyn Fn(&u8) -> u8 + Send + Sync>, P::Error> {
        Ok(Box::new(|n| *n))
    }
    fn nothing(&self, _: AskNothing) -> Result<(), P::Error> {
        Ok(())
    }
    async fn tuple(&self, AskTuple {}: AskTuple) -> Result<(u8, [u8; 2], fn(u8) -> u8), P::Error> {
        Ok((1, [2, 3], |n| n))
    }
}

struct Rows<P, S: ?Sized>(P, PhantomData<S>);
#[projection(name = "rows", enable_tracing = self.0.ask().is_ok())]
impl<P: Port, S: ?Sized> Rows<P, S>
where
    for<'a> &'a P: Send,
{
    fn one(&self, event: &Recorded<Where>) -> Result<(), P::Error> {
        self.0.ask().map(drop)
    }
    async fn two(&self, event: &Recorded<Defaulted<u8, 3>>) {}
    fn three<'a>(&'a self, event: &'a Recorded<Marked<str>>) {}
}

#[process_manager]
impl All {
    fn first<'a>(&'a self, event: &'a Recorded<Where>) -> Option<Do<u8>> {
        None
    }
    #[process_manager(id = { let n = event.by; format!("{n}") })]
    fn second(&self, event: &Recorded<Defaulted>) -> Result<Reaction<Self>, ProjectionError> {
        Ok(Reaction::new())
    }
    fn three(&self, Rejected { .. }: &Rejected<Do<u8>>) {}
}

// By hand, since a derived aggregate has no parameters.
#[derive(Default)]
struct Process<T>(PhantomData<T>);
impl<T: Default + Send + Sync + 'static> Aggregate for Process<T> {
    const NAME: &'static str = "Process";
    type Id = u8;
    type Event = AllEvent;
    type Error = std::fmt::Error;
    fn evolve(&mut self, _: AllEvent) {}
}
#[process_manager]
impl<T: Default + Serialize + DeserializeOwned + Send + Sync + 'static> Process<T> {
    fn first(&self, event: &Recorded<Defaulted<T>>) {}
    fn second(&self, event: &Recorded<Where>) {}
}

struct Held<'a, T: ?Sized + 'a, const N: usize> {
    t: &'a T,
}
impl<'a, T: ?Sized + Debug + 'a, const N: usize> Held<'a, T, N> {
    #[traced(attributes("n" = N, "t" = ?self.t))]
    fn len(&self) -> usize {
        N
    }
    #[traced(attributes("t" = ?other, "x" = self.t as *const T as *const () as usize))]
    fn pick<'b, 'c: 'b, U>(&'b self, other: &'c U) -> (&'b T, &'c U)
    where
        'a: 'b,
        U: ?Sized + Debug,
    {
        (self.t, other)
    }
    #[traced]
    async fn later<'b>(&'b self, f: impl for<'x> Fn(&'x T) -> &'x T + 'b) -> &'b T {
        f(self.t)
    }
    #[traced(attributes("size" = size_of::<[u8; M]>()))]
    fn array<const M: usize>(&self, of: [u8; M]) -> [u8; M] {
        of
    }
    #[traced(attributes("f" = f("x").len()))]
    fn dynamic(&self, f: &dyn for<'x> Fn(&'x str) -> &'x str) -> usize {
        f("abc").len()
    }
    #[traced]
    fn nested_impl(&self, f: impl Fn(&str) -> Box<dyn Fn() -> usize>) -> impl Fn() -> Option<Box<dyn Debug>> {
        let n = f("a")();
        move || -> Option<Box<dyn Debug>> { Some(Box::new(n)) }
    }
    #[traced]
    fn tuple_of_impl(&self) -> (impl Debug, Vec<impl Display + use<'a, T, N>>) {
        (1, vec!["a"])
    }
    #[traced]
    fn captures(&self) -> impl Iterator<Item = impl Debug> + use<'_, 'a, T, N> {
        std::iter::repeat_n(self.t, N)
    }
}
#[traced(attributes("d" = default.unwrap_or_default()))]
fn by_default<T: Default + Into<u8> + Copy>(default: Option<u8>, _: T) -> T {
    T::default()
}
#[traced(attributes(%value, "a" = <T as ToString>::to_string(value), "b" = size_of::<T>() < 3 && 1 > 0))]
fn turbofish<T: ToString + Display>(value: &T) -> usize {
    Vec::<T>::with_capacity(1).capacity()
}
#[traced]
fn higher<F>(f: F) -> u8
where
    F: for<'a> FnOnce(&'a u8) -> &'a u8,
{
    *f(&3)
}
#[traced]
async fn async_closure<F: AsyncFn(u8) -> u8>(f: F) -> u8 {
    f(4).await
}
#[traced(attributes(text), record("is.there" = result.is_some()))]
fn future_that_outlives_its_output<T: FromStr>(text: String) -> impl Future<Output = Option<T>> + 'static {
    async move { text.parse().ok() }
}
#[traced]
fn stream_that_outlives_its_items<T: Default>() -> impl Stream<Item = T> + 'static {
    stream::repeat_with(|| T::default())
}
#[traced]
fn unsized_ref<T: ?Sized + AsRef<str>>(t: &T) -> usize {
    t.as_ref().len()
}
#[traced]
fn dyn_mut<'a>(f: &'a mut dyn FnMut(u8) -> u8) -> &'a mut (dyn FnMut(u8) -> u8 + 'a) {
    f
}
#[traced]
fn infer_lifetime(c: Cow<'_, str>) -> Cow<'_, str> {
    c
}
#[traced(attributes("first" = t.0, "u" = ?u))]
fn impls(t: (u8, impl Debug), u: impl Iterator<Item = impl Debug> + Debug + Clone) -> usize {
    u.count()
}

#[test]
fn run() {
    assert_eq!(<Process<u8> as eventsource_runtime::dispatch::ProcessManager>::event_types(), ["Defaulted", "Where"]);
    let held = Held::<str, 3> { t: "abc" };
    assert_eq!(held.len(), 3);
    assert_eq!(held.pick("x"), ("abc", "x"));
    assert_eq!(crate::ready(held.later(|t| t)), "abc");
    assert_eq!(held.array([1, 2]), [1, 2]);
    assert_eq!(held.dynamic(&|t| t), 3);
    assert_eq!(
        format!(
            "{:?}",
            held.nested_impl(|t| {
                let n = t.len();
                Box::new(move || n)
            })()
        ),
        "Some(1)"
    );
    assert_eq!(held.tuple_of_impl().1.len(), 1);
    assert_eq!(held.captures().count(), 3);
    assert_eq!(by_default(None, 1u8), 0);
    assert_eq!(turbofish(&1), 1);
    assert_eq!(higher(|n| n), 3);
    assert_eq!(crate::ready(async_closure(async |n| n + 1)), 5);
    assert_eq!(crate::ready(future_that_outlives_its_output::<u8>("7".into())), Some(7));
    assert_eq!(crate::ready(stream_that_outlives_its_items::<u8>().take(2).collect::<Vec<_>>()), [0, 0]);
    assert_eq!(unsized_ref("ab"), 2);
    assert_eq!(dyn_mut(&mut |n| n + 1)(1), 2);
    assert_eq!(infer_lifetime("a".into()), "a");
    assert_eq!(impls((1, 2), [1, 2].iter()), 2);
}
#[tokio::test]
async fn handlers_run() {
    let store = MemoryStore::new();
    let repository = Repository::<All, _>::new(store.clone()).with_services(Services("s"));
    let bus = CommandBus::builder().aggregate(repository).build();
    bus.dispatch(Do::<u8> { id: 1, n: 1, t: 1 }).await.unwrap();
    assert!(bus.dispatch(Do::<String, 2> { id: 1, n: 1, t: String::new() }).await.is_err());
    let queries = QueryBus::builder().handler(Answers::<Real, 3>(Real)).build();
    assert_eq!(queries.execute(Ask::<u8>(1, PhantomData)).await.unwrap(), [1]);
    assert_eq!(queries.execute(AskTuple {}).await.unwrap().1, [2, 3]);
    let rows = ProjectionRunner::new(store.clone()).projection(Rows(Real, PhantomData::<str>)).spawn();
    rows.wait_for(store.head().await.unwrap()).await.unwrap();
    rows.shutdown().await.unwrap();
}
