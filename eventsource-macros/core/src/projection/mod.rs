//! `#[projection]`.

mod expand;
mod model;
pub(crate) mod parse;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use crate::diagnostics::report;

/// Expands `#[projection]`.
#[must_use]
pub fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    report(|diagnostics| {
        let Some(parsed) = parse::GRAMMAR.parse(diagnostics, options, item.clone()) else { return item };
        let block = parsed.block.to_token_stream();
        let impls = model::model(diagnostics, parsed).map(|model| expand::expand(&model));
        quote!(#block #impls)
    })
}
