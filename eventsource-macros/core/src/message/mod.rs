//! `#[derive(Command)]` and `#[derive(Query)]`: one shape, two kinds.

mod expand;
mod model;
pub(crate) mod parse;

use proc_macro2::TokenStream;

use crate::diagnostics::report;
use crate::keys;

/// Which message is derived, or handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Query,
}

impl Kind {
    /// The helper attribute, and the message in errors.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Command => keys::COMMAND,
            Self::Query => keys::QUERY,
        }
    }
}

/// Expands `#[derive(Command)]`.
#[must_use]
pub fn command(item: TokenStream) -> TokenStream {
    derive(Kind::Command, item)
}

/// Expands `#[derive(Query)]`.
#[must_use]
pub fn query(item: TokenStream) -> TokenStream {
    derive(Kind::Query, item)
}

fn derive(kind: Kind, item: TokenStream) -> TokenStream {
    report(|diagnostics| {
        let Some(parsed) = parse::parse(diagnostics, kind, item) else { return TokenStream::new() };
        expand::expand(&model::model(diagnostics, kind, parsed))
    })
}
