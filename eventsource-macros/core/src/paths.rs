//! The path of the runtime crate, which a user may have renamed or re-exported.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};

use crate::keys;
use crate::options::{Form, Options, Word};

/// `crate = path`, which every macro takes.
pub(crate) const CRATE: Word = Word::new(keys::CRATE, Form::Path);

/// Moves the first token and the punctuation of a path; names resolve as before. The compiler goes by where code begins
/// and ends, and an editor that looks at a user's token must not find our names there.
fn relocated(path: TokenStream, span: Span) -> TokenStream {
    path.into_iter()
        .enumerate()
        .map(|(index, mut token)| {
            if index == 0 || matches!(token, TokenTree::Punct(_)) {
                token.set_span(token.span().located_at(span));
            }
            token
        })
        .collect()
}

/// The runtime crate, as the expansion names it.
pub(crate) struct Runtime(Option<syn::Path>);

impl Runtime {
    /// From `crate = path`, or the crate's own name.
    pub(crate) fn from_options(options: &mut Options) -> Self {
        Self(options.path(keys::CRATE))
    }

    /// Its module for expansions.
    pub(crate) fn private(&self) -> TokenStream {
        quote_spanned!(Span::mixed_site()=> #self::__private)
    }

    /// The crate as a path on a user's token, where an error about what it names belongs.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        relocated(self.to_token_stream(), span)
    }

    /// The module for expansions, on a user's token.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        relocated(self.private(), span)
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote_spanned!(Span::mixed_site()=> ::eventsource_runtime)),
        }
    }
}

/// Whether the last segment of a path has this name.
pub(crate) fn ends_in(path: &syn::Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::tokens;

    #[test]
    fn the_names_in_a_path_stay_where_an_editor_does_not_look() {
        let elsewhere =
            tokens("                x").into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let moved = |path: &str| -> Vec<bool> {
            let path = relocated(tokens(path), elsewhere).into_iter();
            path.map(|token| token.span().start() == elsewhere.start()).collect()
        };
        assert_eq!(moved("::a::b"), [true, true, false, true, true, false]);
        assert_eq!(moved("a::b"), [true, true, true, false]);
    }
}
