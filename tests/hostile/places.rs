//! Places that items may stand in, and what `Self` means there.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[test]
fn inside_a_function() {
    #[derive(Event, Serialize, Deserialize)]
    struct Local(#[event(attribute = "n")] u8);
    #[derive(Aggregate, Default, Serialize, Deserialize)]
    #[aggregate(id = u8, events(Local), snapshot(every = 2))]
    struct Agg;
    impl Apply<Local> for Agg {
        fn apply(&mut self, _: Local) {}
    }
    #[derive(Command, Clone, Serialize, Deserialize)]
    #[command(aggregate = Agg)]
    struct Do(#[command(id)] u8);
    #[command_handler]
    impl Agg {
        fn act(&self, _: Do) -> Result<Local, std::convert::Infallible> {
            Ok(Local(1))
        }
    }
    #[derive(Query, Deserialize)]
    #[query(output = u8)]
    struct Ask;
    struct Rows;
    #[query_handler]
    impl Rows {
        fn ask(&self, _: Ask) -> Result<u8, std::fmt::Error> {
            Ok(1)
        }
    }
    #[projection]
    impl Rows {
        fn on(&self, _: &Recorded<Local>) {}
    }
    #[process_manager]
    impl Agg {
        fn on(&self, _: &Recorded<Local>) {}
    }
    #[traced(attributes(n))]
    fn inner(n: u8) -> u8 {
        #[traced(attributes(n))]
        fn innermost(n: u8) -> u8 {
            n + 1
        }
        innermost(n) + 1
    }
    assert_eq!(inner(1), 3);
    let closure = || {
        #[traced]
        fn within() -> u8 {
            7
        }
        within()
    };
    assert_eq!(closure(), 7);
    const VALUE: u8 = {
        #[traced]
        fn unused() {}
        8
    };
    assert_eq!(VALUE, 8);
}

mod deep {
    pub(super) mod deeper {
        pub(in crate::places) mod deepest {
            use super::super::super::*;
            #[derive(Event, Serialize, Deserialize)]
            pub(in crate::places) struct Far {
                pub(in crate::places) n: u8,
            }
            #[derive(Aggregate, Default)]
            #[aggregate(id = super::super::Key, events(Far, super::Near, crate::places::Top), error = super::Failed)]
            pub(in crate::places) struct Agg;
            impl Apply<Far> for Agg {
                fn apply(&mut self, _: Far) {}
            }
            impl Apply<super::Near> for Agg {
                fn apply(&mut self, _: super::Near) {}
            }
            impl Apply<Top> for Agg {
                fn apply(&mut self, _: Top) {}
            }
        }
        #[derive(Debug)]
        pub struct Failed;
        impl std::fmt::Display for Failed {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("failed")
            }
        }
        impl std::error::Error for Failed {}
        #[derive(eventsource_runtime::Event, serde::Serialize, serde::Deserialize)]
        pub struct Near;
        #[derive(eventsource_runtime::Command, Clone, serde::Serialize, serde::Deserialize)]
        #[command(aggregate = deepest::Agg)]
        pub(in super::super) struct Go(#[command(id)] super::Key);
        // Not in the module of its type.
        #[eventsource_runtime::command_handler]
        impl self::deepest::Agg {
            fn go(&self, _: self::Go) -> Result<(super::deeper::deepest::Far, Near), self::Failed> {
                Err(Failed)
            }
        }
    }
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Key(u8);
    impl std::fmt::Display for Key {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }
}
#[derive(Event, Serialize, Deserialize)]
struct Top;

#[derive(Event, Serialize, Deserialize, Default)]
struct Node {
    next: Option<Box<Self>>,
    #[serde(skip)]
    f: Option<fn(&Self) -> Self>,
}
#[derive(Event, Serialize, Deserialize)]
enum Numbered {
    A = 1,
    B = 1 + 4,
    C = {
        const N: isize = 9;
        N
    },
}
#[derive(Event, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
#[repr(u8)]
enum Mixed {
    Unit = 1,
    Tuple(u8, String) = 7,
    Named { a: u8 } = 9,
}
#[derive(Event, Serialize, Deserialize)]
struct EmptyTuple();
#[derive(Event, Serialize, Deserialize)]
struct EmptyBraces {}
#[derive(Query, Deserialize)]
#[query(output = Vec<Self>)]
struct SelfAsked;
#[derive(Aggregate, Default)]
#[aggregate(id = u8, events(Node, Numbered, Mixed, EmptyTuple, EmptyBraces))]
enum Machine {
    #[default]
    Off,
    On {
        since: u8,
    },
}
macro_rules! apply { ($($ty:ty),*) => { $(impl Apply<$ty> for Machine { fn apply(&mut self, _: $ty) { *self = Self::On { since: 1 }; } })* }; }
apply!(Node, Numbered, Mixed, EmptyTuple, EmptyBraces);
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Machine)]
struct Start {
    #[command(id)]
    id: <Machine as eventsource_runtime::Aggregate>::Id,
}
type MachineError = <Machine as eventsource_runtime::Aggregate>::Error;
#[command_handler]
impl Machine {
    fn start(&self, _: Start) -> Result<[EmptyBraces; { Self::TIMES }], MachineError> {
        Ok(std::array::from_fn(|_| EmptyBraces {}))
    }
    fn many(
        &self,
        command: Many,
    ) -> Result<Vec<<Self as eventsource_runtime::Aggregate>::Event>, <Self as eventsource_runtime::Aggregate>::Error>
    {
        Ok(vec![EmptyBraces {}.into(), EmptyTuple().into()])
    }
}
impl Machine {
    const TIMES: usize = 2;
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Machine)]
struct Many {
    #[command(id)]
    id: u8,
}
#[process_manager]
impl Machine {
    fn node(&self, event: &Recorded<Node>) -> Result<Option<Start>, <Self as eventsource_runtime::Aggregate>::Error> {
        Ok(None)
    }
}

/// A trait with everything that a method may be.
trait Everything: Sized {
    const N: u8 = 3;
    type Out: From<u8>;
    #[traced(attributes("n" = Self::N))]
    fn out(&self) -> Self::Out {
        Self::Out::from(Self::N)
    }
    #[traced]
    fn stat() -> Self::Out
    where
        Self::Out: Default,
    {
        Default::default()
    }
    #[traced(attributes("n" = Self::N))]
    async fn later(self) -> Result<Self::Out, Self>
    where
        Self: Clone,
    {
        Err(self.clone())
    }
    #[traced]
    fn opaque(&self) -> impl Future<Output = Self::Out> + Send {
        let n = Self::N;
        async move { Self::Out::from(n) }
    }
    #[traced]
    fn boxed(self: Box<Self>) -> Option<Box<Self>> {
        Some(self)
    }
    #[traced]
    fn pinned(self: std::pin::Pin<&mut Self>) -> u8 {
        Self::N
    }
    #[traced]
    fn explicit(self: &Self, other: Self) -> (Self, [Self; 0]) {
        (other, [])
    }
}
#[derive(Clone, Debug, PartialEq)]
struct Impl;
impl Everything for Impl {
    type Out = u8;
    #[traced(attributes("n" = Self::N))]
    fn opaque(&self) -> impl Future<Output = Self::Out> + Send {
        async { <Self as Everything>::N + 1 }
    }
}
impl Everything for [u8; 2] {
    type Out = u16;
    #[traced]
    fn out(&self) -> u16 {
        u16::from(self[0])
    }
}
trait Local {
    fn get(&self) -> u8;
}
impl dyn Local + Send {
    #[traced(attributes("n" = self.get()))]
    fn twice(&self) -> u8 {
        self.get() * 2
    }
}
impl Local for u8 {
    fn get(&self) -> u8 {
        *self
    }
}
impl<'a> std::ops::Add<&'a Impl> for &'a Impl {
    type Output = Impl;
    #[traced]
    fn add(self, _: &'a Impl) -> Impl {
        Self::Output {}
    }
}
impl Drop for Guard {
    #[traced]
    fn drop(&mut self) {
        self.0 += 1;
    }
}
struct Guard(u8);
impl Iterator for Guard {
    type Item = u8;
    #[traced(attributes("n" = self.0), record("m" = *result))]
    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
}
#[traced]
fn uses() -> u8 {
    use self::deep::deeper::*;
    use std::collections::{BTreeMap as Map, *};
    macro_rules! local {
        ($n:expr) => {
            return $n
        };
    }
    'outer: loop {
        for n in 0.. {
            if n == 5 {
                break 'outer;
            }
        }
    }
    let closure = || -> Option<u8> { Some(None?) };
    if closure().is_none() {
        local!(4);
    }
    unreachable!()
}
#[traced]
async fn labels() -> Result<u8, Box<dyn std::error::Error>> {
    let block = async {
        Err::<u8, _>("no")?;
        Ok::<u8, Box<dyn std::error::Error>>(1)
    };
    let n = 'a: {
        if block.await.is_err() {
            break 'a 3;
        }
        return Ok(1);
    };
    let closure = async |n: u8| -> Result<u8, Box<dyn std::error::Error>> { Ok("4".parse::<u8>()? + n) };
    Ok(closure(n).await?)
}

#[test]
fn run() {
    assert_eq!((Impl.out(), Impl::stat()), (3, 0));
    assert_eq!(crate::ready(Impl.later()), Err(Impl));
    assert_eq!(crate::ready(Impl.opaque()), 4);
    assert_eq!(crate::ready([1, 2].opaque()), 3);
    assert_eq!([1, 2].out(), 1);
    assert!(Box::new(Impl).boxed().is_some());
    assert_eq!(std::pin::Pin::new(&mut Impl).pinned(), 3);
    assert_eq!(Impl.explicit(Impl).0, Impl);
    let local: Box<dyn Local + Send> = Box::new(3);
    assert_eq!(local.twice(), 6);
    assert_eq!(&Impl + &Impl, Impl);
    assert_eq!(Guard(2).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(uses(), 4);
    assert_eq!(crate::ready(labels()).unwrap(), 7);
}
#[tokio::test]
async fn handlers_run() {
    let bus = CommandBus::builder().aggregate(Repository::<Machine, _>::new(MemoryStore::new())).build();
    assert_eq!(bus.dispatch(Start { id: 1 }).await.unwrap().events, 2);
    assert_eq!(bus.dispatch(Many { id: 1 }).await.unwrap().events, 2);
}
