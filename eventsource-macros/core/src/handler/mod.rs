//! `#[command_handler]` and `#[query_handler]`: one shape, two kinds.

mod expand;
pub(crate) mod model;
pub(crate) mod parse;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use crate::diagnostics::report;
use crate::message::Kind;

impl Kind {
    /// The macro, in errors.
    fn attribute(self) -> &'static str {
        match self {
            Self::Command => "command_handler",
            Self::Query => "query_handler",
        }
    }

    /// The method, in errors.
    fn handler(self) -> &'static str {
        match self {
            Self::Command => "a command handler",
            Self::Query => "a query handler",
        }
    }
}

/// Expands `#[command_handler]`.
#[must_use]
pub fn command_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Command, options, item)
}

/// Expands `#[query_handler]`.
#[must_use]
pub fn query_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Query, options, item)
}

fn attribute(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    report(|diagnostics| {
        let Some(parsed) = parse::parse(diagnostics, kind, options, item.clone()) else { return item };
        let block = parsed.block.to_token_stream();
        let impls = model::model(diagnostics, kind, parsed).map(|model| expand::expand(&model));
        quote!(#block #impls)
    })
}
