//! `#[derive(Event)]`.

mod expand;
mod model;
pub(crate) mod parse;

use proc_macro2::TokenStream;

use crate::diagnostics::report;

/// Expands `#[derive(Event)]`.
#[must_use]
pub fn derive(item: TokenStream) -> TokenStream {
    report(|diagnostics| {
        let Some(parsed) = parse::parse(diagnostics, item) else { return TokenStream::new() };
        expand::expand(&model::model(diagnostics, parsed))
    })
}
