//! `#[traced]`.

mod arguments;
mod attributes;
mod covers;
mod expand;
mod jumps;
mod literals;
mod model;
mod off;
mod owned;
pub(crate) mod parse;
mod start;

use proc_macro2::TokenStream;

pub(crate) use attributes::{Entry, Value, each, shown, values};
pub(crate) use jumps::refuse as refuse_jumps;
pub(crate) use parse::{Written, read};

use crate::diagnostics::report;

/// Whether spans are generated, as the macro crate's feature `otel` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrumentation {
    /// The function runs in a span.
    On,
    /// The function is unchanged; the options are still checked.
    Off,
}

/// Expands `#[traced]`.
#[must_use]
pub fn attribute(instrumentation: Instrumentation, options: TokenStream, item: TokenStream) -> TokenStream {
    report(|diagnostics| {
        let Some(parsed) = parse::parse(diagnostics, options, item.clone()) else { return item };
        match (model::model(diagnostics, parsed), instrumentation) {
            (Err(function), _) => function,
            (Ok(model), Instrumentation::On) => expand::expand(&model),
            (Ok(model), Instrumentation::Off) => off::expand(&model),
        }
    })
}
