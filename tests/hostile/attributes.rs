//! Attributes wherever they may stand.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// A "quoted" doc, with `#[traced("x")]`, */ and \ and {} in it.
#[doc = "more \" quotes"]
#[doc = concat!("made", " up")]
#[doc(alias = "other")]
#[deprecated(note = "a \"note\"")]
#[must_use = "so \"it\" is"]
#[cfg_attr(all(), inline)]
#[track_caller]
#[traced(attributes("a \"key\"" = 1, "b" = r#"raw "text""#, "c" = 'c'.to_string(), "d" = b"bytes".len()))]
fn documented() -> u8 {
    1
}

#[cfg_attr(all(), traced("conditional", attributes(n)))]
#[cfg_attr(any(), traced("never"))]
fn conditional(n: u8) -> u8 {
    n
}

#[traced(attributes(a))]
#[allow(clippy::too_many_arguments)]
fn arguments(
    #[allow(unused)] a: u8,
    #[cfg(any())] gone: Missing,
    #[cfg(all())] b: u8,
    #[cfg_attr(any(), deny(unused))] c: u8,
) -> u8 {
    #![allow(unused_mut)]
    #![doc = "inner"]
    let mut n = a;
    n + b + c
}

#[traced(attributes("x" = { #[allow(unused)] let n = 1; n }, "y" = #[rustfmt::skip] 3,))]
fn inside() {}

#[derive(Event, Serialize, Deserialize)]
#[cfg_attr(all(), event(name = "conditional.event", alias = "other"))]
#[cfg_attr(any(), event(name = "never"))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[repr(C)]
struct Conditional {
    /// A "doc".
    #[cfg_attr(all(), event(attribute = "by"))]
    #[serde(default, rename = "bY")]
    #[deprecated]
    by: u8,
    #[cfg(any())]
    #[event(attribute = "gone")]
    gone: Missing,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String)]
#[aggregate(events(Conditional,))]
#[cfg_attr(all(), aggregate(name = "conditional_aggregate"))]
#[deprecated]
struct Conditions {
    #[cfg(any())]
    gone: Missing,
    by: u8,
}
#[allow(deprecated)]
impl Apply<Conditional> for Conditions {
    fn apply(&mut self, _: Conditional) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Conditions)]
#[allow(deprecated)]
struct One {
    #[command(id)]
    #[cfg(all())]
    id: String,
    #[command(id)]
    #[cfg(any())]
    id: u8,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Conditions)]
#[allow(deprecated)]
struct Two(#[command(id)] String);

/// A "doc" on the block.
#[allow(deprecated)]
#[command_handler]
#[cfg(all())]
impl Conditions {
    #![allow(unused_variables)]
    /// A "doc" on the method.
    #[cfg(all())]
    #[traced(attributes("a" = 1), enable_tracing = true)]
    #[must_use]
    #[inline]
    pub(crate) fn one(&self, #[allow(unused)] command: One) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
    #[cfg(any())]
    fn gone(&self, command: Missing) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
    #[cfg_attr(all(), cfg(any()))]
    fn gone_as_well(&self, command: Missing) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
    #[cfg_attr(all(), inline, cfg_attr(all(), must_use))]
    fn two(&self, command: Two) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

struct Rows;
#[projection(name = "rows")]
#[doc = "a block"]
impl Rows {
    #![allow(deprecated)]
    #[projection(setup)]
    #[cfg(not(any()))]
    fn make(&self) {}
    #[projection(reset)]
    #[allow(unused)]
    fn clear(&self) {}
    #[traced("rows.on")]
    #[allow(deprecated)]
    #[doc(hidden)]
    fn on(&self, #[allow(unused)] event: &Recorded<Conditional>) {}
    #[cfg(any())]
    fn gone(&self, event: &Recorded<Missing>) {}
}
#[allow(deprecated)]
#[process_manager]
impl Conditions {
    #[process_manager(id = event.by)]
    #[cfg_attr(all(), cfg(all()), inline)]
    fn on(&self, event: &Recorded<Conditional>) {}
    #[cfg_attr(all(), cfg(any()))]
    fn gone(&self, event: &Recorded<Missing>) {}
}
#[derive(Query, Deserialize)]
#[query(output = u8)]
enum Kinds {
    A,
    #[serde(rename = "x")]
    B {
        #[cfg(any())]
        gone: Missing,
    },
    #[cfg(any())]
    C(Missing),
}
#[query_handler()]
impl Rows {
    fn kinds(&self, #[allow(unused)] kind: Kinds) -> Result<u8, std::fmt::Error> {
        Ok(1)
    }
}

#[test]
#[allow(deprecated)]
fn run() {
    assert_eq!(documented(), 1);
    assert_eq!(conditional(2), 2);
    assert_eq!(arguments(1, 2, 3), 6);
    assert_eq!((Conditional::NAME, Conditional::ALIASES), ("conditional.event", &["other"][..]));
    assert_eq!(Conditions::NAME, "conditional_aggregate");
}
