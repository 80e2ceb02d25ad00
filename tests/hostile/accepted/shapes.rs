//! Functions of every shape, without the prelude's names.
#![no_implicit_prelude]
#![deny(missing_docs, warnings, unused)]
#![allow(unreachable_pub, unused_qualifications, reason = "a module here, a crate of its own elsewhere")]
#![allow(clippy::all, reason = "clippy sees this file elsewhere")]

extern crate std;

use ::core::clone::Clone;
use ::core::fmt::Debug;
use ::core::iter::Iterator;
use ::core::marker::{Send, Sized, Sync};
use ::core::option::Option::{self, None, Some};
use ::core::result::Result::{self, Err, Ok};
use ::eventsource_runtime::traced;
use ::std::boxed::Box;
use ::std::string::{String, ToString};
use ::std::sync::Arc;
use ::std::vec::Vec;

use crate::ready;

/// An error without `Debug`.
struct Opaque;

#[derive(Debug)]
struct Refused;

#[traced]
fn bare() {}

#[traced("named.span", kind = "producer", attributes("a" = "text", "b" = 1, "c" = -1.5, "d" = true))]
fn constants() -> u8 {
    7
}

#[traced(attributes(number, %text, ?list, "text.length" = text.len(), list.first = list.first(), r#type))]
fn borrowed<'a>(number: u32, text: &'a str, list: &[u8], r#type: bool) -> &'a str {
    let _ = (number, list, r#type);
    text
}

#[traced(attributes(text = &text, "count" = list.len()))]
fn moved(text: String, list: Vec<u8>) -> (String, Vec<u8>) {
    (text, list)
}

#[traced(attributes("first" = first, "second" = *second))]
fn patterns((first, _): (u8, u8), [second, ..]: &[u8; 2], mut third: Vec<u8>, _: u8) -> Vec<u8> {
    third.push(first + *second);
    third
}

#[traced(record("length" = result.as_ref().map_or(0, |text| text.len()), "failed" = result.is_err()))]
fn fallible(text: Option<&str>) -> Result<&str, Refused> {
    let text = text.ok_or(Refused)?;
    if text.is_empty() {
        return Err(Refused);
    }
    Ok(text)
}

#[traced]
fn opaque_error() -> Result<(), Opaque> {
    Err(Opaque)
}

#[traced]
fn coerced() -> Box<dyn Debug> {
    Box::new(1)
}

#[traced]
async fn coerced_later(early: bool) -> Box<dyn Debug + Send> {
    if early {
        return Box::new(2);
    }
    Box::new("three")
}

#[traced(attributes("count" = numbers.len()))]
fn returned_iterator(numbers: &[u8]) -> impl Iterator<Item = u8> + '_ {
    numbers.iter().map(|number| number + 1)
}

#[traced]
fn inner_iterator(numbers: &[u8]) -> Result<impl Iterator<Item = u8> + '_, Refused> {
    Ok(numbers.iter().map(|number| number + 1))
}

#[traced]
async fn returned_later() -> impl Debug {
    "debug"
}

#[traced(record("output" = *result))]
fn moved_future(value: u8) -> Box<dyn ::core::future::Future<Output = u8> + Send + ::core::marker::Unpin> {
    Box::new(::core::future::ready(value))
}

#[traced(attributes("shown" = ?value))]
fn argument_impl(value: impl Debug + Clone) -> usize {
    let _ = Clone::clone(&value);
    1
}

#[traced(attributes("shown" = ?value, "size" = N))]
fn generic<T, const N: usize>(value: T) -> [T; N]
where
    T: Debug + Clone,
{
    ::core::array::from_fn(|_| Clone::clone(&value))
}

#[traced]
fn generic_result<T, E>(result: Result<T, E>) -> Result<T, E> {
    result
}

#[traced]
fn diverges() -> ! {
    ::std::panic::resume_unwind(Box::new(()))
}

#[traced]
async fn diverges_later() -> ! {
    ::std::panic::resume_unwind(Box::new(()))
}

#[traced(attributes(depth))]
fn recursive(depth: u32) -> u32 {
    if depth == 0 { 0 } else { recursive(depth - 1) + 1 }
}

#[traced]
fn inner_attributes() {
    #![allow(unused_variables)]
    let unused = 1;
}

#[traced(enable_tracing = on, root, attributes("loop" = { let mut n = 0; for _ in 0..2 { n += 1; } n }))]
async fn switched(on: bool) -> u8 {
    1
}

#[traced]
extern "C" fn foreign(number: u8) -> u8 {
    number
}

struct Service {
    on: bool,
    name: String,
}

impl Service {
    #[traced(attributes("name" = &self.name))]
    fn by_reference(&self) -> &str {
        &self.name
    }

    #[traced(enable_tracing = self.on)]
    fn by_mutable(&mut self, name: &str) -> &mut String {
        self.name.push_str(name);
        &mut self.name
    }

    #[traced(attributes("name" = %self.name))]
    fn by_value(self) -> String {
        self.name
    }

    #[traced]
    fn by_mutable_value(mut self) -> Self {
        self.on = !self.on;
        self
    }

    #[traced]
    async fn by_arc(self: Arc<Self>) -> bool {
        self.on
    }

    #[traced]
    fn without_self() -> Self {
        Self { on: true, name: String::new() }
    }

    #[traced(attributes(name))]
    async fn connected(name: &str) -> Result<Self, Refused> {
        Ok(Self { on: true, name: name.to_string() })
    }

    #[traced]
    fn renamed(service: Self, name: &str) -> usize {
        let _ = &service;
        name.len()
    }

    #[traced(record("length" = result.len()))]
    async fn awaits(&mut self, other: &str) -> String {
        let text = coerced_later(true).await;
        let _ = (text, other);
        self.name.to_string()
    }
}

trait Port {
    fn plain(&self) -> u8;

    #[traced]
    fn by_default(&self) -> u8 {
        self.plain()
    }

    #[traced]
    fn count(ports: &[Self]) -> usize
    where
        Self: Sized,
    {
        ports.len()
    }

    #[traced]
    fn unsized_default(&self) -> u8
    where
        Self: Sync,
    {
        2
    }

    fn boxed(self) -> Box<Self>
    where
        Self: Sized;
}

impl Port for Service {
    #[traced("port.plain")]
    fn plain(&self) -> u8 {
        3
    }

    #[traced]
    fn boxed(self) -> Box<Self> {
        Box::new(self)
    }
}

#[traced]
#[cfg(all())]
#[inline]
fn attributes_stay() -> u8 {
    #[allow(unused_imports)]
    use ::core::mem;
    const ITEM: u8 = 1;
    ITEM
}

pub(super) fn main() {
    bare();
    ::core::assert_eq!(constants(), 7);
    ::core::assert_eq!(borrowed(1, "text", &[1], true), "text");
    ::core::assert_eq!(moved("text".to_string(), Vec::new()).0, "text");
    ::core::assert_eq!(patterns((1, 2), &[3, 4], Vec::new(), 5), [4]);
    ::core::assert!(fallible(None).is_err());
    ::core::assert!(opaque_error().is_err());
    ::core::assert_eq!(::std::format!("{:?}", coerced()), "1");
    ::core::assert_eq!(::std::format!("{:?}", ready(coerced_later(false))), "\"three\"");
    ::core::assert_eq!(returned_iterator(&[1]).next(), Some(2));
    ::core::assert!(inner_iterator(&[1]).is_ok());
    let _ = ::std::format!("{:?}", ready(returned_later()));
    ::core::assert_eq!(argument_impl(1), 1);
    ::core::assert_eq!(generic::<_, 2>(1), [1, 1]);
    ::core::assert!(generic_result::<u8, Opaque>(Ok(1)).is_ok());
    ::core::assert_eq!(recursive(10), 10);
    inner_attributes();
    ::core::assert_eq!(ready(switched(false)), 1);
    ::core::assert_eq!(foreign(1), 1);
    let connected = ready(Service::connected("name"));
    ::core::assert_eq!(connected.map_or(0, |service| Service::renamed(service, "other")), 5);
    ::core::assert_eq!(ready(moved_future(1)), 1);
    let mut service = Service::without_self();
    ::core::assert_eq!(service.by_mutable("name"), "name");
    ::core::assert_eq!(service.by_reference(), "name");
    ::core::assert_eq!(ready(service.awaits("")), "name");
    ::core::assert_eq!(service.plain() + service.by_default() + service.unsized_default(), 8);
    ::core::assert_eq!(Service::count(&[]), 0);
    let service = service.by_mutable_value();
    let service = *service.boxed();
    ::core::assert_eq!(service.by_value(), "name");
    ::core::assert!(ready(Arc::new(Service::without_self()).by_arc()));
    ::core::assert_eq!(attributes_stay(), 1);
    ::core::assert_eq!(ready(switched(true)), 1);
    ::core::assert!(::std::panic::catch_unwind(|| { ready(diverges_later()); }).is_err());
    ::core::assert!(::std::panic::catch_unwind(|| { diverges(); }).is_err());
}
