//! Names that are odd, or ours.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone)]
struct Ours {
    #[event(attribute)]
    __es_slot: u8,
    #[event(attribute)]
    __es_attributes: u8,
    #[event(attribute)]
    __es_place: u8,
    #[event(attribute)]
    r#type: u8,
    #[event(attribute)]
    r#fn: String,
    #[event(attribute)]
    grüße: u8,
    #[event(attribute)]
    名前: String,
    #[event(attribute)]
    _unused: u8,
    #[event(attribute)]
    result: u8,
    #[event(attribute)]
    out: u8,
    #[event(sensitive)]
    r#struct: u8,
}
#[derive(Event, Serialize, Deserialize, Clone)]
struct r#enum {
    r#self_: u8,
}
#[derive(Event, Serialize, Deserialize, Clone)]
struct Événement;
#[derive(Event, Serialize, Deserialize, Clone)]
struct snake_case;
#[derive(Event, Serialize, Deserialize, Clone)]
struct _Hidden;
#[derive(Event, Serialize, Deserialize, Clone)]
struct Event_;
mod own {
    // Types of the names of our traits, and of our macros.
    #[derive(eventsource_runtime::Event, serde::Serialize, serde::Deserialize)]
    pub struct Event;
    #[derive(eventsource_runtime::Event, serde::Serialize, serde::Deserialize)]
    pub struct Any;
    #[derive(eventsource_runtime::Event, serde::Serialize, serde::Deserialize)]
    pub struct Included;
    #[derive(eventsource_runtime::Aggregate, Default)]
    #[aggregate(id = u8, events(Event, Any, Included))]
    pub struct Aggregate;
    impl eventsource_runtime::Apply<Event> for Aggregate {
        fn apply(&mut self, _: Event) {}
    }
    impl eventsource_runtime::Apply<Any> for Aggregate {
        fn apply(&mut self, _: Any) {}
    }
    impl eventsource_runtime::Apply<Included> for Aggregate {
        fn apply(&mut self, _: Included) {}
    }
    #[derive(eventsource_runtime::Command, Clone, serde::Serialize, serde::Deserialize)]
    #[command(aggregate = Aggregate)]
    pub struct Command(#[command(id)] pub u8);
    #[eventsource_runtime::command_handler]
    impl Aggregate {
        fn command(&self, command: Command) -> Result<[Event; 1], std::convert::Infallible> {
            Ok([Event])
        }
    }
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = String, events(Ours, r#enum, Événement, snake_case, _Hidden, Event_), derive(Clone), snapshot(every = 1), event = r#match)]
struct r#loop {
    r#type: u8,
    __es_event: u8,
}
macro_rules! apply { ($($ty:ty),*) => { $(impl Apply<$ty> for r#loop { fn apply(&mut self, _: $ty) { self.r#type += 1; } })* }; }
apply!(Ours, r#enum, Événement, snake_case, _Hidden, Event_);
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = r#loop)]
struct r#while {
    #[command(id)]
    r#in: String,
    #[command(attribute)]
    __es_command: u8,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = r#loop)]
struct r#if(#[command(id)] String, #[command(attribute = "n")] u8);
struct r#yield {
    r#in: u8,
}
#[command_handler]
impl r#loop {
    #[traced(attributes("a" = __es_command.__es_command, "b" = __es_services.r#in, r#c.d = 1))]
    fn r#dyn(&self, __es_command: r#while, __es_services: &r#yield) -> Result<Événement, std::convert::Infallible> {
        Ok(Événement)
    }
    #[traced(attributes("a" = __es_attributes, "b" = __es_slot), enable_tracing = *__es_attributes == 0)]
    async fn r#async(
        &self,
        r#if(__es_slot, __es_attributes): r#if,
        r#yield { r#in }: &r#yield,
    ) -> Result<(Événement, snake_case), std::convert::Infallible> {
        Ok((Événement, snake_case))
    }
}
struct r#static;
#[projection]
impl r#static {
    fn r#move(&self, __es_event: &Recorded<Événement>) {}
    async fn __es_tx(&self, __es_stored: &Recorded<r#enum>) {}
}
#[process_manager]
impl r#loop {
    #[process_manager(id = __es_event.r#type)]
    fn r#move(&self, __es_event: &Recorded<Ours>) {}
    #[process_manager(id = __es_stored.version())]
    fn r#fn(&self, __es_stored: &Recorded<r#enum>) {}
    fn r#try(&self, r#false: &Rejected<r#while>) {}
}
#[derive(Query, Deserialize)]
#[query(output = u8)]
struct r#use {
    #[query(attribute = "ключ")]
    r#ref: u8,
}
#[query_handler]
impl r#static {
    #[traced(attributes(r#pub.r#ref))]
    fn r#let(&self, r#pub: r#use) -> Result<u8, std::fmt::Error> {
        Ok(r#pub.r#ref)
    }
}

// Variants of the names of our traits' types.
#[derive(Query, Deserialize)]
#[query(output = u8, error = std::fmt::Error)]
enum Answered {
    Output,
    Error,
}
#[derive(Aggregate, Default)]
#[aggregate(id = u8, events(own::Event))]
enum Odd {
    #[default]
    Error,
    Event,
    Id,
    Aggregate,
    Services,
    Output,
}
impl Apply<own::Event> for Odd {
    fn apply(&mut self, _: own::Event) {}
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Odd)]
struct Oddly(#[command(id)] u8);
#[command_handler]
impl Odd {
    fn oddly(&self, _: Oddly) -> Result<own::Event, std::convert::Infallible> {
        Ok(own::Event)
    }
}
#[query_handler]
impl Odd {
    #[traced(attributes("answered" = matches!(answered, Answered::Output)))]
    fn answered(&self, answered: Answered) -> Result<u8, std::fmt::Error> {
        Ok(1)
    }
}

#[traced(attributes(__es_call, __es_on, __es_once, __es_body, __es_span, "r" = __es_returned, "s" = __es_slot, "p" = __es_place, "o" = __es_options))]
fn locals(
    __es_call: u8,
    __es_on: u8,
    __es_once: u8,
    __es_body: u8,
    __es_span: u8,
    __es_returned: u8,
    __es_slot: u8,
    __es_place: u8,
    __es_options: u8,
) -> u8 {
    __es_call + __es_on + __es_once + __es_body + __es_span + __es_returned + __es_slot + __es_place + __es_options
}
#[traced(attributes(__es_call, __es_body, __es_span, "r" = __es_returned), record("s" = result, "x" = __es_span))]
async fn locals_later(__es_call: u8, __es_body: u8, __es_span: u8, __es_returned: u8) -> u8 {
    __es_call + __es_body + __es_span + __es_returned
}
#[traced(attributes(result), record("r" = result))]
fn result_twice(result: u8) -> u16 {
    u16::from(result) + 300
}
#[traced(attributes("r" = result), record("r.r" = result))]
async fn result_later(result: &str) -> usize {
    result.len()
}
#[traced("имя", attributes(größe, "ключ" = größe, r#type, "🦀" = "🦀", 名前 = größe, 名.前 = r#type))]
fn größe_von(größe: u8, r#type: u8) -> u8 {
    größe + r#type
}
#[traced(attributes(name, kind, root, links, parent, crate_, attributes, record, covers, enable_tracing), enable_tracing = enable_tracing)]
fn options(
    name: u8,
    kind: u8,
    root: u8,
    links: u8,
    parent: u8,
    crate_: u8,
    attributes: u8,
    record: u8,
    covers: u8,
    enable_tracing: bool,
) -> u8 {
    name + kind + root + links + parent + crate_ + attributes + record + covers
}
#[traced]
fn r#match() -> u8 {
    1
}
#[traced]
fn traced() -> u8 {
    2
}
#[traced]
fn __ES_SITE() -> u8 {
    3
}
struct Site(u8);
impl Site {
    #[traced(attributes("s" = self.0))]
    fn new(&self) -> Site {
        static __ES_SITE: Site = Site(5);
        const __es_span: u8 = 6;
        Site(__ES_SITE.0 + __es_span + self.0)
    }
}

/// With a variant of the name of a type that the impl has.
#[derive(Aggregate, Default)]
#[aggregate(id = u8, events(snake_case), error = Refused, fault = Refused::is_fault)]
enum Machine {
    #[default]
    Id,
    Event,
    Error,
}
impl Apply<snake_case> for Machine {
    fn apply(&mut self, _: snake_case) {
        *self = Self::Error;
    }
}
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;
impl Refused {
    fn is_fault(&self) -> bool {
        true
    }
}

#[test]
fn run() {
    assert_eq!(locals(1, 2, 3, 4, 5, 6, 7, 8, 9), 45);
    assert_eq!(crate::ready(locals_later(1, 2, 3, 4)), 10);
    assert_eq!(result_twice(1), 301);
    assert_eq!(crate::ready(result_later("ab")), 2);
    assert_eq!(größe_von(1, 2), 3);
    assert_eq!(options(1, 1, 1, 1, 1, 1, 1, 1, 1, true), 9);
    assert_eq!(r#match() + traced() + __ES_SITE(), 6);
    assert_eq!(Site(1).new().0, 12);
    assert_eq!(r#loop::NAME, "loop");
    assert_eq!(format!("{:?}", r#match::r#enum(r#enum { r#self_: 1 })), "enum");
    assert_eq!(r#while::SPAN, "command.while");
}
#[tokio::test]
async fn handlers_run() {
    let repository = Repository::<r#loop, _>::new(MemoryStore::new()).with_services(r#yield { r#in: 1 });
    let bus = CommandBus::builder().aggregate(repository).build();
    bus.dispatch(r#while { r#in: "a".into(), __es_command: 1 }).await.unwrap();
    bus.dispatch(r#if("a".into(), 1)).await.unwrap();
}
