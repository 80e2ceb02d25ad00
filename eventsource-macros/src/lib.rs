#![forbid(unsafe_code)]
// The page's links lead to docs.rs; the first definition of one counts.
//! [event]: derive@Event
//! [aggregate]: derive@Aggregate
//! [command]: derive@Command
//! [query]: derive@Query
//! [command_handler]: macro@command_handler
//! [query_handler]: macro@query_handler
//! [projection]: macro@projection
//! [process_manager]: macro@process_manager
//! [traced]: macro@traced
#![doc = include_str!("../README.md")]

use eventsource_macros_core as core;
use proc_macro::TokenStream;

#[doc = include_str!("../docs/event.md")]
#[proc_macro_derive(Event, attributes(event))]
pub fn event(item: TokenStream) -> TokenStream {
    core::event(item.into()).into()
}

#[doc = include_str!("../docs/aggregate.md")]
#[doc(alias = "decider")]
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(item: TokenStream) -> TokenStream {
    core::aggregate(item.into()).into()
}

#[doc = include_str!("../docs/command.md")]
#[proc_macro_derive(Command, attributes(command))]
pub fn command(item: TokenStream) -> TokenStream {
    core::command(item.into()).into()
}

#[doc = include_str!("../docs/query.md")]
#[proc_macro_derive(Query, attributes(query))]
pub fn query(item: TokenStream) -> TokenStream {
    core::query(item.into()).into()
}

#[doc = include_str!("../docs/command_handler.md")]
#[proc_macro_attribute]
pub fn command_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    core::command_handler(options.into(), item.into()).into()
}

#[doc = include_str!("../docs/query_handler.md")]
#[proc_macro_attribute]
pub fn query_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    core::query_handler(options.into(), item.into()).into()
}

#[doc = include_str!("../docs/projection.md")]
#[proc_macro_attribute]
pub fn projection(options: TokenStream, item: TokenStream) -> TokenStream {
    core::projection(options.into(), item.into()).into()
}

#[doc = include_str!("../docs/process_manager.md")]
#[doc(alias = "saga")]
#[proc_macro_attribute]
pub fn process_manager(options: TokenStream, item: TokenStream) -> TokenStream {
    core::process_manager(options.into(), item.into()).into()
}

#[doc = include_str!("../docs/traced.md")]
#[doc(alias = "instrument")]
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    const INSTRUMENTATION: core::Instrumentation =
        if cfg!(feature = "otel") { core::Instrumentation::On } else { core::Instrumentation::Off };
    core::traced(INSTRUMENTATION, options.into(), item.into()).into()
}
