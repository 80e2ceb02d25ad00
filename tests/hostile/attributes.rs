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
    #[cfg(doc)] gone: Missing,
    #[cfg(not(doc))] b: u8,
    #[cfg_attr(any(), deny(unused))] c: u8,
) -> u8 {
    #![allow(unused_mut)]
    #![doc = "inner"]
    let mut n = a;
    n + b + c
}

// Named in the body, where they are owned and have an order, or kept to its end.
#[traced(attributes(b))]
fn gone_arguments(
    #[cfg(doc)] a: Missing,
    #[cfg(doc)] _guard: Missing,
    #[cfg_attr(all(), cfg(doc))] c: Missing,
    #[cfg(not(doc))] _kept: String,
    b: String,
    Fields {
        #[cfg(doc)]
        gone,
        kept,
    }: Fields,
) -> usize {
    #[cfg(doc)]
    drop((a, c, gone));
    b.len() + kept.len()
}
#[traced]
async fn gone_arguments_later(#[cfg(doc)] a: Missing, #[cfg(doc)] _guard: Missing, b: String, c: String) -> usize {
    #[cfg(doc)]
    drop(a);
    b.len() + c.len()
}
struct Fields {
    #[cfg(doc)]
    gone: Missing,
    kept: Vec<u8>,
}

#[traced(attributes("x" = { #[allow(unused)] let n = 1; n }, "y" = #[rustfmt::skip] 3,))]
fn inside() {}

/// Whose fields nobody may borrow.
#[derive(Clone, Copy, Event, Serialize, Deserialize)]
#[repr(C, packed(2))]
struct Packed {
    narrow: u8,
    #[event(attribute)]
    wide: u64,
}

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
    #[cfg(doc)]
    #[event(attribute = "gone")]
    gone: Missing,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String)]
#[aggregate(events(Conditional,))]
#[cfg_attr(all(), aggregate(name = "conditional_aggregate"))]
#[deprecated]
struct Conditions {
    #[cfg(doc)]
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
    #[cfg(not(doc))]
    id: String,
    #[command(id)]
    #[cfg(doc)]
    id: u8,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Conditions)]
#[allow(deprecated)]
struct Two(#[command(id)] String);

/// A "doc" on the block.
#[allow(deprecated)]
#[command_handler]
#[cfg(not(doc))]
impl Conditions {
    #![allow(unused_variables)]
    /// A "doc" on the method.
    #[cfg(not(doc))]
    #[traced(attributes("a" = 1), enable_tracing = true)]
    #[must_use]
    #[inline]
    pub(crate) fn one(&self, #[allow(unused)] command: One) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
    #[cfg(doc)]
    fn gone(&self, command: Missing) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
    #[cfg_attr(all(), cfg(doc))]
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
    #[cfg(doc)]
    fn gone(&self, event: &Recorded<Missing>) {}
}
#[allow(deprecated)]
#[process_manager]
impl Conditions {
    #[process_manager(id = event.by)]
    #[cfg_attr(all(), cfg(not(doc)), inline)]
    fn on(&self, event: &Recorded<Conditional>) {}
    #[cfg_attr(all(), cfg(doc))]
    fn gone(&self, event: &Recorded<Missing>) {}
}
#[derive(Query, Deserialize)]
#[query(output = u8)]
enum Kinds {
    A,
    #[serde(rename = "x")]
    B {
        #[cfg(doc)]
        gone: Missing,
    },
    #[cfg(doc)]
    C(Missing),
}
#[derive(Query, Deserialize)]
#[query(output = u8)]
struct KindFields {
    #[cfg(doc)]
    gone: Missing,
    kept: u8,
}
#[query_handler()]
impl Rows {
    fn kinds(&self, #[allow(unused)] kind: Kinds) -> Result<u8, std::fmt::Error> {
        Ok(1)
    }
    #[traced(attributes("a" = 1 + 1), enable_tracing = *kept > 0)]
    fn fields(
        &self,
        KindFields {
            #[cfg(doc)]
            gone,
            kept,
        }: KindFields,
    ) -> Result<u8, std::fmt::Error> {
        Ok(kept)
    }
}

// Below the macro, which is given what the compiler removes behind it.
#[command_handler]
#[cfg(doc)]
impl Missing {
    fn gone(&self, command: Missing) -> Result<(), Missing> {}
}
#[query_handler]
#[cfg_attr(all(), cfg(doc))]
impl Missing {
    fn gone(&self, query: Missing) -> Result<Missing, Missing> {}
}
#[projection]
impl Missing {
    #![cfg(doc)]
    fn gone(&self, event: &Recorded<Missing>) {}
}
#[process_manager]
impl Missing {
    #![cfg_attr(all(), cfg(doc))]
    fn gone(&self, event: &Recorded<Missing>) {}
}

// One of two is left.
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Conditional))]
#[allow(deprecated)]
struct Either;
#[allow(deprecated)]
impl Apply<Conditional> for Either {
    fn apply(&mut self, _: Conditional) {}
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Either)]
struct Choose(#[command(id)] String);
#[derive(Query, Deserialize)]
#[query(output = bool)]
struct IsChosen;
macro_rules! either {
    ($chosen:literal, #[$cfg:meta]) => {
        #[command_handler]
        #[$cfg]
        impl Either {
            fn choose(&self, _: Choose) -> Result<(), std::convert::Infallible> {
                Ok(())
            }
        }
        #[query_handler]
        #[$cfg]
        impl Either {
            fn is_chosen(&self, _: IsChosen) -> Result<bool, std::fmt::Error> {
                Ok($chosen)
            }
        }
        #[projection(name = "either")]
        #[$cfg]
        #[allow(deprecated)]
        impl Either {
            fn on(&self, event: &Recorded<Conditional>) {}
        }
        #[process_manager(name = "either")]
        #[$cfg]
        #[allow(deprecated)]
        impl Either {
            fn react(&self, event: &Recorded<Conditional>) {}
        }
    };
}
either!(false, #[cfg(doc)]);
either!(true, #[cfg(not(doc))]);

#[test]
fn one_block_of_two_is_left() {
    assert_eq!(crate::ready(eventsource_runtime::HandleQuery::handle(&Either, IsChosen)), Ok(true));
}

#[test]
#[allow(deprecated)]
fn run() {
    assert_eq!(documented(), 1);
    assert_eq!(conditional(2), 2);
    assert_eq!(arguments(1, 2, 3), 6);
    assert_eq!(gone_arguments("a".into(), "bc".into(), Fields { kept: vec![1] }), 3);
    assert_eq!(crate::ready(gone_arguments_later("a".into(), "bc".into())), 3);
    assert_eq!((Conditional::NAME, Conditional::ALIASES), ("conditional.event", &["other"][..]));
    assert_eq!(Conditions::NAME, "conditional_aggregate");
}
